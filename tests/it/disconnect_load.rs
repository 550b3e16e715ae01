//! Clients that vanish are let go at every stage, nothing is run for them, and nothing of them stays behind.
//!
//! A short version of what the load tester does with ten thousand clients. Times are not looked at here: the builds
//! are slow and share their cores.

use pointsman_tests::{Pointsman, Stopped, binary, load_tester, repository};
use serde_json::Value;

/// A run of `disconnect`, with its report.
fn disconnect(arguments: &[&str]) -> (Stopped, Value) {
    let scratch = tempfile::tempdir().expect("a folder");
    let (json, models) = (scratch.path().join("report.json"), repository().join("loadtest/models"));
    let mut line: Vec<String> =
        ["disconnect", "--p99-max-ms", "5000", "--rss-growth-max", "100"].map(str::to_owned).into();
    line.extend(arguments.iter().map(|&argument| argument.to_owned()));
    for (flag, path) in [("--gateway", binary()), ("--models", models), ("--json", json.clone())] {
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

#[test]
fn clients_that_vanish_at_any_stage_are_let_go() {
    let (stopped, report) = disconnect(&["--clients", "300", "--wave", "4"]);
    assert_eq!((stopped.code, missed(&report)), (Some(0), vec![]), "{}", stopped.stdout);
    for stage in ["headers", "body", "queued", "running", "answer", "idle"] {
        let detection = report["detection"].as_object().expect("times by stage");
        let (_, times) = detection.iter().find(|(name, _)| name.contains(stage)).expect("a stage");
        assert!(times["samples"].as_u64() > Some(30), "{stage}: {}", stopped.stdout);
    }
}

/// To a client that stays, the gateway is as one that does not notice: what is queued runs, what runs goes on.
#[test]
fn clients_that_are_not_let_go_would_be_seen() {
    let (stopped, report) = disconnect(&["--clients", "1", "--wave", "2", "--give-up", "0.1", "--stay"]);
    assert_eq!(stopped.code, Some(1), "{}", stopped.stdout);
    let missed = missed(&report);
    for figure in ["not noticed", "runs for clients that are gone"] {
        assert!(missed.contains(&figure), "{figure}: {}", stopped.stdout);
    }
}
