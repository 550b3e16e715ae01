//! Whether a quantile is the same in both arms, however often one looks (F14).
//!
//! Howard and Ramdas, "Sequential estimation of quantiles" (arXiv 1906.09712), Theorem 5, as `quantile_ab_p_value` of
//! confseq: if the quantile is the same, it is some number x, at which both arms have the same share below. The
//! e-value is the product of the two arms' e-values at the x where that is least.

use crate::beta_binomial::BetaBinomial;
use crate::log_e::LogE;
use crate::normal_mixture::Sides;
use crate::number::{OutOfRange, Proportion, positive};
use crate::sample::Sample;

/// The level for which the mixture is tuned.
const TUNED_ALPHA: f64 = 0.05;
/// Steps of the search for the share of least evidence: to the last digits of a double.
const SEARCH_STEPS: u32 = 100;

/// The e-value against "the quantile of this level is the same". It is sharpest at about `tries_best` numbers in each
/// arm. Its reciprocal is the p-value of confseq.
///
/// # Errors
/// Where `tries_best` is not above 0.
pub fn quantiles_differ(
    level: Proportion,
    canary: &Sample,
    primary: &Sample,
    tries_best: f64,
) -> Result<LogE, OutOfRange> {
    let tries_best = positive("the number of tries that is tuned for", tries_best)?;
    let q = level.get();
    let mixture = BetaBinomial::tuned(tries_best * q * (1.0 - q), TUNED_ALPHA, q, 1.0 - q, Sides::Two);
    let (canary, primary) = (Arm::new(&mixture, q, canary), Arm::new(&mixture, q, primary));
    let (first, second) = if canary.end <= primary.end { (canary, primary) } else { (primary, canary) };
    let both = |x: f64| first.log_e(x) + second.log_e(x);
    let mut least = both(first.end).min(both(second.start));
    // Between the two the first arm's evidence only grows and the second's only falls, which it does at its numbers.
    let mut rank = second.sample.up_to(first.end).max(1);
    let last = second.sample.up_to(second.start);
    while rank <= last {
        let x = second.sample.of_rank(rank);
        least = least.min(both(x));
        rank = second.sample.up_to(x).max(rank) + 1;
    }
    Ok(LogE::new(least))
}

/// What one arm says of a number as its quantile.
struct Arm<'a> {
    mixture: &'a BetaBinomial,
    level: f64,
    sample: &'a Sample,
    /// The share below at which the evidence is least, and from where to where it is that.
    least: f64,
    start: f64,
    end: f64,
}

impl<'a> Arm<'a> {
    fn new(mixture: &'a BetaBinomial, level: f64, sample: &'a Sample) -> Self {
        let mut arm = Self { mixture, level, sample, least: level, start: 0.0, end: 0.0 };
        // It is convex in the share: the third without the minimum is cut off, again and again.
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..SEARCH_STEPS {
            let third = (high - low) / 3.0;
            if arm.of_share(low + third) < arm.of_share(high - third) {
                high -= third;
            } else {
                low += third;
            }
        }
        arm.least = f64::midpoint(low, high);
        let rank = arm.least * sample.get().len() as f64;
        arm.start = sample.of_rank(rank.ceil() as usize);
        arm.end = sample.of_rank(rank.floor() as usize + 1);
        arm
    }

    fn of_share(&self, share: f64) -> f64 {
        let count = self.sample.get().len() as f64;
        self.mixture.log((share - self.level) * count, self.level * (1.0 - self.level) * count)
    }

    /// The evidence against a number as the quantile.
    fn log_e(&self, x: f64) -> f64 {
        let count = self.sample.get().len() as f64;
        if x < self.start {
            self.of_share(self.sample.up_to(x) as f64 / count)
        } else if x > self.end {
            self.of_share(self.sample.below(x) as f64 / count)
        } else {
            self.of_share(self.least)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn log_e(level: f64, canary: Vec<f64>, primary: Vec<f64>) -> LogE {
        let sample = |numbers| Sample::new(numbers).expect("a sample");
        let level = Proportion::new(level).expect("a level");
        quantiles_differ(level, &sample(canary), &sample(primary), 100.0).expect("an e-value")
    }

    #[test]
    fn known_answers() {
        for (level, offset, p) in
            [(0.5, 70, 0.814_704), (0.5, 85, 0.083_805_5), (0.5, 100, 0.005_494_7), (0.9, 55, 0.034_046_3)]
        {
            let here: Vec<f64> = (1..=1000).map(f64::from).collect();
            let moved: Vec<f64> = here.iter().map(|x| x + f64::from(offset)).collect();
            let found = log_e(level, here.clone(), moved.clone()).p();
            assert!((found - p).abs() < 1e-6, "{level} {offset}: {found}");
            let turned = log_e(level, moved, here).p();
            assert!((turned - p).abs() < 1e-6, "{level} {offset}: {turned}");
        }
    }

    #[test]
    fn small_samples_and_ties_are_no_evidence() {
        assert_eq!(log_e(0.99, vec![1.0], vec![2.0]).p(), 1.0);
        assert_eq!(log_e(0.5, vec![1.0; 50], vec![1.0; 60]).p(), 1.0);
        assert!(log_e(0.5, vec![1.0; 500], vec![2.0; 500]).p() < 1e-6);
        let zero = Sample::new(vec![0.0]).expect("a sample");
        assert!(quantiles_differ(Proportion::new(0.5).expect("a level"), &zero, &zero, 0.0).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn only_the_order_matters(
            a in prop::collection::vec(-50_i32..50, 1..80), b in prop::collection::vec(-50_i32..50, 1..80), q in 0.05..0.95,
        ) {
            let plain = |list: &[i32]| list.iter().copied().map(f64::from).collect::<Vec<_>>();
            let bent = |list: &[i32]| list.iter().map(|x| (f64::from(*x) / 9.0).exp()).collect::<Vec<_>>();
            let found = log_e(q, plain(&a), plain(&b)).get();
            prop_assert_eq!(found, log_e(q, bent(&a), bent(&b)).get());
            prop_assert!((found - log_e(q, plain(&b), plain(&a)).get()).abs() < 1e-9);
        }
    }
}
