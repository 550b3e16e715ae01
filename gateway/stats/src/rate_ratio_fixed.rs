//! How many times as often the canary errs, where its weight has been the same all the time (F12 as published).
//!
//! The confidence sequence that inverts F9 for two arms: all ratios whose share of errors the mixture does not
//! reject. Its prior lies around no difference whatever ratio is tested, so it is sharpest there. A ramp needs
//! [`ratio_interval`](crate::ratio_interval).

use crate::beta_mixture::BetaMixture;
use crate::errors::Errors;
use crate::number::{Alpha, OutOfRange, Weight, positive};
use crate::rate_ratio::{LOG_RATIO_MAX, RatioInterval};
use crate::root::turn;
use crate::strata::Part;

/// Estimate and bounds, at any time, wrong with a probability of at most alpha.
///
/// # Errors
/// Where the concentration is not above 0.
pub fn fixed_weight_ratio_interval(
    errors: Errors,
    weight: Weight,
    concentration: f64,
    alpha: Alpha,
) -> Result<RatioInterval, OutOfRange> {
    let concentration = positive("the prior's concentration", concentration)?;
    let (canary, primary) = (errors.canary as f64, errors.primary as f64);
    Ok(interval(canary, primary, weight, concentration, alpha))
}

/// The same for errors that need not be whole.
fn interval(canary: f64, primary: f64, weight: Weight, concentration: f64, alpha: Alpha) -> RatioInterval {
    let share = weight.get();
    let prior =
        BetaMixture { hits: concentration * share, misses: concentration * (1.0 - share), tested: share };
    // What the mixture has over no difference, less what the tested ratio has.
    let mixture = prior.two_sided(canary, primary);
    let part = Part { weight: share, canary, all: canary + primary };
    let rejected = |log_ratio: f64| mixture - part.log_likelihood(log_ratio) >= alpha.log_threshold();
    let likeliest = (canary / primary / weight.odds()).ln();
    let middle = if canary + primary > 0.0 { likeliest.clamp(-LOG_RATIO_MAX, LOG_RATIO_MAX) } else { 0.0 };
    let lower = rejected(-LOG_RATIO_MAX).then(|| turn(-middle, LOG_RATIO_MAX, |ratio| rejected(-ratio)).1);
    let upper = rejected(LOG_RATIO_MAX).then(|| turn(middle, LOG_RATIO_MAX, rejected).1);
    RatioInterval {
        estimate: (primary > 0.0).then(|| canary / primary / weight.odds()),
        lower: lower.map_or(0.0, |ratio| (-ratio).exp()),
        upper: upper.map(f64::exp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(canary: f64, primary: f64, weight: f64, concentration: f64) -> RatioInterval {
        let weight = Weight::new(weight).expect("a weight");
        interval(canary, primary, weight, concentration, Alpha::new(0.05).expect("a level"))
    }

    #[test]
    fn known_answers() {
        let found = of(40.0, 160.0, 0.1, 10.0);
        assert!((found.estimate.expect("an estimate") - 2.25).abs() < 1e-12);
        assert!((found.lower - 1.223_833).abs() < 1e-6);
        assert!((found.upper.expect("a bound") - 3.872_915).abs() < 1e-6);
        let found = of(100.0, 900.0, 0.1, 10.0);
        assert!((found.lower - 0.695_617).abs() < 1e-6);
        assert!((found.upper.expect("a bound") - 1.392_304).abs() < 1e-6);
    }

    #[test]
    fn certifying_costs_the_errors_that_it_is_known_to_cost() {
        // Known to a factor of 1.06, by which the search for them stepped.
        for (weight, needed) in [
            (0.01, [1_545.0, 5_524.0, 22_768.0, 145_441.0]),
            (0.05, [259.0, 992.0, 3_922.0, 26_359.0]),
            (0.1, [132.0, 473.0, 1_976.0, 13_308.0]),
            (0.25, [69.0, 222.0, 856.0, 6_092.0]),
            (0.5, [55.0, 180.0, 669.0, 4_325.0]),
        ] {
            for (margin, needed) in [2.0, 1.5, 1.25, 1.1].into_iter().zip(needed) {
                let upper = |errors: f64| of(weight * errors, (1.0 - weight) * errors, weight, 100.0).upper;
                assert!(upper(needed).is_some_and(|upper| upper < margin), "{weight} {margin}");
                assert!(upper(needed / 1.06).is_none_or(|upper| upper >= margin), "{weight} {margin}");
            }
        }
    }

    #[test]
    fn nothing_seen_bounds_nothing() {
        let found = of(0.0, 0.0, 0.1, 100.0);
        assert_eq!(found, RatioInterval { estimate: None, lower: 0.0, upper: None });
        let weight = Weight::new(0.1).expect("a weight");
        let alpha = Alpha::new(0.05).expect("a level");
        assert!(fixed_weight_ratio_interval(Errors::default(), weight, 0.0, alpha).is_err());
        let found = fixed_weight_ratio_interval(Errors { canary: 0, primary: 900 }, weight, 100.0, alpha);
        let found = found.expect("an interval");
        assert!(found.lower == 0.0 && found.upper.is_some_and(|upper| upper < 0.5), "{found:?}");
        let found = of(90.0, 0.0, 0.1, 100.0);
        assert!(found.upper.is_none() && found.lower > 4.0, "{found:?}");
    }
}
