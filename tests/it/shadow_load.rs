//! The load tester measures what shadows cost, and finds one that is not one.
//!
//! The ratios are not looked at here: the builds are slow and share their cores. The figures are made by the command that
//! `loadtest/RESULTS.md` names.

use pointsman_tests::{Pointsman, Stopped, binary, load_tester, repository};
use serde_json::Value;

/// A run of `shadow`, with its report.
fn shadow(arguments: &[&str]) -> (Stopped, Value) {
    let scratch = tempfile::tempdir().expect("a folder");
    let (json, models) = (scratch.path().join("shadow.json"), repository().join("loadtest/versions"));
    let mut line = vec!["shadow".to_owned(), "--quiet".to_owned()];
    line.extend(arguments.iter().map(|&argument| argument.to_owned()));
    for (flag, path) in [("--gateway", binary()), ("--models", models), ("--json", json.clone())] {
        line.extend([flag.to_owned(), path.to_string_lossy().into_owned()]);
    }
    let stopped = Pointsman::of(load_tester(), line).run();
    let report = std::fs::read(&json).unwrap_or_else(|e| panic!("no report ({e}): {}", stopped.stderr));
    (stopped, serde_json::from_slice(&report).expect("the report is JSON"))
}

/// Whether a figure held.
fn held(report: &Value, name: &str) -> bool {
    let mut figures = report["figures"].as_array().expect("figures").iter();
    figures.find(|figure| figure["name"] == name).unwrap_or_else(|| panic!("no {name}: {report}"))["held"]
        == true
}

#[test]
fn shadows_are_run_and_cost_is_told_by_both_sides() {
    let (stopped, report) = shadow(&[
        "--rounds",
        "1",
        "--seconds",
        "1",
        "--rate",
        "60",
        "--slow-ratio-max",
        "1000",
        "--hung-ratio-max",
        "1000",
    ]);
    for name in [
        "refused",
        "failed",
        "wrong",
        "lost",
        "offered to it",
        "answered by a slow shadow",
        "answered by a shadow that hangs",
    ] {
        assert!(held(&report, name), "{name}: {}", stopped.stdout);
    }
    for part in report["parts"].as_array().expect("parts") {
        assert_eq!(part["ratios"].as_array().map(Vec::len), Some(1), "{}", stopped.stdout);
    }
    let cost = &report["own"]["cost"];
    // Which windows are without the shadow is random: in so short a time it may be none.
    let requests = |side: &str| cost[side]["requests"].as_u64().unwrap_or(0);
    assert!(requests("on") + requests("off") > 30, "{}", stopped.stdout);
}

#[test]
fn a_shadow_that_is_as_important_as_its_primary_is_found() {
    // The median of three: in one, a stall of the machine beside it hides what the shadow costs.
    let (stopped, report) = shadow(&[
        "--part",
        "slow",
        "--rounds",
        "3",
        "--seconds",
        "2",
        "--load",
        "0.5",
        "--fault",
        "foreground",
    ]);
    assert_eq!(stopped.code, Some(1), "{}", stopped.stdout);
    assert!(!held(&report, "p99 with a slow shadow"), "{}", stopped.stdout);
}
