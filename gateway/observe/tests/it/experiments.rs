//! Experiments with known truths: what is told of them, and how often it is wrong.

use std::time::Duration;

use fastrand::Rng;
use pointsman_core::{Code, OutputTensor};
use pointsman_observe::experiment::{
    ArmSetup, Ask, ExperimentReport, Gap, LabelSeen, Mde, OutputMetric, Place, Recorder, Saved, Seen, Setup,
};
use pointsman_stats::Alpha;

use crate::answers::numbers;

fn setup(metrics: &[OutputMetric], covariate: bool) -> Setup {
    let arm = |name: &str, version| ArmSetup { name: name.into(), version };
    Setup {
        model: "flights".into(),
        name: "delay".into(),
        salt: "flights/delay/1".into(),
        units: vec!["header:x-user".into(), "request_id".into()],
        arms: vec![arm("default", 3), arm("next", 2)],
        metrics: metrics.to_vec(),
        covariate: covariate.then(|| "header:x-history".into()),
    }
}

fn late() -> OutputMetric {
    OutputMetric { name: "late".into(), output: "p".into(), place: Place::Index(1) }
}

fn recorder(setup: Setup, weights: [u16; 2]) -> Recorder {
    Recorder::new(setup, &weights, "the experiment began".into(), 1_000).expect("fits")
}

fn ask(alpha: f64, metric: Option<&str>) -> Ask {
    Ask {
        alpha: Alpha::new(alpha).expect("a level"),
        metric: metric.map(Into::into),
        mde: None,
        pace: Some(10.0),
        paused: None,
        now_ms: 61_000,
    }
}

/// A request of a unit, with an outcome.
fn seen<'a>(arm: usize, unit: u64, outputs: Result<&'a [OutputTensor], Code>) -> Seen<'a> {
    Seen {
        arm,
        version: [3, 2][arm],
        weight: 5000,
        unit,
        is_request: false,
        covariate: None,
        outputs,
        total: Duration::from_millis(2),
    }
}

fn found(report: &ExperimentReport) -> bool {
    report.metrics.iter().flat_map(|metric| &metric.effects).any(|effect| effect.differs)
}

/// The share of errors of a new unit.
type Rate = fn(&mut Rng) -> f64;

const LOOKS: [usize; 10] = [100, 200, 400, 700, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000];

/// How many of so many experiments without a difference are told to have one, in some look. `rate` gives the share of
/// errors of a unit.
fn false_alarms(runs: usize, seed: u64, units: usize, weight: u16, alpha: f64, rate: Rate) -> usize {
    let mut random = Rng::with_seed(seed);
    let one = |random: &mut Rng| {
        let units: Vec<_> = (0..units)
            .map(|_| (random.u64(..), usize::from(random.u16(0..10_000) < weight), rate(random)))
            .collect();
        let weights = [10_000 - weight, weight];
        let recorder = recorder(setup(&[], false), weights);
        let mut sent = 0;
        LOOKS.iter().any(|look| {
            while sent < *look {
                let (unit, arm, rate) = units[random.usize(0..units.len())];
                let outcome = if random.f64() < rate { Err(Code::SessionFailed) } else { Ok(&[][..]) };
                recorder.record(&Seen { weight: weights[arm], ..seen(arm, unit, outcome) });
                sent += 1;
            }
            found(&recorder.report(&ask(alpha, Some("errors"))))
        })
    };
    (0..runs).filter(|_| one(&mut random)).count()
}

#[test]
fn without_a_difference_one_is_told_as_seldom_as_alpha_says_however_often_one_looks() {
    const RUNS: usize = 150;
    let alpha = 0.1;
    let most = alpha * RUNS as f64 + 3.0 * (alpha * (1.0 - alpha) * RUNS as f64).sqrt();
    // Units that are alike and come again and again; units of which few cause most errors; and rare errors beside an
    // arm that is small, where its variance is not known yet.
    let cases: [(usize, u16, Rate); 3] = [
        (150, 5000, |_| 0.3),
        (600, 5000, |random| if random.u8(0..20) == 0 { 0.5 } else { 0.01 }),
        (5000, 300, |_| 0.02),
    ];
    for (case, (units, weight, rate)) in cases.into_iter().enumerate() {
        let seed = 40 + case as u64;
        let found = false_alarms(RUNS, seed, units, weight, alpha, rate);
        println!("case {case}, seed {seed}: {found} of {RUNS}, at most {most}");
        assert!(found as f64 <= most, "case {case}: {found} of {RUNS} (seed {seed})");
    }
}

/// Fills arms whose answers have these means, with a covariate of this correlation.
fn filled(recorder: &Recorder, requests: usize, means: [f64; 2], known: f64) {
    let mut random = Rng::with_seed(7);
    let mut normal = move || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
    let mut random = Rng::with_seed(8);
    for _ in 0..requests {
        let arm = usize::from(random.bool());
        let history = normal();
        let value = means[arm] + known * history + (1.0 - known * known).sqrt() * normal();
        let output = [numbers("p", &[1, 2], &[0.0, value])];
        let covariate = (random.u8(0..10) > 0).then_some(history);
        let ended = Seen { covariate, ..seen(arm, random.u64(..), Ok(&output)) };
        recorder.record(&ended);
    }
}

#[test]
fn a_difference_is_told_and_before_that_how_much_is_needed() {
    let recorder = recorder(setup(&[late()], false), [5000, 5000]);
    filled(&recorder, 500, [1.0, 1.2], 0.0);
    let report = recorder.report(&ask(0.05, None));
    assert_eq!(report.verdict, "No difference can be told yet");
    let effect = &report.metrics[0].effects[0];
    let need = effect.needed.expect("some");
    let requests = need.requests.expect("a number");
    assert!(requests > 100.0 && (need.seconds.expect("a pace") - requests / 10.0).abs() < 1e-9, "{need:?}");
    // With a difference that is asked for, that of the report does not matter.
    let asked = |mde| {
        let ask = Ask { mde: Mde::parse(mde), ..ask(0.05, Some("late")) };
        recorder.report(&ask).metrics[0].effects[0].needed.expect("some").requests.expect("a number")
    };
    let base = report.metrics[0].figures[0].value.expect("requests");
    assert!(asked("0.1") > asked("0.2") && (asked("10%") - asked(&(0.1 * base).to_string())).abs() < 1.0);
    assert!(["0", "-1", "nan", "x", "5 %", "%"].iter().all(|odd| Mde::parse(odd).is_none()));
    filled(&recorder, 6_000, [1.0, 1.2], 0.0);
    let report = recorder.report(&ask(0.05, None));
    assert!(
        report.verdict.starts_with("Against the default, arm next is higher in late by 0."),
        "{}",
        report.verdict
    );
    assert!(report.metrics[0].effects[0].plain.expect("known").lower > 0.0);
    assert!(report.metrics[1..].iter().all(|metric| metric.effects.iter().all(|effect| !effect.differs)));
    let page = report.page();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("Difference from the default"));
    let text = report.to_string();
    assert!(text.contains("no sign of a fault") && text.contains("late: the mean of element 1"), "{text}");
    let json = serde_json::to_string(&report).expect("JSON");
    assert_eq!(serde_json::from_str::<ExperimentReport>(&json).expect("a report"), report);
}

#[test]
fn a_covariate_takes_away_what_it_tells() {
    let recorder = recorder(setup(&[late()], true), [5000, 5000]);
    filled(&recorder, 4_000, [1.0, 1.1], 0.9);
    let report = recorder.report(&ask(0.05, None));
    let covariate = report.covariate.as_ref().expect("one");
    assert!(!covariate.differs && covariate.requests + covariate.missing == 4_000, "{covariate:?}");
    assert!((300..500).contains(&covariate.missing));
    let effect = &report.metrics[0].effects[0];
    let (plain, adjusted) = (effect.plain.expect("known"), effect.adjusted.expect("known"));
    // 1 - 0.9²
    assert!((adjusted.variance_kept - 0.19).abs() < 0.04, "{adjusted:?}");
    assert!((adjusted.theta - 0.9).abs() < 0.05, "{adjusted:?}");
    let width = |lower: f64, upper: f64| upper - lower;
    let narrow = width(adjusted.estimate.lower, adjusted.estimate.upper);
    assert!(narrow < 0.6 * width(plain.lower, plain.upper), "{effect:?}");
    assert!(effect.differs && plain.lower < 0.0, "{effect:?}");
    // One that the arm has a part in is not used.
    let spoilt = self::recorder(setup(&[late()], true), [5000, 5000]);
    for unit in 0..2_000_u64 {
        let arm = (unit % 2) as usize;
        let covariate = Some((unit % 7) as f64 + 5.0 * arm as f64);
        let value = [numbers("p", &[1, 2], &[0.0, (unit % 5) as f64])];
        spoilt.record(&Seen { covariate, ..seen(arm, unit.wrapping_mul(0x9E37_79B9_7F4A_7C15), Ok(&value)) });
    }
    let report = spoilt.report(&ask(0.05, None));
    assert!(report.covariate.as_ref().is_some_and(|covariate| covariate.differs));
    assert!(
        report.metrics[0].effects[0].adjusted.is_none()
            && report.to_string().contains("differs between arms")
    );
}

#[test]
fn a_broken_split_shows_no_winner() {
    let recorder = recorder(setup(&[late()], false), [5000, 5000]);
    let mut random = Rng::with_seed(9);
    for _ in 0..3_000 {
        let arm = usize::from(random.u8(0..5) < 2);
        let value = [numbers("p", &[1, 2], &[0.0, arm as f64 * 5.0 + random.f64()])];
        recorder.record(&seen(arm, random.u64(..), Ok(&value)));
    }
    let report = recorder.report(&ask(0.05, None));
    assert!(report.split.is_mismatch && report.split.p < 0.001);
    assert!(
        report.verdict.starts_with("The arms do not get the units that they should"),
        "{}",
        report.verdict
    );
    let text = report.to_string();
    assert!(!text.contains("arm next is") && !text.contains("(from"), "{text}");
}

#[test]
fn other_weights_begin_sums_anew_and_the_check_goes_on() {
    let recorder = recorder(setup(&[], false), [9900, 100]);
    let mut random = Rng::with_seed(10);
    let mut send = |share: u16, count: usize| {
        for _ in 0..count {
            let arm = usize::from(random.u16(0..10_000) < share);
            let weight = [10_000 - share, share][arm];
            recorder.record(&Seen { weight, ..seen(arm, random.u64(..), Ok(&[])) });
        }
    };
    send(100, 2_000);
    recorder.weigh(&[9900, 100], 2_000);
    assert_eq!(recorder.requests(), 2_000, "weights that stay change nothing");
    recorder.weigh(&[5000, 5000], 3_000);
    send(5000, 1_000);
    send(100, 3);
    let report = recorder.report(&ask(0.05, None));
    assert_eq!((recorder.requests(), report.left_out, report.since_ms), (1_000, 2_003, 3_000));
    assert!(report.why.contains("99% : 1%, and are 50% : 50%"), "{}", report.why);
    assert!(!report.split.is_mismatch && report.split.strata.len() == 2, "{:?}", report.split);
    assert_eq!(report.arms.iter().map(|arm| arm.units).sum::<u64>(), 3_003);
    // What reached another version, or failed by its caller, is in no sum.
    recorder.record(&Seen { version: 9, ..seen(0, 1, Ok(&[])) });
    recorder.record(&seen(0, 1, Err(Code::BadRequest)));
    let report = recorder.report(&ask(0.05, None));
    assert_eq!((recorder.requests(), report.other_version, report.by_caller), (1_000, 1, 1));
}

#[test]
fn what_is_kept_goes_on_and_what_is_lost_is_told() {
    let recorder = recorder(setup(&[late()], true), [5000, 5000]);
    let empty = Saved::read(&recorder.save(5_000, true)).expect("a document");
    assert!(Recorder::restore(empty, 6_000).is_ok());
    filled(&recorder, 800, [1.0, 1.2], 0.5);
    let restored = |is_last| {
        let saved = Saved::read(&recorder.save(5_000, is_last)).expect("a document");
        assert_eq!(saved.setup(), recorder.setup());
        Recorder::restore(saved, 9_000).expect("sums")
    };
    let (before, after) = (recorder.report(&ask(0.05, None)), restored(true).report(&ask(0.05, None)));
    assert_eq!(before, after);
    let killed = restored(false).report(&ask(0.05, None));
    assert_eq!(killed.gaps, [Gap { from_ms: 5_000, to_ms: 9_000 }]);
    assert!(killed.to_string().contains("what came from 1970-01-01T00:00:05Z"), "{killed}");
    // A unit that was known is no new one.
    let again = restored(true);
    filled(&again, 800, [1.0, 1.2], 0.5);
    let units = |report: &ExperimentReport| report.arms.iter().map(|arm| arm.units).sum::<u64>();
    assert_eq!(units(&again.report(&ask(0.05, None))), units(&before));
    let text = recorder.save(5_000, true);
    for (from, to) in [
        ("\"rows\":\"", "\"rows\":\"AAAA"),
        ("],\"saved_ms\"", ",\"!\"],\"saved_ms\""),
        ("\"salt\"", "\"s\""),
    ] {
        let broken = text.replacen(from, to, 1);
        assert!(Saved::read(&broken).and_then(|saved| Recorder::restore(saved, 1)).is_err(), "{from}");
    }
}

#[test]
fn there_are_bounds_and_none_is_passed() {
    let mut wide = setup(&vec![late(); 9], false);
    assert!(Recorder::new(wide.clone(), &[5000, 5000], String::new(), 0).is_none());
    wide.metrics.pop();
    assert!(Recorder::new(wide.clone(), &[5000, 5000], String::new(), 0).is_some());
    assert!(Recorder::new(wide, &[5000], String::new(), 0).is_none());
    let mut many = setup(&[], false);
    many.arms = vec![many.arms[0].clone(); 18];
    assert!(Recorder::new(many, &[1; 18], String::new(), 0).is_none());
    // Of one part of the buckets no more units are known than may be, and that is said.
    let recorder = recorder(setup(&[], false), [5000, 5000]);
    let most = (1 << 18) / 64;
    for unit in 0..most + 50 {
        recorder.record(&seen((unit % 2) as usize, unit, Ok(&[])));
    }
    let report = recorder.report(&ask(0.05, None));
    assert!(report.split.is_full && report.to_string().contains("it covers the first units"));
    assert_eq!(report.arms.iter().map(|arm| arm.units).sum::<u64>(), most);
    assert_eq!(recorder.requests(), most + 50);
}

#[test]
fn a_request_of_a_known_unit_allocates_nothing() {
    let recorder = recorder(setup(&[late()], true), [5000, 5000]);
    let output = [numbers("p", &[1, 2], &[0.0, 1.5])];
    let ended = Seen { covariate: Some(1.0), ..seen(1, 77, Ok(&output)) };
    recorder.record(&ended);
    let counted = allocation_counter::measure(|| (0..100).for_each(|_| recorder.record(&ended)));
    assert_eq!(counted.count_total, 0);
}

fn by_label(name: &str, place: Place) -> OutputMetric {
    OutputMetric { name: name.into(), output: String::new(), place }
}

#[test]
fn labels_count_where_their_request_was_and_their_difference_is_told() {
    let metrics = [by_label("mistakes", Place::Wrong), by_label("off", Place::Off)];
    let recorder = recorder(setup(&metrics, false), [5000, 5000]);
    let mut random = Rng::with_seed(5);
    let label = |arm: usize, unit, wrong, off| LabelSeen {
        arm,
        version: [3, 2][arm],
        weight: 5000,
        unit,
        wrong,
        off,
    };
    for _ in 0..3000 {
        let (arm, unit) = (usize::from(random.bool()), random.u64(..));
        recorder.record(&seen(arm, unit, Ok(&[])));
        let wrong = random.f64() < [0.1, 0.3][arm];
        assert!(recorder.labelled(&label(arm, unit, Some(wrong), None)));
        assert!(recorder.labelled(&label(arm, unit, None, Some(if wrong { -2.0 } else { 1.0 }))));
    }
    // Of another version, of other weights, of no arm, or of nothing that is measured.
    for other in [
        LabelSeen { version: 9, ..label(1, 7, Some(true), None) },
        LabelSeen { weight: 100, ..label(1, 7, Some(true), None) },
        LabelSeen { arm: 5, version: 2, ..label(1, 7, Some(true), None) },
        label(1, 7, None, Some(f64::INFINITY)),
        label(1, 7, None, None),
    ] {
        assert!(!recorder.labelled(&other), "{other:?}");
    }
    let report = recorder.report(&ask(0.05, None));
    let metric = |name: &str| report.metrics.iter().find(|metric| metric.name == name).expect(name);
    let mistakes = metric("mistakes");
    let counts: u64 = mistakes.figures.iter().map(|figure| figure.count).sum();
    let values: Vec<f64> = mistakes.figures.iter().filter_map(|figure| figure.value).collect();
    assert_eq!(counts, 3000);
    assert!((values[0] - 0.1).abs() < 0.03 && (values[1] - 0.3).abs() < 0.04, "{values:?}");
    assert!(mistakes.effects[0].differs && mistakes.less_is_better == Some(true), "{mistakes:?}");
    // Off by 2 where it is wrong, else by 1.
    let off: Vec<f64> = metric("off").figures.iter().filter_map(|figure| figure.value).collect();
    assert!(off.iter().zip(&values).all(|(off, wrong)| (off - 1.0 - wrong).abs() < 1e-9), "{off:?}");
}

#[test]
fn labels_that_come_when_no_request_does_any_more_tell_no_difference_that_is_none() {
    const RUNS: usize = 150;
    let alpha = 0.1;
    let most = alpha * RUNS as f64 + 3.0 * (alpha * (1.0 - alpha) * RUNS as f64).sqrt();
    let mut random = Rng::with_seed(60);
    let one = |random: &mut Rng| {
        let recorder = recorder(setup(&[by_label("mistakes", Place::Wrong)], false), [5000, 5000]);
        let units: Vec<(u64, usize)> =
            (0..3000).map(|_| (random.u64(..), usize::from(random.bool()))).collect();
        units.iter().for_each(|(unit, arm)| recorder.record(&seen(*arm, *unit, Ok(&[]))));
        units.chunks(150).any(|some| {
            for (unit, arm) in some {
                let (version, wrong) = ([3, 2][*arm], Some(random.f64() < 0.3));
                recorder.labelled(&LabelSeen {
                    arm: *arm,
                    version,
                    weight: 5000,
                    unit: *unit,
                    wrong,
                    off: None,
                });
            }
            found(&recorder.report(&ask(alpha, Some("mistakes"))))
        })
    };
    let found = (0..RUNS).filter(|_| one(&mut random)).count();
    assert!(found as f64 <= most, "{found} of {RUNS}, at most {most}");
}
