//! Requests that are run together, in the real gateway: each caller gets the answer to its own rows.

use std::net::SocketAddr;
use std::thread;

use pointsman_tests::{Pointsman, Start, post, repository};
use serde_json::{Value, json};

/// Callers at the same time, and the requests of each.
const CALLERS: usize = 16;
const REQUESTS: usize = 60;

/// Flowers of this caller: from one to three rows, which nobody else sends.
fn rows(caller: usize) -> Vec<[f64; 4]> {
    let row = |row: usize| {
        let shift = (caller * 3 + row) as f64 / 100.0;
        [4.5 + 3.0 * shift, 2.0 + shift, 1.0 + 5.0 * shift, 0.1 + 2.0 * shift]
    };
    (0..=caller % 3).map(row).collect()
}

/// Asks, and gives the probabilities.
fn ask(http: SocketAddr, rows: &[[f64; 4]]) -> Vec<f64> {
    let input = json!({"name": "X", "shape": [rows.len(), 4], "datatype": "FP32", "data": rows});
    let answer = post(http, "/v2/models/iris/infer", json!({ "inputs": [input] }).to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let outputs = answer["outputs"].as_array().expect("outputs").iter();
    let output = outputs.into_iter().find(|output| output["name"] == "probabilities").expect("is there");
    assert_eq!(output["shape"], json!([rows.len(), 3]));
    output["data"].as_array().expect("numbers").iter().map(|p| p.as_f64().expect("a number")).collect()
}

#[test]
fn what_is_run_together_is_answered_to_whom_it_belongs() {
    // On the threads of requests, and on workers alone.
    for inline in [true, false] {
        let config = format!("[shutdown]\ndrain_delay = \"0s\"\n[serving]\ninline = {inline}\n");
        let gateway = Start::over(repository().join("models")).config(&config).start();
        let http = gateway.http;
        let alone: Vec<Vec<f64>> = (0..CALLERS).map(rows).map(|own| ask(http, &own)).collect();
        for (one, other) in (0..CALLERS).zip(1..CALLERS) {
            assert_ne!(alone[one], alone[other], "their answers tell them apart");
        }
        let caller = |(caller, alone): (usize, Vec<f64>)| {
            thread::spawn(move || {
                for _ in 0..REQUESTS {
                    let got = ask(http, &rows(caller));
                    let agree =
                        got.len() == alone.len() && got.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-5);
                    assert!(agree, "caller {caller}: {got:?}, alone {alone:?}");
                }
            })
        };
        let callers: Vec<_> = alone.into_iter().enumerate().map(caller).collect();
        callers.into_iter().for_each(|caller| caller.join().expect("every answer is its own"));
        let labels = "model=\"iris\",version=\"3\"";
        let runs = gateway.metric("pointsman_runs_total", labels);
        let rows = gateway.metric("pointsman_run_rows_total", labels);
        let sent: usize = (0..CALLERS).map(|caller| self::rows(caller).len() * (REQUESTS + 1)).sum();
        assert_eq!(rows, sent as f64, "every row is run once");
        let answered = (CALLERS * (REQUESTS + 1)) as f64;
        assert!(runs < answered, "of {answered} requests none was run with another");
        assert_eq!(gateway.stop().code, Some(0));
    }
}

#[test]
fn the_profile_of_a_model_is_shown_and_kept() {
    let state = tempfile::tempdir().expect("a folder");
    let start = || {
        let start = Start::over(repository().join("models"));
        start.argument("--state").argument(state.path()).start()
    };
    let profile = |admin: SocketAddr, more: &[&str]| {
        let url = format!("http://{admin}");
        let arguments = ["profile", "iris", "--admin-url", &url];
        let shown = Pointsman::new(arguments.into_iter().chain(more.iter().copied())).run();
        assert_eq!(shown.code, Some(0), "{}", shown.stderr);
        shown.stdout
    };
    let gateway = start();
    let text = profile(gateway.admin, &[]);
    assert!(text.contains("ROWS") && text.contains("model iris, version 3"), "{text}");
    let json: Value = serde_json::from_str(&profile(gateway.admin, &["--json"])).expect("JSON");
    assert!(json["profile"]["sizes"][0]["median_seconds"].as_f64().is_some_and(|s| s > 0.0), "{json}");
    assert_eq!(gateway.stop().code, Some(0));
    // Measured once: the same digits come back.
    let gateway = start();
    let kept: Value = serde_json::from_str(&profile(gateway.admin, &["--json"])).expect("JSON");
    assert_eq!(kept["profile"]["sizes"], json["profile"]["sizes"]);
    let url = format!("http://{}", gateway.admin);
    let unknown = Pointsman::new(["profile", "nobody", "--admin-url", &url]).run();
    assert_eq!((unknown.code, unknown.stderr.contains("no model 'nobody'")), (Some(1), true));
}
