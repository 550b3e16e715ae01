//! Sums with sub-Gaussian steps: the normal mixtures (F2, F3).
//!
//! Howard, Ramdas, McAuliffe and Sekhon (arXiv 1810.08240), Propositions 4 (two-sided) and 5 (one-sided), as in
//! confseq; two-sided first in Robbins, "Statistical methods related to the law of the iterated logarithm" (1970).

use crate::log_e::LogE;
use crate::number::{Alpha, OutOfRange, finite, nonnegative, positive};
use crate::root::turn;
use crate::special::ln_normal_cdf;

/// Which way a sum may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// Up: against a mean of at most 0.
    One,
    /// Up or down: against a mean of 0.
    Two,
}

/// A mixture that is tightest at some intrinsic time: the sum of the variances of the steps.
#[derive(Clone, Copy, Debug)]
pub struct NormalMixture {
    precision: f64,
    sides: Sides,
}

impl NormalMixture {
    /// Tuned for the intrinsic time `time_best` at a level: ρ = v/(2 ln(1/α) + ln(1 + 2 ln(1/α))), as in confseq.
    ///
    /// # Errors
    /// Where the time is not above 0.
    pub fn new(time_best: f64, alpha_best: Alpha, sides: Sides) -> Result<Self, OutOfRange> {
        let time_best = positive("the intrinsic time that is tuned for", time_best)?;
        Ok(Self { precision: best_precision(time_best, alpha_best.get(), sides), sides })
    }

    /// The precision ρ of the mixture.
    #[must_use]
    pub const fn precision(&self) -> f64 {
        self.precision
    }

    /// The e-value of a sum at an intrinsic time.
    ///
    /// # Errors
    /// Where the sum is no number, or the time is below 0.
    pub fn log_e(&self, sum: f64, time: f64) -> Result<LogE, OutOfRange> {
        Ok(LogE::new(self.log(finite("the sum", sum)?, nonnegative("the intrinsic time", time)?)))
    }

    /// What the sum is below at all times, with a probability of at least 1 - alpha (with two sides, in size).
    ///
    /// # Errors
    /// Where the time is below 0.
    pub fn bound(&self, time: f64, alpha: Alpha) -> Result<f64, OutOfRange> {
        let all = nonnegative("the intrinsic time", time)? + self.precision;
        let two_sided = (all * ((time / self.precision).ln_1p() + 2.0 * alpha.log_threshold())).sqrt();
        Ok(match self.sides {
            Sides::Two => two_sided,
            // The one-sided e-value is at most twice the two-sided one, and at least that for a sum above 0: less is
            // enough.
            Sides::One => turn(0.0, two_sided, |sum| self.log(sum, time) >= alpha.log_threshold()).1,
        })
    }

    fn log(&self, sum: f64, time: f64) -> f64 {
        let all = time + self.precision;
        let two_sided = 0.5 * (self.precision / all).ln() + sum * sum / (2.0 * all);
        match self.sides {
            Sides::Two => two_sided,
            Sides::One => two_sided + std::f64::consts::LN_2 + ln_normal_cdf(sum / all.sqrt()),
        }
    }
}

/// The precision at which the bound is lowest at an intrinsic time; one side is as two at twice the level.
pub(crate) fn best_precision(time: f64, alpha: f64, sides: Sides) -> f64 {
    let alpha = match sides {
        Sides::One => 2.0 * alpha,
        Sides::Two => alpha,
    };
    // Levels of a half and more have no best; they are tuned as if for a little less.
    let log = -alpha.min(0.99).ln();
    time / (2.0 * log + (2.0 * log).ln_1p())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alpha(alpha: f64) -> Alpha {
        Alpha::new(alpha).expect("a level")
    }

    fn mixture(sides: Sides) -> NormalMixture {
        NormalMixture::new(100.0, alpha(0.05), sides).expect("a mixture")
    }

    #[test]
    fn known_answers() {
        assert!((mixture(Sides::Two).precision() - 12.600_56).abs() < 1e-5);
        for (sides, log, bound) in
            [(Sides::Two, -0.651_005_2, 30.352_09), (Sides::One, -0.065_023_91, 27.660_71)]
        {
            let mixture = mixture(sides);
            let found = mixture.log_e(10.0, 100.0).expect("an e-value").get();
            assert!((found - log).abs() < 1e-7, "{found}");
            let found = mixture.bound(100.0, alpha(0.05)).expect("a bound");
            assert!((found - bound).abs() < 1e-5, "{found}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let mixture = mixture(Sides::One);
        assert!(mixture.log_e(f64::NAN, 1.0).is_err() && mixture.log_e(0.0, f64::INFINITY).is_err());
        assert!(mixture.bound(-1.0, alpha(0.05)).is_err());
        assert!(NormalMixture::new(0.0, alpha(0.05), Sides::Two).is_err());
        assert_eq!(mixture.log_e(0.0, 0.0).expect("an e-value").get(), 0.0);
        assert!(mixture.log_e(-1e6, 1.0).expect("an e-value").get() < 0.0);
    }

    #[test]
    fn the_mean_is_1_for_gaussian_steps() {
        // E of exp(log_e(S, v)) with S normal of variance v, by Simpson's rule.
        for sides in [Sides::One, Sides::Two] {
            let (time, width, count) = (3.0_f64, 120.0, 20_000);
            let step = 2.0 * width / f64::from(count);
            let mean: f64 = (0..=count)
                .map(|i| {
                    let sum = -width + step * f64::from(i);
                    let simpson = if i == 0 || i == count { 1.0 } else { 2.0 + 2.0 * f64::from(i % 2) };
                    let density = -sum * sum / (2.0 * time) - 0.5 * (std::f64::consts::TAU * time).ln();
                    simpson * step / 3.0 * (density + mixture(sides).log(sum, time)).exp()
                })
                .sum();
            assert!((mean - 1.0).abs() < 1e-9, "{sides:?} {mean}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_bound_is_where_the_test_rejects(time in 0.0..1e6_f64, a in 0.001..0.4) {
            for sides in [Sides::One, Sides::Two] {
                let bound = mixture(sides).bound(time, alpha(a)).expect("a bound");
                let log = mixture(sides).log(bound, time);
                prop_assert!((log - alpha(a).log_threshold()).abs() < 1e-9, "{log}");
                prop_assert!(mixture(sides).bound(time, alpha(a / 2.0)).expect("a bound") > bound);
            }
        }
    }
}
