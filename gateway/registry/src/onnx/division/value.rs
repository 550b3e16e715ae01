//! What is known of a value of a graph without running it.

use super::range::Range;

/// Where the numbers of a value come from, from what is known best to what is known least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// They stand in the file, or follow from such.
    File,
    /// They do not depend on the numbers of a request: they are computed from shapes, or from what
    /// stands in the file in a way that is not followed.
    Computed,
    /// They are computed from the numbers that a request gives.
    Request,
}

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// The element type, by the numbers of onnx.proto.
    pub(super) kind: Option<i32>,
    /// What its elements may be where they are whole numbers.
    pub(super) range: Range,
    /// Where they come from.
    pub(super) source: Source,
}

impl Value {
    /// Anything of this element type, from a request.
    pub(super) fn any(kind: Option<i32>) -> Self {
        Self { kind, range: Range::full(kind), source: Source::Request }
    }

    /// The one or the other.
    pub(super) fn join(self, other: Self) -> Self {
        Self {
            kind: self.kind.or(other.kind),
            range: self.range.join(other.range),
            source: self.source.max(other.source),
        }
    }
}
