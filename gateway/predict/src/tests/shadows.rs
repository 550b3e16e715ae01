//! Shadows: what they see, what they may do, and that nobody else notices.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pointsman_core::{Code, Datatype, ShadowDrop, Signature, VersionNumber};

use super::rig::{request, spec};
use super::shadow_rig::{Act, Setup, ShadowRig, until};
use crate::{Accounting, ShadowLimits, VersionSpec};

const MS: Duration = Duration::from_millis(1);

/// Limits under which tests take little time.
fn limits() -> ShadowLimits {
    ShadowLimits {
        wait_max: 60 * 1000 * MS,
        run_max: 60 * 1000 * MS,
        failures_max: u32::MAX,
        rest: 50 * MS,
        rest_max: 50 * MS,
        ..ShadowLimits::default()
    }
}

fn setup(limits: ShadowLimits) -> Setup {
    Setup { limits, ..Setup::default() }
}

/// The answers of so many requests, all of which are right, and how long they took together.
async fn answered(rig: &ShadowRig, count: u64) -> Duration {
    let from = Instant::now();
    for n in 0..count {
        let answer = rig.ask(request(1 + n % 4)).await.unwrap();
        assert_eq!(answer.version.get(), 2);
        assert!(answer.outputs[0].tensor.data().iter().all(|byte| *byte == 7));
    }
    from.elapsed()
}

/// The primary's own accounting: all were received and all are ok.
fn is_undisturbed(rig: &ShadowRig, count: u64) -> bool {
    let text = rig.metrics();
    let read = |start: &str| {
        let lines = text.lines().filter(|line| line.starts_with(start));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    read("pointsman_requests_received_total") == count
        && read("pointsman_requests_total{model=\"m\",version=\"2\",protocol=\"v2-rest\",code=\"OK\"}")
            == count
}

fn dropped(accounting: &Accounting) -> Vec<(&'static str, u64)> {
    let all = ShadowDrop::ALL.map(|reason| (reason.name(), accounting.dropped(reason)));
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn a_shadow_sees_what_was_answered_and_its_answer_goes_to_the_observer_alone() {
    let rig = ShadowRig::new(Act::Echo, Setup { floor: true, ..setup(limits()) });
    let asked = request(3);
    let id = asked.id;
    assert!(rig.ask(asked).await.is_ok());
    let accounting = rig.rest().await;
    assert_eq!((accounting.offered, accounting.answered), (1, 1));
    let [told] = &rig.notes.read()[..] else { panic!("one pair") };
    assert_eq!((told.id, told.versions), (id, (2, 3)));
    assert_eq!((told.inputs.len(), told.inputs[0].tensor.data().as_ref()), (1, &[7; 3][..]));
    for outputs in [&told.primary, &told.shadow, told.floor.as_ref().unwrap()] {
        let outputs = outputs.as_ref().unwrap();
        assert_eq!((&*outputs[0].name, outputs[0].tensor.data().as_ref()), ("y", &[7; 3][..]));
    }
    // Sessions of its own: one for the shadow, and one more of the primary for the floor.
    let made = [&rig.stage, &rig.primary].map(|stage| stage.made.load(Ordering::SeqCst));
    assert_eq!(made, [2, 2]);
}

#[tokio::test]
async fn nothing_is_offered_before_the_answer_was_written_or_where_the_caller_left() {
    use crate::{Driver, Outcome, Protocol};
    let rig = ShadowRig::new(Act::Echo, setup(limits()));
    let asked = request(1);
    let bare = pointsman_route::Bare(asked.id);
    let mut outcome = Outcome::received(rig.predictor.metrics(), asked.id, Protocol::V2Rest);
    let pinned = rig.predictor.pin("m", &asked.version, &bare, &mut outcome).unwrap();
    let chosen = rig.predictor.choose(pinned, &bare, &mut outcome).unwrap();
    assert!(rig.predictor.predict(chosen, asked, Driver::Task, &mut outcome).await.is_ok());
    assert_eq!(rig.shadow().accounting().offered, 0);
    drop(outcome);
    assert_eq!(rig.shadow().accounting().offered, 0);
    answered(&rig, 1).await;
    assert_eq!(rig.rest().await.offered, 1);
}

#[tokio::test]
async fn a_shadow_that_hangs_changes_no_answer_and_is_ended_at_its_deadline() {
    let rig = ShadowRig::new(Act::Hang, setup(ShadowLimits { run_max: 500 * MS, ..limits() }));
    answered(&rig, 5).await;
    assert!(is_undisturbed(&rig, 5));
    let shadow = rig.shadow();
    until(|| shadow.accounting().dropped(ShadowDrop::Hung) > 0).await;
    // Its session can run again.
    rig.stage.play(Act::Echo);
    rig.rest().await;
    answered(&rig, 1).await;
    let accounting = rig.rest().await;
    assert!(accounting.answered >= 1, "{accounting:?}");
    // That a run took long on what others leave says nothing of the version.
    assert!(rig.notes.read().iter().all(|told| told.shadow.is_ok()));
}

#[tokio::test]
async fn a_shadow_that_hangs_and_hears_nobody_changes_no_answer_and_gets_no_more() {
    let rig = ShadowRig::new(Act::HangDeaf, setup(ShadowLimits { run_max: 20 * MS, ..limits() }));
    let shadow = rig.shadow();
    answered(&rig, 1).await;
    until(|| shadow.is_broken()).await;
    let took = answered(&rig, 200).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(is_undisturbed(&rig, 201));
    let accounting = shadow.accounting();
    assert!(accounting.is_balanced(), "{accounting:?}");
    assert_eq!((accounting.held, dropped(&accounting)), (1, vec![("breaker", 200)]));
    // Nor does it keep the gateway from ending: it is let go.
    rig.stage.play(Act::Echo);
    let accounting = rig.rest().await;
    assert_eq!(accounting.dropped(ShadowDrop::Hung), 1);
    assert!(!shadow.is_broken());
}

#[tokio::test]
async fn a_shadow_that_panics_changes_no_answer_and_gets_another_session() {
    let rig = ShadowRig::new(Act::Panic, setup(limits()));
    answered(&rig, 20).await;
    let accounting = rig.rest().await;
    assert_eq!(dropped(&accounting), [("failed", 20)]);
    assert!(is_undisturbed(&rig, 20));
    assert!(rig.notes.read().iter().all(|told| told.shadow.as_ref().err() == Some(&Code::SessionFailed)));
    // One of its worker's, and one for each run.
    assert_eq!(rig.stage.made.load(Ordering::SeqCst), 21);
    let freed = rig.stage.freed_by.lock().unwrap().clone();
    assert!(freed.len() == 20 && freed.iter().all(|name| name == "shadow-3-m"), "{freed:?}");
}

#[tokio::test]
async fn a_shadow_that_answers_garbage_or_takes_much_memory_changes_no_answer() {
    let rig = ShadowRig::new(Act::Garbage, setup(limits()));
    answered(&rig, 10).await;
    rig.rest().await;
    rig.stage.play(Act::Allocate);
    answered(&rig, 2).await;
    let accounting = rig.rest().await;
    assert_eq!((accounting.answered, accounting.held_bytes), (12, 0));
    assert!(is_undisturbed(&rig, 12));
    let told = rig.notes.read();
    // It gave more than was asked for, which is left out.
    let outputs = told[0].shadow.as_ref().unwrap();
    assert_eq!((outputs.len(), outputs[0].tensor.datatype()), (1, Datatype::Int8));
}

#[tokio::test]
async fn what_a_shadow_refuses_is_its_answer_and_what_the_primary_refuses_is_shown_too() {
    let rig = ShadowRig::new(Act::Reject, setup(ShadowLimits { failures_max: 1, ..limits() }));
    answered(&rig, 3).await;
    assert_eq!(rig.rest().await.answered, 3);
    rig.stage.play(Act::Echo);
    rig.primary.play(Act::Fail);
    assert_eq!(rig.ask(request(1)).await.unwrap_err().code(), Code::SessionFailed);
    // A request that no version was asked for is nobody's exchange.
    assert_eq!(rig.ask(request(9)).await.unwrap_err().code(), Code::InputMismatch);
    assert_eq!(rig.rest().await.answered, 4);
    let told = rig.notes.read();
    assert_eq!(told[0].shadow.as_ref().err(), Some(&Code::InputRejected));
    assert!(told[3].primary.as_ref().err() == Some(&Code::SessionFailed) && told[3].shadow.is_ok());
}

fn other_input(number: VersionNumber) -> VersionSpec {
    let mut spec = spec(number, 4);
    let mut signature = Signature::clone(&spec.signature);
    signature.inputs[0].name = "other".into();
    spec.signature = signature.into();
    spec
}

#[tokio::test]
async fn a_shadow_with_other_inputs_says_that_they_do_not_fit() {
    let rig = ShadowRig::new(Act::Echo, Setup { spec: other_input, ..setup(limits()) });
    answered(&rig, 2).await;
    assert_eq!(rig.rest().await.answered, 2);
    assert_eq!(rig.notes.read()[0].shadow.as_ref().err(), Some(&Code::InputMismatch));
    assert_eq!(rig.stage.runs.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn at_the_limit_exchanges_wait_and_past_it_they_are_dropped() {
    let rig = ShadowRig::new(Act::Hang, setup(ShadowLimits { waiting_max: 4, ..limits() }));
    answered(&rig, 4).await;
    assert_eq!(dropped(&rig.shadow().accounting()), []);
    answered(&rig, 3).await;
    let accounting = rig.shadow().accounting();
    assert_eq!((accounting.held, dropped(&accounting)), (4, vec![("full", 3)]));
    assert!(accounting.is_balanced());
    rig.stage.play(Act::Echo);
    assert_eq!(rig.rest().await.answered, 4);

    // Two bytes each: what was asked and what was answered.
    let rig = ShadowRig::new(Act::Hang, setup(ShadowLimits { waiting_bytes_max: 6, ..limits() }));
    for _ in 0..5 {
        assert!(rig.ask(request(1)).await.is_ok());
    }
    let accounting = rig.shadow().accounting();
    assert_eq!((accounting.held_bytes, dropped(&accounting)), (6, vec![("bytes", 2)]));
    assert!(rig.metrics().contains("pointsman_shadow_waiting_bytes{model=\"m\",version=\"3\"} 6"));
    rig.stage.play(Act::Echo);
    rig.rest().await;
    let text = rig.metrics();
    for line in [
        "pointsman_shadow_waiting{model=\"m\",version=\"3\"} 0",
        "pointsman_shadow_waiting_bytes{model=\"m\",version=\"3\"} 0",
        "pointsman_shadow_offered_total{model=\"m\",version=\"3\"} 5",
        "pointsman_shadow_answered_total{model=\"m\",version=\"3\"} 3",
        "pointsman_shadow_dropped_total{model=\"m\",version=\"3\",reason=\"bytes\"} 2",
    ] {
        assert!(text.contains(line), "{line}");
    }
}

#[tokio::test]
async fn what_waits_too_long_is_not_run() {
    let rig = ShadowRig::new(Act::Hang, setup(ShadowLimits { wait_max: 2000 * MS, ..limits() }));
    answered(&rig, 5).await;
    let stage = rig.stage.clone();
    until(|| stage.runs.load(Ordering::SeqCst) == 1).await;
    tokio::time::sleep(2100 * MS).await;
    rig.stage.play(Act::Echo);
    let accounting = rig.rest().await;
    assert_eq!((accounting.answered, dropped(&accounting)), (1, vec![("expired", 4)]));
    assert_eq!(rig.stage.runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_shadow_that_keeps_failing_rests_and_comes_back() {
    let limits = ShadowLimits { failures_max: 3, rest: 2000 * MS, rest_max: 2000 * MS, ..limits() };
    let rig = ShadowRig::new(Act::Fail, setup(limits));
    for _ in 0..3 {
        answered(&rig, 1).await;
        rig.rest().await;
    }
    assert!(rig.shadow().is_broken());
    assert!(rig.metrics().contains("pointsman_shadow_broken{model=\"m\",version=\"3\"} 1"));
    answered(&rig, 5).await;
    assert_eq!(dropped(&rig.rest().await), [("breaker", 5), ("failed", 3)]);
    assert_eq!(rig.stage.runs.load(Ordering::SeqCst), 3);
    // The first one afterwards is a trial.
    rig.stage.play(Act::Echo);
    let shadow = rig.shadow();
    until(|| !shadow.is_broken()).await;
    answered(&rig, 1).await;
    assert_eq!(rig.rest().await.answered, 1);
    assert!(rig.metrics().contains("pointsman_shadow_broken{model=\"m\",version=\"3\"} 0"));
    assert!(is_undisturbed(&rig, 9));
}

#[tokio::test]
async fn shadows_are_shed_before_anything_else_is() {
    let rig = ShadowRig::new(Act::Echo, setup(ShadowLimits { shed_from_tenth: 0, ..limits() }));
    answered(&rig, 3).await;
    assert_eq!(dropped(&rig.rest().await), [("shed", 3)]);

    // Memory ran low while it was answered: whoever comes next is refused, and the shadow does not begin.
    use crate::{Driver, Outcome, Protocol};
    let rig = ShadowRig::new(Act::Echo, setup(limits()));
    let asked = request(1);
    let bare = pointsman_route::Bare(asked.id);
    let mut outcome = Outcome::received(rig.predictor.metrics(), asked.id, Protocol::V2Rest);
    let pinned = rig.predictor.pin("m", &asked.version, &bare, &mut outcome).unwrap();
    let chosen = rig.predictor.choose(pinned, &bare, &mut outcome).unwrap();
    let answer = rig.predictor.predict(chosen, asked, Driver::Task, &mut outcome).await.unwrap();
    rig.predictor.admission().set_memory_low(true);
    outcome.ok(&answer.times, Duration::ZERO);
    assert_eq!(dropped(&rig.rest().await), [("shed", 1)]);
}

#[tokio::test]
async fn in_a_window_that_is_off_no_shadow_runs_and_the_primary_is_measured() {
    let off = ShadowRig::new(Act::Echo, Setup { off_share: 1.0, ..setup(limits()) });
    answered(&off, 10).await;
    assert_eq!(off.rest().await, Accounting::default());
    let cost = off.tee().cost();
    assert_eq!((cost.off.requests, cost.on.requests, cost.p99_ratio()), (10, 0, None));
    let on = ShadowRig::new(Act::Echo, setup(limits()));
    answered(&on, 10).await;
    let cost = on.tee().cost();
    assert_eq!((cost.off.requests, cost.on.requests), (0, 10));
    assert!(cost.on.p99 > Duration::ZERO && cost.on.p99 >= cost.on.p50);
    let line = "pointsman_shadow_primary_seconds_count{model=\"m\",version=\"2\",shadows=\"on\"} 10";
    assert!(on.metrics().contains(line), "{}", on.metrics());
}

#[tokio::test]
async fn a_shadow_that_is_dropped_frees_what_it_has_on_its_own_thread() {
    let mut rig = ShadowRig::new(Act::Echo, setup(limits()));
    answered(&rig, 1).await;
    rig.rest().await;
    rig.publisher.publish([].into());
    let stage = rig.stage.clone();
    let freed = || {
        let mut freed = stage.freed_by.lock().unwrap().clone();
        freed.sort();
        freed
    };
    until(|| freed().len() == 2).await;
    assert_eq!(freed(), ["run-3-m", "shadow-3-m"]);
}

#[tokio::test]
async fn what_waits_and_what_hangs_when_a_shadow_is_dropped_ends_with_it() {
    let mut rig = ShadowRig::new(Act::Hang, setup(limits()));
    answered(&rig, 3).await;
    let stage = rig.stage.clone();
    until(|| stage.runs.load(Ordering::SeqCst) == 1).await;
    let shadow = rig.shadow();
    rig.publisher.publish([].into());
    drop(shadow);
    // Long before the deadline of the run.
    let closed = "pointsman_shadow_dropped_total{model=\"m\",version=\"3\",reason=\"closed\"} 3";
    until(|| rig.metrics().contains(closed)).await;
    until(|| rig.metrics().contains("pointsman_shadow_waiting{model=\"m\",version=\"3\"} 0")).await;
    assert_eq!(*rig.notes.ended.lock().unwrap(), [3]);
}

#[tokio::test]
async fn the_series_of_a_shadow_go_with_its_version() {
    let mut rig = ShadowRig::new(Act::Echo, setup(limits()));
    answered(&rig, 2).await;
    rig.rest().await;
    let series = |rig: &ShadowRig| {
        rig.metrics()
            .lines()
            .filter(|line| line.contains("pointsman_shadow") && !line.starts_with('#'))
            .count()
    };
    assert!(series(&rig) > 10);
    rig.publisher.publish([].into());
    let name = super::rig::model();
    let forgotten = |number| rig.predictor.metrics().forget(&name, VersionNumber::new(number).unwrap());
    until(|| forgotten(2) && forgotten(3)).await;
    assert_eq!(series(&rig), 0);
}
