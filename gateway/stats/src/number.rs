//! Numbers that are checked once: what a formula takes, it need not doubt.

use serde::{Deserialize, Serialize};

/// A number that a formula cannot take.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{name} is {value}, and must be {range}")]
pub struct OutOfRange {
    /// What the number is.
    pub name: &'static str,
    /// The number.
    pub value: f64,
    /// What it must be.
    pub range: &'static str,
}

/// The number, if it is one.
pub(crate) fn finite(name: &'static str, value: f64) -> Result<f64, OutOfRange> {
    if value.is_finite() { Ok(value) } else { Err(OutOfRange { name, value, range: "a finite number" }) }
}

/// The number, if it is finite and not below 0.
pub(crate) fn nonnegative(name: &'static str, value: f64) -> Result<f64, OutOfRange> {
    let fits = value.is_finite() && value >= 0.0;
    if fits { Ok(value) } else { Err(OutOfRange { name, value, range: "a finite number of at least 0" }) }
}

/// The number, if it is finite and above 0.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<f64, OutOfRange> {
    let fits = value.is_finite() && value > 0.0;
    if fits { Ok(value) } else { Err(OutOfRange { name, value, range: "a finite number above 0" }) }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $what:literal, $range:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            /// The number, checked.
            ///
            /// # Errors
            /// Where it is out of range, or no number.
            pub fn new(value: f64) -> Result<Self, OutOfRange> {
                let fits: fn(f64) -> bool = $fits;
                if fits(value) {
                    Ok(Self(value))
                } else {
                    Err(OutOfRange { name: $what, value, range: $range })
                }
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = OutOfRange;
            fn try_from(value: f64) -> Result<Self, OutOfRange> {
                Self::new(value)
            }
        }

        impl From<$name> for f64 {
            fn from(number: $name) -> Self {
                number.0
            }
        }
    };
}

number! {
    /// How often a decision may be wrong where nothing is: between 0 and 1, both left out.
    Alpha, "alpha", "above 0 and below 1", |value| value > 0.0 && value < 1.0
}
number! {
    /// The share of the traffic that the canary takes: between 0 and 1, both left out. An arm that takes all or
    /// nothing is compared with nothing.
    Weight, "the weight", "above 0 and below 1", |value| value > 0.0 && value < 1.0
}
number! {
    /// A share that is neither nothing nor all: the floor of a rate, the level of a quantile.
    Proportion, "the proportion", "above 0 and below 1", |value| value > 0.0 && value < 1.0
}
number! {
    /// How often something happens, from never (0) to always (1).
    Rate, "the rate", "from 0 to 1", |value| (0.0..=1.0).contains(&value)
}
number! {
    /// With what probability an observation was included in a sample: above 0, as nothing else can be weighed.
    Inclusion, "the inclusion probability", "above 0 and at most 1", |value| value > 0.0 && value <= 1.0
}
number! {
    /// How many times as often something happens in the canary as in the primary: finite and above 0.
    Ratio, "the ratio", "finite and above 0", |value| value.is_finite() && value > 0.0
}

impl Inclusion {
    /// Everything was included.
    pub const ALL: Self = Self(1.0);

    /// What an observation stands for: the reciprocal.
    #[must_use]
    pub fn weight(self) -> f64 {
        self.0.recip()
    }

    /// That of a sample of this sample, drawn independently. Where it is too small for a double it is the smallest.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        Self((self.0 * next.0).max(f64::MIN_POSITIVE))
    }
}

impl Alpha {
    /// The logarithm of 1/alpha, which the logarithm of an e-value has to reach (Ville's inequality).
    #[must_use]
    pub fn log_threshold(self) -> f64 {
        -self.0.ln()
    }

    /// The level for each of so many questions, so that all of them together are wrong at most so often
    /// (Bonferroni); one question where there are none.
    #[must_use]
    pub fn shared_by(self, questions: usize) -> Self {
        // A share that underflows would be 0, which no level is.
        Self((self.0 / questions.max(1) as f64).max(f64::MIN_POSITIVE))
    }
}

impl Weight {
    /// Canary over primary.
    pub(crate) fn odds(self) -> f64 {
        self.0 / (1.0 - self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        for value in [0.0, 1.0, -0.1, 1.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Alpha::new(value).is_err() && Weight::new(value).is_err(), "{value}");
            assert!(Proportion::new(value).is_err(), "{value}");
        }
        for value in [-f64::MIN_POSITIVE, 1.0 + f64::EPSILON, f64::NAN] {
            assert!(Rate::new(value).is_err(), "{value}");
        }
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Ratio::new(value).is_err(), "{value}");
        }
        assert_eq!(Alpha::new(1.5).unwrap_err().to_string(), "alpha is 1.5, and must be above 0 and below 1");
        assert!(Rate::new(0.0).is_ok() && Rate::new(1.0).is_ok() && Ratio::new(1e300).is_ok());
    }

    #[test]
    fn a_journal_cannot_bring_in_what_is_out_of_range() {
        assert_eq!(serde_json::from_str::<Weight>("0.1").expect("a weight").get(), 0.1);
        assert!(serde_json::from_str::<Weight>("1.0").is_err());
        assert!(serde_json::from_str::<Weight>("null").is_err());
    }

    #[test]
    fn a_level_is_shared_evenly_and_never_becomes_nothing() {
        let alpha = Alpha::new(0.05).expect("a level");
        assert_eq!(alpha.shared_by(4).get(), 0.0125);
        assert_eq!(alpha.shared_by(0), alpha);
        assert!(Alpha::new(f64::MIN_POSITIVE).expect("a level").shared_by(usize::MAX).get() > 0.0);
        assert!((alpha.log_threshold() - 20_f64.ln()).abs() < 1e-15);
    }
}
