//! Whether counts of classes have the shares that they should, however often one looks (F9).
//!
//! The Dirichlet-multinomial mixture of Lindon and Malek, "Anytime-valid inference for multinomial count data" (arXiv
//! 2011.03567). Its uses: whether a split gives each arm the units that it should (sample ratio mismatch), and
//! whether a class of predictions is as frequent in both arms.

use crate::beta_mixture::BetaMixture;
use crate::log_e::LogE;
use crate::number::{OutOfRange, positive};

/// The most classes: arms of a split, or classes of a model.
pub const CLASSES_MAX: usize = 10_000;
/// How far shares may be from a sum of 1: what rounding makes of ten thousand of them.
const SUM_TOLERANCE: f64 = 1e-9;

/// Shares or counts that a test of classes cannot take.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ClassesError {
    /// Too few or too many classes.
    #[error("{0} classes: there must be from 2 to {CLASSES_MAX}")]
    Count(usize),
    /// A share is not above 0.
    #[error(transparent)]
    Share(#[from] OutOfRange),
    /// The shares do not sum to 1.
    #[error("the shares sum to {0}, and must sum to 1")]
    Sum(f64),
    /// Not as many counts as classes.
    #[error("{counts} counts for {classes} classes")]
    Length {
        /// How many counts.
        counts: usize,
        /// How many classes.
        classes: usize,
    },
}

/// Where the bets go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prior {
    /// On any shares alike: Dirichlet(1, ..., 1).
    Flat,
    /// Around the expected shares, as firmly as if so many had been seen: Dirichlet(c times the shares).
    Around(f64),
}

/// What each class should have.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedShares(Box<[f64]>);

impl ExpectedShares {
    /// Shares, each above 0, that sum to 1.
    ///
    /// # Errors
    /// Where they are not shares.
    pub fn new(shares: &[f64]) -> Result<Self, ClassesError> {
        if !(2..=CLASSES_MAX).contains(&shares.len()) {
            return Err(ClassesError::Count(shares.len()));
        }
        for share in shares {
            positive("a share", *share)?;
        }
        let sum: f64 = shares.iter().sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(ClassesError::Sum(sum));
        }
        Ok(Self(shares.into()))
    }

    /// The shares.
    #[must_use]
    pub fn get(&self) -> &[f64] {
        &self.0
    }

    /// Whether there are as many counts as classes.
    pub(crate) fn check(&self, counts: &[u64]) -> Result<(), ClassesError> {
        let (counts, classes) = (counts.len(), self.0.len());
        if counts == classes { Ok(()) } else { Err(ClassesError::Length { counts, classes }) }
    }
}

/// The e-value of counts against the expected shares. Those of several weight steps, each with its own shares,
/// multiply ([`LogE::and`]).
///
/// # Errors
/// Where there are not as many counts as classes, or the prior is not above 0.
pub fn multinomial_log_e(
    expected: &ExpectedShares,
    counts: &[u64],
    prior: Prior,
) -> Result<LogE, ClassesError> {
    expected.check(counts)?;
    let firmness = match prior {
        Prior::Flat => 1.0,
        Prior::Around(firmness) => positive("the prior's concentration", firmness)?,
    };
    // The last class against the one before it, both against the one before them, and so on: the same number as with
    // all gamma functions at once, and accurate for large counts.
    let mut classes = expected.0.iter().zip(counts).rev();
    let (mut share_after, mut count_after, mut classes_after) = (0.0, 0.0, 0.0);
    if let Some((share, count)) = classes.next() {
        (share_after, count_after, classes_after) = (*share, *count as f64, 1.0);
    }
    let mut log = 0.0;
    for (share, count) in classes {
        let (hits, misses) = match prior {
            Prior::Flat => (1.0, classes_after),
            Prior::Around(_) => (firmness * share, firmness * share_after),
        };
        let tested = share / (share + share_after);
        log += BetaMixture { hits, misses, tested }.two_sided(*count as f64, count_after);
        share_after += share;
        count_after += *count as f64;
        classes_after += 1.0;
    }
    Ok(LogE::new(log))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use statrs::function::gamma::ln_gamma;

    fn log_e(shares: &[f64], counts: &[u64], prior: Prior) -> f64 {
        let expected = ExpectedShares::new(shares).expect("shares");
        multinomial_log_e(&expected, counts, prior).expect("counts").get()
    }

    #[test]
    fn known_answers() {
        for (shares, counts, prior, log, p) in [
            ([0.5, 0.5], [600, 400], Prior::Flat, 16.886_281, None),
            ([0.5, 0.5], [550, 450], Prior::Flat, 1.774_509, Some(0.169_567)),
            ([0.5, 0.5], [600, 400], Prior::Around(100.0), 17.098_940, None),
            ([0.5, 0.5], [550, 450], Prior::Around(100.0), 3.354_668, Some(0.034_921)),
            ([0.9, 0.1], [9100, 900], Prior::Around(100.0), 3.401_299, Some(0.033_330)),
        ] {
            let found = log_e(&shares, &counts, prior);
            assert!((found - log).abs() < 1e-6, "{counts:?}: {found}");
            if let Some(p) = p {
                assert!((LogE::new(found).p() - p).abs() < 1e-6, "{counts:?}");
            }
        }
    }

    #[test]
    fn nothing_seen_is_no_evidence() {
        assert!(log_e(&[0.2, 0.3, 0.5], &[0, 0, 0], Prior::Flat).abs() < 1e-12);
    }

    #[test]
    fn its_mean_is_1_where_the_shares_are_right() {
        // Every outcome of 6 draws from 3 classes, with its probability.
        for prior in [Prior::Flat, Prior::Around(4.0)] {
            let shares = [0.2, 0.3, 0.5];
            let mut mean = 0.0;
            for a in 0..=6_u64 {
                for b in 0..=6 - a {
                    let counts = [a, b, 6 - a - b];
                    let ways = ln_gamma(7.0) - counts.iter().map(|n| ln_gamma(*n as f64 + 1.0)).sum::<f64>();
                    let of_one: f64 = shares.iter().zip(counts).map(|(s, n)| n as f64 * f64::ln(*s)).sum();
                    mean += (ways + of_one + log_e(&shares, &counts, prior)).exp();
                }
            }
            assert!((mean - 1.0).abs() < 1e-12, "{prior:?}: {mean}");
        }
    }

    #[test]
    fn what_is_no_split_is_refused() {
        assert_eq!(ExpectedShares::new(&[1.0]), Err(ClassesError::Count(1)));
        let many = vec![1.0 / (CLASSES_MAX + 1) as f64; CLASSES_MAX + 1];
        assert_eq!(ExpectedShares::new(&many), Err(ClassesError::Count(CLASSES_MAX + 1)));
        assert!(
            ExpectedShares::new(&many[1..].iter().map(|_| 1.0 / CLASSES_MAX as f64).collect::<Vec<_>>())
                .is_ok()
        );
        assert!(matches!(ExpectedShares::new(&[0.0, 1.0]), Err(ClassesError::Share(_))));
        assert!(matches!(ExpectedShares::new(&[f64::NAN, 1.0]), Err(ClassesError::Share(_))));
        assert_eq!(ExpectedShares::new(&[0.5, 0.6]), Err(ClassesError::Sum(1.1)));
        let halves = ExpectedShares::new(&[0.5, 0.5]).expect("shares");
        let found = multinomial_log_e(&halves, &[1], Prior::Flat);
        assert_eq!(found, Err(ClassesError::Length { counts: 1, classes: 2 }));
        assert!(multinomial_log_e(&halves, &[1, 2], Prior::Around(0.0)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_order_of_classes_does_not_matter(a in 0..5000_u64, b in 0..5000_u64, c in 0..u64::MAX, t in 0.01..0.5) {
            let found = log_e(&[t, 0.5, 0.5 - t + 1e-300], &[a, b, c], Prior::Around(50.0));
            let turned = log_e(&[0.5 - t + 1e-300, t, 0.5], &[c, a, b], Prior::Around(50.0));
            prop_assert!(found.is_finite());
            prop_assert!((found - turned).abs() <= 1e-9 * found.abs().max(1.0), "{found} {turned}");
        }
    }
}
