//! The way down: what was accepted is answered, what is idle does not hold it, and it ends in time.

mod traffic;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use pointsman_tests::{Connection, Gateway, Start, TestRegistry, get, post, wait_for};
use serde_json::json;

use self::traffic::{MODEL, Traffic};
use crate::calls::{FOREVER, Grpc, LOOP, trips, trips_message};

/// Far less than any delay that is configured here and should not count.
const SOON: Duration = Duration::from_secs(10);

/// A gateway over `loop` with this `[shutdown]` and these further keys.
fn start(shutdown: &str) -> (TestRegistry, Gateway) {
    let registry = TestRegistry::new().made("loop", "loop").file("loop/model.toml", "workers = 1\n");
    let gateway = Start::over(registry.path()).config(&format!("[shutdown]\n{shutdown}\n")).start();
    (registry, gateway)
}

/// Waits until the gateway says in its log that it is on this step.
fn wait_for_log(gateway: &Gateway, line: &str) {
    wait_for(line, || gateway.stderr().contains(line).then_some(()));
}

#[test]
fn readiness_goes_first_and_a_second_signal_ends_at_once() {
    let (_registry, gateway) = start("drain_delay = \"10m\"");
    assert_eq!(get(gateway.http, "/v2/health/ready").status, 200);
    let from = Instant::now();
    gateway.signal("TERM");
    wait_for("readiness to be false", || (get(gateway.http, "/v2/health/ready").status == 503).then_some(()));
    // Alive, and still accepting: whoever has not looked at the readiness yet is served.
    assert_eq!(get(gateway.http, "/v2/health/live").status, 200);
    assert_eq!(post(gateway.http, LOOP, trips(2)).status, 200);
    Grpc::connect(gateway.grpc).infer(trips_message(2)).expect("an answer");
    assert_eq!(gateway.metric("pointsman_ready", ""), 0.0);
    gateway.signal("TERM");
    let stopped = gateway.wait();
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("a second signal"), "{}", stopped.stderr);
    assert!(from.elapsed() < SOON, "{:?}", from.elapsed());
}

#[test]
fn what_was_accepted_is_answered() {
    let (_registry, gateway) = start("drain_delay = \"0s\"");
    let grpc = Grpc::connect(gateway.http);
    let mut running = Connection::open(gateway.http);
    running.post(LOOP, trips(300_000).as_bytes());
    gateway.wait_for_run();
    let mut queued = Connection::open(gateway.http);
    queued.post(LOOP, trips(4).as_bytes());
    let over_grpc = grpc.start(trips_message(5));
    gateway.wait_for_metric("pointsman_queue_depth", "", |depth| depth == 2.0);
    gateway.signal("TERM");
    for (connection, count) in [(&mut running, 300_000), (&mut queued, 4)] {
        let answer = connection.answer().expect("an answer");
        assert_eq!(answer.json()["outputs"][0]["data"], json!([count]));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(connection.rest(), b"");
    }
    grpc.wait(over_grpc).expect("an answer");
    let stopped = gateway.wait();
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
}

/// A request that comes by an idle connection while the gateway closes is answered, not cut off.
#[test]
fn idle_connections_are_served_and_do_not_hold_the_end() {
    let (_registry, gateway) = start("drain_delay = \"0s\"\ndrain_timeout = \"10m\"");
    let mut idle: Vec<Connection> = (0..20).map(|_| Connection::open(gateway.http)).collect();
    for connection in &mut idle {
        connection.get("/v2/health/live");
        let answer = connection.answer().expect("an answer");
        assert_eq!((answer.status, answer.header("connection")), (200, None));
    }
    let _silent: Vec<Connection> = (0..5).map(|_| Connection::open(gateway.http)).collect();
    let _grpc = Grpc::connect(gateway.grpc);
    let mut last = idle.pop().expect("a connection");
    gateway.signal("TERM");
    wait_for_log(&gateway, "closing");
    last.get("/v2/health/live");
    let answer = last.answer().expect("an answer rather than a closed connection");
    assert_eq!(answer.header("connection"), Some("close"));
    let from = Instant::now();
    let stopped = gateway.wait();
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    assert!(from.elapsed() < SOON, "{:?}", from.elapsed());
}

#[test]
fn a_run_that_does_not_end_does_not_hold_the_end() {
    let (_registry, gateway) = start("drain_delay = \"0s\"\ndrain_timeout = \"300ms\"");
    let mut running = Connection::open(gateway.http);
    running.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_run();
    let from = Instant::now();
    let stopped = gateway.stop();
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("shutdown.drain_timeout"), "{}", stopped.stderr);
    assert!(from.elapsed() < SOON, "{:?}", from.elapsed());
}

/// The version that is loaded here never gets through its golden case.
#[test]
fn a_signal_while_models_are_loaded() {
    let input = json!({"name": "trips", "datatype": "INT64", "shape": [1], "data": [FOREVER]});
    let output = json!({"name": "counted", "datatype": "INT64", "shape": [1], "data": [FOREVER]});
    let case = json!({"note": "for ever", "request": {"inputs": [input]}, "expected": {"outputs": [output]}});
    let registry = TestRegistry::new()
        .made("early", "gather")
        .made("loop", "loop")
        .file("loop/1/golden.json", json!({ "cases": [case] }).to_string());
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let gateway = Start::over(registry.path()).argument("--http").argument(free.to_string()).launch();
    wait_for("the first model", || gateway.stderr().contains("ready model=early").then_some(()));
    // Neither ready nor deaf.
    assert_eq!(get(free, "/v2/health/live").status, 200);
    assert_eq!(get(free, "/v2/health/ready").status, 503);
    assert_eq!(get(free, "/v2/models/early").status, 200);
    let index = post(free, "/v2/repository/index", "").text();
    assert!(index.contains("LOADING"), "{index}");
    let from = Instant::now();
    let stopped = gateway.stop();
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    assert!(from.elapsed() < SOON, "{:?}", from.elapsed());
}

#[test]
fn clients_that_drip_their_headers_are_cut_off() {
    let registry = TestRegistry::new().made("loop", "loop").file("loop/model.toml", "workers = 1\n");
    let limits = "[limits]\nheader_timeout = \"300ms\"\nbody_timeout = \"300ms\"\n";
    let gateway = Start::over(registry.path()).config(limits).start();
    for begun in ["", "P", "PRI * HT", "POST /v2", "GET / HTTP/1.1\r\nhost: g\r\n", "GET / HTTP/1.1\r\nx: "] {
        for address in [gateway.http, gateway.grpc] {
            let from = Instant::now();
            let mut slow = Connection::open(address);
            slow.send(begun.as_bytes());
            let _ = slow.rest();
            assert!(from.elapsed() < SOON, "{begun:?}: {:?}", from.elapsed());
        }
    }
    let mut slow = Connection::open(gateway.http);
    slow.send(format!("POST {LOOP} HTTP/1.1\r\nhost: g\r\ncontent-length: 100\r\n\r\n{{").as_bytes());
    let answer = slow.answer().expect("an answer");
    assert_eq!((answer.status, answer.error().1.as_str()), (400, "BAD_REQUEST"));
    assert!(answer.error().0.contains("limits.body_timeout"), "{}", answer.text());
    assert_eq!(post(gateway.http, LOOP, trips(1)).status, 200);
}

/// The variable that says how often the gateway is stopped under load.
const CYCLES: &str = "POINTSMAN_TEST_DRAIN_CYCLES";

/// What a signal under load costs: how many requests were answered before it, in which time, what was
/// lost, and the exit code.
fn signal_under_load(signal: &str) -> (usize, Duration, Vec<String>, Option<i32>) {
    /// Requests before the signal: enough that all connections are in use.
    const BEFORE: usize = 500;
    let registry = TestRegistry::new().echo(MODEL, "ort_mul_1");
    let gateway = Start::over(registry.path()).config("[shutdown]\ndrain_delay = \"100ms\"\n").start();
    let traffic = Traffic::start(gateway.http, gateway.grpc);
    wait_for("the first answers", || (traffic.tally.answered() >= 100).then_some(()));
    let (from, first) = (Instant::now(), traffic.tally.answered());
    wait_for("traffic", || (traffic.tally.answered() >= first + BEFORE).then_some(()));
    let (answered, time) = (traffic.tally.answered() - first, from.elapsed());
    gateway.signal(signal);
    let lost = traffic.end();
    (answered, time, lost, gateway.wait().code)
}

#[test]
fn no_request_is_lost_when_the_gateway_is_stopped_under_load() {
    let cycles = std::env::var(CYCLES).map_or(10, |count| count.parse().expect("a number of cycles"));
    let (mut answered, mut time) = (0, Duration::ZERO);
    for cycle in 0..cycles {
        let (requests, took, lost, code) = signal_under_load("TERM");
        assert!(lost.is_empty(), "cycle {cycle}: {lost:#?}");
        assert_eq!(code, Some(0), "cycle {cycle}");
        (answered, time) = (answered + requests, time + took);
    }
    let rate = answered as f64 / time.as_secs_f64();
    println!("{cycles} cycles at {rate:.0} requests a second, none lost");
    assert!(rate >= 1000.0, "{rate:.0} requests a second are too few to say anything");
    // The control: what a process leaves behind that does not drain is seen.
    let (_, _, lost, code) = signal_under_load("KILL");
    assert!(!lost.is_empty() && code.is_none(), "{code:?}");
}
