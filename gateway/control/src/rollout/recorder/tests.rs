//! Requests as they end, and what they come to in looks.

use std::time::Duration;

use pointsman_core::{Datatype, Dim, ModelName, Shape, Tensor, TensorSpec, VersionNumber};
use pointsman_route::Assignment;

use super::super::{Counted, Flags};
use super::*;

const CANARY: [&str; 2] = ["10%", "50%"];

struct Rig(Recorder, Arc<AtomicU64>);

/// A request and how it ended.
#[derive(Clone, Copy)]
struct Asked<'a> {
    unit: Option<u64>,
    candidate: bool,
    share: &'a str,
    outputs: Result<&'a [OutputTensor], Code>,
    micros: u64,
}

impl Rig {
    fn new(units: &[u8]) -> Self {
        let flags = Flags { shadow: Some("1m".into()), canary: Some("10,50".into()), ..Flags::default() };
        let version = VersionNumber::new(3).expect("a version");
        let spec = flags.spec(&ModelName::new("iris").expect("a name"), version).expect("a spec");
        let (unit, salt) = ("header:u".into(), Standing::salt("iris", 7));
        let frozen = Frozen {
            counted: Counted::Units,
            unit,
            salt,
            slow_us: [100, 200, 300],
            classes: 2,
            newest: version,
            contents: [None, None],
        };
        let shape = Some(vec![Dim::Dynamic(None), Dim::Fixed(2)]);
        let (datatype, optional, labels) = (Datatype::Fp32, false, None);
        let output = TensorSpec { name: "y".into(), datatype, shape, optional, labels };
        let signature = Signature { inputs: Vec::new(), outputs: vec![output] };
        let alarms = Arc::new(AtomicU64::new(0));
        let counted = alarms.clone();
        let alarm = Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let recorder = Recorder::new(7, &spec, &frozen, Arc::new(signature), units, alarm);
        Self(recorder, alarms)
    }

    fn ended(&self, asked: Asked<'_>) {
        self.ended_of("rollout-7", asked);
    }

    fn ended_of(&self, experiment: &str, asked: Asked<'_>) {
        let share = Share::parse(asked.share).expect("a share");
        let assignment = Assignment {
            experiment: experiment.into(),
            unit_kind: if asked.unit.is_some() { UnitKind::Header } else { UnitKind::RequestId },
            weight: if asked.candidate { share } else { share.rest() },
            unit: asked.unit.unwrap_or_default(),
            covariate: None,
        };
        let arm = if asked.candidate { Drawn::Named(Standing::ARM.into()) } else { Drawn::Default };
        self.0.ended(&Ended {
            assignment: &assignment,
            arm: &arm,
            version: VersionNumber::new(if asked.candidate { 3 } else { 2 }).expect("a version"),
            outputs: asked.outputs,
            total: Duration::from_micros(asked.micros),
        });
    }

    /// The only look there is.
    fn look(&self) -> Look {
        let mut seen = self.0.take();
        assert_eq!(seen.looks.len(), 1, "{seen:?}");
        seen.looks.remove(0)
    }
}

fn answer(values: [f32; 2]) -> Vec<OutputTensor> {
    let tensor = Tensor::from_vec(Datatype::Fp32, Shape::new(&[1, 2]).expect("small"), values.to_vec());
    vec![OutputTensor { name: "y".into(), tensor: tensor.expect("fits"), labels: None }]
}

fn asked(unit: Option<u64>, candidate: bool, outputs: Result<&[OutputTensor], Code>) -> Asked<'_> {
    Asked { unit, candidate, share: CANARY[0], outputs, micros: 50 }
}

fn hits(requests: u64, units: u64, own_units: u64) -> Hits {
    Hits { requests, units, own_units }
}

#[test]
fn a_request_counts_where_its_weight_assigned_it_and_once() {
    let (rig, good) = (Rig::new(&[]), answer([0.2, 0.8]));
    rig.ended(asked(Some(1), true, Ok(&good)));
    rig.ended(Asked { share: CANARY[1], ..asked(Some(2), false, Ok(&good)) });
    rig.ended(Asked { share: "7%", ..asked(Some(3), true, Ok(&good)) });
    rig.ended_of("another", asked(Some(4), true, Ok(&good)));
    let seen = rig.0.take();
    let stages: Vec<usize> = seen.looks.iter().map(|look| look.stage).collect();
    assert_eq!(stages, [1, 2], "the shadow is stage 0");
    assert_eq!(seen.looks[0].counts.canary.seen, hits(1, 1, 1));
    assert_eq!(seen.looks[0].counts.canary.classes, [hits(0, 0, 0), hits(1, 1, 1)]);
    assert_eq!(seen.looks[1].counts.primary.seen, hits(1, 1, 1));
    assert!(rig.0.take().looks.is_empty());
}

#[test]
fn a_unit_counts_once_by_whether_it_ever_erred() {
    let (rig, good) = (Rig::new(&[]), answer([0.2, 0.8]));
    for _ in 0..3 {
        rig.ended(asked(Some(1), true, Err(Code::SessionFailed)));
        rig.ended(asked(Some(1), true, Ok(&good)));
    }
    let look = rig.look();
    let canary = &look.counts.canary;
    assert_eq!((canary.seen, canary.errors), (hits(6, 1, 1), hits(3, 1, 1)));
    assert_eq!(canary.slow, [hits(3, 1, 1); SLOW], "what never came is over every threshold");
    assert_eq!((look.counts.assigned.canary, look.hard.errors_in_a_row), (1, 1));
    rig.ended(asked(Some(1), true, Err(Code::SessionFailed)));
    let look = rig.look();
    assert_eq!(look.counts.canary.errors, hits(1, 0, 0), "it is no news");
    assert_eq!(look.counts.assigned.canary, 0);
}

#[test]
fn a_unit_that_erred_before_it_came_to_the_candidate_says_something_of_it_alone() {
    let rig = Rig::new(&[]);
    rig.ended(asked(Some(1), false, Err(Code::SessionFailed)));
    assert_eq!(rig.look().counts.primary.errors, hits(1, 1, 1));
    rig.ended(Asked { share: CANARY[1], ..asked(Some(1), true, Err(Code::SessionFailed)) });
    let look = rig.look();
    assert_eq!((look.counts.canary.errors, look.counts.canary.seen), (hits(1, 0, 1), hits(1, 0, 1)));
    assert_eq!(look.counts.assigned.canary, 1, "once in each stage");
}

#[test]
fn requests_without_a_unit_are_units_of_their_own() {
    let rig = Rig::new(&[]);
    for _ in 0..4 {
        rig.ended(asked(None, false, Err(Code::QueueFull)));
    }
    let look = rig.look();
    assert_eq!((look.counts.primary.errors, look.counts.assigned.primary), (hits(4, 4, 4), 4));
    assert_eq!(look.hard.errors_in_a_row, 0, "of the candidate alone");
}

#[test]
fn what_is_the_callers_doing_is_assigned_and_not_seen() {
    let rig = Rig::new(&[]);
    let counted = |code| {
        rig.ended(Asked { micros: 250, ..asked(None, true, Err(code)) });
        let Arm { seen, errors, slow, .. } = rig.look().counts.canary;
        (seen.requests, errors.requests, slow.map(|hits| hits.requests))
    };
    for code in Code::ALL {
        let expected = match code {
            Code::InputRejected
            | Code::NotRepresentable
            | Code::NotReady
            | Code::QueueFull
            | Code::DeadlineExceeded
            | Code::SessionFailed => (1, 1, [1, 1, 1]),
            // Who went away after a while may have done so for that.
            Code::Cancelled => (1, 0, [1, 1, 0]),
            _ => (0, 0, [0, 0, 0]),
        };
        assert_eq!(counted(code), expected, "{code:?}");
    }
}

#[test]
fn outputs_that_are_not_what_they_should_be_are_invalid() {
    let rig = Rig::new(&[]);
    let mut other = answer([0.5, 0.5]);
    other[0].name = "z".into();
    let shape = Shape::new(&[1]).expect("small");
    let whole = Tensor::from_vec(Datatype::Int64, shape, vec![1_i64]).expect("fits");
    let whole = vec![OutputTensor { name: "y".into(), tensor: whole, labels: None }];
    for bad in [answer([f32::NAN, 0.0]), answer([f32::INFINITY, 0.0]), other, whole] {
        rig.ended(asked(None, true, Ok(&bad)));
        let look = rig.look();
        assert_eq!((look.counts.canary.invalid, look.hard.invalid), (hits(1, 1, 1), 1), "{bad:?}");
        rig.ended(asked(None, false, Ok(&bad)));
        assert_eq!(rig.look().hard.primary_invalid, 1);
    }
    rig.ended(asked(None, true, Ok(&answer([0.5, 0.5]))));
    assert_eq!(rig.look().hard, Hard::default());
}

#[test]
fn a_row_of_errors_goes_on_over_looks() {
    let (rig, good) = (Rig::new(&[]), answer([0.2, 0.8]));
    let fail = |times| (0..times).for_each(|_| rig.ended(asked(None, true, Err(Code::SessionFailed))));
    fail(4);
    assert_eq!(rig.look().hard.errors_in_a_row, 4);
    fail(3);
    assert_eq!(rig.look().hard.errors_in_a_row, 7);
    rig.ended(asked(None, true, Ok(&good)));
    fail(2);
    // The row of before was still the longest since the last look.
    assert_eq!(rig.look().hard.errors_in_a_row, 7);
    rig.ended(asked(None, true, Ok(&good)));
    assert_eq!(rig.look().hard.errors_in_a_row, 2);
    rig.ended(asked(None, true, Ok(&good)));
    assert_eq!(rig.look().hard.errors_in_a_row, 0);
    // What a caller could bring about is an error, and neither part of a row nor its end.
    fail(2);
    for code in [Code::QueueFull, Code::DeadlineExceeded, Code::Cancelled] {
        rig.ended(asked(None, true, Err(code)));
    }
    fail(1);
    let look = rig.look();
    assert_eq!((look.hard.errors_in_a_row, look.counts.canary.errors.requests), (3, 5));
}

#[test]
fn units_are_known_again_after_a_restart() {
    let rig = Rig::new(&[]);
    for unit in [1, u64::MAX, 1 << 61] {
        rig.ended(asked(Some(unit), true, Err(Code::SessionFailed)));
    }
    let units = rig.0.take().units;
    let again = Rig::new(&units);
    for unit in [1, u64::MAX, 1 << 61, 9] {
        again.ended(asked(Some(unit), true, Err(Code::SessionFailed)));
    }
    let look = again.look();
    assert_eq!((look.counts.canary.errors, look.counts.assigned.canary), (hits(4, 1, 1), 1));
}

#[test]
fn what_may_not_wait_gives_an_alarm_until_somebody_looks() {
    let (rig, good, bad) = (Rig::new(&[]), answer([0.2, 0.8]), answer([f32::NAN, 0.0]));
    let alarms = || rig.1.load(Ordering::Relaxed);
    let limits = Limits { panics: 1, errors_in_a_row: 10, invalid: 1 };
    (0..9).for_each(|_| rig.ended(asked(None, true, Err(Code::NotReady))));
    assert_eq!((alarms(), rig.0.is_past(&limits, false)), (0, false));
    rig.ended(asked(None, true, Err(Code::NotReady)));
    rig.ended(asked(None, true, Err(Code::NotReady)));
    assert_eq!((alarms(), rig.0.is_past(&limits, false)), (1, true));
    rig.ended(asked(None, true, Ok(&good)));
    rig.0.take();
    rig.0.take();
    assert!(!rig.0.is_past(&limits, false));
    rig.ended(asked(None, true, Ok(&bad)));
    assert_eq!((alarms(), rig.0.is_past(&limits, false)), (2, true));
    // Where the version that serves gives such outputs as well, how often is what counts.
    assert!(!rig.0.is_past(&limits, true));
    rig.ended(asked(None, false, Ok(&bad)));
    assert!(!rig.0.is_past(&limits, false));
    // A failed session may have panicked: the control path looks.
    rig.ended(asked(None, true, Err(Code::SessionFailed)));
    assert_eq!((alarms(), rig.0.is_past(&limits, false)), (3, false));
}

fn label(unit: u64, is_candidate: bool, weight: &str) -> LabelledRequest<'static> {
    let share = Share::parse(weight).expect("a share");
    let weight = if is_candidate { share } else { share.rest() };
    LabelledRequest {
        experiment: "rollout-7",
        unit,
        is_request: false,
        weight,
        is_candidate,
        wrong: true,
        score: None,
        off: None,
    }
}

#[test]
fn labels_count_at_the_stage_that_assigned_their_requests_and_once_for_a_unit() {
    let rig = Rig::new(&[]);
    assert!(rig.0.labelled(&label(1, true, "10%")) && rig.0.labelled(&label(1, true, "10%")));
    assert!(rig.0.labelled(&LabelledRequest { wrong: false, ..label(2, false, "50%") }));
    assert!(!rig.0.labelled(&LabelledRequest { experiment: "rollout-6", ..label(3, true, "10%") }));
    assert!(!rig.0.labelled(&label(3, true, "25%")), "no stage has this weight");
    let looks = rig.0.take().looks;
    assert_eq!(looks.iter().map(|look| look.stage).collect::<Vec<_>>(), [1, 2]);
    let first = &looks[0].counts.canary;
    assert_eq!((first.labelled.requests, first.labelled.units, first.wrong.units), (2, 1, 1));
    let second = &looks[1].counts.primary;
    assert_eq!((second.labelled.requests, second.wrong.requests, second.wrong.own_units), (1, 0, 0));
    assert_eq!(looks[1].counts.assigned, super::super::Assigned::default());
}

#[test]
fn scores_in_the_wrong_order_count_once_for_a_unit() {
    let rig = Rig::new(&[]);
    let scored = |unit, score, happened| LabelledRequest {
        score: Some((score, happened)),
        ..label(unit, true, "10%")
    };
    for (unit, score, happened) in
        [(1, 0.2, true), (2, 0.7, false), (2, 0.1, true), (3, 0.1, false), (4, 0.9, true)]
    {
        assert!(rig.0.labelled(&scored(unit, score, happened)));
    }
    // Of both arms each for itself.
    rig.0.labelled(&LabelledRequest { score: Some((0.95, false)), ..label(5, false, "10%") });
    let counts = rig.look().counts;
    assert_eq!((counts.canary.misranked.units, counts.canary.misranked.requests), (1, 1));
    assert_eq!(counts.primary.misranked, Hits::default());
}

/// How often labels alone lead to the conclusion that the candidate is worse, where its numbers are off by `scale` times as
/// much as those of the primary, and in a share of `rare` by a hundred times as much.
fn found_off(weight: &str, scale: f64, rare: f64, runs: usize, labels: usize) -> usize {
    let flags =
        Flags { canary: Some(weight.into()), guard: vec!["labels:margin=1".into()], ..Flags::default() };
    let version = VersionNumber::new(3).expect("a version");
    let mut spec = flags.spec(&ModelName::new("iris").expect("a name"), version).expect("a spec");
    spec.warm_up = super::super::WarmUp { time: Duration::ZERO, count: 0 };
    let (unit, salt) = ("request_id".into(), Standing::salt("iris", 7));
    let (counted, slow_us, classes) = (Counted::Requests, [1, 2, 3], 0);
    let frozen = Frozen { counted, unit, salt, slow_us, classes, newest: version, contents: [None, None] };
    let share: f64 = weight.parse().expect("a percentage");
    let mut random = fastrand::Rng::with_seed(23);
    let one = |_: usize| {
        let recorder = Recorder::new(7, &spec, &frozen, Arc::new(Signature::default()), &[], Box::new(|| ()));
        let mut evidence = super::super::Evidence::new(&spec);
        for look in 0..20 {
            for _ in 0..labels / 20 {
                let is_candidate = random.f64() < share / 100.0;
                let normal: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
                let times = match is_candidate {
                    true if random.f64() < rare => 100.0,
                    true => scale,
                    false => 1.0,
                };
                let off = Some(normal * times);
                let label = label(random.u64(..), is_candidate, &format!("{weight}%"));
                recorder.labelled(&LabelledRequest { is_request: true, wrong: false, off, ..label });
            }
            evidence.push(&spec, &frozen, &recorder.take().looks, super::super::Moment(look));
        }
        evidence.harm.tests(super::super::Question::Labels).iter().any(|test| test.rejects())
    };
    (0..runs).map(one).filter(|is_found| *is_found).count()
}

#[test]
fn numbers_that_are_farther_off_are_found_and_those_that_are_not_are_let_be() {
    for (weight, scale, rare, labels) in
        [("50", 1.5, 0.0, 4000), ("5", 2.0, 0.0, 10_000), ("50", 1.0, 0.1, 4000)]
    {
        let found = found_off(weight, scale, rare, 20, labels);
        assert!(found >= 18, "{weight} %, {scale} times, {rare}: {found} of 20");
    }
    // At a level of 0.05, 200 runs have 10, and 20 with a probability of 0.002.
    for (weight, scale) in [("50", 1.0), ("5", 1.0), ("50", 0.8)] {
        let found = found_off(weight, scale, 0.0, 200, 1000);
        assert!(found <= 20, "{weight} %, {scale} times: {found} of 200");
    }
}

/// How often labels alone lead to the conclusion that the candidate is worse, where happening has this rate, its scores
/// are right in order with such a probability and those of the primary with 0.7.
fn found(rate: f64, weight: &str, skill: f64, runs: usize, labels: usize) -> usize {
    let flags = Flags { canary: Some(weight.into()), guard: vec!["labels".into()], ..Flags::default() };
    let version = VersionNumber::new(3).expect("a version");
    let mut spec = flags.spec(&ModelName::new("iris").expect("a name"), version).expect("a spec");
    // Of requests nothing is told here, and they are what a version is warm by.
    spec.warm_up = super::super::WarmUp { time: Duration::ZERO, count: 0 };
    let mut random = fastrand::Rng::with_seed(17);
    let (unit, salt) = ("request_id".into(), Standing::salt("iris", 7));
    let (counted, slow_us, classes) = (Counted::Requests, [1, 2, 3], 2);
    let frozen = Frozen { counted, unit, salt, slow_us, classes, newest: version, contents: [None, None] };
    let share: f64 = weight.parse().expect("a percentage");
    let one = |_: usize| {
        let signature = Arc::new(Signature::default());
        let recorder = Recorder::new(7, &spec, &frozen, signature, &[], Box::new(|| ()));
        let mut evidence = super::super::Evidence::new(&spec);
        for look in 0..20 {
            for _ in 0..labels / 20 {
                let is_candidate = random.f64() < share / 100.0;
                let skill = if is_candidate { skill } else { 0.7 };
                let happened = random.f64() < rate;
                // In order with a probability of `skill`: normal scores so far apart.
                let normal: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
                let apart = 2.0_f64.sqrt() * pointsman_stats::normal_quantile(skill);
                let score = normal + if happened { apart } else { 0.0 };
                recorder.labelled(&LabelledRequest {
                    is_request: true,
                    wrong: happened,
                    score: Some((score, happened)),
                    ..label(random.u64(..), is_candidate, &format!("{weight}%"))
                });
            }
            let now = super::super::Moment(look);
            evidence.push(&spec, &frozen, &recorder.take().looks, now);
        }
        evidence.harm.tests(super::super::Question::Labels).iter().any(|test| test.rejects())
    };
    (0..runs).map(one).filter(|found| *found).count()
}

#[test]
fn by_labels_alone_a_version_that_ranks_by_chance_is_found_and_one_that_ranks_alike_is_not() {
    for (rate, weight) in [(0.5, "10"), (0.24, "10"), (0.24, "50"), (0.05, "25")] {
        let alike = found(rate, weight, 0.7, 40, 4000);
        assert!(alike <= 3, "{alike} of 40 at {weight} % and a rate of {rate}");
    }
    let (chance, reversed) = (found(0.24, "10", 0.5, 20, 20_000), found(0.24, "10", 0.4, 20, 10_000));
    assert!(chance >= 15 && reversed >= 15, "{chance} and {reversed} of 20");
}
