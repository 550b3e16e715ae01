//! Whole rollouts by chance, through the code that decides: how often one is led back for nothing, how soon for
//! something, and whether the plan comes true. Each prints the seed of what it found.

use std::time::Duration;

use fastrand::Rng;
use pointsman_stats::{ExpectedRates, Rate};

use super::super::{Assigned, Cause, Guard, Phase, Question, Traffic, plan};
use super::*;

/// What is certainly found in one of so many, and no more often: alpha and three standard errors.
fn most(runs: usize) -> usize {
    let (runs, alpha) = (runs as f64, 0.05);
    (runs * alpha + 3.0 * (runs * alpha * (1.0_f64 - alpha)).sqrt()) as usize
}

/// Poisson by the method of Knuth in parts, as the exponential of a large mean has few digits left.
fn poisson(random: &mut Rng, mean: f64) -> u64 {
    if mean > 400.0 {
        // By the normal law: the sum of twelve even numbers.
        let z: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        return (mean + z * mean.sqrt()).round().max(0.0) as u64;
    }
    let parts = (mean / 100.0).ceil().max(1.0) as usize;
    let least = (-mean / parts as f64).exp();
    let mut count = 0;
    for _ in 0..parts {
        let mut product = random.f64();
        while product > least {
            product *= random.f64();
            count += 1;
        }
    }
    count
}

/// What goes on at each look.
#[derive(Clone, Copy)]
struct World {
    /// Requests between two looks.
    requests: f64,
    /// How often a request fails.
    errors: f64,
    /// How many times as often with the candidate; also slow answers and wrong labels.
    ratio: f64,
    /// How much of it load and error rate swing by.
    swing: f64,
}

impl World {
    fn counts(&self, random: &mut Rng, requests: f64, ratio: f64, wave: f64) -> Arm {
        let mut count = |rate: f64| hits(poisson(random, requests * rate));
        let classes = vec![count(0.6), count(0.3), count(0.1)];
        let seen = hits(classes.iter().map(|class| class.requests).sum());
        Arm {
            seen,
            errors: count(self.errors * wave * ratio),
            invalid: count(self.errors / 10.0 * ratio),
            slow: [count(0.1 * wave * ratio), count(0.02 * wave * ratio), count(0.002 * wave * ratio)],
            classes,
            labelled: count(0.1),
            wrong: count(0.02 * ratio),
            misranked: count(0.03 * ratio),
            off: Default::default(),
        }
    }

    fn look(&self, random: &mut Rng, stage: usize, share: f64, number: usize) -> Look {
        let wave = 1.0 + self.swing * (number as f64 / 3.0).sin();
        let requests = self.requests * (1.0 + self.swing * (number as f64 / 5.0).cos());
        let canary = self.counts(random, requests * share, self.ratio, wave);
        let primary = self.counts(random, requests * (1.0 - share), 1.0, wave);
        let assigned = Assigned { canary: canary.seen.units, primary: primary.seen.units };
        Look { stage, counts: Counts { canary, primary, assigned, ..Counts::default() }, ..Look::default() }
    }
}

/// Plays a rollout to its end. Somebody moves it on after so many looks of a stage, whatever is known.
fn run(random: &mut Rng, spec: &Spec, world: &World, moved_on_after: usize, looks_max: usize) -> Phase {
    let mut played = Played::started(spec.clone());
    let mut looks_of_stage = 0;
    for looks in 1..=looks_max {
        let place = played.rollout.place;
        let Exposure::Canary(share) = played.rollout.exposure else { panic!("a canary") };
        played.look(world.look(random, place.stage, share.fraction(), looks));
        if played.rollout.phase.is_over() {
            return played.rollout.phase;
        }
        looks_of_stage = if played.rollout.place.stage == place.stage { looks_of_stage + 1 } else { 0 };
        if looks_of_stage == moved_on_after && played.rollout.place.stage + 1 < spec.stages.len() {
            played.play(&Event::Advance);
            looks_of_stage = 0;
        }
    }
    played.rollout.phase
}

fn is_led_back(ended: Phase) -> bool {
    matches!(ended, Phase::RolledBack(_))
}

fn middle(mut list: Vec<usize>) -> usize {
    list.sort_unstable();
    list[list.len() / 2]
}

#[test]
fn of_2000_healthy_rollouts_hardly_any_is_led_back() {
    let mut random = Rng::with_seed(101);
    let spec = spec(None, "1,5,25,50");
    let mut led_back = 0;
    for number in 0..2000 {
        // One in two errs so seldom that it moves on by itself.
        let errors = if number % 2 == 0 { 0.01 } else { 0.001 };
        let world = World { requests: 10_000.0, errors, ratio: 1.0, swing: 0.5 };
        led_back += usize::from(is_led_back(run(&mut random, &spec, &world, 5, 20)));
    }
    println!("{led_back} of 2000 led back (seed 101)");
    assert!(led_back <= most(2000), "{led_back} (seed 101)");
}

#[test]
fn of_rollouts_that_are_as_much_worse_as_is_tolerated_hardly_any_is_led_back() {
    let mut random = Rng::with_seed(103);
    let spec = spec(None, "1,5,25,50");
    let world = World { requests: 10_000.0, errors: 0.01, ratio: 1.25, swing: 0.5 };
    let led_back = (0..400).filter(|_| is_led_back(run(&mut random, &spec, &world, 5, 20))).count();
    println!("{led_back} of 400 led back (seed 103)");
    assert!(led_back <= most(400), "{led_back} (seed 103)");
}

#[test]
fn doubled_errors_are_found_in_two_looks_at_ten_per_cent_and_on_a_ramp() {
    let world = World { requests: 10_000.0, errors: 0.01, ratio: 2.0, swing: 0.0 };
    // Errors alone are doubled by the ratio: the guards of everything else are taken away, but not their part of alpha.
    let of = |canary: &str, moved_on_after: usize, runs: usize, seed: u64| {
        let mut random = Rng::with_seed(seed);
        let spec = spec(None, canary);
        let looks = (0..runs).map(|_| {
            let world = ErrorsAlone(world);
            world.run(&mut random, &spec, moved_on_after)
        });
        middle(looks.collect())
    };
    let steady = of("10", 100, 400, 107);
    let short = of("1,5,25,50", 3, 200, 109);
    let long = of("1,5,25,50", 10, 100, 113);
    println!(
        "{steady} looks at 10 % (seed 107), {short} on a ramp of 3 looks each (seed 109), {long} of 10 (seed 113)"
    );
    assert!(steady <= 2, "{steady} (seed 107)");
    assert!(short <= 10, "{short} (seed 109)");
    assert!(long <= 14, "{long} (seed 113)");
}

/// A world in which errors alone happen more often with the candidate.
struct ErrorsAlone(World);

impl ErrorsAlone {
    fn run(&self, random: &mut Rng, spec: &Spec, moved_on_after: usize) -> usize {
        let mut played = Played::started(spec.clone());
        let mut looks_of_stage = 0;
        for looks in 1..=100 {
            let place = played.rollout.place;
            let Exposure::Canary(share) = played.rollout.exposure else { panic!("a canary") };
            let share = share.fraction();
            let World { requests, errors, ratio, .. } = self.0;
            let count = |random: &mut Rng, share: f64, rate: f64| {
                let seen = requests * share;
                (seen as u64, poisson(random, seen * rate))
            };
            let canary = count(random, share, errors * ratio);
            let primary = count(random, 1.0 - share, errors);
            played.look(look(place.stage, canary, primary));
            if played.rollout.phase == Phase::RolledBack(Cause::Guard(Question::Errors)) {
                return looks;
            }
            looks_of_stage += 1;
            if looks_of_stage == moved_on_after && place.stage + 1 < spec.stages.len() {
                played.play(&Event::Advance);
                looks_of_stage = 0;
            }
        }
        100
    }
}

/// 2000 units that send 25 requests between two looks. One in fifty fails half of the time, the others never do.
fn sticky(random: &mut Rng, counted: Counted) -> bool {
    let mut spec = spec(None, "10");
    spec.guards = vec![Guard::default_of(Question::Errors)];
    let mut played = Played::new(spec, counted);
    played.play(&Event::Start);
    // Those that never fail are the same in every look.
    let failing: usize = (0..2000).filter(|_| random.u8(0..50) == 0).count();
    let mut units: Vec<(bool, bool)> = (0..failing).map(|_| (random.u8(0..10) == 0, false)).collect();
    for number in 0..20 {
        let (mut canary, mut primary) = (arm(0, 0), arm(0, 0));
        let first = u64::from(number == 0);
        canary.seen = Hits { requests: 5000, units: 200 * first, own_units: 200 * first };
        primary.seen = Hits { requests: 45_000, units: 1800 * first, own_units: 1800 * first };
        for (is_canary, erred) in &mut units {
            let errors = (0..25).filter(|_| random.bool()).count() as u64;
            let of = if *is_canary { &mut canary } else { &mut primary };
            of.errors.requests += errors;
            of.errors.units += u64::from(errors > 0 && !*erred);
            *erred |= errors > 0;
        }
        played.look(Look { counts: Counts { canary, primary, ..Counts::default() }, ..Look::default() });
        if played.rollout.phase.is_over() {
            return matches!(played.rollout.phase, Phase::RolledBack(_));
        }
    }
    false
}

#[test]
fn requests_of_sticky_units_lead_back_healthy_versions_and_units_do_not() {
    let of = |counted| {
        let mut random = Rng::with_seed(127);
        (0..400).filter(|_| sticky(&mut random, counted)).count()
    };
    let (units, requests) = (of(Counted::Units), of(Counted::Requests));
    println!("{units} of 400 by unit, {requests} of 400 by request (seed 127)");
    assert!(units <= 20, "{units} by unit (seed 127)");
    assert!(requests > 80, "{requests} by request: the control does not fail (seed 127)");
}

#[test]
fn the_plan_comes_true() {
    let rate = |rate| Rate::new(rate).expect("a rate");
    // (share, errors, margin, seconds that a stage lasts at least)
    for (share, errors, margin) in
        [("10", 0.001, 1.25), ("50", 0.01, 1.25), ("25", 0.02, 1.5), ("50", 0.0, 1.25)]
    {
        let mut spec = spec(None, share);
        let mut guard = Guard::default_of(Question::Errors);
        guard.margin = pointsman_stats::Ratio::new(margin).expect("a ratio");
        spec.guards = vec![guard];
        spec.stages[0].time_min = Duration::from_secs(1);
        let traffic = Traffic {
            per_second: 100.0,
            rates: vec![(Question::Errors, ExpectedRates { canary: rate(errors), primary: rate(errors) })],
            disagreement: rate(0.0),
        };
        let plan = plan(&spec, &traffic);
        let planned = plan.time().expect("it has an end").as_secs_f64();
        assert_eq!(plan.stages[0].requests, (planned * 100.0).round() as u64);
        let share: f64 = share.parse::<f64>().expect("a share") / 100.0;
        // A look is a fiftieth of the plan.
        let requests = planned * 2.0;
        let mut random = Rng::with_seed(131);
        let looks = (0..150).map(|_| {
            let mut played = Played::started(spec.clone());
            for looks in 1.. {
                let count = |random: &mut Rng, share: f64| {
                    ((requests * share) as u64, poisson(random, requests * share * errors))
                };
                let (canary, primary) = (count(&mut random, share), count(&mut random, 1.0 - share));
                played.look(look(0, canary, primary));
                if played.rollout.phase.is_over() || looks > 1000 {
                    return looks;
                }
            }
            0
        });
        let found = middle(looks.collect()) as f64 * requests / 100.0;
        println!("{share} {errors} {margin}: {planned:.0} s planned, {found:.0} s found (seed 131)");
        assert!((planned / found - 1.0).abs() < 0.2, "{planned} {found} (seed 131)");
    }
}

#[test]
fn a_plan_says_what_will_never_be_certain() {
    let rate = |rate| Rate::new(rate).expect("a rate");
    let mut spec = spec(Some("10m"), "1,50");
    let worse = ExpectedRates { canary: rate(0.02), primary: rate(0.01) };
    let mut traffic =
        Traffic { per_second: 100.0, rates: vec![(Question::Errors, worse)], disagreement: rate(0.0) };
    let never = plan(&spec, &traffic);
    assert_eq!(never.time(), None);
    assert!(never.to_string().contains("errors will not be certain at these rates"), "{never}");
    traffic.rates.clear();
    spec.deadline = Some(super::super::Deadline {
        after: Duration::from_secs(1200),
        outcome: super::super::Outcome::Ask,
    });
    let found = plan(&spec, &traffic);
    assert_eq!(found.stages[0].time(), Some(Duration::from_secs(600)));
    // About 920 requests without an error at 1 % of 100 per second.
    let at_1_percent = found.stages[1].time().expect("it has an end").as_secs();
    assert!((800..1100).contains(&at_1_percent), "{found}");
    assert_eq!(found.stages[2].time(), Some(Duration::from_secs(60)));
    assert!(found.misses_deadline && found.to_string().ends_with("past the deadline"), "{found}");
    traffic.per_second = 0.0;
    assert!(plan(&spec, &traffic).to_string().contains("there is no traffic"));
}
