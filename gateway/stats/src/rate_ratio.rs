//! How many times as often the canary errs, with bounds that hold at any time and while weights change (F12).
//!
//! From errors alone, as in [`RampTest`](crate::RampTest): given that an error comes at weight w, it is the canary's
//! with probability θ(ρ) = wρ / (1 - w + wρ), where ρ is the ratio of the two error rates. With η = ln ρ the
//! log-likelihood of what was seen is, but for what does not depend on η,
//!
//! ℓ(η) = Σ_s [x_s η - n_s ln(1 - w_s + w_s exp(η))],
//!
//! with x_s errors of the canary among n_s at weight w_s. It depends on the sums for each weight alone, and is
//! concave.
//!
//! **The e-value.** Against H0 "ρ is at least m, at each step" the bets lie below m, at log-ratios ln m - g_j:
//!
//! log E(m) = logmeanexp_j [ℓ(ln m - g_j) - ℓ(ln m)].
//!
//! Weights are known before their errors, so each step's factor has mean 1 given the steps before where ρ is m. That
//! mean is linear in the true θ, with a negative slope as each bet lies below m; so it is at most 1 wherever ρ is m
//! or more. By Ville's inequality log E(m) ever reaches ln(1/alpha) with a probability of at most alpha. The ratio
//! need not be constant for that.
//!
//! **The bound.** As ℓ is concave, ℓ(η - g) - ℓ(η) rises with η for each g > 0, hence so does log E; what is not
//! rejected is one interval from 0 to the upper bound, which one root gives. The true ratio (the largest, where it
//! changes) is below the bound at all times with a probability of at least 1 - alpha. The bets move with m, so
//! nothing is lost to the choice of a centre, as it is with a prior that is fixed around 1. The lower bound is that
//! of the arms taken for each other, and the interval has both at alpha/2.
//!
//! The gaps g_j are 32 from 0.02 to ln 10, each a constant factor wider than the last: about as many lie at any
//! scale, so that a margin of 1.1 and one of 2 are certified with as many errors as if the prior had been made for
//! them, within some per cent. No bound comes closer to the ratio than half the smallest gap, 1 %.

use serde::{Deserialize, Serialize};

use crate::log_e::{LogE, log_mean_exp};
use crate::number::{Alpha, Ratio};
use crate::root::turn;
use crate::strata::{Part, Strata};

/// How many bets there are.
const BETS: usize = 32;
/// The smallest gap, as a logarithm.
const GAP_MIN: f64 = 0.02;
/// The largest.
const GAP_MAX: f64 = std::f64::consts::LN_10;
/// Logarithms of ratios that are looked at: up to 1e26.
pub(crate) const LOG_RATIO_MAX: f64 = 60.0;

/// A ratio with its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatioInterval {
    /// The likeliest ratio; nothing where the primary had no error.
    pub estimate: Option<f64>,
    /// The ratio is not below this; 0 where nothing is known.
    pub lower: f64,
    /// The ratio is not above this; nothing where there is no bound yet.
    pub upper: Option<f64>,
}

/// The e-value against "the canary errs at least `margin` times as often as the primary": large where it is not
/// worse. What the weights were, and that they changed, does not matter.
#[must_use]
pub fn not_worse(strata: &Strata, margin: Ratio) -> LogE {
    LogE::new(below(strata.parts(), margin.get().ln()))
}

/// The upper bound of the ratio, at any time, wrong with a probability of at most alpha; nothing where there is none
/// yet.
///
/// It is under a margin exactly where [`not_worse`] rejects.
#[must_use]
pub fn ratio_upper_bound(strata: &Strata, alpha: Alpha) -> Option<f64> {
    upper(strata.parts(), alpha)
}

/// Estimate and both bounds, at any time, wrong with a probability of at most alpha together.
#[must_use]
pub fn ratio_interval(strata: &Strata, alpha: Alpha) -> RatioInterval {
    let half = alpha.shared_by(2);
    RatioInterval {
        estimate: estimate(strata),
        lower: upper(strata.parts().map(Part::turned), half).map_or(0.0, f64::recip),
        upper: upper(strata.parts(), half),
    }
}

/// The logarithm of the e-value against a log-ratio of at least `log_margin`.
pub(crate) fn below(parts: impl Iterator<Item = Part> + Clone, log_margin: f64) -> f64 {
    let bet = |j| gain(parts.clone(), log_margin, log_margin - gap(j));
    log_mean_exp(BETS, bet)
}

/// How much likelier one log-ratio is than another, as a logarithm.
pub(crate) fn gain(parts: impl Iterator<Item = Part>, from: f64, to: f64) -> f64 {
    parts.map(|part| part.log_likelihood(to) - part.log_likelihood(from)).sum()
}

fn gap(bet: usize) -> f64 {
    GAP_MIN * (GAP_MAX / GAP_MIN).powf(bet as f64 / (BETS - 1) as f64)
}

fn upper(parts: impl Iterator<Item = Part> + Clone, alpha: Alpha) -> Option<f64> {
    let threshold = alpha.log_threshold();
    let rejected = |log_ratio: f64| below(parts.clone(), log_ratio) >= threshold;
    let (_, bound) = rejected(LOG_RATIO_MAX).then(|| turn(-LOG_RATIO_MAX, LOG_RATIO_MAX, rejected))?;
    Some(bound.exp())
}

/// Where the slope of the log-likelihood is 0.
fn estimate(strata: &Strata) -> Option<f64> {
    let errors = strata.errors();
    if errors.primary == 0 {
        return None;
    }
    if errors.canary == 0 {
        return Some(0.0);
    }
    let falls = |log_ratio: f64| strata.parts().map(|part| part.slope(log_ratio)).sum::<f64>() < 0.0;
    Some(turn(-LOG_RATIO_MAX, LOG_RATIO_MAX, falls).0.exp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::errors::Errors;
    use crate::number::Weight;

    fn alpha(alpha: f64) -> Alpha {
        Alpha::new(alpha).expect("a level")
    }

    fn ratio(ratio: f64) -> Ratio {
        Ratio::new(ratio).expect("a ratio")
    }

    fn strata(steps: &[(f64, u64, u64)]) -> Strata {
        let mut strata = Strata::default();
        for (weight, canary, primary) in steps {
            let weight = Weight::new(*weight).expect("a weight");
            strata.push(weight, Errors { canary: *canary, primary: *primary }).expect("room");
        }
        strata
    }

    #[test]
    fn certifying_costs_no_more_than_with_a_fixed_weight() {
        // Errors that the bound of a fixed weight takes (F12, concentration 100): by margin, for a weight of 10 %.
        for (margin, fixed, most) in
            [(2.0, 132.0, 1.35), (1.5, 473.0, 1.2), (1.25, 1976.0, 1.0), (1.1, 13_308.0, 0.9)]
        {
            let errors: f64 = fixed * most;
            let part = Part { weight: 0.1, canary: 0.1 * errors, all: errors };
            let upper = upper(std::iter::once(part), alpha(0.05)).expect("a bound");
            assert!(upper < margin, "{margin}: {upper}");
        }
    }

    #[test]
    fn nothing_seen_bounds_nothing() {
        let nothing = RatioInterval { estimate: None, lower: 0.0, upper: None };
        assert_eq!(ratio_interval(&Strata::default(), alpha(0.05)), nothing);
        assert_eq!(not_worse(&Strata::default(), ratio(1.25)), LogE::ONE);
        assert_eq!(ratio_interval(&strata(&[(0.1, 0, 0), (0.2, 0, 0)]), alpha(0.05)), nothing);
        let found = ratio_interval(&strata(&[(0.1, 0, 900)]), alpha(0.05));
        assert!(found.estimate == Some(0.0) && found.lower == 0.0, "{found:?}");
        assert!(found.upper.is_some_and(|upper| upper < 0.1), "{found:?}");
        let found = ratio_interval(&strata(&[(0.1, 90, 0)]), alpha(0.05));
        assert!(found.estimate.is_none() && found.upper.is_none() && found.lower > 50.0, "{found:?}");
    }

    #[test]
    fn steps_of_a_ramp_are_not_pooled() {
        // Alike at every weight; the canary has 11 % of all errors, which at its last weight would be a ratio of
        // 0.37.
        let found =
            ratio_interval(&strata(&[(0.01, 10, 990), (0.05, 50, 950), (0.25, 250, 750)]), alpha(0.05));
        assert!((found.estimate.expect("an estimate") - 1.0).abs() < 1e-9, "{found:?}");
        assert!(
            found.lower < 1.0 && found.upper.is_some_and(|upper| upper > 1.0 && upper < 1.4),
            "{found:?}"
        );
    }

    /// The mean e-value over all ways in which so many errors can fall at each step, where the true ratio is given.
    fn mean(seen: &Strata, steps: &[(f64, f64, u64)], margin: f64, chance: f64) -> f64 {
        let Some(((weight, true_ratio, errors), rest)) = steps.split_first() else {
            return chance * not_worse(seen, ratio(margin)).get().exp();
        };
        let share = weight * true_ratio / (1.0 - weight + weight * true_ratio);
        let (mut sum, mut ways) = (0.0, 1.0);
        for x in 0..=*errors {
            let y = errors - x;
            let mut next = seen.clone();
            let weight = Weight::new(*weight).expect("a weight");
            next.push(weight, Errors { canary: x, primary: y }).expect("room");
            let here = ways * share.powf(x as f64) * (1.0 - share).powf(y as f64);
            sum += mean(&next, rest, margin, chance * here);
            ways *= y as f64 / (x + 1) as f64;
        }
        sum
    }

    #[test]
    fn the_mean_is_1_at_the_margin_and_below_over_it() {
        for margin in [1.0, 1.25, 3.0] {
            let at: Vec<_> = [(0.05, 5), (0.3, 6), (0.5, 5)].map(|(w, n)| (w, margin, n)).into();
            let found = mean(&Strata::default(), &at, margin, 1.0);
            assert!((found - 1.0).abs() < 1e-12, "{margin}: {found}");
            for worse in [1.0, 2.0, 50.0] {
                let mixed = [(0.05, margin, 5), (0.3, margin * worse, 6), (0.5, margin * 1.1, 5)];
                assert!(mean(&Strata::default(), &mixed, margin, 1.0) < 1.0, "{margin} {worse}");
            }
        }
    }

    fn steps() -> impl Strategy<Value = Vec<(f64, u64, u64)>> {
        prop::collection::vec((0.001_f64..0.999, 0..500_u64, 0..5000_u64), 1..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn bounds_hold_the_estimate_and_nest_over_alpha(steps in steps(), a in 0.001..0.4) {
            let strata = strata(&steps);
            let inner = ratio_interval(&strata, alpha(a));
            let outer = ratio_interval(&strata, alpha(a / 2.0));
            prop_assert!(inner.lower.is_finite() && inner.lower >= outer.lower);
            prop_assert!(outer.upper.is_none_or(|outer| inner.upper.is_some_and(|inner| inner <= outer)));
            if let Some(estimate) = inner.estimate {
                prop_assert!(inner.lower <= estimate && inner.upper.is_none_or(|upper| estimate <= upper));
            }
            let one_sided = ratio_upper_bound(&strata, alpha(a));
            prop_assert!(inner.upper.is_none_or(|upper| one_sided.is_some_and(|one| one <= upper)));
        }

        #[test]
        fn the_bound_is_under_a_margin_where_the_test_rejects(steps in steps(), m in 0.05..20.0) {
            let strata = strata(&steps);
            let log = not_worse(&strata, ratio(m));
            prop_assume!((log.get() - alpha(0.05).log_threshold()).abs() > 1e-6);
            let under = ratio_upper_bound(&strata, alpha(0.05)).is_some_and(|upper| upper <= m);
            prop_assert_eq!(under, log.rejects(alpha(0.05)));
        }

        #[test]
        fn arms_taken_for_each_other_turn_the_interval(steps in steps()) {
            let turned: Vec<_> = steps.iter().map(|(w, x, y)| (1.0 - w, *y, *x)).collect();
            let (here, there) = (ratio_interval(&strata(&steps), alpha(0.05)), ratio_interval(&strata(&turned), alpha(0.05)));
            if let Some(upper) = here.upper {
                prop_assert!((upper * there.lower - 1.0).abs() < 1e-6);
            } else {
                prop_assert_eq!(there.lower, 0.0);
            }
        }

        #[test]
        fn it_is_a_number_whatever_comes(w in f64::MIN_POSITIVE..1.0, m in f64::MIN_POSITIVE..1e308, x: u64, y: u64) {
            let strata = strata(&[(w, x, y)]);
            prop_assert!(not_worse(&strata, ratio(m)).get().is_finite());
            let found = ratio_interval(&strata, alpha(0.05));
            prop_assert!(found.lower.is_finite() && found.upper.is_none_or(f64::is_finite));
            prop_assert!(found.estimate.is_none_or(f64::is_finite));
        }
    }
}
