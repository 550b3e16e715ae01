//! The response cache in the real gateway.

use std::net::SocketAddr;

use pointsman_core::{Datatype, InputTensor, Tensor};
use pointsman_tests::{
    Connection, Gateway, OnnxModel, Pointsman, Start, TestRegistry, get, post, request, v2,
};
use serde_json::{Value, json};

use crate::calls::{FOREVER, Grpc, LOOP, trips, trips_message, trips_within};

const CARD: &str = "workers = 1\ncache_bytes_max = \"1MiB\"\n";

/// A registry with `m`, which answers `y` with what an operator makes of `x`: one version for each.
fn operators(card: &str, operators: &[&str]) -> TestRegistry {
    let mut registry = TestRegistry::new().file("m/model.toml", card);
    for (number, operator) in (1..).zip(operators) {
        let shape = &[-1, 2];
        let model = OnnxModel::new().input("x", Datatype::Fp32, shape).node(operator, &["x"], "y");
        let model = model.output("y", Datatype::Fp32, shape).bytes();
        registry = registry.file(&format!("m/{number}/model.onnx"), model);
    }
    registry
}

/// Asks `m` in binary; gives the bits of the answer, and the version that made it.
fn ask(http: SocketAddr, values: &[f32]) -> (Vec<u32>, String) {
    let input = InputTensor { name: "x".into(), tensor: v2::tensor(&[values.len() as u64 / 2, 2], values) };
    let (length, body) = v2::binary_request(&[input]);
    let headers = [(v2::HEADER_LENGTH, &*length.to_string())];
    let answer = request("POST", http, "/v2/models/m/infer", &headers, Some(&body));
    let version = answer.header("pointsman-version").expect("a version").to_owned();
    let outputs = v2::outputs(&answer);
    let bits = |tensor: &Tensor| tensor.values::<f32>().expect("FP32").iter().map(|v| v.to_bits()).collect();
    (bits(&outputs[0].tensor), version)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Hits, misses, runs and entries, as the metrics have them.
fn counted(gateway: &Gateway, labels: &str) -> [f64; 4] {
    [
        "pointsman_cache_hits_total",
        "pointsman_cache_misses_total",
        "pointsman_runs_total",
        "pointsman_cache_entries",
    ]
    .map(|name| gateway.metric(name, labels))
}

fn statistics(gateway: &Gateway, model: &str) -> Value {
    get(gateway.http, &format!("/v2/models/{model}/stats")).json()["model_stats"][0].clone()
}

#[test]
fn hits_are_counted_apart_whatever_the_protocol() {
    let registry = TestRegistry::new().made("loop", "loop").file("loop/model.toml", CARD);
    let gateway = Start::over(registry.path()).start();
    let grpc = Grpc::connect(gateway.grpc);
    let first = post(gateway.http, LOOP, trips(5)).json();
    // Neither the id nor the protocol is a part of what is asked.
    let mut named: Value = serde_json::from_str(&trips(5)).expect("JSON");
    named["id"] = json!("mine");
    let again = post(gateway.http, LOOP, named.to_string()).json();
    assert_eq!((&again["outputs"], &again["id"]), (&first["outputs"], &json!("mine")));
    let over_grpc = grpc.infer(trips_message(5)).expect("an answer").into_inner();
    assert_eq!(over_grpc.raw_output_contents, [5_i64.to_le_bytes().as_slice()]);
    assert_eq!(post(gateway.http, LOOP, trips(6)).json()["outputs"][0]["data"], json!([6]));

    assert_eq!(counted(&gateway, "model=\"loop\",version=\"1\""), [2.0, 2.0, 2.0, 2.0]);
    assert!(gateway.metric("pointsman_cache_bytes", "") > 0.0);
    let row = statistics(&gateway, "loop");
    let count = |name: &str| row["inference_stats"][name]["count"].as_u64();
    assert_eq!((&row["inference_count"], &row["execution_count"]), (&json!(2), &json!(2)), "{row}");
    assert_eq!(
        (count("success"), count("cache_hit"), count("cache_miss")),
        (Some(4), Some(2), Some(2)),
        "{row}"
    );
    assert_eq!((count("queue"), count("compute_infer")), (Some(4), Some(2)), "{row}");
    assert!(row["inference_stats"]["cache_hit"]["ns"].as_u64().is_some_and(|ns| ns > 0), "{row}");
    let stage = |name: &str| gateway.metric("pointsman_stage_seconds_count", &format!("stage=\"{name}\""));
    assert_eq!((stage("total"), stage("queue"), stage("run"), stage("batch")), (4.0, 4.0, 2.0, 2.0));
    let config = get(gateway.http, "/v2/models/loop/config").json();
    assert_eq!(config["response_cache"]["enable"], true, "{config}");
    assert_eq!(gateway.stop().code, Some(0));
}

/// The bytes of an input decide, not the numbers that they stand for.
#[test]
fn zeros_and_nans_are_told_apart_by_their_bytes() {
    let registry = operators(CARD, &["Identity"]);
    let gateway = Start::over(registry.path()).start();
    let other_nan = f32::from_bits(f32::NAN.to_bits() ^ 1);
    let different = [[0.0, 1.0], [-0.0, 1.0], [f32::NAN, 1.0], [other_nan, 1.0], [f32::INFINITY, 1.0]];
    for _ in 0..2 {
        for values in &different {
            assert_eq!(ask(gateway.http, values).0, bits(values));
        }
    }
    let labels = "model=\"m\",version=\"1\"";
    assert_eq!(counted(&gateway, labels), [5.0, 5.0, 5.0, 5.0]);
    // The same bytes in another shape are another input.
    assert_eq!(ask(gateway.http, &[0.0, 1.0, 0.0, 1.0]).0, bits(&[0.0, 1.0, 0.0, 1.0]));
    assert_eq!(counted(&gateway, labels), [5.0, 6.0, 6.0, 6.0]);
}

#[test]
fn another_version_never_gives_the_answers_of_the_one_before() {
    let registry = operators(&format!("{CARD}serve = 1\nload = \"all\"\n"), &["Identity", "Neg"]);
    let gateway = Start::over(registry.path()).start();
    let promote = |version: u64| {
        let answer = post(gateway.admin, "/models/m/promote", json!({ "version": version }).to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    for _ in 0..2 {
        assert_eq!(ask(gateway.http, &[1.0, 2.0]), (bits(&[1.0, 2.0]), "1".into()));
    }
    promote(2);
    for _ in 0..2 {
        assert_eq!(ask(gateway.http, &[1.0, 2.0]), (bits(&[-1.0, -2.0]), "2".into()));
    }
    promote(1);
    assert_eq!(ask(gateway.http, &[1.0, 2.0]), (bits(&[1.0, 2.0]), "1".into()));
    assert_eq!(counted(&gateway, "version=\"1\""), [2.0, 1.0, 1.0, 1.0]);
    assert_eq!(counted(&gateway, "version=\"2\""), [1.0, 1.0, 1.0, 1.0]);
    // Loaded anew, it begins with nothing.
    for wish in ["unload", "load"] {
        let answer = post(gateway.admin, &format!("/models/m/{wish}"), json!({ "version": 2 }).to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(gateway.metric("pointsman_cache_entries", "version=\"2\""), 0.0);
}

#[test]
fn those_who_wait_for_one_run_leave_it_one_by_one() {
    let registry = TestRegistry::new().made("loop", "loop").file("loop/model.toml", CARD);
    let gateway = Start::over(registry.path()).start();
    let mut callers: Vec<Connection> = (0..4).map(|_| Connection::open(gateway.http)).collect();
    callers[0].post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_run();
    for caller in &mut callers[1..] {
        caller.post(LOOP, trips(FOREVER).as_bytes());
    }
    gateway.wait_for_metric("pointsman_cache_waiting", "", |waiting| waiting == 3.0);
    assert_eq!(gateway.metric("pointsman_queue_depth", ""), 0.0);
    // The one whose run it is goes first, and takes nothing from the others.
    callers.remove(0);
    gateway.wait_for_metric("pointsman_requests_total", "CANCELLED", |cancelled| cancelled == 1.0);
    let late = post(gateway.http, LOOP, trips_within(FOREVER, 1000));
    assert_eq!(late.error().1, "DEADLINE_EXCEEDED");
    assert_eq!(gateway.metric("pointsman_cache_waiting", ""), 3.0);
    drop(callers);
    // The run has ended with the last of them: the only worker is free.
    assert_eq!(post(gateway.http, LOOP, trips(3)).json()["outputs"][0]["data"], json!([3]));
    gateway.wait_for_metric("pointsman_requests_total", "CANCELLED", |cancelled| cancelled == 4.0);
    assert_eq!(counted(&gateway, "model=\"loop\""), [0.0, 2.0, 1.0, 1.0]);
    assert_eq!(gateway.metric("pointsman_cache_waiting", ""), 0.0);
}

#[test]
fn a_model_that_draws_random_numbers_keeps_no_answers() {
    let registry = operators(CARD, &["RandomNormalLike"]);
    let said = Pointsman::new([std::ffi::OsStr::new("check"), registry.path().as_os_str()]).run();
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    let warned = |line: &str| line.contains("response cache") && line.contains("ai.onnx.RandomNormalLike");
    assert!(said.stdout.lines().any(warned), "{}", said.stdout);
    let gateway = Start::over(registry.path()).start();
    assert_ne!(ask(gateway.http, &[1.0, 2.0]).0, ask(gateway.http, &[1.0, 2.0]).0);
    assert_eq!(counted(&gateway, ""), [0.0, 0.0, 2.0, 0.0]);
    assert_eq!(get(gateway.http, "/v2/models/m/config").json()["response_cache"]["enable"], false);
}

#[test]
fn there_is_no_cache_unless_it_is_asked_for() {
    let registry = operators("", &["Identity"]);
    let gateway = Start::over(registry.path()).start();
    for _ in 0..2 {
        ask(gateway.http, &[1.0, 2.0]);
    }
    assert_eq!(counted(&gateway, ""), [0.0, 0.0, 2.0, 0.0]);
    let row = statistics(&gateway, "m");
    assert_eq!(
        (&row["inference_stats"]["cache_miss"]["count"], &row["inference_count"]),
        (&json!(0), &json!(2))
    );
}
