//! Why a request is kept.

/// What a request is, so that it may be kept. Each is of [`Class::Uniform`], and may be of others too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Any request.
    Uniform,
    /// It took longer than is usual.
    Slow,
    /// The schema flags its inputs.
    Violation,
    /// A shadow answers otherwise.
    Disagree,
    /// An output has a NaN or an infinity.
    Nan,
    /// It was not answered.
    Error,
}

impl Class {
    /// All of them; of those with the same probability the last one is the reason.
    pub const ALL: [Self; 6] =
        [Self::Uniform, Self::Slow, Self::Violation, Self::Disagree, Self::Nan, Self::Error];

    /// The word in rows, settings and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Slow => "slow",
            Self::Violation => "violation",
            Self::Disagree => "disagree",
            Self::Nan => "nan",
            Self::Error => "error",
        }
    }
}

/// The classes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes(u8);

impl Default for Classes {
    fn default() -> Self {
        Self(1 << Class::Uniform as u8)
    }
}

impl Classes {
    /// With one more, where that is so.
    #[must_use]
    pub fn with(self, class: Class, is_one: bool) -> Self {
        Self(self.0 | u8::from(is_one) << class as u8)
    }

    /// Whether it is of this class.
    #[must_use]
    pub fn has(self, class: Class) -> bool {
        self.0 & (1 << class as u8) != 0
    }
}
