//! The load tester finds nothing wrong where nothing is, and finds each fault that the gateway is given.
//!
//! Times are not looked at here: the builds are slow and share their cores. The figures are made by the
//! command that `loadtest/RESULTS.md` names.

use pointsman_tests::{Pointsman, Stopped, binary, load_tester, repository};
use serde_json::Value;

/// A run of `swap` over the shipped iris, with its report.
fn swap(arguments: &[&str]) -> (Stopped, Value) {
    let scratch = tempfile::tempdir().expect("a folder");
    let (json, models) = (scratch.path().join("swap.json"), repository().join("models"));
    let mut line: Vec<String> = ["swap", "--rate", "200", "--warm-up", "1", "--p99-ratio-max", "1000"]
        .iter()
        .chain(arguments)
        .map(|argument| (*argument).to_owned())
        .collect();
    for (flag, path) in [("--gateway", binary()), ("--models", models), ("--json", json.clone())] {
        line.extend([flag.to_owned(), path.to_string_lossy().into_owned()]);
    }
    let stopped = Pointsman::of(load_tester(), line).run();
    let report = std::fs::read(&json).unwrap_or_else(|e| panic!("no report ({e}): {}", stopped.stderr));
    (stopped, serde_json::from_slice(&report).expect("the report is JSON"))
}

/// 200 swaps under 4000 requests.
const SWAPS: [&str; 4] = ["--swaps", "200", "--requests", "4000"];

/// The names of the figures that were missed.
fn missed(report: &Value) -> Vec<&str> {
    let figures = report["figures"].as_array().expect("figures").iter();
    figures.filter(|figure| figure["held"] == false).map(|f| f["name"].as_str().expect("a name")).collect()
}

#[test]
fn steady_traffic_is_answered_right_over_every_protocol() {
    let (stopped, report) = swap(&["--swaps", "0", "--requests", "1000", "--arrivals", "poisson"]);
    assert_eq!((stopped.code, missed(&report)), (Some(0), vec![]), "{}", stopped.stdout);
    for protocol in ["http-json", "http-binary", "grpc"] {
        let samples = report["latency"]["steady"][protocol]["samples"].as_u64();
        assert!(samples > Some(300), "{protocol}: {}", stopped.stdout);
    }
}

#[test]
fn swaps_lose_no_request_and_mix_no_answer() {
    let (stopped, report) = swap(&SWAPS);
    assert_eq!((stopped.code, missed(&report)), (Some(0), vec![]), "{}", stopped.stdout);
    assert_eq!(report["swaps"], 200, "{}", stopped.stdout);
}

#[test]
fn a_request_that_is_lost_is_found() {
    let (stopped, report) = swap(&[&SWAPS[..], &["--fault", "lose-request"]].concat());
    assert_eq!(stopped.code, Some(1), "{}", stopped.stdout);
    assert!(missed(&report).contains(&"failed"), "{}", stopped.stdout);
}

#[test]
fn a_session_that_is_leaked_at_each_swap_is_found() {
    let (stopped, report) = swap(&[&SWAPS[..], &["--fault", "leak-session"]].concat());
    assert_eq!(stopped.code, Some(1), "{}", stopped.stdout);
    assert_eq!(missed(&report), ["resident memory"], "{}", stopped.stdout);
}
