//! Rollouts by name: what is decided, and in which order it is written and done.

use super::super::{
    Assigned, Cause, Deadline, Decision, Guard, Hard, OnNewVersion, Outcome, Phase, Question, Why, needs,
};
use super::*;
use std::time::Duration;

/// What is decided of one look, a minute after the stage began.
fn decided(spec: Spec, look: Look) -> Decision {
    let mut played = Played::started(spec);
    played.wait(60);
    played.look(look).verdict.expect("a verdict").decision
}

#[test]
fn a_version_without_errors_advances_after_a_thousand_requests() {
    let mut played = Played::started(spec(None, "1,50"));
    played.wait(60);
    let at_once = played.look(look(0, (1000, 0), (99_000, 0)));
    assert_eq!(at_once.verdict.as_ref().map(|verdict| &verdict.decision), Some(&Decision::Advance));
    let Change::Raise { commit, then } = at_once.change else { panic!("it is written first") };
    assert_eq!((commit.exposure, then), (Exposure::Canary(percent(50)), Exposure::Canary(percent(50))));
    played.wait(60);
    // What the stage before saw does not make this one certain.
    let held = played.look(look(1, (100, 0), (100, 0))).verdict.expect("a verdict");
    let insufficient =
        [Question::Errors, Question::Invalid, Question::Latency].map(Why::InsufficientEvidence);
    assert_eq!(held.decision, Decision::Hold(insufficient.into()));
    let last = played.look(look(1, (1000, 0), (1000, 0)));
    assert_eq!(played.rollout.phase, Phase::Promoted);
    assert!(matches!(last.change, Change::Raise { then: Exposure::All, .. }));
    assert_eq!(last.notice.expect("somebody is told").to, (Phase::Promoted, Exposure::All));
}

#[test]
fn nothing_seen_is_never_success() {
    let Decision::Hold(why) = decided(spec(None, "1"), look(0, (0, 0), (0, 0))) else { panic!("it holds") };
    assert!(why.contains(&Why::Count) && why.contains(&Why::InsufficientEvidence(Question::Errors)));
    let Decision::Hold(why) = decided(spec(Some("1m"), ""), look(0, (0, 0), (0, 0))) else {
        panic!("it holds")
    };
    assert!(why.contains(&Why::InsufficientEvidence(Question::Disagreement)), "{why:?}");
}

#[test]
fn too_little_evidence_says_how_much_more_is_needed() {
    let mut played = Played::started(spec(None, "10"));
    played.wait(90);
    let Decision::Hold(why) = played.look(look(0, (500, 0), (4500, 0))).verdict.expect("a verdict").decision
    else {
        panic!("it holds")
    };
    let rollout = &played.rollout;
    let needs = needs(&rollout.spec, &rollout.frozen, &rollout.place, &rollout.evidence, &why, played.now);
    let needs = needs.expect("it will be certain");
    // About 920 of the canary's are enough at a third of 5 %, and 500 came in 100 s.
    assert!((3500..5000).contains(&needs.units), "{needs:?}");
    let seconds = needs.time.expect("there is traffic").as_secs();
    assert!((70..100).contains(&seconds), "{needs:?}");
    assert!(needs.to_string().contains("more requests or units"), "{needs}");
}

#[test]
fn what_does_harm_is_rolled_back_before_it_is_written() {
    let mut played = Played::started(spec(None, "10,50"));
    let found = played.look(look(0, (1000, 60), (9000, 90)));
    assert_eq!(played.rollout.phase, Phase::RolledBack(Cause::Guard(Question::Errors)));
    assert!(matches!(found.change, Change::Lower { first: Exposure::None, .. }));
    // What comes late changes nothing.
    let late = played.look(look(0, (1000, 0), (9000, 0)));
    assert!(late.verdict.is_none() && late.notice.is_none() && matches!(late.change, Change::Keep(_)));
}

#[test]
fn each_guard_stops_what_it_is_for() {
    let slow = |p50, p95, p99| [hits(p50), hits(p95), hits(p99)];
    let of = |change: &dyn Fn(&mut Counts)| {
        let mut look = look(0, (10_000, 0), (10_000, 0));
        change(&mut look.counts);
        decided(spec(None, "50"), look)
    };
    let rolled_back = |question| Decision::Rollback(Cause::Guard(question));
    let found = of(&|counts| {
        counts.canary.slow = slow(2000, 200, 180);
        counts.primary.slow = slow(2000, 180, 30);
    });
    assert_eq!(found, rolled_back(Question::Latency));
    let found = of(&|counts| {
        counts.canary.classes = vec![hits(9000), hits(1000), hits(0)];
        counts.primary.classes = vec![hits(3000), hits(4000), hits(3000)];
    });
    assert_eq!(found, rolled_back(Question::Distribution));
    let found = of(&|counts| {
        (counts.canary.labelled, counts.canary.wrong) = (hits(1000), hits(300));
        (counts.primary.labelled, counts.primary.wrong) = (hits(1000), hits(100));
    });
    assert_eq!(found, rolled_back(Question::Labels));
    let found = of(&|counts| (counts.canary.invalid, counts.primary.invalid) = (hits(90), hits(10)));
    assert_eq!(found, rolled_back(Question::Invalid));
    // A difference that does not matter rolls nothing back, however much of it was seen.
    let found = of(&|counts| (counts.canary.errors, counts.primary.errors) = (hits(1200), hits(1000)));
    assert!(!matches!(found, Decision::Rollback(_)), "{found:?}");
}

#[test]
fn a_shadow_is_judged_by_what_it_answers_otherwise() {
    let pairs = |disagreed, floor_pairs, floor_disagreed| {
        let mut look = look(0, (3000, 0), (3000, 0));
        let counts = &mut look.counts;
        (counts.pairs, counts.disagreed) = (3000, disagreed);
        (counts.floor_pairs, counts.floor_disagreed) = (floor_pairs, floor_disagreed);
        decided(spec(Some("1m"), "1"), look)
    };
    let harm = Decision::Rollback(Cause::Guard(Question::Disagreement));
    assert_eq!(pairs(30, 0, 0), Decision::Advance);
    assert_eq!(pairs(300, 0, 0), harm);
    assert_eq!(pairs(150, 0, 0), Decision::Hold(vec![Why::InsufficientEvidence(Question::Disagreement)]));
    // Where the version that serves disagrees with itself as often, nothing is wrong.
    assert_eq!(pairs(300, 3000, 300), Decision::Advance);
    assert_eq!(pairs(700, 3000, 300), harm);
}

#[test]
fn hard_limits_act_at_once_also_where_it_is_held() {
    let cases = [
        (Hard { cannot_load: true, ..Hard::default() }, Cause::CannotLoad),
        (Hard { panics: 1, ..Hard::default() }, Cause::Panic),
        (Hard { errors_in_a_row: 10, ..Hard::default() }, Cause::ErrorsInARow),
        (Hard { invalid: 1, ..Hard::default() }, Cause::NotFinite),
    ];
    for (hard, cause) in cases {
        let mut played = Played::started(spec(None, "1"));
        played.play(&Event::Pause);
        let found = played.look(Look { hard, ..Look::default() });
        assert_eq!(played.rollout.phase, Phase::RolledBack(cause));
        assert!(matches!(found.change, Change::Lower { first: Exposure::None, .. }));
    }
    let both = Hard { invalid: 1, primary_invalid: 1, errors_in_a_row: 9, ..Hard::default() };
    assert!(matches!(decided(spec(None, "1"), Look { hard: both, ..Look::default() }), Decision::Hold(_)));
}

#[test]
fn wrong_assignment_freezes_and_never_rolls_back() {
    let mut harm = look(0, (1000, 60), (9000, 90));
    harm.counts.assigned = Assigned { canary: 2000, primary: 8000 };
    let Decision::Hold(why) = decided(spec(None, "10"), harm.clone()) else { panic!("it holds") };
    assert!(why.contains(&Why::Misassigned));
    harm.hard.panics = 1;
    assert_eq!(decided(spec(None, "10"), harm), Decision::Rollback(Cause::Panic));
    // Each step by itself: with the last weight for all of them a healthy ramp would look broken.
    let mut played = Played::started(spec(None, "1,50"));
    played.wait(60);
    let mut good = look(0, (2000, 0), (198_000, 0));
    good.counts.assigned = Assigned { canary: 2000, primary: 198_000 };
    played.look(good);
    played.wait(60);
    let mut good = look(1, (2000, 0), (2000, 0));
    good.counts.assigned = Assigned { canary: 2000, primary: 2000 };
    played.look(good);
    assert_eq!(played.rollout.phase, Phase::Promoted);
}

#[test]
fn nothing_is_raised_on_counts_that_lag_or_have_gaps() {
    let good = look(0, (2000, 0), (2000, 0));
    assert_eq!(decided(spec(None, "50"), good.clone()), Decision::Promote);
    let found = decided(spec(None, "50"), Look { lag_ms: 5001, ..good.clone() });
    assert_eq!(found, Decision::Hold(vec![Why::Lag]));
    assert_eq!(decided(spec(None, "50"), Look { lost: 1, ..good.clone() }), Decision::Hold(vec![Why::Gap]));
    let mut played = Played::started(spec(None, "50"));
    played.wait(60);
    let both = Event::Looked(vec![Look { lost: 1, ..Look::default() }, good]);
    let found = played.play(&both).verdict.expect("a verdict").decision;
    assert_eq!(found, Decision::Hold(vec![Why::Gap]), "a gap in one of several looks is one");
}

#[test]
fn a_stage_lasts_as_long_as_it_should_and_waits_for_an_approval() {
    let mut spec = spec(None, "50");
    spec.stages[0].approval = true;
    let mut played = Played::started(spec);
    let early = played.look(look(0, (2000, 0), (2000, 0))).verdict.expect("a verdict");
    assert_eq!(early.decision, Decision::Hold(vec![Why::Time]));
    played.wait(60);
    let asks = played.play(&Event::Looked(Vec::new())).verdict.expect("a verdict");
    assert_eq!(asks.decision, Decision::Hold(vec![Why::Approval]));
    played.play(&Event::Approve);
    assert_eq!(played.rollout.exposure, Exposure::Canary(percent(50)));
    played.play(&Event::Looked(Vec::new()));
    assert_eq!(played.rollout.phase, Phase::Promoted);
}

#[test]
fn a_deadline_has_the_outcome_that_was_declared() {
    for (outcome, expected) in [
        (Outcome::Hold, Phase::Running),
        (Outcome::Rollback, Phase::RolledBack(Cause::Deadline)),
        (Outcome::Ask, Phase::Asking),
    ] {
        let mut spec = spec(None, "50");
        spec.deadline = Some(Deadline { after: Duration::from_secs(600), outcome });
        let mut played = Played::started(spec);
        played.wait(600);
        played.look(look(0, (2000, 0), (2000, 0)));
        assert_eq!(played.rollout.phase, expected);
        if outcome == Outcome::Ask {
            assert_eq!(played.rollout.exposure, Exposure::Canary(percent(50)));
            played.play(&Event::Resume);
            played.play(&Event::Looked(Vec::new()));
            assert_eq!(played.rollout.phase, Phase::Promoted, "who goes on is not asked again");
        }
    }
}

#[test]
fn operators_hold_move_and_end_it() {
    let mut played = Played::started(spec(Some("1m"), "1,5"));
    assert_eq!(played.rollout.exposure, Exposure::Shadow(percent(100)));
    played.play(&Event::Pause);
    played.wait(60);
    let mut good = look(0, (5000, 0), (5000, 0));
    good.counts.pairs = 5000;
    assert_eq!(played.look(good).verdict.expect("a verdict").decision, Decision::Advance);
    assert_eq!(played.rollout.exposure, Exposure::Shadow(percent(100)), "it is held");
    played.play(&Event::Resume);
    let raised = played.play(&Event::Advance);
    assert!(
        matches!(raised.change, Change::Raise { then: Exposure::Canary(share), .. } if share == percent(1))
    );
    played.play(&Event::Advance);
    let refused = transition(&played.rollout, &Event::Advance, played.now).expect_err("there is none");
    assert_eq!(refused.to_string(), "advance: there is no next stage; promote it");
    let ended = played.play(&Event::Abort);
    assert!(matches!(ended.change, Change::Lower { first: Exposure::None, .. }));
    let refused = transition(&played.rollout, &Event::Resume, played.now).expect_err("it is over");
    assert_eq!(refused.to_string(), "resume: the rollout is over; start another one");
    let mut played = Played::started(spec(None, "1"));
    let promoted = played.play(&Event::Promote);
    assert!(matches!(promoted.change, Change::Raise { then: Exposure::All, .. }));
}

#[test]
fn a_newer_version_takes_its_place_or_waits() {
    let mut played = Played::started(spec(None, "1"));
    played.play(&Event::NewVersion(version(2)));
    assert_eq!(played.rollout.phase, Phase::Running, "an older one changes nothing");
    let ended = played.play(&Event::NewVersion(version(4)));
    assert_eq!(played.rollout.phase, Phase::Superseded(version(4)));
    assert!(matches!(ended.change, Change::Lower { .. }));
    let mut spec = spec(None, "1");
    spec.on_new = OnNewVersion::Queue;
    let mut played = Played::started(spec);
    for newer in [5, 4] {
        played.play(&Event::NewVersion(version(newer)));
    }
    assert_eq!((played.rollout.phase, played.rollout.queued), (Phase::Running, Some(version(5))));
}

#[test]
fn what_comes_while_it_is_not_warm_is_left_out() {
    let mut spec = spec(None, "50");
    spec.warm_up.count = 100;
    spec.warm_up.time = Duration::from_secs(15);
    let mut played = Played::started(spec);
    for _ in 0..2 {
        played.look(look(0, (90, 80), (90, 0)));
    }
    let step = &played.rollout.evidence.steps[0];
    assert_eq!((step.warm_up.canary.errors.requests, step.counts.canary.seen.requests), (160, 0));
    played.look(look(0, (90, 80), (90, 0)));
    assert_eq!(played.rollout.phase, Phase::RolledBack(Cause::Guard(Question::Errors)));
}

#[test]
fn after_a_restart_it_goes_on_where_it_was() {
    let mut played = Played::started(spec(None, "1,50"));
    played.look(look(0, (600, 0), (59_400, 0)));
    let text = serde_json::to_string(&played.rollout).expect("JSON");
    played.rollout = serde_json::from_str(&text).expect("a rollout");
    played.wait(1000);
    let up = played.play(&Event::Restarted);
    assert!(matches!(up.change, Change::Keep(_)));
    let early = played.look(look(0, (600, 0), (59_400, 0))).verdict.expect("a verdict");
    assert_eq!(early.decision, Decision::Hold(vec![Why::Time]), "nobody saw it while it was down");
    played.wait(60);
    played.play(&Event::Looked(Vec::new()));
    assert_eq!(played.rollout.exposure, Exposure::Canary(percent(50)), "what was seen counts");
}

#[test]
fn a_guard_may_be_the_only_one_and_have_values_of_its_own() {
    let mut only = spec(None, "10");
    let mut guard = Guard::default_of(Question::Errors);
    guard.floor = pointsman_stats::Proportion::new(0.05).expect("a floor");
    only.guards = vec![guard];
    assert_eq!(decided(only, look(0, (1000, 10), (9000, 90))), Decision::Promote);
}
