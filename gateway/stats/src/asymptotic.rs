//! A difference of means, with an interval that holds at any time once there are enough units (F4).
//!
//! Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
//! sequences" (arXiv 2103.06476, equation 9), in the form of GrowthBook (gbstats, `SequentialTwoSidedTTest`). It
//! takes the variance for known, so it is no good with fewer than some 50 units. Count units, not requests: requests
//! of one unit are alike, and a test that takes them for independent finds differences where there are none.

use crate::log_e::LogE;
use crate::number::{Alpha, OutOfRange, finite, positive};

/// The number of units for which it is tuned if nobody says otherwise (GrowthBook's default).
pub const UNITS_BEST: f64 = 5000.0;

/// The interval and e-value of one difference, tuned for some number of units.
#[derive(Clone, Copy, Debug)]
pub struct AsymptoticTest {
    alpha: Alpha,
    /// ρ².
    precision: f64,
}

/// How many times as many units as there are may be asked for: more is as good as never.
const MORE_MAX: f64 = 1e9;
/// Halvings in the search for how many are needed: to less than one unit in a million.
const SEARCH_STEPS: u32 = 60;

/// What is known of a difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    value: f64,
    variance: f64,
    units: f64,
}

impl Difference {
    /// A difference with the variance of its estimate, from so many units in both arms.
    ///
    /// # Errors
    /// Where the difference is no number, or the variance or the units are not above 0.
    pub fn new(value: f64, variance: f64, units: u64) -> Result<Self, OutOfRange> {
        Ok(Self {
            value: finite("the difference", value)?,
            variance: positive("the variance", variance)?,
            units: positive("the number of units", units as f64)?,
        })
    }

    /// The difference.
    #[must_use]
    pub const fn value(&self) -> f64 {
        self.value
    }

    /// The units that it is of.
    #[must_use]
    pub const fn units(&self) -> f64 {
        self.units
    }

    /// Another difference, as well known as this one. What is no number becomes 0.
    #[must_use]
    pub fn with_value(self, value: f64) -> Self {
        Self { value: if value.is_finite() { value } else { 0.0 }, ..self }
    }

    /// In standard errors.
    #[must_use]
    pub fn z(&self) -> f64 {
        self.value / self.variance.sqrt()
    }
}

impl AsymptoticTest {
    /// Tightest at so many units, for a level.
    ///
    /// # Errors
    /// Where the number of units is not above 0.
    pub fn new(alpha: Alpha, units_best: f64) -> Result<Self, OutOfRange> {
        let units_best = positive("the number of units that is tuned for", units_best)?;
        let log = 2.0 * alpha.log_threshold();
        Ok(Self { alpha, precision: (log + log.ln_1p()) / units_best })
    }

    /// The precision ρ.
    #[must_use]
    pub fn precision(&self) -> f64 {
        self.precision.sqrt()
    }

    /// Half the width of the interval around the difference, at any time.
    #[must_use]
    pub fn half_width(&self, difference: &Difference) -> f64 {
        let n = difference.units * self.precision;
        let log = 0.5 * n.ln_1p() + self.alpha.log_threshold();
        (difference.variance * 2.0 * (n + 1.0) * log / n).sqrt()
    }

    /// How many units it takes in all until 0 is outside of the interval, if the difference and the variance of a
    /// unit stay as they are; as many as there are where it is already. Nothing where that is never, or takes more
    /// than a thousand million times as many.
    #[must_use]
    pub fn units_needed(&self, difference: &Difference) -> Option<f64> {
        let excludes = |times: f64| {
            let Difference { value, variance, units } = *difference;
            let later = Difference { value, variance: variance / times, units: units * times };
            self.half_width(&later) <= value.abs()
        };
        let mut enough = 1.0;
        while !excludes(enough) {
            enough *= 2.0;
            if enough > MORE_MAX {
                return None;
            }
        }
        let mut few = enough / 2.0;
        if enough > 1.0 {
            for _ in 0..SEARCH_STEPS {
                let middle = f64::midpoint(few, enough);
                if excludes(middle) { enough = middle } else { few = middle }
            }
        }
        Some(difference.units * enough)
    }

    /// The e-value against no difference; it rejects where the interval leaves 0 out. Keep it in
    /// [`Evidence`](crate::Evidence) for the always-valid p-value.
    #[must_use]
    pub fn log_e(&self, difference: &Difference) -> LogE {
        let n = difference.units * self.precision;
        let z = difference.z();
        LogE::new(n / (n + 1.0) * z * z / 2.0 - 0.5 * n.ln_1p())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::special::normal_cdf;

    fn test() -> AsymptoticTest {
        AsymptoticTest::new(Alpha::new(0.05).expect("a level"), UNITS_BEST).expect("a test")
    }

    #[test]
    fn known_answers() {
        let variance = (0.03 * 0.97 + 0.04 * 0.96) / 3999.0;
        let difference = Difference::new(0.01, variance, 8000).expect("a difference");
        assert!((test().precision() - 0.039_840_1).abs() < 1e-7);
        assert!((test().half_width(&difference) - 0.012_520_1).abs() < 1e-7);
        assert!((test().log_e(&difference).p() - 0.237_557).abs() < 1e-6);
        assert!((difference.z() - 2.434_018).abs() < 1e-6);
        assert!((2.0 * normal_cdf(-difference.z()) - 0.014_932_2).abs() < 1e-7);
    }

    #[test]
    fn what_is_needed_is_where_the_interval_leaves_0_out() {
        let variance = (0.03 * 0.97 + 0.04 * 0.96) / 3999.0;
        let difference = Difference::new(0.01, variance, 8000).expect("a difference");
        let needed = test().units_needed(&difference).expect("some");
        assert!((needed - 12_824.860_183).abs() < 1e-3, "{needed}");
        let large = Difference::new(0.1, variance, 8000).expect("a difference");
        assert_eq!(test().units_needed(&large), Some(8000.0));
        assert_eq!(test().units_needed(&Difference::new(0.0, variance, 8000).expect("a difference")), None);
        assert_eq!(test().units_needed(&Difference::new(1e-9, variance, 8000).expect("a difference")), None);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert!(Difference::new(f64::NAN, 1.0, 9).is_err() && Difference::new(0.0, 0.0, 9).is_err());
        assert!(Difference::new(0.0, 1.0, 0).is_err());
        assert!(AsymptoticTest::new(Alpha::new(0.05).expect("a level"), 0.0).is_err());
    }

    proptest! {
        #[test]
        fn it_rejects_where_the_interval_leaves_0_out(value in -9.0..9.0, variance in 1e-6..9.0, units in 1..1_000_000_u64) {
            let difference = Difference::new(value, variance, units).expect("a difference");
            let log = test().log_e(&difference);
            prop_assume!((log.get() - 20_f64.ln()).abs() > 1e-9);
            let outside = test().half_width(&difference) <= value.abs();
            prop_assert_eq!(outside, log.rejects(Alpha::new(0.05).expect("a level")));
        }
    }
}
