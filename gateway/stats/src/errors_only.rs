//! Whether the canary errs more often than the primary, from errors alone (F10).
//!
//! Where both arms err alike, each error is the canary's with a probability of its weight, however the error rate and
//! the load change over time (Lindon and Malek, arXiv 2011.03567). So two integers are enough. The weight must have
//! been the same for all of them; where it changes take [`RampTest`](crate::RampTest).

use crate::beta_mixture::BetaMixture;
use crate::errors::Errors;
use crate::log_e::LogE;
use crate::number::{OutOfRange, Weight, positive};

/// How firmly the bets lie around no difference, as so many errors seen. A hundred finds a doubling soonest.
pub const CONCENTRATION: f64 = 100.0;

/// The e-value against "both arms err alike": Beta(c w, c (1 - w)) over the canary's share of errors (F9 of two
/// arms).
///
/// # Errors
/// Where the concentration is not above 0.
pub fn errors_differ(errors: Errors, weight: Weight, concentration: f64) -> Result<LogE, OutOfRange> {
    let concentration = positive("the prior's concentration", concentration)?;
    let log = primary_share(weight, concentration).two_sided(errors.primary as f64, errors.canary as f64);
    Ok(LogE::new(log))
}

/// The e-value against "the canary errs at most as often as the primary": the same prior, cut off below the weight.
///
/// # Errors
/// Where the concentration is not above 0.
pub fn canary_errs_more(errors: Errors, weight: Weight, concentration: f64) -> Result<LogE, OutOfRange> {
    let concentration = positive("the prior's concentration", concentration)?;
    let log = primary_share(weight, concentration).fewer_hits(errors.primary as f64, errors.canary as f64);
    Ok(LogE::new(log))
}

/// Errors of the primary are the hits, as fewer of them is what is looked for.
fn primary_share(weight: Weight, concentration: f64) -> BetaMixture {
    let (canary, primary) = (weight.get(), 1.0 - weight.get());
    BetaMixture { hits: concentration * primary, misses: concentration * canary, tested: primary }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use statrs::function::gamma::ln_gamma;

    fn both(canary: u64, primary: u64, weight: f64, concentration: f64) -> (f64, f64) {
        let errors = Errors { canary, primary };
        let weight = Weight::new(weight).expect("a weight");
        let two = errors_differ(errors, weight, concentration).expect("an e-value");
        (two.get(), canary_errs_more(errors, weight, concentration).expect("an e-value").get())
    }

    #[test]
    fn known_answers() {
        for (x, y, w, c, two, one) in [
            (20, 80, 0.1, 100.0, 1.920_724, 2.672_146),
            (20, 80, 0.1, 10.0, 2.555_282, 3.501_017),
            (40, 160, 0.1, 100.0, 5.528_082, 6.294_703),
            (10, 90, 0.1, 100.0, -0.350_784, -0.328_587),
        ] {
            let found = both(x, y, w, c);
            assert!((found.0 - two).abs() < 1e-6 && (found.1 - one).abs() < 1e-6, "{x} {y}: {found:?}");
        }
    }

    #[test]
    fn the_mean_is_1_where_arms_are_alike_and_below_where_the_canary_is_better() {
        let (weight, concentration, errors) = (0.2, 30.0, 12_u64);
        let mean = |share: f64, pick: fn((f64, f64)) -> f64| -> f64 {
            (0..=errors)
                .map(|x| {
                    let y = errors - x;
                    let ways = ln_gamma(13.0) - ln_gamma(x as f64 + 1.0) - ln_gamma(y as f64 + 1.0);
                    let chance = ways + x as f64 * share.ln() + y as f64 * (1.0 - share).ln();
                    (chance + pick(both(x, y, weight, concentration))).exp()
                })
                .sum()
        };
        assert!((mean(weight, |e| e.0) - 1.0).abs() < 1e-12);
        assert!((mean(weight, |e| e.1) - 1.0).abs() < 1e-9);
        for better in [0.15, 0.1, 0.01] {
            assert!(mean(better, |e| e.1) < 1.0, "{better}");
        }
        assert!(mean(0.4, |e| e.1) > 2.0);
    }

    #[test]
    fn a_concentration_must_be_above_0() {
        let weight = Weight::new(0.1).expect("a weight");
        for concentration in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(errors_differ(Errors::default(), weight, concentration).is_err());
            assert!(canary_errs_more(Errors::default(), weight, concentration).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn an_error_of_the_canary_speaks_against_it(x in 0..100_000_u64, y in 0..1_000_000_u64, w in 0.001..0.999) {
            let here = both(x, y, w, CONCENTRATION).1;
            prop_assert!(here.is_finite());
            prop_assert!(both(x + 1, y, w, CONCENTRATION).1 > here);
            prop_assert!(both(x, y + 1, w, CONCENTRATION).1 < here);
        }
    }
}
