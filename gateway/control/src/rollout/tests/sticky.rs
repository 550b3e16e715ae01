//! Units that stay with their version, through the code that counts them: users differ, and move to the candidate stage by
//! stage.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use pointsman_core::{Arm as Drawn, Code, Signature};
use pointsman_predict::{Ended, Witness};
use pointsman_route::{Assignment, UnitKind};

use super::super::{Guard, Phase, Question, Recorder, Standing};
use super::*;

/// Units of one rollout.
const UNITS: u64 = 1500;
/// Requests that each of them sends between two looks.
const REQUESTS: usize = 2;
/// Looks after which somebody moves the rollout on, whatever is known.
const LOOKS: usize = 3;

/// A unit: where it is drawn, and how often its requests fail.
struct User {
    unit: u64,
    point: f64,
    fails: f64,
}

/// One user in forty fails half of the time, the others never do.
fn users(random: &mut Rng) -> Vec<User> {
    let user = |_| User {
        unit: random.u64(..),
        point: random.f64(),
        fails: if random.u8(0..40) == 0 { 0.5 } else { 0.0 },
    };
    (0..UNITS).map(user).collect()
}

/// Plays a rollout over a ramp in which both versions are alike; says whether it was led back.
fn is_led_back(random: &mut Rng, counts: impl Fn(&mut Counts)) -> bool {
    let mut spec = spec(None, "5,25,50");
    spec.guards = vec![Guard::default_of(Question::Errors)];
    spec.limits.errors_in_a_row = u64::MAX;
    let mut played = Played::new(spec.clone(), Counted::Units);
    let signature = Arc::new(Signature { inputs: Vec::new(), outputs: Vec::new() });
    let id = played.rollout.id;
    let recorder = Recorder::new(id, &spec, &played.rollout.frozen, signature, &[], Box::new(|| {}));
    played.play(&Event::Start);
    let users = users(random);
    for look in 1..=3 * LOOKS {
        let Exposure::Canary(share) = played.rollout.exposure else { panic!("a canary") };
        for user in users.iter().flat_map(|user| std::iter::repeat_n(user, REQUESTS)) {
            let is_candidate = user.point < share.fraction();
            let assignment = Assignment {
                experiment: Standing::experiment(id).into(),
                unit_kind: UnitKind::Header,
                weight: if is_candidate { share } else { share.rest() },
                unit: user.unit,
                covariate: None,
            };
            recorder.ended(&Ended {
                assignment: &assignment,
                arm: &if is_candidate { Drawn::Named(Standing::ARM.into()) } else { Drawn::Default },
                version: version(if is_candidate { 3 } else { 2 }),
                outputs: if random.f64() < user.fails { Err(Code::SessionFailed) } else { Ok(&[]) },
                total: Duration::ZERO,
            });
        }
        let mut looks = recorder.take().looks;
        looks.iter_mut().for_each(|look| counts(&mut look.counts));
        played.play(&Event::Looked(looks));
        if played.rollout.phase.is_over() {
            return matches!(played.rollout.phase, Phase::RolledBack(_));
        }
        if look % LOOKS == 0 && played.rollout.place.stage + 1 < spec.stages.len() {
            played.play(&Event::Advance);
        }
    }
    false
}

#[test]
fn users_who_move_to_the_candidate_and_failed_before_lead_no_healthy_version_back() {
    const RUNS: usize = 150;
    let of = |counts: fn(&mut Counts)| {
        let mut random = Rng::with_seed(137);
        (0..RUNS).filter(|_| is_led_back(&mut random, counts)).count()
    };
    let once = of(|_| {});
    // The control: each version counts its units by itself, so that those who fail and move are errors of the candidate,
    // while the primary has none left that are new.
    let each = of(|counts| {
        let arms = [&mut counts.canary, &mut counts.primary];
        arms.into_iter().for_each(|arm| arm.errors.units = arm.errors.own_units);
    });
    println!("{once} of {RUNS} where a unit counts once, {each} where it does with each version (seed 137)");
    // Alpha and three standard errors.
    assert!(once <= 15, "{once} (seed 137)");
    assert!(each > 30, "{each}: the control does not fail (seed 137)");
}
