//! Every request that was taken in ends in exactly one outcome, whatever happens to it.

use pointsman_tests::{Connection, Gateway, Start, TestRegistry, post, request};
use serde_json::{Value, json};
use tonic::Request;

use crate::calls::{FOREVER, Grpc, LOOP, trips, trips_message, trips_within};

fn start() -> (TestRegistry, Gateway) {
    let registry = TestRegistry::new()
        .made("loop", "loop")
        .made("gather", "gather")
        .made("divide", "divide")
        .file("divide/model.toml", "integer_division = \"allow\"\n")
        .file("loop/model.toml", "workers = 1\nqueue_max = 2\n");
    let limits = "[limits]\nbody_bytes_max = \"64KiB\"\nbytes_in_flight_max = \"96KiB\"\n";
    let gateway = Start::over(registry.path()).config(limits).start();
    (registry, gateway)
}

fn numbers(inputs: &[(&str, i64)]) -> String {
    let input = |(name, value): &(&str, i64)| json!({"name": name, "datatype": "INT64", "shape": [1], "data": [value]});
    json!({"inputs": inputs.iter().map(input).collect::<Vec<Value>>()}).to_string()
}

/// Requests that are answered, refused at each step, or fail in the run.
fn finished(gateway: &Gateway, grpc: &Grpc) {
    let ask = |path: &str, body: &str, status: u16| {
        assert_eq!(post(gateway.http, path, body).status, status, "{path} {body}");
    };
    let gather = |index| numbers(&[("indices", index)]);
    ask("/v2/models/gather/infer", &gather(2), 200);
    ask("/v1/models/gather:predict", "{\"instances\":[1,2]}", 200);
    ask("/v2/models/gather/infer", &gather(9), 400);
    ask("/v2/models/gather/infer", "{", 400);
    ask("/v1/models/gather:predict", "{", 400);
    ask("/v2/models/gather/infer", &trips(1), 400);
    ask("/v2/models/nobody/infer", &gather(2), 404);
    ask("/v2/models/gather/versions/7/infer", &gather(2), 404);
    ask("/v2/models/divide/infer", &numbers(&[("a", 1), ("b", 0)]), 500);
    ask("/v2/models/gather/infer", &" ".repeat(65 << 10), 413);
    ask(LOOP, &trips_within(FOREVER, 50_000), 504);
    let encoded = request("POST", gateway.http, LOOP, &[("content-encoding", "br")], Some(b"x"));
    assert_eq!(encoded.status, 415);
    grpc.infer(trips_message(3)).expect("an answer");
    let mut nobody = trips_message(3);
    nobody.model_name = "nobody".into();
    grpc.infer(nobody).expect_err("a refusal");
    let mut late = Request::new(trips_message(FOREVER));
    late.set_timeout(std::time::Duration::from_millis(50));
    grpc.infer(late).expect_err("too late");
}

const ROOMY: &str = "/v2/models/gather/infer";

/// Callers that leave: while it runs, while it waits, while the body comes; and one too many.
fn abandoned(gateway: &Gateway, grpc: &Grpc) {
    let in_flight = |count: f64| {
        gateway.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests == count);
    };
    in_flight(0.0);
    let mut running = Connection::open(gateway.http);
    running.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_run();
    let waiting = grpc.start(trips_message(FOREVER));
    let mut other = Connection::open(gateway.http);
    other.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_metric("pointsman_queue_depth", "", |depth| depth == 2.0);
    assert_eq!(post(gateway.http, LOOP, trips(1)).error().1, "QUEUE_FULL");
    // For a model that has room: one whose queue is full does not get to its body.
    let mut half = Connection::open(gateway.http);
    let head = format!("POST {ROOMY} HTTP/1.1\r\nhost: g\r\ncontent-length: 61440\r\n\r\n{{");
    half.send(head.as_bytes());
    in_flight(4.0);
    assert_eq!(post(gateway.http, ROOMY, vec![b' '; 60 << 10]).error().1, "OVERLOADED");
    waiting.abort();
    drop((half, other, running));
    in_flight(0.0);
}

#[test]
fn what_was_received_is_what_ended() {
    const ROUNDS: usize = 5;
    let (_registry, gateway) = start();
    let grpc = Grpc::connect(gateway.grpc);
    for _ in 0..ROUNDS {
        finished(&gateway, &grpc);
        abandoned(&gateway, &grpc);
    }
    gateway.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests == 0.0);
    assert_eq!(gateway.metric("pointsman_request_bytes", ""), 0.0);
    assert_eq!(gateway.metric("pointsman_queue_depth", ""), 0.0);
    let ended = |labels: &str| gateway.metric("pointsman_requests_total", labels);
    for (protocol, expected) in [("v2-rest", 15.0), ("v1-rest", 2.0), ("v2-grpc", 4.0)] {
        let labels = format!("protocol=\"{protocol}\"");
        let received = gateway.metric("pointsman_requests_received_total", &labels);
        assert_eq!(received, ended(&labels), "{protocol}");
        assert_eq!(received, expected * ROUNDS as f64, "{protocol}");
    }
    for (code, expected) in [
        ("OK", 3.0),
        ("BAD_REQUEST", 3.0),
        ("INPUT_MISMATCH", 1.0),
        ("INPUT_REJECTED", 1.0),
        ("UNKNOWN_MODEL", 2.0),
        ("UNKNOWN_VERSION", 1.0),
        ("SESSION_FAILED", 1.0),
        ("TOO_LARGE", 1.0),
        ("UNSUPPORTED_ENCODING", 1.0),
        ("QUEUE_FULL", 1.0),
        ("OVERLOADED", 1.0),
    ] {
        assert_eq!(ended(&format!("code=\"{code}\"")), expected * ROUNDS as f64, "{code}");
    }
    // Whose clock is first, the client's or the gateway's, is open for one of them.
    let late = ended("code=\"DEADLINE_EXCEEDED\"");
    assert!(late >= ROUNDS as f64, "{late}");
    assert_eq!(late + ended("code=\"CANCELLED\""), 5.0 * ROUNDS as f64);
}

/// Names from outside never become labels.
#[test]
fn names_that_nobody_serves_make_no_series() {
    let (_registry, gateway) = start();
    let series = || pointsman_tests::get(gateway.metrics, "/metrics").text().lines().count();
    let ask = |name: &str| post(gateway.http, &format!("/v2/models/{name}/infer"), trips(1)).status;
    assert_eq!(ask("nobody"), 404);
    let before = series();
    for i in 0..200 {
        assert_eq!(ask(&format!("nobody-{i}")), 404);
    }
    assert_eq!(series(), before);
}
