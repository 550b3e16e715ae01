//! Sums of steps that go up or down by at most fixed amounts: the beta-binomial mixture (F6).
//!
//! Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences" (arXiv
//! 1810.08240), Propositions 6 (two-sided) and 7 (one-sided), as in confseq. A step is from -g to h with mean 0; n of
//! them have the intrinsic time v = g h n.

use crate::beta_mixture::BetaMixture;
use crate::log_e::LogE;
use crate::normal_mixture::{Sides, best_precision};
use crate::number::{Alpha, OutOfRange, finite, nonnegative, positive};
use crate::root::turn;

/// A mixture that is tightest at some intrinsic time.
#[derive(Clone, Copy, Debug)]
pub struct BetaBinomial {
    precision: f64,
    down: f64,
    up: f64,
    sides: Sides,
}

impl BetaBinomial {
    /// For steps that go down by `down` or up by `up` at most, tuned for the intrinsic time `time_best` at a level.
    ///
    /// # Errors
    /// Where one of the numbers is not above 0.
    pub fn new(
        time_best: f64,
        alpha_best: Alpha,
        down: f64,
        up: f64,
        sides: Sides,
    ) -> Result<Self, OutOfRange> {
        let time_best = positive("the intrinsic time that is tuned for", time_best)?;
        let (down, up) = (positive("the largest step down", down)?, positive("the largest step up", up)?);
        Ok(Self::tuned(time_best, alpha_best.get(), down, up, sides))
    }

    /// The same for numbers that are known to be above 0.
    pub(crate) fn tuned(time_best: f64, alpha_best: f64, down: f64, up: f64, sides: Sides) -> Self {
        let precision = best_precision(time_best, alpha_best, sides) - down * up;
        Self { precision: precision.max(1e-3 * down * up), down, up, sides }
    }

    /// The e-value of a sum at an intrinsic time, against a mean of 0 (or below, with one side). A sum that steps of
    /// these sizes cannot reach counts as the highest or lowest that they can.
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
        let time = nonnegative("the intrinsic time", time)?;
        let highest = time / self.down;
        let rejected = |sum: f64| self.log(sum, time) >= alpha.log_threshold();
        Ok(if rejected(highest) { turn(0.0, highest, rejected).1 } else { highest })
    }

    pub(crate) fn log(&self, sum: f64, time: f64) -> f64 {
        let Self { precision, down, up, sides } = *self;
        let range = down + up;
        let ups = ((time + up * sum) / (up * range)).max(0.0);
        let downs = ((time - down * sum) / (down * range)).max(0.0);
        // Steps down are the hits: fewer of them is a higher sum.
        let mixture = BetaMixture {
            hits: precision / (down * range),
            misses: precision / (up * range),
            tested: up / range,
        };
        match sides {
            Sides::One => mixture.fewer_hits(downs, ups),
            Sides::Two => mixture.two_sided(downs, ups),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixture(sides: Sides) -> BetaBinomial {
        BetaBinomial::new(100.0, Alpha::new(0.05).expect("a level"), 0.2, 0.8, sides).expect("a mixture")
    }

    #[test]
    fn known_answers() {
        let alpha = Alpha::new(0.05).expect("a level");
        for (sides, log, bound) in
            [(Sides::Two, -0.694_101_2, 31.4308), (Sides::One, -0.071_340_19, 28.412_38)]
        {
            let mixture = mixture(sides);
            let found = mixture.log_e(10.0, 100.0).expect("an e-value").get();
            assert!((found - log).abs() < 1e-6, "{found}");
            let found = mixture.bound(100.0, alpha).expect("a bound");
            assert!((found - bound).abs() < 1e-4, "{found}");
        }
    }

    #[test]
    fn nothing_seen_bounds_nothing_and_what_is_no_number_is_refused() {
        let alpha = Alpha::new(0.05).expect("a level");
        for sides in [Sides::One, Sides::Two] {
            assert!(mixture(sides).log_e(0.0, 0.0).expect("an e-value").get().abs() < 1e-12);
            assert_eq!(mixture(sides).bound(0.0, alpha), Ok(0.0));
            assert!(mixture(sides).log_e(f64::NAN, 1.0).is_err() && mixture(sides).log_e(1.0, -1.0).is_err());
            assert!(mixture(sides).log_e(1e9, 1.0).expect("an e-value").get().is_finite());
            assert!(BetaBinomial::new(0.0, alpha, 0.5, 0.5, sides).is_err());
            assert!(BetaBinomial::new(1.0, alpha, -0.5, 0.5, sides).is_err());
            assert!(BetaBinomial::new(1.0, alpha, 0.5, f64::NAN, sides).is_err());
        }
    }
}
