//! How far a number may lie from another.

/// A distance, or a part of a number: finite and not below zero.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Tolerance(f64);

/// Never NaN.
impl Eq for Tolerance {}

impl Tolerance {
    /// A tolerance of this size; nothing where that is below zero or not finite.
    #[must_use]
    pub fn new(size: f64) -> Option<Self> {
        (size.is_finite() && size >= 0.0).then_some(Self(size))
    }

    /// Its size.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}
