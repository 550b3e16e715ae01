//! How long it will take until something is certain.
//!
//! Both questions are of the same kind: tries come, each is a hit with some chance, and it is certain once there are
//! few enough hits among so many tries. For the rate of one version a try is a unit and a hit an error; for the ratio
//! of two a try is an error and a hit one of the canary.
//!
//! **On the expected path.** With as many hits as are expected, the logarithm of an e-value is the log-mean-exp of
//! lines in the number of tries, one for each bet. That is convex: from below the threshold it crosses it once at
//! most, and halving finds where, T.
//!
//! **The median.** Chance takes half of all paths over the threshold sooner or later than that. Few hits are anything
//! but continuous, as each throws the bound far back: up to some hundred of them, the chance of each number of hits
//! is followed from one crossing to the next, which gives the median itself. With more, the evidence is about a
//! Brownian motion whose drift κ is the Kullback-Leibler divergence of what is true from what is tested, and whose
//! variance is 2κ per try; its first passage is inverse Gaussian with mean T and shape κT²/2, and its median over T
//! depends on κT alone (Siegmund, Sequential Analysis, 1985).

use std::iter::once;

use crate::bernoulli;
use crate::number::{Alpha, Proportion, Rate, Ratio, Weight};
use crate::rate_ratio;
use crate::root::turn;
use crate::special::{ln_normal_cdf, normal_cdf};
use crate::strata::{Part, Strata};
use crate::tally::Tally;

/// The longest plan, in tries.
const TRIES_MAX: f64 = 1e12;
/// Up to so many expected hits their numbers are followed one by one.
const FOLLOWED_MAX: f64 = 200.0;
/// Chances below this are nothing.
const CHANCE_MIN: f64 = 1e-12;

/// How often units of each arm are expected to err.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectedRates {
    /// Of the canary.
    pub canary: Rate,
    /// Of the primary.
    pub primary: Rate,
}

/// What it takes, in half of all cases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Need {
    /// Units more: of both arms where arms are compared, else of the one.
    pub units: f64,
    /// How many of them are expected to err.
    pub errors: f64,
}

/// What it takes until the upper bound of the ratio is under the margin
/// ([`ratio_upper_bound`](crate::ratio_upper_bound)), from what was `seen` and with traffic at `weight`. Nothing
/// where it is not expected ever: the canary errs as often as the margin says or more, nobody errs, or it would take
/// 1e12 errors.
#[must_use]
pub fn until_not_worse(
    seen: &Strata,
    weight: Weight,
    rates: ExpectedRates,
    margin: Ratio,
    alpha: Alpha,
) -> Option<Need> {
    let share = weight.get();
    let log_margin = margin.get().ln();
    let log_e = |canary: f64, primary: f64| {
        let part = Part { weight: share, canary, all: canary + primary };
        rate_ratio::below(seen.parts().chain(once(part)), log_margin)
    };
    let (canary, primary) = (share * rates.canary.get(), (1.0 - share) * rates.primary.get());
    let errors_per_unit = canary + primary;
    if errors_per_unit <= 0.0 {
        return None;
    }
    let odds = weight.odds() * margin.get();
    let tested = if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 };
    let errors = median(log_e, canary / errors_per_unit, tested, alpha)?;
    Some(Need { units: (errors / errors_per_unit).ceil(), errors })
}

/// What it takes until the upper bound of a rate is under the floor ([`rate_upper_bound`](crate::rate_upper_bound)),
/// from what was `seen`. Nothing where it is not expected ever: the rate is at the floor or over it, or it would take
/// 1e12 units.
#[must_use]
pub fn until_below_floor(seen: Tally, rate: Rate, floor: Proportion, alpha: Alpha) -> Option<Need> {
    let (hits, misses) = (seen.hits() as f64, seen.misses() as f64);
    let log_e = |errors: f64, others: f64| bernoulli::below(hits + errors, misses + others, floor.get());
    let units = median(log_e, rate.get(), floor.get(), alpha)?;
    Some(Need { units, errors: units * rate.get() })
}

/// The median number of tries until the evidence of hits and misses, a logarithm, reaches the threshold.
fn median(log_e: impl Fn(f64, f64) -> f64, rate: f64, tested: f64, alpha: Alpha) -> Option<f64> {
    if rate >= tested {
        return None;
    }
    let threshold = alpha.log_threshold();
    let tries = crossing(|tries| log_e(tries * rate, tries * (1.0 - rate)) >= threshold)?;
    if tries * rate <= FOLLOWED_MAX {
        return followed(|hits| crossing(|misses| log_e(hits, misses) >= threshold), rate);
    }
    let information = rate * (rate / tested).ln() + (1.0 - rate) * ((1.0 - rate) / (1.0 - tested)).ln();
    Some((tries * median_of_passage(tries * information)).ceil())
}

/// From which number on it is certain; 0 where it is from the start.
fn crossing(certain: impl Fn(f64) -> bool) -> Option<f64> {
    if certain(0.0) {
        return Some(0.0);
    }
    let mut above = 1.0;
    while !certain(above) {
        above *= 2.0;
        if above > TRIES_MAX {
            return None;
        }
    }
    Some(turn(0.0, above, certain).1)
}

/// The median of an inverse Gaussian over its mean, where so much information, in nats, is gathered in the mean time.
fn median_of_passage(information: f64) -> f64 {
    let shape = information / 2.0;
    let passed = |time: f64| {
        let root = (shape / time).sqrt();
        let turned_back = 2.0 * shape + ln_normal_cdf(-root * (time + 1.0));
        normal_cdf(root * (time - 1.0)) + turned_back.exp() >= 0.5
    };
    turn(0.0, 1.0, passed).1
}

/// The median number of tries, where `misses_needed` says for each number of hits how many misses make it certain.
fn followed(misses_needed: impl Fn(f64) -> Option<f64>, rate: f64) -> Option<f64> {
    // The chances of paths that have not ended, by their hits: the first has `hits`, the next one more.
    let mut chances = vec![1.0];
    let (mut tries, mut hits, mut ended) = (0.0_f64, 0.0, 0.0);
    loop {
        // Paths with so many hits end here; those with fewer have.
        let end = (misses_needed(hits)? + hits).ceil();
        spread(&mut chances, end - tries, rate);
        tries = tries.max(end);
        if !chances.is_empty() {
            ended += chances.remove(0);
        }
        // What is left out of the law for being nothing must not keep a half from being reached.
        if ended >= 0.5 - CHANCE_MIN.sqrt() {
            return Some(tries);
        }
        hits += 1.0;
    }
}

/// Lets so many tries come, each of which is a hit with a chance of `rate`.
fn spread(chances: &mut Vec<f64>, tries: f64, rate: f64) {
    let law = binomial(tries, rate);
    let mut after = vec![0.0; (chances.len() + law.len()).saturating_sub(1)];
    for (i, before) in chances.iter().enumerate() {
        for (sum, chance) in after[i..].iter_mut().zip(&law) {
            *sum += before * chance;
        }
    }
    *chances = after;
}

/// The chances of 0, 1, ... hits among so many tries, until what follows is nothing. The expected hits are few, or
/// the first chance would be too small for a double.
fn binomial(tries: f64, rate: f64) -> Vec<f64> {
    if tries <= 0.0 || rate <= 0.0 {
        return vec![1.0];
    }
    let mut law = Vec::new();
    let mut chance = (tries * (-rate).ln_1p()).exp();
    let mut hits = 0.0;
    while hits <= tries && (chance > CHANCE_MIN || hits <= tries * rate) {
        law.push(chance);
        chance *= (tries - hits) / (hits + 1.0) * rate / (1.0 - rate);
        hits += 1.0;
    }
    law
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bernoulli::rate_below;
    use crate::errors::Errors;
    use crate::rate_ratio::not_worse;

    fn alpha(alpha: f64) -> Alpha {
        Alpha::new(alpha).expect("a level")
    }

    fn rates(canary: f64, primary: f64) -> ExpectedRates {
        ExpectedRates {
            canary: Rate::new(canary).expect("a rate"),
            primary: Rate::new(primary).expect("a rate"),
        }
    }

    fn weight(share: f64) -> Weight {
        Weight::new(share).expect("a weight")
    }

    fn ratio(ratio: f64) -> Ratio {
        Ratio::new(ratio).expect("a ratio")
    }

    fn middle(mut list: Vec<f64>) -> f64 {
        list.sort_unstable_by(f64::total_cmp);
        list[list.len() / 2]
    }

    /// How many errors simulated canaries needed, by the median of so many.
    fn simulated(weight: Weight, rates: ExpectedRates, margin: Ratio, alpha: Alpha, look: u64) -> f64 {
        let mut random = fastrand::Rng::with_seed(11);
        let canary = weight.get() * rates.canary.get();
        let share = canary / (canary + (1.0 - weight.get()) * rates.primary.get());
        let run = |_| {
            let mut seen = Strata::default();
            for looks in 1.. {
                let hits = (0..look).filter(|_| random.f64() < share).count() as u64;
                seen.push(weight, Errors { canary: hits, primary: look - hits }).expect("room");
                if not_worse(&seen, margin).rejects(alpha) || looks > 500 {
                    return (looks * look) as f64;
                }
            }
            f64::INFINITY
        };
        middle((0..150).map(run).collect())
    }

    #[test]
    fn the_ratio_is_certain_when_planned() {
        for (w, canary, primary, margin, a) in [
            (0.1, 0.01, 0.01, 1.25, 0.05),
            (0.5, 0.01, 0.01, 1.25, 0.0125),
            (0.1, 0.002, 0.002, 2.0, 0.05),
            (0.25, 0.005, 0.01, 1.25, 0.05),
            (0.05, 0.0, 0.01, 1.5, 0.05),
            (0.5, 0.01, 0.01, 3.0, 0.05),
        ] {
            let (w, rates, margin, a) = (weight(w), rates(canary, primary), ratio(margin), alpha(a));
            let need = until_not_worse(&Strata::default(), w, rates, margin, a).expect("a plan");
            let look = (need.errors / 50.0).ceil() as u64;
            let found = simulated(w, rates, margin, a, look);
            assert!((need.errors / found - 1.0).abs() < 0.2, "{need:?} {found} (seed 11)");
            let per_unit = w.get() * canary + (1.0 - w.get()) * primary;
            assert!((need.units * per_unit / need.errors - 1.0).abs() < 1e-2);
        }
    }

    #[test]
    fn with_many_errors_the_approximation_agrees_with_simulation() {
        // 5 383 errors on the expected path for 1.1 at 25 %, of which 1 346 are the canary's.
        let (w, rates, margin, a) = (weight(0.25), rates(0.01, 0.01), ratio(1.1), alpha(0.05));
        let need = until_not_worse(&Strata::default(), w, rates, margin, a).expect("a plan");
        let found = simulated(w, rates, margin, a, 100);
        assert!((need.errors / found - 1.0).abs() < 0.2, "{need:?} {found} (seed 11)");
    }

    #[test]
    fn the_rate_is_certain_when_planned() {
        for (rate, floor, a) in [
            (0.0, 0.005, 0.0125),
            (0.0002, 0.005, 0.05),
            (0.001, 0.005, 0.05),
            (0.002, 0.005, 0.0125),
            (0.003, 0.005, 0.05),
            (0.05, 0.1, 0.05),
        ] {
            let (rate, floor, a) =
                (Rate::new(rate).expect("a rate"), Proportion::new(floor).expect("a floor"), alpha(a));
            let need = until_below_floor(Tally::default(), rate, floor, a).expect("a plan");
            let look = (need.units / 100.0).ceil() as u64;
            let mut random = fastrand::Rng::with_seed(13);
            let run = |_| {
                let (mut hits, mut tries) = (0, 0);
                for _ in 0..2000 {
                    tries += look;
                    hits += (0..look).filter(|_| random.f64() < rate.get()).count() as u64;
                    if rate_below(Tally::new(hits, tries).expect("a tally"), floor).rejects(a) {
                        break;
                    }
                }
                tries as f64
            };
            let found = middle((0..150).map(run).collect());
            assert!((need.units / found - 1.0).abs() < 0.2, "{need:?} {found} (seed 13)");
        }
    }

    #[test]
    fn what_is_certain_needs_nothing_and_what_never_will_be_has_no_plan() {
        let floor = Proportion::new(0.005).expect("a floor");
        let none = Tally::new(0, 1000).expect("a tally");
        let never = Rate::new(0.0).expect("a rate");
        let need = until_below_floor(none, never, floor, alpha(0.05));
        assert_eq!(need, Some(Need { units: 0.0, errors: 0.0 }));
        assert_eq!(until_below_floor(none, Rate::new(0.005).expect("a rate"), floor, alpha(0.05)), None);
        assert_eq!(until_below_floor(none, Rate::new(1.0).expect("a rate"), floor, alpha(0.05)), None);
        let nothing = Strata::default();
        for (canary, primary) in [(0.0, 0.0), (0.0125, 0.01), (0.5, 0.01), (0.1, 0.0)] {
            let need =
                until_not_worse(&nothing, weight(0.1), rates(canary, primary), ratio(1.25), alpha(0.05));
            assert_eq!(need, None, "{canary} {primary}");
        }
        let mut seen = Strata::default();
        seen.push(weight(0.05), Errors { canary: 200, primary: 4000 }).expect("room");
        let need = until_not_worse(&seen, weight(0.1), rates(0.01, 0.01), ratio(1.5), alpha(0.05));
        assert_eq!(need, Some(Need { units: 0.0, errors: 0.0 }));
    }

    #[test]
    fn what_was_seen_shortens_the_plan_or_lengthens_it() {
        let of = |canary: u64, primary: u64| {
            let mut seen = Strata::default();
            seen.push(weight(0.05), Errors { canary, primary }).expect("room");
            until_not_worse(&seen, weight(0.1), rates(0.01, 0.01), ratio(1.25), alpha(0.05))
                .expect("a plan")
                .units
        };
        assert!(
            of(25, 475) < of(0, 0) && of(60, 475) > of(0, 0),
            "{} {} {}",
            of(25, 475),
            of(0, 0),
            of(60, 475)
        );
        let floor = Proportion::new(0.005).expect("a floor");
        let rate = Rate::new(0.001).expect("a rate");
        let of = |hits, tries| {
            let seen = Tally::new(hits, tries).expect("a tally");
            until_below_floor(seen, rate, floor, alpha(0.05)).expect("a plan").units
        };
        assert!(of(0, 300) < of(0, 0) && of(5, 300) > of(0, 0));
    }
}
