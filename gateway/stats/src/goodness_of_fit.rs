//! Whether counts have the shares that they should, looked at once: Pearson's chi-squared.
//!
//! For a sample ratio that is looked at again and again take [`multinomial_log_e`](crate::multinomial_log_e). Count
//! units, not requests, and each weight step by itself: with the last weight for all of them a healthy ramp looks
//! broken.

use crate::multinomial::{ClassesError, ExpectedShares};
use crate::special::chi_squared_upper_tail;

/// A statistic with its degrees of freedom.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChiSquared {
    /// The statistic.
    pub statistic: f64,
    /// The degrees of freedom.
    pub degrees: usize,
}

impl ChiSquared {
    /// How probable a statistic at least as large is where nothing is wrong.
    #[must_use]
    pub fn p(self) -> f64 {
        chi_squared_upper_tail(self.statistic, self.degrees)
    }

    /// Two independent ones taken together, such as those of two weight steps.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { statistic: self.statistic + other.statistic, degrees: self.degrees + other.degrees }
    }
}

/// Σ (O - E)²/E against expected shares that are exact; of nothing seen, 0.
///
/// # Errors
/// Where there are not as many counts as classes.
pub fn goodness_of_fit(expected: &ExpectedShares, counts: &[u64]) -> Result<ChiSquared, ClassesError> {
    expected.check(counts)?;
    let all: f64 = counts.iter().map(|count| *count as f64).sum();
    let statistic = if all > 0.0 {
        let part = |(share, count): (&f64, &u64)| (*count as f64 - share * all).powi(2) / (share * all);
        expected.get().iter().zip(counts).map(part).sum()
    } else {
        0.0
    };
    Ok(ChiSquared { statistic, degrees: counts.len() - 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(shares: &[f64], counts: &[u64]) -> ChiSquared {
        goodness_of_fit(&ExpectedShares::new(shares).expect("shares"), counts).expect("counts")
    }

    #[test]
    fn known_answers() {
        for (shares, counts, statistic, p) in [
            (&[0.5, 0.5][..], &[600, 400][..], 40.0, 2.5396e-10),
            (&[0.5, 0.5], &[550, 450], 10.0, 0.001_565_40),
            (&[0.9, 0.1], &[9100, 900], 11.1111, 8.5812e-4),
            (&[0.5, 0.5], &[821_588, 815_482], 22.774_369, 1.8218e-6),
            (&[0.5, 0.3, 0.2], &[450, 320, 230], 10.833_333, 0.004_441_9),
        ] {
            let found = fit(shares, counts);
            assert!((found.statistic / statistic - 1.0).abs() < 2e-6, "{counts:?}: {found:?}");
            assert!((found.p() / p - 1.0).abs() < 2e-5, "{counts:?}: {}", found.p());
        }
    }

    #[test]
    fn a_healthy_ramp_fits_step_by_step_but_not_with_its_last_weight() {
        let steps =
            [([0.99, 0.01], [99_020, 980]), ([0.95, 0.05], [94_950, 5050]), ([0.75, 0.25], [75_010, 24_990])];
        let stratified = steps
            .iter()
            .map(|(shares, counts)| fit(shares, counts))
            .fold(ChiSquared::default(), ChiSquared::and);
        assert_eq!(stratified.degrees, 3);
        assert!(stratified.p() > 0.5, "{stratified:?}");
        let pooled = fit(&[0.75, 0.25], &[268_980, 31_020]);
        assert!(pooled.statistic > 30_000.0 && pooled.p() == 0.0, "{pooled:?}");
    }

    #[test]
    fn nothing_seen_fits() {
        assert_eq!(fit(&[0.5, 0.5], &[0, 0]).p(), 1.0);
        let halves = ExpectedShares::new(&[0.5, 0.5]).expect("shares");
        assert!(goodness_of_fit(&halves, &[1, 2, 3]).is_err());
    }
}
