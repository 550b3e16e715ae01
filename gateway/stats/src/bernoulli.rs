//! How often something happens, with bounds that hold at any time (F6).

use crate::beta_binomial::BetaBinomial;
use crate::log_e::LogE;
use crate::normal_mixture::Sides;
use crate::number::{Alpha, OutOfRange, Proportion, positive};
use crate::root::turn;
use crate::special::{ln_beta_density, ln_lower_tail};
use crate::tally::Tally;

/// The level for which the mixture of the interval is tuned.
const TUNED_ALPHA: f64 = 0.05;
/// The prior of the upper bound: p is p0 times a number from 0 to 1 with density a r^(a-1), for p0 tested. The mass
/// near 0 is for what never happened: none of 1000 is under 0.5 % at a level of 0.0125, that is with four guards that
/// share 5 %.
const SHAPE: f64 = 0.25;

/// The confidence sequence for a rate (Howard et al., arXiv 1810.08240, Proposition 6;
/// `bernoulli_confidence_interval` of confseq): both bounds, at any time, wrong with a probability of at most alpha.
/// It is tightest at about `tries_best` tries.
///
/// # Errors
/// Where `tries_best` is not above 0.
pub fn rate_interval(tally: Tally, alpha: Alpha, tries_best: f64) -> Result<(f64, f64), OutOfRange> {
    let tries_best = positive("the number of tries that is tuned for", tries_best)?;
    let Some(rate) = tally.rate() else {
        return Ok((0.0, 1.0));
    };
    let tries = tally.tries() as f64;
    let rejected = |p: f64| {
        if p <= 0.0 || p >= 1.0 {
            return true;
        }
        let spread = p * (1.0 - p);
        let mixture = BetaBinomial::tuned(spread * tries_best, TUNED_ALPHA, p, 1.0 - p, Sides::Two);
        mixture.log((rate - p) * tries, spread * tries) >= alpha.log_threshold()
    };
    let lower = if tally.hits() == 0 { 0.0 } else { -turn(-rate, 0.0, |p| rejected(-p)).1 };
    let upper = if tally.misses() == 0 { 1.0 } else { turn(rate, 1.0, rejected).1 };
    Ok((lower, upper))
}

/// The e-value against "it happens at least as often as `floor` says": large where it is rare.
///
/// A mixture of bets on rates below the floor, so its mean is at most 1 for any rates from the floor up, also where
/// they change. The prior is a scale family, so that its bound is one interval (as for
/// [`not_worse`](crate::not_worse)).
#[must_use]
pub fn rate_below(tally: Tally, floor: Proportion) -> LogE {
    LogE::new(below(tally.hits() as f64, tally.misses() as f64, floor.get()))
}

/// The upper bound of a rate, at any time, wrong with a probability of at most alpha. It is under a floor exactly
/// where [`rate_below`] rejects.
#[must_use]
pub fn rate_upper_bound(tally: Tally, alpha: Alpha) -> f64 {
    let (hits, misses) = (tally.hits() as f64, tally.misses() as f64);
    if tally.misses() == 0 {
        return 1.0;
    }
    turn(0.0, 1.0, |p| p > 0.0 && below(hits, misses, p) >= alpha.log_threshold()).1
}

/// The lower bound of a rate, such as that of agreement, in the same way.
#[must_use]
pub fn rate_lower_bound(tally: Tally, alpha: Alpha) -> f64 {
    1.0 - rate_upper_bound(tally.turned(), alpha)
}

/// ln of ∫ a p^(a-1) p0^-a p^x (1-p)^y dp over (0, p0), over p0^x (1-p0)^y; `floor` is p0, between 0 and 1.
pub(crate) fn below(hits: f64, misses: f64, floor: f64) -> f64 {
    let (a, b) = (SHAPE + hits, 1.0 + misses);
    SHAPE.ln() + (-floor).ln_1p() - ln_beta_density(a, b, floor) + ln_lower_tail(a, b, floor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use statrs::function::gamma::ln_gamma;

    fn tally(hits: u64, tries: u64) -> Tally {
        Tally::new(hits, tries).expect("a tally")
    }

    fn alpha(alpha: f64) -> Alpha {
        Alpha::new(alpha).expect("a level")
    }

    #[test]
    fn known_answers() {
        for (hits, tries, best, lower, upper, tolerance) in [
            (700, 1000, 100.0, 0.651_629, 0.745_949, 1e-6),
            (15, 50, 50.0, 0.129_556, 0.511_896, 1e-6),
            (5, 50, 50.0, 0.013_021, 0.269_264, 1e-6),
            (1, 50, 50.0, 0.0, 0.13489, 1e-5),
            (100, 200, 1.0, 0.328_923, 0.671_076, 1e-6),
            (10, 1000, 1000.0, 0.002_916_99, 0.022_370_8, 1e-7),
            (30, 1000, 1000.0, 0.016_110_7, 0.049_007_0, 1e-7),
            (0, 1000, 1000.0, 0.0, 0.004_122_20, 1e-8),
            (5, 10_000, 1000.0, 3.777_94e-5, 0.001_576_95, 1e-8),
        ] {
            let found = rate_interval(tally(hits, tries), alpha(0.05), best).expect("an interval");
            assert!((found.0 - lower).abs() < tolerance, "{hits}/{tries}: {found:?}");
            assert!((found.1 - upper).abs() < tolerance, "{hits}/{tries}: {found:?}");
        }
    }

    #[test]
    fn none_of_a_thousand_certifies_half_a_per_cent_with_four_guards() {
        let floor = Proportion::new(0.005).expect("a floor");
        for guards in 1..=4 {
            let level = alpha(0.05).shared_by(guards);
            assert!(rate_upper_bound(tally(0, 1000), level) < 0.005, "{guards}");
            assert!(rate_below(tally(0, 1000), floor).rejects(level), "{guards}");
        }
        assert!(rate_upper_bound(tally(0, 500), alpha(0.05)) > 0.005);
        assert!(rate_upper_bound(tally(0, 1000), alpha(0.05)) < 0.004_122_20);
    }

    #[test]
    fn bounds_of_nothing_and_of_everything_are_the_ends() {
        let level = alpha(0.05);
        assert_eq!(rate_interval(tally(0, 0), level, 100.0), Ok((0.0, 1.0)));
        assert_eq!((rate_lower_bound(tally(0, 0), level), rate_upper_bound(tally(0, 0), level)), (0.0, 1.0));
        assert_eq!(rate_interval(tally(9, 9), level, 100.0).expect("an interval").1, 1.0);
        assert_eq!(rate_upper_bound(tally(9, 9), level), 1.0);
        assert_eq!(rate_lower_bound(tally(0, 9), level), 0.0);
        for best in [0.0, f64::NAN, -1.0] {
            assert!(rate_interval(tally(1, 2), level, best).is_err());
        }
    }

    #[test]
    fn the_mean_is_at_most_1_from_the_floor_up() {
        let floor = Proportion::new(0.1).expect("a floor");
        let mean = |rate: f64| -> f64 {
            (0..=30_u64)
                .map(|x| {
                    let ways = ln_gamma(31.0) - ln_gamma(x as f64 + 1.0) - ln_gamma(31.0 - x as f64);
                    let chance = ways + x as f64 * rate.ln() + (30 - x) as f64 * (1.0 - rate).ln();
                    (chance + rate_below(tally(x, 30), floor).get()).exp()
                })
                .sum()
        };
        assert!((mean(0.1) - 1.0).abs() < 1e-9, "{}", mean(0.1));
        assert!(mean(0.11) < 1.0 && mean(0.5) < 0.1, "{} {}", mean(0.11), mean(0.5));
        assert!(mean(0.02) > 1.5, "{}", mean(0.02));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn bounds_hold_the_rate_and_nest_over_alpha(hits in 0..3000_u64, more in 1..100_000_u64, a in 0.001..0.4) {
            let tally = tally(hits, hits + more);
            let rate = tally.rate().expect("tries");
            let (wide, narrow) = (alpha(a / 2.0), alpha(a));
            let (lower, upper) = (rate_lower_bound(tally, narrow), rate_upper_bound(tally, narrow));
            prop_assert!(0.0 <= lower && lower <= rate && rate < upper && upper <= 1.0, "{lower} {rate} {upper}");
            prop_assert!(rate_upper_bound(tally, wide) >= upper && rate_lower_bound(tally, wide) <= lower);
            let inner = rate_interval(tally, narrow, 1000.0).expect("an interval");
            let outer = rate_interval(tally, wide, 1000.0).expect("an interval");
            prop_assert!(outer.0 <= inner.0 && inner.0 <= rate && rate <= inner.1 && inner.1 <= outer.1);
        }

        #[test]
        fn the_bound_is_where_the_test_rejects(hits in 0..50_u64, misses in 1..100_000_u64, p in 0.0001..0.9999) {
            let tally = tally(hits, hits + misses);
            let floor = Proportion::new(p).expect("a floor");
            let log = rate_below(tally, floor).get();
            prop_assert!(log.is_finite());
            prop_assume!((log - alpha(0.05).log_threshold()).abs() > 1e-6);
            let rejects = rate_below(tally, floor).rejects(alpha(0.05));
            prop_assert_eq!(rate_upper_bound(tally, alpha(0.05)) <= p, rejects);
        }
    }
}
