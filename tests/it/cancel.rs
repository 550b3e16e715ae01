//! Callers that go away: what they asked for is not run, or not run to its end.

use std::time::{Duration, Instant};

use pointsman_tests::{Connection, Gateway, Start, TestRegistry, post};

use crate::calls::{FOREVER, Grpc, LOOP, loop_gateway, trips, trips_message};

/// How long a worker may take to be free again: far less than any run that was begun here.
const SOON: Duration = Duration::from_secs(5);

fn start() -> (TestRegistry, Gateway) {
    let (registry, start) = loop_gateway("");
    (registry, Start::start(start))
}

/// Asks for a short run, and holds the worker to being free.
fn assert_worker_is_free(gateway: &Gateway) {
    let from = Instant::now();
    let answer = post(gateway.http, LOOP, trips(3));
    assert_eq!(answer.json()["outputs"][0]["data"], serde_json::json!([3]), "{}", answer.text());
    println!("the worker was free within {:?}", from.elapsed());
    assert!(from.elapsed() < SOON, "{:?}", from.elapsed());
}

fn cancelled(gateway: &Gateway, protocol: &str, count: f64) {
    gateway.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests == 0.0);
    let labels = format!("protocol=\"{protocol}\",code=\"CANCELLED\"");
    assert_eq!(gateway.metric("pointsman_requests_total", &labels), count);
}

#[test]
fn a_run_ends_when_its_caller_leaves_over_http1() {
    let (_registry, gateway) = start();
    let mut caller = Connection::open(gateway.http);
    caller.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_run();
    drop(caller);
    assert_worker_is_free(&gateway);
    cancelled(&gateway, "v2-rest", 1.0);
}

#[test]
fn a_run_ends_when_its_caller_leaves_over_grpc() {
    let (_registry, gateway) = start();
    let grpc = Grpc::connect(gateway.grpc);
    let call = grpc.start(trips_message(FOREVER));
    gateway.wait_for_run();
    call.abort();
    assert_worker_is_free(&gateway);
    cancelled(&gateway, "v2-grpc", 1.0);
    // The connection that the stream was on goes on.
    grpc.infer(trips_message(2)).expect("an answer");
}

/// A request that waits is not run once nobody waits for it: this one would never end.
#[test]
fn queued_work_of_a_caller_that_left_never_runs() {
    let (_registry, gateway) = start();
    let grpc = Grpc::connect(gateway.grpc);
    let mut running = Connection::open(gateway.http);
    running.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_run();
    let mut over_http = Connection::open(gateway.http);
    over_http.post(LOOP, trips(FOREVER).as_bytes());
    let over_grpc = grpc.start(trips_message(FOREVER));
    gateway.wait_for_metric("pointsman_queue_depth", "", |depth| depth == 2.0);
    drop(over_http);
    over_grpc.abort();
    gateway.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests == 1.0);
    drop(running);
    assert_worker_is_free(&gateway);
    cancelled(&gateway, "v2-rest", 2.0);
    cancelled(&gateway, "v2-grpc", 1.0);
}

/// A caller that left gives its place back at once, not when a worker comes by.
#[test]
fn a_place_in_the_queue_comes_back_when_its_caller_leaves() {
    let registry =
        TestRegistry::new().made("loop", "loop").file("loop/model.toml", "workers = 1\nqueue_max = 1\n");
    let gateway = Start::over(registry.path()).start();
    let mut running = Connection::open(gateway.http);
    running.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_run();
    let mut waiting = Connection::open(gateway.http);
    waiting.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_metric("pointsman_queue_depth", "", |depth| depth == 1.0);
    let full = post(gateway.http, LOOP, trips(1));
    assert_eq!((full.status, full.error().1.as_str()), (503, "QUEUE_FULL"));
    drop(waiting);
    gateway.wait_for_metric("pointsman_queue_depth", "", |depth| depth == 0.0);
    let mut next = Connection::open(gateway.http);
    next.post(LOOP, trips(4).as_bytes());
    gateway.wait_for_metric("pointsman_queue_depth", "", |depth| depth == 1.0);
    drop(running);
    assert_eq!(next.answer().expect("an answer").status, 200);
}

/// The negative control: a caller that stays is not taken for one that left.
#[test]
fn a_caller_that_stays_is_answered() {
    let (_registry, gateway) = start();
    let mut patient = Connection::open(gateway.http);
    patient.post(LOOP, trips(200_000).as_bytes());
    gateway.wait_for_run();
    drop(Connection::open(gateway.http));
    let answer = patient.answer().expect("an answer");
    assert_eq!(answer.json()["outputs"][0]["data"], serde_json::json!([200_000]));
    cancelled(&gateway, "v2-rest", 0.0);
}
