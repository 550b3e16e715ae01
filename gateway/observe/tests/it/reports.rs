//! Known answers, bounds, and how a report reads.

use pointsman_core::{Code, Datatype, LoadTenth, OutputTensor, ShadowDrop, Shape, Tensor};
use pointsman_observe::{CostReport, Kind, Report, RequestsReport, RunReport, Settings, Totals};
use pointsman_stats::Alpha;

use crate::answers::{Exchange, comparison, numbers};

fn alpha() -> Alpha {
    Alpha::new(0.05).expect("a level")
}

fn report(exchanges: &[Exchange], settings: Settings) -> Report {
    let mut found = comparison(settings);
    exchanges.iter().for_each(|exchange| exchange.push(&mut found));
    found.report(alpha())
}

fn close(found: Option<f64>, known: f64) -> bool {
    found.is_some_and(|found| (found - known).abs() < 1e-6)
}

#[test]
fn known_answers_of_scores() {
    let (a, b) = ([0.7, 0.2, 0.1], [0.6, 0.25, 0.15]);
    let exchange = Exchange::new(vec![numbers("y", &[1, 3], &a)], vec![numbers("y", &[1, 3], &b)]);
    let report = report(&[exchange], Settings::default());
    let output = &report.against.outputs[0];
    let found = output.numbers.as_ref().expect("numbers");
    assert!(close(Some(found.max_abs), 0.1) && close(Some(found.max_rel), 0.5));
    assert!(close(found.cosine, 0.989_383_9) && close(found.rmse, 0.070_710_7));
    let classes = output.classes.as_ref().expect("classes");
    assert!(close(classes.kl, 0.022_730_3), "{:?}", classes.kl);
    assert_eq!((output.agreed, classes.flips, found.all_close), (1, Some((0, 0)), Some(0.0)));
}

#[test]
fn known_answers_of_ranks() {
    let (a, b) = ([0.7, 0.2, 0.1, 0.05], [0.6, 0.1, 0.25, 0.05]);
    let exchange = Exchange::new(vec![numbers("y", &[4], &a)], vec![numbers("y", &[4], &b)]);
    let report = report(&[exchange], Settings::default());
    let found = report.against.outputs[0].numbers.as_ref().expect("numbers");
    assert!(close(found.ranks.spearman, 0.8) && close(found.ranks.kendall, 0.666_666_7));
    assert_eq!(report.against.outputs[0].agreed, 0);
}

#[test]
fn the_bias_is_the_shadows() {
    let exchange = |a, b| Exchange::new(vec![numbers("y", &[1], &[a])], vec![numbers("y", &[1], &[b])]);
    let report = report(&[exchange(0.0, 1.0), exchange(0.0, 2.0), exchange(0.0, 3.0)], Settings::default());
    let found = report.against.outputs[0].numbers.as_ref().expect("numbers");
    let (bias, low, high) = found.bias.expect("pairs");
    assert!(close(Some(bias), 2.0) && close(Some(low), 2.0 - 1.96) && close(Some(high), 2.0 + 1.96));
}

#[test]
fn classes_are_no_numbers() {
    let label = |class: i64| {
        let shape = Shape::new(&[1]).expect("small");
        let tensor = Tensor::from_vec(Datatype::Int64, shape, vec![class]).expect("fits");
        vec![OutputTensor { name: "label".into(), tensor, labels: None }]
    };
    let report =
        report(&[Exchange::new(label(1), label(2)), Exchange::new(label(1), label(1))], Settings::default());
    let output = &report.against.outputs[0];
    assert!(
        output.numbers.is_none()
            && output.classes.as_ref().is_some_and(|classes| classes.agreement.hits == 1)
    );
    let equal = [Exchange::new(label(1), label(1))];
    let mut found = comparison(Settings::default());
    equal.iter().for_each(|exchange| exchange.push(&mut found));
    assert!(found.report(alpha()).verdict().contains("is equal to"));
}

#[test]
fn agreement_has_a_confidence_sequence() {
    let exchange = |b| Exchange::new(vec![numbers("y", &[1], &[1.0])], vec![numbers("y", &[1], &[b])]);
    let exchanges: Vec<Exchange> = (0..1000).map(|n| exchange(if n < 30 { 2.0 } else { 1.0 })).collect();
    let agreement = report(&exchanges, Settings::default()).against.agreement;
    assert_eq!((agreement.hits, agreement.tries), (970, 1000));
    // That of 30 in 1000, turned around.
    assert!(
        close(Some(agreement.lower), 1.0 - 0.049_007_0) && close(Some(agreement.upper), 1.0 - 0.016_110_7)
    );
}

#[test]
fn a_shadow_that_fails_gives_nan_or_is_noisier_is_said_to() {
    let good = || vec![numbers("y", &[1], &[1.0])];
    let bad = |value| vec![numbers("y", &[1], &[value])];
    let mut failing = vec![Exchange::new(good(), good()); 10];
    failing.extend(std::iter::repeat_n(
        Exchange { shadow: Err(Code::SessionFailed), ..Exchange::new(good(), good()) },
        40,
    ));
    let found = report(&failing, Settings::default());
    assert!(found.against.errors.is_worse && found.verdict() == "Version 2 fails more often");
    assert_eq!(
        (found.against.shadow_failures[0].code.as_str(), found.against.shadow_failures[0].count),
        ("SESSION_FAILED", 40)
    );
    // Also where it has not given a single answer.
    let found = report(&failing[10..], Settings::default());
    assert_eq!(found.verdict(), "Version 2 fails more often");
    assert_eq!(report(&[], Settings::default()).verdict(), "No answer of version 2 has been compared yet");
    let found = report(&vec![Exchange::new(good(), bad(f64::NAN)); 40], Settings::default());
    assert!(found.against.invalid.is_worse && !found.against.errors.is_worse);
    // As noisy as the primary is with itself: that is no excess.
    let noisy =
        |shadow: f64, floor: f64| Exchange { floor: Some(bad(floor)), ..Exchange::new(good(), bad(shadow)) };
    let equal: Vec<Exchange> =
        (0..100).map(|n| if n % 2 == 0 { noisy(2.0, 1.0) } else { noisy(1.0, 2.0) }).collect();
    let excess = report(&equal, Settings::default()).excess.expect("a floor");
    assert!(!excess.is_worse && excess.rate == 0.0 && excess.lower < 0.0 && excess.upper > 0.0);
    let worse = report(&vec![noisy(2.0, 1.0); 40], Settings::default());
    assert!(worse.excess.is_some_and(|excess| excess.is_worse && excess.lower > 0.0));
    assert_eq!(worse.verdict(), "Version 2 disagrees more often than the primary with itself");
}

#[test]
fn totals_only_grow_and_add_up() {
    let value = |value| vec![numbers("y", &[1], &[value])];
    let (good, nan) = (|| value(1.0), || value(f64::NAN));
    let failed = |primary: bool, shadow: bool| {
        let mut exchange = Exchange::new(good(), good());
        exchange.primary = if primary { Err(Code::InputRejected) } else { exchange.primary };
        exchange.shadow = if shadow { Err(Code::SessionFailed) } else { exchange.shadow };
        exchange
    };
    let floor = |shadow: f64, floor: f64| Exchange {
        floor: Some(value(floor)),
        ..Exchange::new(good(), value(shadow))
    };
    let exchanges = [
        Exchange::new(good(), good()),
        Exchange::new(good(), nan()),
        Exchange::new(nan(), nan()),
        Exchange::new(nan(), good()),
        failed(false, true),
        failed(true, false),
        failed(true, true),
        floor(2.0, 1.0),
        floor(2.0, 2.0),
        floor(1.0, 3.0),
    ];
    let mut found = comparison(Settings::default());
    assert_eq!(found.totals(), Totals::default());
    exchanges.iter().for_each(|exchange| exchange.push(&mut found));
    let known = Totals {
        pairs: 10,
        answered: 7,
        disagreed: 4,
        shadow_errors: 2,
        shadow_errors_alone: 1,
        primary_errors: 2,
        primary_errors_alone: 1,
        shadow_invalid: 2,
        shadow_invalid_alone: 1,
        primary_invalid: 2,
        primary_invalid_alone: 1,
        floor_pairs: 3,
        floor_disagreed: 2,
        floor_shadow_disagreed: 2,
    };
    assert_eq!(found.totals(), known);
}

#[test]
fn the_inputs_of_the_worst_and_of_the_failed_are_kept_by_id() {
    let good = || vec![numbers("y", &[1], &[1.0])];
    let equal = Exchange::new(good(), good());
    let mut far = Exchange::new(good(), vec![numbers("y", &[1], &[9.0])]);
    far.input = numbers("X", &[1], &[4.5]).tensor;
    let failed = Exchange { shadow: Err(Code::SessionFailed), ..Exchange::new(good(), good()) };
    let mut found = comparison(Settings::default());
    [&equal, &far, &failed].iter().for_each(|exchange| exchange.push(&mut found));
    assert_eq!(found.replayable().collect::<Vec<_>>(), [far.id, failed.id]);
    assert!(found.inputs(equal.id).is_none());
    let inputs = found.inputs(far.id).expect("kept");
    assert_eq!((inputs[0].name.as_str(), inputs[0].tensor.values::<f64>()), ("X", Some(&[4.5][..])));
    let report = found.report(alpha());
    assert!(report.against.worst[0].is_replayable && report.against.failed[0].is_replayable);
}

#[test]
fn outputs_at_the_limit_are_compared_and_those_past_it_are_counted() {
    let outputs = |count: u64| -> Vec<OutputTensor> {
        (0..count).map(|n| numbers(&format!("y{n:03}"), &[1], &[n as f64])).collect()
    };
    let at = report(&[Exchange::new(outputs(64), outputs(64))], Settings::default());
    assert_eq!((at.against.outputs.len(), at.against.outputs_left_out), (64, 0));
    let past = report(&[Exchange::new(outputs(66), outputs(66))], Settings::default());
    assert_eq!((past.against.outputs.len(), past.against.outputs_left_out), (64, 2));
}

#[test]
fn nothing_grows_with_the_number_of_pairs() {
    let exchange = |n: u64| {
        let values: Vec<f64> = (0..50).map(|i| ((n * 50 + i) as f64).sin()).collect();
        let other: Vec<f64> = values.iter().map(|value| value * 1.01).collect();
        Exchange::new(vec![numbers("y", &[50], &values)], vec![numbers("y", &[50], &other)])
    };
    let length = |count| {
        let report = report(&(0..count).map(exchange).collect::<Vec<_>>(), Settings::default());
        (
            report.against.outputs[0].numbers.as_ref().map(|n| (n.ranks.pairs, n.sample.len())),
            report.against.worst.len(),
        )
    };
    assert_eq!(length(30), (Some((1024, 256)), 10));
    assert_eq!(length(300), (Some((1024, 256)), 10));
}

#[test]
fn it_reads_as_text_and_as_a_page_that_asks_for_nothing() {
    let settings = Settings { outputs: [("<b>".to_owned(), Kind::Scores)].into(), ..Settings::default() };
    let mut exchanges = Vec::new();
    for n in 0..40_u32 {
        let p = f64::from(n) / 40.0;
        let row = |p: f64| vec![numbers("<b>", &[1, 2], &[1.0 - p, p]), numbers("delay", &[1], &[p * 100.0])];
        let mut exchange = Exchange::new(row(p), row((p + 0.1).min(1.0)));
        exchange.ms = (4, if n % 3 == 0 { 9 } else { 4 });
        exchange.floor = exchange.primary.clone().ok();
        exchanges.push(exchange);
    }
    let mut found = comparison(settings);
    exchanges.iter().for_each(|exchange| exchange.push(&mut found));
    found.dropped(ShadowDrop::Full, LoadTenth::of(9, 10), 1);
    found.dropped(ShadowDrop::Expired, LoadTenth::of(0, 10), 1);
    let mut report = found.report(alpha());
    let times = |p99| RequestsReport { requests: 40, p50: 0.001, p99 };
    report.run = Some(RunReport {
        is_running: true,
        is_broken: false,
        is_paused: false,
        offered: Some(42),
        answered: Some(40),
        waiting: Some(0),
        cost: Some(CostReport { on: times(0.0022), off: times(0.002), p99_ratio: Some(1.1) }),
    });
    // The command line has it as JSON.
    let json = serde_json::to_string(&report).expect("JSON");
    assert_eq!(serde_json::from_str::<Report>(&json).expect("a report"), report);
    let text = report.text();
    for line in [
        "flights: version 2 against version 1",
        "  pairs             40 ok/ok, 0 ok/err, 0 err/ok, 0 err/err",
        "  threshold flips   4 up, 0 down",
        "  slower by 25 %    35.0 % of 40 pairs",
        "Output delay: 0 of 40 agree",
        "  shadow            it runs: 40 of 42 exchanges answered, 0 waiting, 2 dropped",
        "  cost              1.1 times the p99: 2.2 ms with shadows (40 requests), 2 ms without (40)",
        "  full              1 (0 0 0 0 0 0 0 0 0 1)",
        "A second copy of version 1 against it:",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() < 140), "{text}");
    let page = report.page();
    assert!(page.contains("Output <code>&lt;b&gt;</code>") && !page.contains("<b>"));
    assert!(page.contains("default-src 'none'") && page.contains("prefers-color-scheme:dark"));
    for asked in ["<script", "http://", "https://", "src=", "url(", "@import"] {
        assert!(!page.contains(asked), "{asked}");
    }
    assert!(!page.contains("NaN\"") && page.matches("<svg").count() >= 8, "{}", page.matches("<svg").count());
    assert!(page.len() < 200_000, "{}", page.len());
}
