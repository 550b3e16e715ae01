//! Whether two samples come from one distribution, looked at once; and how far they are apart.

use statrs::stats_tests::NaNPolicy;
use statrs::stats_tests::ks_test::{KSTwoSampleAlternativeMethod, ks_twosample};

use crate::contingency::contingency;
use crate::goodness_of_fit::ChiSquared;
use crate::multinomial::ClassesError;
use crate::sample::Sample;

/// Up to this product of the sizes the p-value is exact.
const EXACT_MAX: usize = 10_000;

/// Pearson's chi-squared of the contingency table of two samples of counts, each as uncertain as it is. Taking one
/// for exact, as Evidently does, makes it find changes where there are none. Classes that are empty in both do not
/// count.
///
/// # Errors
/// Where they do not have as many classes, or too many.
pub fn homogeneity(reference: &[u64], current: &[u64]) -> Result<ChiSquared, ClassesError> {
    // (O - E)²/E of both cells together.
    contingency(reference, current, |[r, c], [n, m]| (r / n - c / m).powi(2) / (r + c) * (n * m))
}

/// How far two empirical distribution functions are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// By how much the first is above the second where it is most: the first has the smaller numbers there.
    pub above: f64,
    /// By how much it is below where it is most.
    pub below: f64,
    /// The number at which it is farther, above or below.
    pub at: f64,
}

impl Gap {
    /// Kolmogorov and Smirnov's statistic: the larger of both.
    #[must_use]
    pub fn statistic(&self) -> f64 {
        self.above.max(self.below)
    }
}

/// Where and how far the empirical distribution functions of two samples are apart.
#[must_use]
pub fn largest_gap(first: &Sample, second: &Sample) -> Gap {
    let mut gap = Gap { above: 0.0, below: 0.0, at: first.of_rank(1) };
    for step in Steps::new(first, second) {
        let apart = step.first - step.second;
        if apart.abs() > gap.statistic() {
            gap.at = step.at;
        }
        gap.above = gap.above.max(apart);
        gap.below = gap.below.max(-apart);
    }
    gap
}

/// The two-sided p-value of [`largest_gap`]: exact for small samples (Schröer and Trenkler, 1995), for large ones
/// Kolmogorov's limit. Ties make it too large, never too small.
#[must_use]
pub fn kolmogorov_smirnov_p(first: &Sample, second: &Sample) -> f64 {
    let exact = first.get().len() * second.get().len() <= EXACT_MAX;
    let method = if exact {
        KSTwoSampleAlternativeMethod::TwoSidedExact
    } else {
        KSTwoSampleAlternativeMethod::TwoSidedAsymptotic
    };
    let found = ks_twosample(first.get().to_vec(), second.get().to_vec(), method, NaNPolicy::Error);
    found.map_or(1.0, |(_, p)| if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) })
}

/// Wasserstein's distance of the first order, ∫|F - G|: how far the mass has to be moved, in the unit of the numbers.
/// Nothing where that is infinite.
#[must_use]
pub fn wasserstein(first: &Sample, second: &Sample) -> Option<f64> {
    let mut steps = Steps::new(first, second).peekable();
    let mut sum = 0.0;
    while let Some(step) = steps.next() {
        let apart = (step.first - step.second).abs();
        if let Some(next) = steps.peek().filter(|_| apart > 0.0) {
            sum += apart * (next.at - step.at);
        }
    }
    sum.is_finite().then_some(sum)
}

/// Each number of either sample, with the shares of both up to it.
struct Steps<'a> {
    samples: [&'a [f64]; 2],
    passed: [usize; 2],
}

struct Step {
    at: f64,
    first: f64,
    second: f64,
}

impl<'a> Steps<'a> {
    fn new(first: &'a Sample, second: &'a Sample) -> Self {
        Self { samples: [first.get(), second.get()], passed: [0, 0] }
    }
}

impl Iterator for Steps<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let next = |i: usize| self.samples[i].get(self.passed[i]).copied();
        let at = match (next(0), next(1)) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        let mut shares = [0.0; 2];
        for (i, share) in shares.iter_mut().enumerate() {
            let rest = &self.samples[i][self.passed[i]..];
            self.passed[i] += rest.iter().take_while(|number| **number <= at).count();
            *share = self.passed[i] as f64 / self.samples[i].len() as f64;
        }
        Some(Step { at, first: shares[0], second: shares[1] })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::multinomial::CLASSES_MAX;

    fn sample(numbers: impl IntoIterator<Item = f64>) -> Sample {
        Sample::new(numbers.into_iter().collect()).expect("a sample")
    }

    #[test]
    fn known_answers() {
        let found = homogeneity(&[500, 300, 200], &[450, 320, 230]).expect("classes");
        assert!(
            (found.statistic - 5.369_763_5).abs() < 1e-7 && (found.p() - 0.068_229_3).abs() < 1e-7,
            "{found:?}"
        );
        // Two proportions: the square of z.
        let found = homogeneity(&[100, 900], &[104, 696]).expect("classes");
        assert!(
            (found.statistic.sqrt() - 1.995_129_0).abs() < 1e-7 && (found.p() - 0.046_028_8).abs() < 1e-7
        );
        let (a, b) = (sample((0..10).map(f64::from)), sample((1..11).map(f64::from)));
        assert!((wasserstein(&a, &b).expect("finite") - 1.0).abs() < 1e-12);
        assert!((largest_gap(&a, &b).statistic() - 0.1).abs() < 1e-12);
        assert!((largest_gap(&a, &b).above - 0.1).abs() < 1e-12 && largest_gap(&a, &b).below == 0.0);
        let x = sample((1..=100).map(|i| f64::from(i) / 100.0));
        let y = sample((1..=100).map(|i| (f64::from(i) / 100.0).powf(1.2)));
        assert!((largest_gap(&x, &y).statistic() - 0.07).abs() < 1e-12);
        assert!(
            (kolmogorov_smirnov_p(&x, &y) - 0.968_409_9).abs() < 1e-7,
            "{}",
            kolmogorov_smirnov_p(&x, &y)
        );
        // The limit is nearer to that than the law of one sample of nm/(n+m), which is 0.952 714 3.
        let limit = KSTwoSampleAlternativeMethod::TwoSidedAsymptotic;
        let (_, p) =
            ks_twosample(x.get().to_vec(), y.get().to_vec(), limit, NaNPolicy::Error).expect("numbers");
        assert!((p - 0.967_068_5).abs() < 1e-7, "{p}");
    }

    #[test]
    fn large_samples_have_a_p_value() {
        let grid = |offset: f64| sample((0..20_000).map(|i| f64::from(i) / 20_000.0 + offset));
        let (same, moved) =
            (kolmogorov_smirnov_p(&grid(0.0), &grid(1e-9)), kolmogorov_smirnov_p(&grid(0.0), &grid(0.03)));
        assert!(same > 0.999 && moved < 1e-6, "{same} {moved}");
    }

    #[test]
    fn cut_off_numbers_count_as_the_largest() {
        let (a, b) = (sample([1.0, 2.0, f64::INFINITY]), sample([1.0, 2.0, 3.0]));
        assert_eq!(wasserstein(&a, &b), None);
        assert_eq!(wasserstein(&a, &a), Some(0.0));
        let gap = largest_gap(&a, &b);
        assert!((gap.below - 1.0 / 3.0).abs() < 1e-12 && gap.above == 0.0 && gap.at == 3.0, "{gap:?}");
    }

    #[test]
    fn nothing_seen_is_no_difference() {
        assert_eq!(homogeneity(&[0, 0], &[3, 4]).expect("classes").p(), 1.0);
        assert_eq!(homogeneity(&[], &[]).expect("classes").p(), 1.0);
        assert_eq!(homogeneity(&[5, 0, 5], &[5, 0, 5]).expect("classes").degrees, 1);
        assert!(homogeneity(&[1], &[1, 2]).is_err());
        let many = vec![1; CLASSES_MAX + 1];
        assert!(homogeneity(&many, &many).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn distances_keep_their_laws(
            a in prop::collection::vec(-20_i32..20, 1..40), b in prop::collection::vec(-20_i32..20, 1..40), by in 0.5..9.0,
        ) {
            let of = |list: &[i32], by: f64| sample(list.iter().map(|x| f64::from(*x) * by));
            let distance = wasserstein(&of(&a, 1.0), &of(&b, 1.0)).expect("finite");
            let mean = |list: &[i32]| list.iter().map(|x| f64::from(*x)).sum::<f64>() / list.len() as f64;
            prop_assert!(distance >= (mean(&a) - mean(&b)).abs() - 1e-9);
            prop_assert!((wasserstein(&of(&b, by), &of(&a, by)).expect("finite") - distance * by).abs() < 1e-9);
            let (gap, back) = (largest_gap(&of(&a, 1.0), &of(&b, 1.0)), largest_gap(&of(&b, by), &of(&a, by)));
            prop_assert_eq!((gap.above, gap.below), (back.below, back.above));
            let p = kolmogorov_smirnov_p(&of(&a, 1.0), &of(&b, 1.0));
            prop_assert!((0.0..=1.0).contains(&p));
        }
    }
}
