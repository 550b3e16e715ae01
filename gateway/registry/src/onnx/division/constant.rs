//! The numbers of tensors that stand in the file.

use bytes::Buf;
use prost::encoding::decode_varint;

use super::range::{Range, kind};
use super::value::{Source, Value};
use crate::onnx::schema::TensorProto;

/// What a tensor of the file holds. Where its numbers are not looked at (they lie in another file,
/// or are packed), they may be any of its type.
pub(super) fn value(tensor: &TensorProto) -> Value {
    let kind = Some(tensor.data_type);
    match bounds(tensor) {
        Some(range) => Value { kind, range: range.within(kind), source: Source::File },
        None => Value { kind, range: Range::full(kind), source: Source::Computed },
    }
}

/// What a tensor holds of which only some elements are listed: the others are zero.
pub(super) fn sparse(values: &TensorProto) -> Value {
    let listed = value(values);
    Value { range: listed.range.join(Range::new(0, 0)), ..listed }
}

/// A number that an attribute holds.
pub(super) fn number(number: i64) -> Value {
    Value { kind: Some(kind::INT64), range: Range::new(number.into(), number.into()), source: Source::File }
}

fn bounds(tensor: &TensorProto) -> Option<Range> {
    let kind = tensor.data_type;
    if let Some(raw) = &tensor.raw_data {
        return raw_bounds(kind, raw);
    }
    let (lists, signed) = match kind {
        kind::INT64 => (&tensor.int64_data, true),
        kind::UINT32 | kind::UINT64 => (&tensor.uint64_data, false),
        kind::BOOL | kind::UINT8 | kind::INT8 | kind::UINT16 | kind::INT16 | kind::INT32 => {
            (&tensor.int32_data, true)
        }
        _ => return None,
    };
    let mut bounds = None;
    for list in lists {
        let mut rest = &list[..];
        while rest.has_remaining() {
            let bits = decode_varint(&mut rest).ok()?;
            let number = if signed { bits.cast_signed().into() } else { bits.into() };
            bounds = Some(with(bounds, number));
        }
    }
    bounds
}

fn raw_bounds(kind: i32, raw: &[u8]) -> Option<Range> {
    macro_rules! bounds_of {
        ($number:ty) => {
            raw.as_chunks()
                .0
                .iter()
                .fold(None, |bounds, &bytes| Some(with(bounds, <$number>::from_le_bytes(bytes).into())))
        };
    }
    match kind {
        kind::BOOL | kind::UINT8 => bounds_of!(u8),
        kind::INT8 => bounds_of!(i8),
        kind::UINT16 => bounds_of!(u16),
        kind::INT16 => bounds_of!(i16),
        kind::INT32 => bounds_of!(i32),
        kind::INT64 => bounds_of!(i64),
        kind::UINT32 => bounds_of!(u32),
        kind::UINT64 => bounds_of!(u64),
        _ => None,
    }
}

fn with(bounds: Option<Range>, number: i128) -> Range {
    let number = Range::new(number, number);
    bounds.map_or(number, |bounds| bounds.join(number))
}
