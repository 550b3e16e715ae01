//! The shape of one tensor.

use std::fmt;

/// The most dimensions that a tensor may have. The V2 protocol names no limit; no ONNX operator
/// in use needs more, and a bound keeps nested JSON and shape checks small.
const RANK_MAX: usize = 32;

/// The dimensions of a tensor, outermost first; rank 0 is a scalar, a dimension of 0 no element.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Shape(Dims);

/// Most tensors have few dimensions: those stay off the heap.
#[derive(Clone, Debug)]
enum Dims {
    Inline(u8, [u64; 4]),
    Heap(Box<[u64]>),
}

impl Default for Dims {
    fn default() -> Self {
        Self::Inline(0, [0; 4])
    }
}

impl PartialEq for Dims {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Dims {}

impl Dims {
    fn as_slice(&self) -> &[u64] {
        match self {
            Self::Inline(rank, dims) => &dims[..usize::from(*rank)],
            Self::Heap(dims) => dims,
        }
    }
}

impl Shape {
    /// The most dimensions that a shape holds.
    pub const RANK_MAX: usize = RANK_MAX;

    /// A shape of these dimensions, or nothing where there are more than [`Self::RANK_MAX`].
    #[must_use]
    pub fn new(dims: &[u64]) -> Option<Self> {
        if dims.len() > RANK_MAX {
            return None;
        }
        let mut inline = [0; 4];
        Some(Self(match inline.get_mut(..dims.len()) {
            Some(room) => {
                room.copy_from_slice(dims);
                Dims::Inline(dims.len() as u8, inline)
            }
            None => Dims::Heap(dims.into()),
        }))
    }

    /// The dimensions.
    #[must_use]
    pub fn dims(&self) -> &[u64] {
        self.0.as_slice()
    }

    /// How many elements a tensor of this shape holds; nothing where the product overflows `usize`.
    #[must_use]
    pub fn elements(&self) -> Option<usize> {
        // A zero anywhere makes the tensor empty, whatever the others multiply to.
        if self.dims().contains(&0) {
            return Some(0);
        }
        self.dims().iter().try_fold(1_usize, |product, &d| product.checked_mul(usize::try_from(d).ok()?))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.dims().iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_counted_without_overflow() {
        let shape = |dims: &[u64]| Shape::new(dims).expect("within the rank limit");
        assert_eq!(shape(&[]).elements(), Some(1));
        assert_eq!(shape(&[2, 3, 4, 5, 6]).elements(), Some(720));
        assert_eq!(shape(&[u64::MAX, 0, u64::MAX]).elements(), Some(0));
        assert_eq!(shape(&[1 << 32, 1 << 32]).elements(), None);
        assert_eq!(shape(&[u64::MAX]).elements(), usize::try_from(u64::MAX).ok());
        assert_eq!(Shape::new(&[1; 33]), None);
        assert_eq!(shape(&[1, 2]).to_string(), "[1,2]");
    }
}
