//! No answer goes to the wrong caller, and one that did would be noticed.
//!
//! A short version of what the load tester does with a million requests.

use pointsman_tests::{Pointsman, Stopped, binary, load_tester, repository};
use serde_json::Value;

/// A run of `mix`, with its report.
fn mix(arguments: &[&str]) -> (Stopped, Value) {
    let scratch = tempfile::tempdir().expect("a folder");
    let (json, models) = (scratch.path().join("mix.json"), repository().join("loadtest/models"));
    let mut line = vec!["mix".to_owned()];
    line.extend(arguments.iter().map(|&argument| argument.to_owned()));
    for (flag, path) in [("--gateway", binary()), ("--models", models), ("--json", json.clone())] {
        line.extend([flag.to_owned(), path.to_string_lossy().into_owned()]);
    }
    let stopped = Pointsman::of(load_tester(), line).run();
    let report = std::fs::read(&json).unwrap_or_else(|e| panic!("no report ({e}): {}", stopped.stderr));
    (stopped, serde_json::from_slice(&report).expect("the report is JSON"))
}

#[test]
fn every_caller_gets_its_own_answer_whoever_leaves() {
    let (stopped, report) = mix(&["--requests", "8000", "--cancelled", "0.3"]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.stdout);
    for count in ["right", "left", "odd", "late"] {
        assert!(report[count].as_u64() > Some(0), "{count}: {}", stopped.stdout);
    }
    let kinds = report["right_by_kind"].as_object().expect("counts by kind");
    assert!(kinds.len() == 6 && kinds.values().all(|right| right.as_u64() > Some(0)), "{kinds:?}");
}

#[test]
fn answers_that_change_places_are_found() {
    let (stopped, report) = mix(&["--requests", "3000", "--fault", "swap-answers"]);
    assert_eq!(stopped.code, Some(1), "{}", stopped.stdout);
    assert!(report["wrong"].as_u64() > Some(0), "{}", stopped.stdout);
}
