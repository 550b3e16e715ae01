//! What is too much is refused at once, and disturbs nothing else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pointsman_tests::{Connection, Gateway, Start, TestRegistry, get, post};
use serde_json::json;

use crate::calls::{FOREVER, Grpc, LOOP, trips, trips_message};

const NOW: &str = "[shutdown]\ndrain_delay = \"0s\"\n";
const ADD: &str = "/v2/models/gather/infer";
const ADD_BODY: &str = r#"{"inputs":[{"name":"indices","datatype":"INT64","shape":[1],"data":[1]}]}"#;

/// A gateway that serves `loop`, of one worker, with this card, and `gather`.
fn gateway(card: &str, config: &str) -> (TestRegistry, Gateway) {
    let card = format!("workers = 1\n{card}");
    let registry =
        TestRegistry::new().made("loop", "loop").made("gather", "gather").file("loop/model.toml", card);
    let gateway = Start::over(registry.path()).config(&format!("{NOW}{config}")).start();
    (registry, gateway)
}

#[test]
fn requests_are_refused_while_memory_is_low() {
    // Less than a gateway has when it does nothing.
    let (_registry, gateway) = gateway("", "[limits]\nmemory_max = \"1MiB\"\n");
    gateway.wait_for_metric("pointsman_memory_used_ratio", "", |used| used >= 1.0);
    assert_eq!(post(gateway.http, ADD, ADD_BODY).error().1, "OVERLOADED");
    let refused = Grpc::connect(gateway.grpc).infer(trips_message(1)).expect_err("memory is low");
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    for path in ["/v2/health/live", "/v2/health/ready", "/v2/models/gather"] {
        assert_eq!(get(gateway.http, path).status, 200, "{path}");
    }
    assert_eq!(gateway.metric("pointsman_requests_total", "code=\"OVERLOADED\""), 2.0);
}

#[test]
fn nothing_is_refused_where_there_is_memory() {
    let (_registry, gateway) = gateway("", "[limits]\nmemory_max = \"1024GiB\"\n");
    gateway.wait_for_metric("pointsman_memory_used_ratio", "", |used| used > 0.0);
    assert_eq!(post(gateway.http, ADD, ADD_BODY).status, 200);
}

#[test]
fn callers_that_come_back_at_once_are_refused_no_faster_than_may_be() {
    const TIMES: u32 = 10;
    // Less memory than a gateway has when it does nothing: all is refused.
    let took = |limits: &str| {
        let config = format!("[limits]\nmemory_max = \"1MiB\"\n{limits}\n[serving]\ncores = 1\n");
        let (_registry, gateway) = gateway("", &config);
        gateway.wait_for_metric("pointsman_memory_used_ratio", "", |used| used >= 1.0);
        let mut connection = Connection::open(gateway.http);
        let grpc = Grpc::connect(gateway.grpc);
        let began = Instant::now();
        for _ in 0..TIMES {
            connection.post(ADD, ADD_BODY.as_bytes());
            assert_eq!(connection.answer().expect("an answer").error().1, "OVERLOADED");
            let refused = grpc.infer(trips_message(1)).expect_err("memory is low");
            assert_eq!(refused.code(), tonic::Code::Unavailable);
        }
        let took = began.elapsed();
        (took, gateway, connection, _registry)
    };
    // Ten a second: the first is answered at once, and each further one waits for a tenth of a second.
    let (paused, gateway, mut connection, _registry) = took("refusals_max = 10");
    assert!(paused >= Duration::from_millis(100) * (2 * TIMES - 2), "{paused:?}");
    let (at_once, ..) = took("");
    assert!(at_once < paused, "without: {at_once:?}, with: {paused:?}");
    // One that waits is seen, and holds no place in flight.
    let seen = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !seen.load(Ordering::Relaxed) {
                connection.post(ADD, ADD_BODY.as_bytes());
                assert_eq!(connection.answer().expect("an answer").status, 503);
            }
        });
        gateway.wait_for_metric("pointsman_refusals_held", "", |held| held == 1.0);
        seen.store(true, Ordering::Relaxed);
    });
    gateway.wait_for_metric("pointsman_refusals_held", "", |held| held == 0.0);
    assert_eq!(gateway.metric("pointsman_requests_in_flight", ""), 0.0);
}

#[test]
fn a_full_queue_is_told_before_the_body_is_sent() {
    let (_registry, gateway) = gateway("queue_max = 1\n", "");
    let mut running = Connection::open(gateway.http);
    running.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_run();
    let mut waiting = Connection::open(gateway.http);
    waiting.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_metric("pointsman_queue_depth", "model=\"loop\"", |depth| depth == 1.0);
    // A client that would send fifty megabytes waits to be asked for them, and is not.
    let mut big = Connection::open(gateway.http);
    let head = format!(
        "POST {LOOP} HTTP/1.1\r\nhost: g\r\ncontent-length: 52428800\r\nexpect: 100-continue\r\n\r\n"
    );
    big.send(head.as_bytes());
    let answer = big.answer().expect("an answer");
    assert_eq!((answer.status, answer.error().1.as_str()), (503, "QUEUE_FULL"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    let refused = Grpc::connect(gateway.grpc).infer(trips_message(1)).expect_err("the queue is full");
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    // Another model is served as ever, and so is what only asks.
    assert_eq!(post(gateway.http, ADD, ADD_BODY).status, 200);
    assert_eq!(get(gateway.http, "/v2/health/ready").status, 200);
}

#[test]
fn one_model_leaves_places_in_flight_to_others() {
    let (_registry, gateway) =
        gateway("", "[limits]\nrequests_in_flight_max = 4\nrequests_per_model_max = 2\n");
    let mut held: Vec<Connection> = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(gateway.http);
        connection.post(LOOP, trips(FOREVER).as_bytes());
        held.push(connection);
    }
    gateway.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests == 2.0);
    let answer = post(gateway.http, LOOP, trips(1));
    assert_eq!(answer.error().1, "OVERLOADED");
    assert!(answer.text().contains("limits.requests_per_model_max"), "{}", answer.text());
    assert_eq!(post(gateway.http, ADD, ADD_BODY).status, 200);
    drop(held);
    gateway.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests == 0.0);
    assert_eq!(post(gateway.http, LOOP, trips(1)).status, 200);
}

#[test]
fn the_priority_of_a_request_decides_who_waits_and_who_is_shed() {
    let (_registry, gateway) = gateway("queue_max = 1\npriority_levels = 2\npriority_default = 2\n", "");
    let mut running = Connection::open(gateway.http);
    running.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_run();
    let mut low = Connection::open(gateway.http);
    low.post(LOOP, trips(1).as_bytes());
    gateway.wait_for_metric("pointsman_queue_depth", "model=\"loop\"", |depth| depth == 1.0);
    let prior = |priority: u64| {
        let mut body: serde_json::Value = serde_json::from_str(&trips(1)).expect("JSON");
        body["parameters"] = json!({ "priority": priority });
        body.to_string()
    };
    assert_eq!(post(gateway.http, LOOP, prior(2)).error().1, "QUEUE_FULL");
    let mut high = Connection::open(gateway.http);
    high.post(LOOP, prior(1).as_bytes());
    let shed = low.answer().expect("an answer");
    assert_eq!((shed.status, shed.error().1.as_str()), (503, "QUEUE_FULL"));
    assert!(shed.text().contains("higher priority"), "{}", shed.text());
    drop(running);
    assert_eq!(high.answer().expect("an answer").status, 200);
}

#[test]
fn workers_of_all_models_take_turns_at_the_cores() {
    let registry = TestRegistry::new().made("loop", "loop").made("other", "loop");
    let config = format!("{NOW}[serving]\ncores = 1\nworkers = 2\n");
    let gateway = Start::over(registry.path()).config(&config).start();
    assert_eq!(gateway.metric("pointsman_cores", ""), 1.0);
    let mut running = Connection::open(gateway.http);
    running.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_metric("pointsman_cores_busy", "", |busy| busy == 1.0);
    let mut other = Connection::open(gateway.http);
    other.post("/v2/models/other/infer", trips(1).as_bytes());
    // It has workers of its own, and waits for the core.
    gateway.wait_for_metric("pointsman_turns_waited_for", "", |waiting| waiting >= 1.0);
    assert_eq!(gateway.metric("pointsman_queue_depth", "model=\"other\""), 1.0);
    drop(running);
    assert_eq!(other.answer().expect("an answer").status, 200);
    gateway.wait_for_metric("pointsman_cores_busy", "", |busy| busy == 0.0);
}

/// What a client has sent ahead of a refusal is not held against its connection.
#[tokio::test]
async fn a_connection_outlives_refused_bodies_over_http2() {
    let (_registry, gateway) = gateway("", "[limits]\nmemory_max = \"1MiB\"\n");
    gateway.wait_for_metric("pointsman_memory_used_ratio", "", |used| used >= 1.0);
    let stream = tokio::net::TcpStream::connect(gateway.http).await.expect("a connection");
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    // Thirty times what may be sent ahead on all streams together.
    for _ in 0..30 {
        let body = Full::new(Bytes::from(vec![b' '; 1 << 20]));
        let request =
            hyper::Request::post(format!("http://{}{ADD}", gateway.http)).body(body).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), 503);
        let text = answer.into_body().collect().await.expect("the whole answer").to_bytes();
        assert!(text.windows(10).any(|word| word == b"OVERLOADED"), "{text:?}");
    }
    let request = hyper::Request::get(format!("http://{}/v2/health/ready", gateway.http));
    let ready = sender.send_request(request.body(Full::default()).expect("a request")).await;
    assert_eq!(ready.expect("an answer").status(), 200);
}

/// The nice values of threads whose name begins so.
fn nice_values(gateway: &Gateway, prefix: &str) -> Vec<i64> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", gateway.pid())).expect("threads");
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    // proc(5): the name stands in parentheses as the second field, the nice value as the nineteenth.
    let values = stats.filter_map(|stat| {
        let (head, fields) = stat.rsplit_once(") ")?;
        let name = head.split_once('(')?.1;
        name.starts_with(prefix).then(|| fields.split(' ').nth(16)?.parse().ok())?
    });
    values.collect()
}

#[test]
fn runs_stand_back_behind_the_threads_of_connections() {
    for (config, niceness) in [("", 10), ("[serving]\nniceness = 0\n", 0), ("[serving]\nniceness = 19\n", 19)]
    {
        let (_registry, gateway) = gateway("", config);
        assert_eq!(nice_values(&gateway, "run-1-loop"), [niceness], "{config}");
        let io = nice_values(&gateway, "pointsman-io");
        assert!(!io.is_empty() && io.iter().all(|nice| *nice == 0), "{config}: {io:?}");
    }
}
