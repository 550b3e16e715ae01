//! How often a rollout is stopped for nothing, and how soon for something.

use fastrand::Rng;
use pointsman_stats::{Alpha, BoostedRampTest, Errors, Evidence, RampTest, Ratio, Strata, Weight, not_worse};

/// Requests between two looks.
const REQUESTS: u64 = 10_000;
/// The error rate that nothing is wrong with.
const BASE: f64 = 0.01;

fn weight(weight: f64) -> Weight {
    Weight::new(weight).expect("a weight")
}

fn alpha() -> Alpha {
    Alpha::new(0.05).expect("a level")
}

/// Poisson by the method of Knuth, in four parts, as the exponential of a large mean has few digits left.
fn poisson(random: &mut Rng, mean: f64) -> u64 {
    let least = (-mean / 4.0).exp();
    let mut count = 0;
    for _ in 0..4 {
        let mut product = random.f64();
        while product > least {
            product *= random.f64();
            count += 1;
        }
    }
    count
}

/// The errors of one look, where the base rate is multiplied by `load` and the canary's by `ratio`.
fn look(random: &mut Rng, weight: Weight, load: f64, ratio: f64) -> Errors {
    let errors = REQUESTS as f64 * BASE * load;
    let canary = poisson(random, errors * weight.get() * ratio);
    Errors { canary, primary: poisson(random, errors * (1.0 - weight.get())) }
}

/// 1, 5, 25 and 50 %, ten looks each, while the base rate swings by 80 % of itself.
fn ramp() -> impl Iterator<Item = (Weight, f64)> {
    let looks = [0.01, 0.05, 0.25, 0.5].into_iter().flat_map(|share| [weight(share); 10]);
    looks.enumerate().map(|(look, weight)| (weight, 1.0 + 0.8 * (look as f64 / 3.0).sin()))
}

/// The look, from 1, at which a canary is stopped.
fn stopped(
    random: &mut Rng,
    steps: impl Iterator<Item = (Weight, f64)>,
    ratio: f64,
    margin: f64,
) -> Option<usize> {
    let mut test = RampTest::new(Ratio::new(margin).expect("a margin"));
    let mut evidence = Evidence::default();
    for (number, (weight, load)) in steps.enumerate() {
        evidence.push(test.push(weight, look(random, weight, load, ratio)));
        if evidence.highest().rejects(alpha()) {
            return Some(number + 1);
        }
    }
    None
}

/// The most of so many that may be wrong: alpha and three standard errors.
fn most(runs: usize) -> usize {
    let (runs, alpha) = (runs as f64, alpha().get());
    (runs * alpha + 3.0 * (runs * alpha * (1.0 - alpha)).sqrt()) as usize
}

#[test]
fn a_canary_that_is_no_worse_is_hardly_ever_stopped_on_a_ramp() {
    let mut random = Rng::with_seed(17);
    for (ratio, margin) in [(1.0, 1.0), (1.25, 1.25)] {
        let runs = 600;
        let wrong = (0..runs).filter(|_| stopped(&mut random, ramp(), ratio, margin).is_some()).count();
        assert!(wrong <= most(runs), "{wrong} of {runs} at {ratio} over {margin} (seed 17)");
    }
}

#[test]
fn a_doubling_is_found_in_two_looks_at_ten_per_cent() {
    let mut random = Rng::with_seed(19);
    let steady = || std::iter::repeat_n((weight(0.1), 1.0), 100);
    let mut looks: Vec<_> =
        (0..200).map(|_| stopped(&mut random, steady(), 2.0, 1.0).expect("it is found")).collect();
    looks.sort_unstable();
    assert!(looks[100] <= 2, "{} looks (seed 19)", looks[100]);
}

#[test]
fn a_doubling_is_found_on_a_ramp() {
    let mut random = Rng::with_seed(23);
    let mut looks: Vec<_> =
        (0..200).map(|_| stopped(&mut random, ramp(), 2.0, 1.0).expect("it is found")).collect();
    looks.sort_unstable();
    assert!(looks[100] <= 12, "{} looks (seed 23)", looks[100]);
}

#[test]
fn a_canary_at_the_margin_is_hardly_ever_certified() {
    let mut random = Rng::with_seed(29);
    let margin = Ratio::new(1.25).expect("a margin");
    let runs = 400;
    let wrong = (0..runs)
        .filter(|_| {
            let mut seen = Strata::default();
            ramp().any(|(weight, load)| {
                seen.push(weight, look(&mut random, weight, load, 1.25)).expect("room");
                not_worse(&seen, margin).rejects(alpha())
            })
        })
        .count();
    assert!(wrong <= most(runs), "{wrong} of {runs} (seed 29)");
}

/// The look, from 1, at which a test at one level stops a canary.
fn stopped_at(
    random: &mut Rng,
    steps: impl Iterator<Item = (Weight, f64)>,
    ratio: f64,
    alpha: f64,
) -> Option<usize> {
    let margin = Ratio::new(1.25).expect("a margin");
    let mut test = BoostedRampTest::new(margin, Alpha::new(alpha).expect("a level"));
    let mut looks = steps.enumerate();
    looks.find_map(|(number, (weight, load))| {
        test.push(weight, look(random, weight, load, ratio));
        test.rejects().then_some(number + 1)
    })
}

#[test]
fn a_canary_at_the_margin_is_hardly_ever_stopped_by_a_boosted_test() {
    let mut random = Rng::with_seed(41);
    let runs = 600;
    let wrong = (0..runs).filter(|_| stopped_at(&mut random, ramp(), 1.25, 0.05).is_some()).count();
    assert!(wrong <= most(runs), "{wrong} of {runs} (seed 41)");
}

#[test]
fn a_boosted_test_finds_a_doubling_in_two_looks_over_the_default_margin() {
    /// Two thirds of 5 %, which is what errors have where several things are looked at.
    const ALPHA: f64 = 0.1 / 3.0;
    let mut random = Rng::with_seed(43);
    let steady = || std::iter::repeat_n((weight(0.1), 1.0), 100);
    let mut looks: Vec<_> =
        (0..1000).map(|_| stopped_at(&mut random, steady(), 2.0, ALPHA).expect("it is found")).collect();
    looks.sort_unstable();
    assert!(looks[500] <= 2, "{} looks (seed 43)", looks[500]);
}
