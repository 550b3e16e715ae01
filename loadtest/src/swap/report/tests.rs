//! Reports of made-up runs.

use clap::Parser;

use super::*;
use crate::client::Protocol;
use crate::clock::Clock;
use crate::latency::Latencies;
use crate::process::Usage;
use crate::references::Verdict;
use crate::swap::answered::Record;
use crate::swap::course::Course;

#[derive(Debug, Parser)]
#[command(args_override_self = true)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// 200 requests of a millisecond each, half of them during the swap at 1000, which take `during`
/// milliseconds; the gateway has 100 MiB before and `after` MiB at the end.
fn report(line: &[&str], during: u64, after: u64, verdict: Verdict) -> Report {
    let line = ["swap", "--swaps", "1", "--requests", "200"].iter().chain(line);
    let arguments = Line::try_parse_from(line).expect("a command line").arguments;
    let course = Course::new(Clock::start(), 1);
    let mut state = course.state();
    state.measured_from = Some(at(0));
    state.timeline.begin(2, at(1000));
    state.timeline.end(true, at(2000));
    let mut tally = Tally::new().expect("histograms");
    for number in 0..200 {
        let (due, takes) = if number < 100 { (at(number), 1) } else { (at(1000 + number), during) };
        let verdict = if number == 0 { verdict.clone() } else { Verdict::Whole { version: 1 } };
        let (protocol, ended) = (Protocol::HttpJson, due + at(takes));
        let record = Record { protocol, input: 0, due, fired: due, sent: due, ended, verdict };
        tally.add(&record, &state);
    }
    let usage = |mib: u64| Usage { resident_bytes: mib << 20, threads: 9, files: 30 };
    let mut windows = Latencies::new().expect("a histogram");
    windows.record(at(1000));
    let driven = Driven {
        before: usage(100),
        after: usage(after),
        windows,
        failed: 0,
        messages: vec![],
        given_up: false,
    };
    Report {
        arguments,
        tally,
        driven: Some(driven),
        swaps: 1,
        problems: Vec::new(),
        measured: at(2000),
        generator_cpu: at(500),
        gateway_cpu: at(1000),
        time: at(2000),
    }
}

fn right() -> Verdict {
    Verdict::Whole { version: 1 }
}

#[test]
fn a_good_run_holds_every_figure() {
    let report = report(&[], 1, 105, right());
    assert_eq!(report.missed(), [""; 0], "{report}");
    let json = report.json();
    assert_eq!(json["held"], true, "{json:#}");
    assert_eq!(json["latency"]["steady"]["all"]["samples"], 100);
    assert_eq!(json["latency"]["during_swaps"]["http-json"]["samples"], 100);
    assert!(report.to_string().ends_with("all figures held"), "{report}");
}

#[test]
fn each_figure_is_missed_alone() {
    for (name, report) in [
        ("failed", report(&[], 1, 100, Verdict::Failed("closed".into()))),
        ("wrong version", report(&[], 1, 100, Verdict::Whole { version: 2 })),
        ("mixed", report(&[], 1, 100, Verdict::Mixed("a byte differs".into()))),
        ("requests", report(&["--requests", "201"], 1, 100, right())),
        ("swaps", report(&["--swaps", "2"], 1, 100, right())),
        ("p99 during swaps / steady", report(&[], 2, 100, right())),
        ("resident memory", report(&[], 1, 106, right())),
        (
            "problems of the run",
            Report { problems: vec!["the gateway ended".into()], ..report(&[], 1, 100, right()) },
        ),
    ] {
        assert_eq!(report.missed(), [name], "{report}");
        assert!(report.to_string().ends_with(&format!("missed: {name}")), "{report}");
        assert_eq!(report.json()["held"], false);
    }
}

#[test]
fn bounds_can_be_set() {
    let bounds = ["--p99-ratio-max", "2.5", "--rss-growth-max", "7"];
    assert_eq!(report(&bounds, 2, 106, right()).missed(), [""; 0]);
}

#[test]
fn what_was_not_measured_is_missed() {
    let report = Report { driven: None, ..report(&[], 1, 100, right()) };
    assert_eq!(report.missed(), ["resident memory"], "{report}");
}

#[test]
fn a_fault_says_by_which_figure_it_was_caught() {
    let caught = report(&["--fault", "leak-session"], 1, 200, right()).to_string();
    assert!(caught.ends_with("the fault leak-session was caught by: resident memory"), "{caught}");
    let missed = report(&["--fault", "lose-request"], 1, 100, right()).to_string();
    assert!(missed.contains("NOT CAUGHT"), "{missed}");
}

#[test]
fn without_swaps_there_are_no_figures_of_swaps() {
    let report = report(&["--swaps", "0"], 9, 200, right());
    assert_eq!(report.missed(), [""; 0], "{report}");
}

#[test]
fn a_generator_that_lags_is_said() {
    let mut report = report(&[], 1, 100, right());
    assert!(!report.to_string().contains("LAGGED"));
    (0..100).for_each(|_| report.tally.lag.record(at(50)));
    assert!(report.to_string().contains("LAGGED") && report.json()["generator"]["lags"] == true);
}
