//! Which whole numbers a value may be.

/// The smallest of INT32.
const INT32_MIN: i128 = i32::MIN as i128;
/// The smallest and the largest of INT64.
const INT64_MIN: i128 = i64::MIN as i128;
const INT64_MAX: i128 = i64::MAX as i128;

/// The numbers of `TensorProto.DataType` in onnx.proto that are looked for.
pub(super) mod kind {
    pub(crate) const FLOAT: i32 = 1;
    pub(crate) const UINT8: i32 = 2;
    pub(crate) const INT8: i32 = 3;
    pub(crate) const UINT16: i32 = 4;
    pub(crate) const INT16: i32 = 5;
    pub(crate) const INT32: i32 = 6;
    pub(crate) const INT64: i32 = 7;
    pub(crate) const STRING: i32 = 8;
    pub(crate) const BOOL: i32 = 9;
    pub(crate) const UINT32: i32 = 12;
    pub(crate) const UINT64: i32 = 13;
}

/// All that lies between two numbers, both among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) low: i128,
    pub(super) high: i128,
    /// Whether -1 is among them: numbers that were looked at may lie on both sides of it.
    pub(super) minus_one: bool,
}

impl Range {
    /// What cannot be negative: sizes, indices, counts.
    pub(super) const NOT_NEGATIVE: Self = Self::new(0, INT64_MAX);

    pub(super) const fn new(low: i128, high: i128) -> Self {
        Self { low, high, minus_one: low <= -1 && -1 <= high }
    }

    /// All numbers of an element type; those of INT64 for a type that is unknown or has fractions.
    pub(super) fn full(kind: Option<i32>) -> Self {
        match kind {
            Some(kind::BOOL) => Self::new(0, 1),
            Some(kind::UINT8) => Self::new(0, u8::MAX.into()),
            Some(kind::INT8) => Self::new(i8::MIN.into(), i8::MAX.into()),
            Some(kind::UINT16) => Self::new(0, u16::MAX.into()),
            Some(kind::INT16) => Self::new(i16::MIN.into(), i16::MAX.into()),
            Some(kind::INT32) => Self::new(INT32_MIN, i32::MAX.into()),
            Some(kind::UINT32) => Self::new(0, u32::MAX.into()),
            Some(kind::UINT64) => Self::new(0, u64::MAX.into()),
            _ => Self::new(INT64_MIN, INT64_MAX),
        }
    }

    /// The same as numbers of an element type: what does not fit wraps around, and may then be any.
    pub(super) fn within(self, kind: Option<i32>) -> Self {
        let full = Self::full(kind);
        if full.low <= self.low && self.high <= full.high { self } else { full }
    }

    /// What is in the one or in the other.
    pub(super) fn join(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            minus_one: self.minus_one || other.minus_one,
        }
    }

    /// What a function gives that never falls where its arguments rise.
    pub(super) fn rising(self, other: Self, f: impl Fn(i128, i128) -> i128) -> Self {
        Self::new(f(self.low, other.low), f(self.high, other.high))
    }

    pub(super) fn add(self, other: Self) -> Self {
        self.rising(other, |a, b| a + b)
    }

    pub(super) fn subtract(self, other: Self) -> Self {
        self.add(other.negate())
    }

    pub(super) fn negate(self) -> Self {
        Self::new(-self.high, -self.low)
    }

    pub(super) fn multiply(self, other: Self) -> Self {
        let corners = [
            self.low.saturating_mul(other.low),
            self.low.saturating_mul(other.high),
            self.high.saturating_mul(other.low),
            self.high.saturating_mul(other.high),
        ];
        corners
            .iter()
            .map(|&corner| Self::new(corner, corner))
            .fold(Self::new(corners[0], corners[0]), Self::span)
    }

    /// Everything from the lower to the higher of both.
    fn span(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.max(other.high))
    }

    /// A quotient is nearer to zero than its dividend by what the divisor at least is.
    pub(super) fn divide(self, divisor: Self) -> Self {
        let most = self.magnitude() / divisor.low.max(-divisor.high).max(1);
        if self.low >= 0 && divisor.low >= 0 { Self::new(0, most) } else { Self::new(-most, most) }
    }

    /// A remainder with the sign of the divisor is nearer to zero than it.
    pub(super) fn remainder(self, divisor: Self) -> Self {
        Self::new((divisor.low + 1).min(0), (divisor.high - 1).max(0))
    }

    pub(super) fn absolute(self) -> Self {
        Self::new(0, self.magnitude())
    }

    fn magnitude(self) -> i128 {
        self.low.abs().max(self.high.abs())
    }

    /// Whether the smallest integer of an element type is among them: of INT32 or INT64 where the
    /// type is unknown.
    pub(super) fn has_smallest(self, kind: Option<i32>) -> bool {
        let smallest = if kind == Some(kind::INT64) { INT64_MIN } else { INT32_MIN };
        self.low <= smallest
    }
}
