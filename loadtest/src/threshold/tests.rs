//! Conditions: what they say, and what is said of those that say nothing.

use proptest::prelude::*;

use super::*;
use crate::samples;

fn check(threshold: &str, findings: &Findings) -> Outcome {
    threshold.parse::<Threshold>().expect(threshold).check(findings)
}

fn is_met(threshold: &str, findings: &Findings) -> bool {
    matches!(check(threshold, findings), Outcome::Met(_))
}

fn is_not_met(threshold: &str, findings: &Findings) -> bool {
    matches!(check(threshold, findings), Outcome::NotMet(_))
}

fn problem(threshold: &str) -> String {
    threshold.parse::<Threshold>().expect_err(threshold)
}

/// What an unknown outcome says.
fn unknown(threshold: &str, findings: &Findings) -> String {
    match check(threshold, findings) {
        Outcome::Unknown(sentence) => sentence,
        other => panic!("{threshold}: {other:?}"),
    }
}

#[test]
fn each_metric_is_read_from_where_it_stands() {
    let mut findings = samples::overload();
    findings.parts.truncate(1);
    let stream = &mut findings.parts[0].streams[0];
    stream.counts =
        crate::findings::Counts { sent: 1000, ok: 900, refused: 50, failed: 30, wrong: 15, lost: 5 };
    stream.goodput = 22.5;
    let latency = |max_us| Latency {
        samples: 900,
        mean_us: 2_500.0,
        max_us,
        quantiles_us: vec![(0.5, 2_000.0), (0.99, 5_000.0), (0.999, 9_000.0)],
    };
    (stream.latency, stream.lag) = (latency(12_000.0), latency(f64::NAN));
    for (met, not_met) in [
        ("p50 > 1999us", "p50 > 2ms"),
        ("p99.9 >= 9ms", "p99.9 > 9ms"),
        ("max >= 12 ms", "max > 0.012s"),
        ("mean <= 2.5ms", "mean < 2.5ms"),
        ("lag_p99 > 4ms", "lag_p99 > 5ms"),
        ("goodput < 22.6", "goodput < 22.5/s"),
        ("rate >= 25/s", "rate > 25"),
        ("errors >= 100", "errors > 10%"),
        ("refused > 4.9%", "refused > 50"),
        ("failed > 0", "failed > 3%"),
        ("wrong >= 1.5%", "wrong > 15"),
        ("lost > 4", "lost < 0.5%"),
        ("figure:peak > 399", "figure: peak > 400/s"),
        ("figure:p50 of refusals at 10x > 0.3ms", "figure:p50 of refusals at 10 x > 1ms"),
    ] {
        assert!(is_met(met, &findings), "{met}: {:?}", check(met, &findings));
        assert!(is_not_met(not_met, &findings), "{not_met}: {:?}", check(not_met, &findings));
    }
}

#[test]
fn parts_and_streams_narrow_it_down() {
    let findings = samples::overload();
    assert!(is_met("refused > 80%", &findings), "in 10 x");
    assert!(is_met("part:10x refused > 80%", &findings));
    assert!(is_met("part:10 x stream:digits refused > 80%", &findings));
    assert!(is_met("stream:digits part:10 x refused > 80%", &findings));
    assert!(is_not_met("part:2 x refused > 80%", &findings));
    let missing = unknown("part:3x refused > 0", &findings);
    assert!(missing.contains("peak, 2 x, 5 x, 10 x"), "{missing}");
    let missing = unknown("stream:iris wrong > 0", &findings);
    assert!(missing.ends_with("there are: digits"), "{missing}");
    let missing = unknown("figure:pique > 1", &findings);
    assert!(missing.contains("peak"), "{missing}");
}

#[test]
fn a_quantile_between_those_kept_is_told_where_they_decide_it() {
    let mut findings = samples::steady();
    findings.parts[0].streams[0].latency.quantiles_us = vec![(0.9, 3_000.0), (0.99, 9_000.0)];
    assert!(is_met("p95 > 2ms", &findings));
    assert!(is_not_met("p95 > 9ms", &findings));
    let sentence = unknown("p95 > 5ms", &findings);
    assert!(sentence.contains("between 3 ms and 9 ms"), "{sentence}");
}

#[test]
fn what_was_not_measured_does_not_pass() {
    let findings = samples::empty();
    for threshold in
        ["p99 > 5ms", "goodput < 900", "errors > 0.1%", "lag_p99 > 1ms", "rate < 1", "figure:peak > 1"]
    {
        unknown(threshold, &findings);
    }
    unknown("wrong > 0", &samples::nothing());
}

#[test]
fn the_unit_of_a_figure_is_asked_for() {
    let sentence = unknown("figure:p50 of refusals at 10x > 1", &samples::overload());
    assert!(sentence.contains("312 us") && sentence.contains("same unit"), "{sentence}");
    unknown("figure:peak > 1ms", &samples::overload());
}

#[test]
fn sentences_say_where_and_how_much() {
    let findings = samples::overload();
    let Outcome::Met(sentence) = check("part:10x refused > 80%", &findings) else { panic!("is met") };
    assert!(
        sentence.starts_with("part:10x refused > 80%: 89.") && sentence.ends_with("% of digits in 10 x"),
        "{sentence}"
    );
    let Outcome::Met(sentence) = check("p99 > 1ms", &findings) else { panic!("is met") };
    assert!(sentence.ends_with("ms of digits in 10 x"), "the worst is named: {sentence}");
    let Outcome::NotMet(sentence) = check("max > 10s", &findings) else { panic!("is not met") };
    assert!(sentence.contains("nearest is "), "{sentence}");
}

#[test]
fn errors_name_what_is_wrong_and_what_to_write() {
    for (threshold, parts) in [
        ("p99", &["no comparison", "'p99 > 5ms'"][..]),
        ("p99 = 5ms", &["no comparison", "> >= < <="]),
        ("q99 > 5ms", &["'q99' is no metric", "lag_p99", "figure:NAME"]),
        ("p0 > 5ms", &["'p0' is no metric"]),
        ("p100 > 5ms", &["'p100' is no metric"]),
        ("pinf > 5ms", &["'pinf' is no metric"]),
        ("figure: > 5ms", &["is no metric"]),
        ("> 5ms", &["'' is no metric"]),
        ("p99 > 5", &["p99 is a time", "5ms"]),
        ("p99.9 > 5%", &["p99.9 is a time"]),
        ("goodput < 5ms", &["goodput is per second", "900/s"]),
        ("errors > 1ms", &["errors is a count", "0.1%"]),
        ("p99 > fast", &["'fast' is no value", "5ms"]),
        ("p99 > -5ms", &["'-5ms' is no value"]),
        ("p99 > 1.2.3ms", &["is no value"]),
        ("p99 > 5 minutes", &["is no value"]),
        ("p99 >", &["'' is no value"]),
        ("model:iris p99 > 5ms", &["'model:iris'", "part:NAME"]),
        ("part: p99 > 5ms", &["part: and stream: each take one name"]),
        ("part:a part:b p99 > 5ms", &["each take one name"]),
        ("part:a figure:b > 5ms", &["figure is of the whole run"]),
    ] {
        let problem = problem(threshold);
        for part in parts {
            assert!(problem.contains(part), "{threshold}: {problem}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused(
        text in "\\PC{0,40}",
        metric in "(p99|goodput|part:x figure:|) ?",
        op in "[<>=]{1,2}",
    ) {
        let _ = text.parse::<Threshold>();
        let _ = format!("{metric}{op}{text}").parse::<Threshold>();
    }

    #[test]
    fn a_condition_and_its_opposite_never_agree(found in 0.0_f64..1e7, value in 0_u32..10_000_000) {
        let mut findings = samples::empty();
        findings.parts[0].streams[0].latency =
            Latency { samples: 1, mean_us: found, max_us: found, quantiles_us: vec![(0.99, found)] };
        for (one, other) in [(">", "<="), ("<", ">=")] {
            let [one, other] = [one, other].map(|op| is_met(&format!("p99 {op} {value}us"), &findings));
            prop_assert_ne!(one, other);
        }
        prop_assert_eq!(is_met(&format!("p99 > {value}us"), &findings), found > f64::from(value));
    }

    #[test]
    fn what_was_written_is_what_is_shown(value in 0_u32..1000, quantile in 1_u32..9999) {
        let text = format!("part:a b p{} > {value}ms", f64::from(quantile) / 100.0);
        let threshold: Threshold = text.parse().expect("a threshold");
        prop_assert_eq!(threshold.to_string(), text);
    }
}

#[test]
fn what_is_asked_of_a_figure_is_noted_at_it() {
    let mut figures = samples::overload().figures;
    let name = figures[0].name.clone();
    figures[0].unit = String::new();
    for (comparison, asked, holds) in
        [("> 5ms", "not > 5ms", None), ("< 0", "not < 0", Some(true)), (">= 0", "not >= 0", Some(false))]
    {
        let threshold: Threshold = format!("figure:{name} {comparison}").parse().expect("a condition");
        threshold.note(&mut figures);
        assert_eq!((figures[0].asked.as_deref(), figures[0].holds), (Some(asked), holds));
    }
    let before = format!("{figures:?}");
    for other in ["p99 > 5ms", "figure:no such one > 1"] {
        other.parse::<Threshold>().expect("a condition").note(&mut figures);
    }
    assert_eq!(format!("{figures:?}"), before);
}
