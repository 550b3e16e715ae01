//! What holds in every history, whatever happens and wherever it is cut off.

use proptest::prelude::*;

use super::super::{Answered, Decision, Evidence, Hard, OnNewVersion, Outcome, Phase, Place, decide};
use super::*;

/// Looks with errors that are few or many, at this stage or an earlier one, with or without what ends it at once.
fn a_look() -> impl Strategy<Value = Look> {
    let counts = (0..3000_u64, 0..40_u64, 0..9000_u64, 0..90_u64, 0..3000_u64, 0..200_u64);
    (0..4_usize, counts, 0..40_u64, 0..20_u64).prop_map(|(stage, counts, hard, lost)| {
        let (seen, errors, primary, primary_errors, pairs, disagreed) = counts;
        let mut look = look(stage, (seen, errors.min(seen)), (primary, primary_errors.min(primary)));
        (look.counts.pairs, look.counts.disagreed) = (pairs, disagreed.min(pairs));
        look.hard = Hard { panics: u64::from(hard == 0), ..Hard::default() };
        look.lost = u64::from(lost == 0);
        look
    })
}

fn an_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => prop::collection::vec(a_look(), 0..3).prop_map(Event::Looked),
        1 => Just(Event::Start),
        1 => Just(Event::Pause),
        1 => Just(Event::Resume),
        1 => Just(Event::Advance),
        1 => Just(Event::Approve),
        1 => Just(Event::Restarted),
        1 => (2..5_u64).prop_map(|number| Event::NewVersion(version(number))),
        1 => prop_oneof![Just(Event::Promote), Just(Event::Abort)],
    ]
}

fn a_spec() -> impl Strategy<Value = Spec> {
    (any::<bool>(), any::<bool>(), any::<bool>(), 0..4_u64).prop_map(|(shadow, queue, approval, outcome)| {
        let mut spec = spec(shadow.then_some("1m"), "1,5,50");
        spec.on_new = if queue { OnNewVersion::Queue } else { OnNewVersion::Supersede };
        spec.stages[1].approval = approval;
        let (_, outcome) = Outcome::ALL[(outcome as usize).min(2)];
        let after = std::time::Duration::from_secs(600);
        spec.deadline = approval.then_some(super::super::Deadline { after, outcome });
        spec
    })
}

/// A gateway that may be killed before any of its steps: what callers get, and what is written.
struct Gateway {
    applied: Exposure,
    written: Rollout,
}

impl Gateway {
    /// Takes so many of the two steps of a change.
    fn take(&mut self, change: Change, steps: usize) {
        match change {
            Change::Keep(rollout) => {
                if steps > 0 {
                    self.written = *rollout;
                }
            }
            Change::Raise { commit, then } => {
                if steps > 0 {
                    self.written = *commit;
                }
                if steps > 1 {
                    self.applied = then;
                }
            }
            Change::Lower { first, commit } => {
                if steps > 0 {
                    self.applied = first;
                }
                if steps > 1 {
                    self.written = *commit;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn callers_are_never_exposed_more_than_is_written(
        spec in a_spec(), events in prop::collection::vec((an_event(), 0..6_usize, 0..100_u64), 1..40),
    ) {
        let mut now = Moment(1_000_000);
        let rollout = Rollout::new(1, spec, frozen(Counted::Requests), now);
        let mut gateway = Gateway { applied: Exposure::None, written: rollout };
        for (event, killed, seconds) in events {
            now = Moment(now.0 + seconds * 1000);
            let Ok(taken) = transition(&gateway.written, &event, now) else { continue };
            prop_assert_eq!(&taken, &transition(&gateway.written, &event, now).expect("as before"), "it is a function");
            let before = gateway.applied;
            let lowers = matches!(taken.change, Change::Lower { .. });
            gateway.take(taken.change, killed.min(2));
            prop_assert!(gateway.applied <= gateway.written.exposure, "{event:?}");
            prop_assert!(!lowers || gateway.applied <= before);
            if killed < 2 {
                // It comes up from what is written, which has come back from the disk as it was.
                let text = serde_json::to_string(&gateway.written).expect("JSON");
                gateway.written = serde_json::from_str(&text).expect("a rollout");
                gateway.applied = gateway.written.exposure;
                let up = transition(&gateway.written, &Event::Restarted, now).expect("it goes on");
                prop_assert!(matches!(up.change, Change::Keep(_)), "a restart exposes nobody more");
                gateway.take(up.change, 2);
            }
        }
    }

    #[test]
    fn nothing_advances_by_itself_without_evidence_and_abort_always_lowers(
        spec in a_spec(), events in prop::collection::vec((an_event(), 0..100_u64), 1..30),
    ) {
        let mut now = Moment(1_000_000);
        let mut rollout = Rollout::new(1, spec, frozen(Counted::Requests), now);
        for (event, seconds) in events {
            now = Moment(now.0 + seconds * 1000);
            let Ok(taken) = transition(&rollout, &event, now) else { continue };
            let after = taken.change.rollout();
            if matches!(event, Event::Looked(_)) && after.exposure > rollout.exposure {
                let (stage, step) = (rollout.spec.stages[rollout.place.stage], &after.evidence.steps[rollout.place.stage]);
                prop_assert!(step.counts.canary.seen.requests >= stage.count_min);
                prop_assert!(now.since(rollout.place.since) >= stage.time_min);
                prop_assert_eq!(rollout.phase, Phase::Running);
                let verdict = taken.verdict.as_ref().expect("a verdict");
                let certain = |finding: &super::super::Finding| finding.certificate.is_none_or(|c| c.certain());
                prop_assert!(verdict.findings.iter().all(certain) && !verdict.findings.is_empty());
            }
            if !after.phase.is_over() {
                let aborted = transition(after, &Event::Abort, now).expect("it can be aborted");
                prop_assert_eq!(aborted.change.rollout().exposure, Exposure::None);
                let raised = matches!(aborted.change, Change::Raise { .. });
                prop_assert!(!raised);
            }
            rollout = after.clone();
        }
    }

    #[test]
    fn more_errors_never_turn_a_rollback_into_anything_else(
        seen in 500..5000_u64, errors in 0..100_u64, more in 1..100_u64, primary in 0..300_u64, shadow in any::<bool>(),
    ) {
        let spec = if shadow { spec(Some("1m"), "10") } else { spec(None, "10") };
        let frozen = frozen(Counted::Requests);
        let (start, now) = (Moment(0), Moment(600_000));
        let place = Place { stage: 0, since: start, started: start, approved: false, answered: Answered::No };
        let of = |errors: u64| {
            let mut evidence = Evidence::new(&spec);
            let mut look = look(0, (seen, errors.min(seen)), (9 * seen, primary));
            (look.counts.pairs, look.counts.disagreed) = (seen, errors.min(seen));
            evidence.push(&spec, &frozen, &[look], now);
            decide(&spec, &frozen, &place, &evidence, now).decision
        };
        let rank = |decision: &Decision| match decision {
            Decision::Rollback(_) => 0,
            Decision::Hold(_) | Decision::Ask => 1,
            Decision::Advance | Decision::Promote => 2,
        };
        let (few, many) = (of(errors), of(errors + more));
        prop_assert!(rank(&many) <= rank(&few), "{few:?} {many:?}");
    }
}
