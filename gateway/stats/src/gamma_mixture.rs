//! Sums with steps of heavy upper tails, and means of bounded numbers (F5).
//!
//! The gamma-exponential mixture for sub-exponential steps and the gamma-Poisson mixture for sub-Poisson ones:
//! Howard, Ramdas, McAuliffe and Sekhon (arXiv 1810.08240, Proposition 8 for the first), as in confseq. With the
//! first, the empirical Bernstein bound of their Theorem 4 for means of bounded numbers.

use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

use crate::log_e::LogE;
use crate::normal_mixture::{Sides, best_precision};
use crate::number::{Alpha, OutOfRange, finite, nonnegative, positive};
use crate::root::turn;
use crate::special::{ln_gamma_lower, ln_gamma_upper};

/// The level for which the bounds of a mean are tuned.
const TUNED_ALPHA: f64 = 0.025;
/// Doublings in which a sum that is rejected is looked for.
const DOUBLINGS: u32 = 200;

/// What the steps are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Sub-exponential, as centred numbers of which none is far below the mean.
    Exponential,
    /// Sub-Poisson, as counts of rare events.
    Poisson,
}

/// A one-sided mixture that is tightest at some intrinsic time.
#[derive(Clone, Copy, Debug)]
pub struct GammaMixture {
    tail: Tail,
    /// ρ/c².
    shape: f64,
    /// c.
    scale: f64,
    leading: f64,
}

impl GammaMixture {
    /// For steps of the scale c = `scale`, tuned for the intrinsic time `time_best` at a level.
    ///
    /// # Errors
    /// Where time or scale is not above 0.
    pub fn new(tail: Tail, scale: f64, time_best: f64, alpha_best: Alpha) -> Result<Self, OutOfRange> {
        Self::tuned(tail, scale, time_best, alpha_best.get())
    }

    fn tuned(tail: Tail, scale: f64, time_best: f64, alpha_best: f64) -> Result<Self, OutOfRange> {
        let scale = positive("the scale of the steps", scale)?;
        let time_best = positive("the intrinsic time that is tuned for", time_best)?;
        let precision = best_precision(time_best, alpha_best, Sides::One);
        let shape = positive("the intrinsic time over the squared scale", precision / scale / scale)?;
        let cut = match tail {
            Tail::Exponential => ln_gamma_lower(shape, shape),
            Tail::Poisson => ln_gamma_upper(shape, shape),
        };
        Ok(Self { tail, shape, scale, leading: shape * shape.ln() - ln_gamma(shape) - cut })
    }

    /// The e-value of a sum at an intrinsic time, against a mean of at most 0.
    ///
    /// # Errors
    /// Where the sum is no number, or the time is below 0.
    pub fn log_e(&self, sum: f64, time: f64) -> Result<LogE, OutOfRange> {
        Ok(LogE::new(self.log(finite("the sum", sum)?, nonnegative("the intrinsic time", time)?)))
    }

    /// What the sum is below at all times, with a probability of at least 1 - alpha.
    ///
    /// # Errors
    /// Where the time is below 0, or too large for the bound to be a number.
    pub fn bound(&self, time: f64, alpha: Alpha) -> Result<f64, OutOfRange> {
        let time = nonnegative("the intrinsic time", time)?;
        let rejected = |sum: f64| self.log(sum, time) >= alpha.log_threshold();
        let first = time.max(self.scale);
        let above = (0..DOUBLINGS).map(|k| first * 2_f64.powi(k.cast_signed())).find(|sum| rejected(*sum));
        let above = finite("the bound", above.unwrap_or(f64::INFINITY))?;
        Ok(turn(0.0, above, rejected).1)
    }

    fn log(&self, sum: f64, time: f64) -> f64 {
        let (sum, time) = (sum / self.scale, time / self.scale / self.scale);
        let all = time + self.shape;
        let moved = sum + all;
        if moved <= 0.0 {
            return f64::MIN;
        }
        self.leading
            + match self.tail {
                Tail::Exponential => {
                    ln_gamma(all) + ln_gamma_lower(all, moved) - all * moved.ln() + sum + time
                }
                Tail::Poisson => ln_gamma(moved) + ln_gamma_upper(moved, all) - moved * all.ln() + time,
            }
    }
}

/// The mean of numbers between two bounds, with bounds of the mean that hold at any time.
///
/// The empirical Bernstein confidence sequence: each number is guessed as the mean of those before it, the intrinsic
/// time is the sum of the squared errors of the guesses, and the gamma-exponential bound with c = upper - lower holds
/// for the sum of deviations (arXiv 1810.08240, Theorem 4). Numbers need not be independent, only have the same mean
/// given those before.
///
/// Its floats come back from JSON as they went in where the reader rounds correctly (`float_roundtrip` of
/// serde_json).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundedMean {
    lower: f64,
    upper: f64,
    count: u64,
    sum: f64,
    time: f64,
}

impl BoundedMean {
    /// For numbers from `lower` to `upper`.
    ///
    /// # Errors
    /// Where the bounds are no numbers, or the upper is not above the lower.
    pub fn new(lower: f64, upper: f64) -> Result<Self, OutOfRange> {
        finite("the lower bound", lower)?;
        positive("the upper bound over the lower", upper - lower)?;
        Ok(Self { lower, upper, count: 0, sum: 0.0, time: 0.0 })
    }

    /// Takes in a number.
    ///
    /// # Errors
    /// Where it is no number or not within the bounds. Nothing is taken in then.
    pub fn push(&mut self, number: f64) -> Result<(), OutOfRange> {
        if !(self.lower..=self.upper).contains(&number) {
            return Err(OutOfRange {
                name: "a number",
                value: number,
                range: "within the bounds of the mean",
            });
        }
        let guess = self.mean().unwrap_or(f64::midpoint(self.lower, self.upper));
        self.time += (number - guess).powi(2);
        self.sum += number;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// How many numbers.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; nothing where there are none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| (self.sum / self.count as f64).clamp(self.lower, self.upper))
    }

    /// Both bounds of the mean, at any time, wrong with a probability of at most alpha; tightest where the intrinsic
    /// time is about `time_best`: the count times the variance.
    ///
    /// # Errors
    /// Where `time_best` is not above 0.
    pub fn interval(&self, alpha: Alpha, time_best: f64) -> Result<(f64, f64), OutOfRange> {
        let range = self.upper - self.lower;
        let mixture = GammaMixture::tuned(Tail::Exponential, range, time_best, TUNED_ALPHA)?;
        let Some(mean) = self.mean() else {
            return Ok((self.lower, self.upper));
        };
        let reach = mixture.bound(self.time, alpha.shared_by(2))? / self.count as f64;
        Ok(((mean - reach).max(self.lower), (mean + reach).min(self.upper)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alpha(alpha: f64) -> Alpha {
        Alpha::new(alpha).expect("a level")
    }

    #[test]
    fn known_answers() {
        for (tail, log, bound) in
            [(Tail::Exponential, -0.249_016_5, 33.020_17), (Tail::Poisson, -0.069_912_19, 30.1949)]
        {
            let mixture = GammaMixture::new(tail, 2.0, 100.0, alpha(0.05)).expect("a mixture");
            let found = mixture.log_e(10.0, 100.0).expect("an e-value").get();
            assert!((found - log).abs() < 1e-7, "{tail:?}: {found}");
            let found = mixture.bound(100.0, alpha(0.05)).expect("a bound");
            assert!((found - bound).abs() < 1e-4, "{tail:?}: {found}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for (scale, time) in [(0.0, 1.0), (1.0, 0.0), (f64::NAN, 1.0), (1.0, f64::NAN), (1e-300, 1e300)] {
            assert!(GammaMixture::new(Tail::Exponential, scale, time, alpha(0.05)).is_err());
        }
        let mixture = GammaMixture::new(Tail::Poisson, 1.0, 1.0, alpha(0.05)).expect("a mixture");
        assert!(mixture.log_e(f64::NAN, 1.0).is_err() && mixture.bound(-1.0, alpha(0.05)).is_err());
        assert!(mixture.log_e(-1e300, 1.0).expect("an e-value").get().is_finite());
        assert!(mixture.bound(0.0, alpha(0.05)).expect("a bound") > 0.0);
        assert!(BoundedMean::new(1.0, 1.0).is_err() && BoundedMean::new(f64::NAN, 1.0).is_err());
        let mut mean = BoundedMean::new(0.0, 1.0).expect("bounds");
        for number in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(mean.push(number).is_err());
        }
        assert_eq!((mean.count(), mean.mean()), (0, None));
        assert_eq!(mean.interval(alpha(0.05), 10.0), Ok((0.0, 1.0)));
    }

    #[test]
    fn the_bound_of_a_mean_covers_it_at_all_times() {
        // Rare and large numbers: mean 0.05. Of 200 sequences at most alpha, plus 3 standard errors, may ever miss
        // it.
        let mut random = fastrand::Rng::with_seed(7);
        let missed = (0..200)
            .filter(|_| {
                let mut mean = BoundedMean::new(0.0, 1.0).expect("bounds");
                (1..=400).any(|i| {
                    mean.push(if random.f64() < 0.1 { random.f64() } else { 0.0 }).expect("a number");
                    // A look at every twentieth number.
                    i % 20 == 0 && {
                        let (lower, upper) = mean.interval(alpha(0.1), 10.0).expect("an interval");
                        !(lower <= 0.05 && 0.05 <= upper)
                    }
                })
            })
            .count();
        assert!(missed as f64 <= 200.0 * 0.1 + 3.0 * (200.0 * 0.1 * 0.9_f64).sqrt(), "{missed} (seed 7)");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn intervals_nest_over_alpha_and_hold_the_mean(numbers in prop::collection::vec(-3.0..5.0, 1..60)) {
            let mut mean = BoundedMean::new(-3.0, 5.0).expect("bounds");
            for number in &numbers {
                mean.push(*number).expect("a number");
            }
            let here = mean.mean().expect("a mean");
            let inner = mean.interval(alpha(0.1), 50.0).expect("an interval");
            let outer = mean.interval(alpha(0.01), 50.0).expect("an interval");
            prop_assert!(inner.0 <= here && here <= inner.1);
            prop_assert!(outer.0 <= inner.0 && inner.1 <= outer.1);
        }
    }
}
