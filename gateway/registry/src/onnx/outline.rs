//! The outline of a model: its messages walked as bytes, before any of them is decoded.
//!
//! Decoded, a message of two bytes takes a hundred, and messages may nest without end. So parts and
//! levels are counted first, without a recursion and without an allocation per part; only what stays
//! within the limits is then decoded.

use bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};

use super::fault::OnnxFault;

/// The most parts that a model may have: nodes, tensors, names, dimensions. Large language models
/// have under a million; decoded, this many take some hundreds of megabytes.
const PARTS_MAX: usize = 4_000_000;
/// The deepest nesting, three levels for each graph inside a graph. The decoder itself ends at 100.
const DEPTH_MAX: usize = 96;

/// The messages of ONNX's schema that hold others.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    Function,
    Training,
}

/// What a field of a message holds.
enum Part {
    /// A message that is walked.
    Message(Kind),
    /// A text, some bytes or a small message.
    Leaf,
    /// Whole numbers, each a part.
    Numbers,
    /// Nothing that is decoded.
    Skipped,
}

impl Kind {
    /// The meaning of a field, by the numbers of `proto/onnx.proto`.
    fn part(self, field: u32) -> Part {
        match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) | (Self::Training, 1 | 2) => {
                Part::Message(Self::Graph)
            }
            (Self::Model, 20) => Part::Message(Self::Training),
            (Self::Model, 25) => Part::Message(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Part::Message(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => {
                Part::Message(Self::Tensor)
            }
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Part::Message(Self::Sparse),
            (Self::Node, 5) | (Self::Function, 11) => Part::Message(Self::Attribute),
            (Self::Tensor, 1) | (Self::Sparse, 3) => Part::Numbers,
            (Self::Model, 8)
            | (Self::Graph, 11..=13)
            | (Self::Node, 1 | 2)
            | (Self::Function, 4 | 5 | 9 | 12)
            | (Self::Tensor, 4..=7 | 10 | 11 | 13) => Part::Leaf,
            _ => Part::Skipped,
        }
    }
}

/// Counts parts and levels, and finds where a file breaks off.
pub(super) fn check(model: &[u8]) -> Result<(), OnnxFault> {
    let mut parts = 0_usize;
    let mut open = vec![(Kind::Model, model)];
    while let Some((kind, rest)) = open.last_mut() {
        let kind = *kind;
        if rest.is_empty() {
            open.pop();
            continue;
        }
        let offset = rest.as_ptr().addr() - model.as_ptr().addr();
        let Some((field, content)) = next_field(rest) else {
            return Err(OnnxFault::Broken { offset, size: model.len() });
        };
        let part = kind.part(field);
        parts = parts.saturating_add(match part {
            Part::Message(_) | Part::Leaf => 1,
            Part::Numbers => content.len().max(1),
            Part::Skipped => 0,
        });
        if parts > PARTS_MAX {
            return Err(OnnxFault::TooManyParts { limit: PARTS_MAX });
        }
        if let Part::Message(inner) = part {
            if open.len() >= DEPTH_MAX {
                return Err(OnnxFault::TooDeep { limit: DEPTH_MAX });
            }
            open.push((inner, content));
        }
    }
    Ok(())
}

/// Takes one field off the front: its number, and its bytes where it has a length.
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    let (field, wire_type) = decode_key(rest).ok()?;
    let length = match wire_type {
        WireType::Varint => {
            decode_varint(rest).ok()?;
            return Some((field, &[]));
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => usize::try_from(decode_varint(rest).ok()?).ok()?,
        // ONNX has no groups.
        WireType::StartGroup | WireType::EndGroup => return None,
    };
    let content = rest.get(..length)?;
    rest.advance(length);
    Some((field, content))
}
