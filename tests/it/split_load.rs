//! The load tester lets versions take over and splits callers between them, finds nothing wrong where nothing is, and finds
//! each thing that goes wrong on purpose.

use pointsman_tests::{Pointsman, Stopped, binary, load_tester, repository};
use serde_json::Value;

/// A run of a scenario over the shipped iris, with its report.
fn scenario(name: &str, arguments: &[&str]) -> (Stopped, Value) {
    let scratch = tempfile::tempdir().expect("a folder");
    let (json, models) = (scratch.path().join("report.json"), repository().join("models"));
    let mut line = vec![name.to_owned(), "--quiet".to_owned()];
    line.extend(arguments.iter().map(|&argument| argument.to_owned()));
    let mut paths = vec![("--gateway", binary()), ("--models", models), ("--json", json.clone())];
    if name == "canary" {
        paths.push(("--bad-models", repository().join("loadtest/versions")));
    }
    for (flag, path) in paths {
        line.extend([flag.to_owned(), path.to_string_lossy().into_owned()]);
    }
    let stopped = Pointsman::of(load_tester(), line).run();
    let report = std::fs::read(&json).unwrap_or_else(|e| panic!("no report ({e}): {}", stopped.stderr));
    (stopped, serde_json::from_slice(&report).expect("the report is JSON"))
}

/// The names of the figures that were missed.
fn missed(report: &Value) -> Vec<&str> {
    let figures = report["figures"].as_array().expect("figures").iter();
    figures.filter(|figure| figure["held"] == false).map(|f| f["name"].as_str().expect("a name")).collect()
}

// The builds are slow and share their cores: times are not held against them.

#[test]
fn a_version_takes_over_and_is_taken_back() {
    let arguments = [
        "--part",
        "rise",
        "--part",
        "aborts",
        "--rate",
        "400",
        "--canary",
        "30,60",
        "--guard",
        "errors:floor=10%",
        "--aborts",
        "3",
        "--rollback-max",
        "5",
    ];
    let (stopped, report) = scenario("canary", &arguments);
    assert_eq!((stopped.code, missed(&report)), (Some(0), vec![]), "{}", stopped.stdout);
    let stages = report["stages"].as_array().expect("stages");
    assert!(
        stages.len() == 2 && stages.iter().all(|stage| stage["planned_seconds"].is_number()),
        "{stages:?}"
    );
    assert_eq!(report["rollbacks"]["call"]["samples"], 3, "{}", stopped.stdout);
}

#[test]
fn candidates_that_begin_to_do_harm_are_taken_back() {
    let arguments = ["--part", "bad", "--rate", "600", "--nan-max", "10", "--failures-max", "100"];
    let (stopped, report) = scenario("canary", &arguments);
    assert_eq!((stopped.code, missed(&report)), (Some(0), vec![]), "{}", stopped.stdout);
    let reasons: Vec<_> = report["bad"].as_array().expect("both").iter().map(|bad| &bad["reason"]).collect();
    assert_eq!(reasons, ["not_finite", "errors_in_a_row"], "{}", stopped.stdout);
}

#[test]
fn a_rollback_that_comes_late_is_found() {
    let arguments = ["--part", "aborts", "--aborts", "5", "--rate", "300", "--fault", "late-abort"];
    let (stopped, report) = scenario("canary", &arguments);
    assert_eq!(stopped.code, Some(1), "{}", stopped.stdout);
    assert!(missed(&report).contains(&"rollback, median"), "{}", stopped.stdout);
}

const AB: [&str; 6] = ["--rate", "200", "--units", "500", "--seconds", "4"];

#[test]
fn units_stay_with_their_arms_over_every_protocol() {
    let costs =
        ["--rounds", "1", "--round-seconds", "1", "--p50-ratio-max", "1000", "--cpu-ratio-max", "1000"];
    let (stopped, report) = scenario("ab", &[&AB[..], &costs].concat());
    assert_eq!((stopped.code, missed(&report)), (Some(0), vec![]), "{}", stopped.stdout);
    assert_eq!(report["arms"][0].as_array().map(Vec::len), Some(3), "{}", stopped.stdout);
}

#[test]
fn units_that_are_drawn_anew_are_found() {
    let (stopped, report) = scenario("ab", &[&AB[..], &["--rounds", "0", "--fault", "redraw"]].concat());
    assert_eq!(stopped.code, Some(1), "{}", stopped.stdout);
    assert!(missed(&report).contains(&"units that moved otherwise"), "{}", stopped.stdout);
}
