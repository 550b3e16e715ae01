//! Deadlines, full queues and the limits on what is in flight.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pointsman_tests::{Answer, Connection, post, request};
use pointsman_wire::grpc::proto::infer_parameter::ParameterChoice;
use pointsman_wire::grpc::proto::{InferParameter, ModelInferRequest};
use prost::Message;
use tonic::{Code, Request};

use crate::calls::{FOREVER, Grpc, LOOP, code_of, loop_gateway, trips, trips_message, trips_within};

/// How long a caller waits in these tests.
const PATIENCE: Duration = Duration::from_millis(300);

/// An answer to a request that runs for ever: too late by its own measure, and soon by any other.
fn assert_expired(what: &str, ask: impl FnOnce() -> Answer) {
    let from = Instant::now();
    let answer = ask();
    assert_eq!((answer.status, answer.error().1.as_str()), (504, "DEADLINE_EXCEEDED"), "{what}");
    assert!(from.elapsed() >= PATIENCE, "{what}: after {:?}", from.elapsed());
    assert!(from.elapsed() < Duration::from_secs(10), "{what}: after {:?}", from.elapsed());
}

fn assert_worker_is_free(http: SocketAddr) {
    assert_eq!(post(http, LOOP, trips(3)).status, 200);
}

#[test]
fn each_way_to_say_a_deadline_ends_the_run() {
    let (_registry, start) = loop_gateway("");
    let gateway = start.start();
    let micros = u64::try_from(PATIENCE.as_micros()).expect("a short time");
    let body = trips_within(FOREVER, micros);
    assert_expired("the parameter", || post(gateway.http, LOOP, &body));
    assert_worker_is_free(gateway.http);

    let header = [("pointsman-timeout-ms", "300")];
    let long = trips(FOREVER);
    assert_expired("the header", || request("POST", gateway.http, LOOP, &header, Some(long.as_bytes())));
    assert_worker_is_free(gateway.http);

    // The earlier of the two counts.
    let later = trips_within(FOREVER, 3_600_000_000);
    assert_expired("both", || request("POST", gateway.http, LOOP, &header, Some(later.as_bytes())));
    let wrong = [("pointsman-timeout-ms", "soon")];
    let refused = request("POST", gateway.http, LOOP, &wrong, Some(long.as_bytes()));
    assert_eq!((refused.status, refused.error().1.as_str()), (400, "BAD_REQUEST"));

    let grpc = Grpc::connect(gateway.grpc);
    let mut message = Request::new(trips_message(FOREVER));
    message.set_timeout(PATIENCE);
    let status = grpc.infer(message).expect_err("a refusal");
    // The client's own clock may be the first to say so.
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status}");
    assert_worker_is_free(gateway.http);
    gateway.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests == 0.0);
    let expired = gateway.metric("pointsman_requests_total", "code=\"DEADLINE_EXCEEDED\"");
    let cancelled = gateway.metric("pointsman_requests_total", "code=\"CANCELLED\"");
    assert_eq!(
        (expired >= 3.0, expired + cancelled),
        (true, 4.0),
        "{expired} expired, {cancelled} cancelled"
    );
}

/// Calls without a gRPC client, which would look at the clock itself; gives the headers of the answer.
async fn call(address: SocketAddr, message: &ModelInferRequest, timeout: &str) -> HeaderMap {
    let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    let body = [&[0][..], &length, &message].concat();
    let path = format!("http://{address}/inference.GRPCInferenceService/ModelInfer");
    let request = hyper::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .body(Full::new(Bytes::from(body)))
        .expect("a request");
    sender.send_request(request).await.expect("an answer").headers().clone()
}

#[tokio::test]
async fn grpc_timeout_is_kept_by_the_gateway() {
    let (_registry, start) = loop_gateway("");
    let gateway = start.start();
    for timeout in ["300m", "300000u", "1S"] {
        let headers = call(gateway.grpc, &trips_message(FOREVER), timeout).await;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(text("grpc-status"), Some("4"), "{timeout}: {headers:?}");
        assert_eq!(text("pointsman-code"), Some("DEADLINE_EXCEEDED"), "{timeout}: {headers:?}");
    }
    assert_worker_is_free(gateway.http);
}

#[test]
fn the_parameter_counts_over_grpc_too() {
    let (_registry, start) = loop_gateway("");
    let gateway = start.start();
    let mut message = trips_message(FOREVER);
    let micros = InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(300_000)) };
    message.parameters.insert("timeout".into(), micros);
    let status = Grpc::connect(gateway.grpc).infer(message).expect_err("a refusal");
    assert_eq!((status.code(), code_of(&status)), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    assert_worker_is_free(gateway.http);
}

/// The one that waits here would never end if it were run.
#[test]
fn queued_work_whose_deadline_passed_never_runs() {
    let (_registry, start) = loop_gateway("");
    let gateway = start.start();
    let mut running = Connection::open(gateway.http);
    running.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_run();
    let header = [("pointsman-timeout-ms", "300")];
    let long = trips(FOREVER);
    assert_expired("queued", || request("POST", gateway.http, LOOP, &header, Some(long.as_bytes())));
    let past = [("pointsman-timeout-ms", "0")];
    let arrived = request("POST", gateway.http, LOOP, &past, Some(long.as_bytes()));
    assert_eq!((arrived.status, arrived.error().1.as_str()), (504, "DEADLINE_EXCEEDED"));
    drop(running);
    assert_worker_is_free(gateway.http);
}

fn assert_try_later(answer: &Answer, code: &str, key: &str) {
    let (message, found) = answer.error();
    assert_eq!((answer.status, found.as_str()), (503, code), "{message}");
    assert!(message.contains(key), "{message}");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[test]
fn a_full_queue_is_said_at_once() {
    let (_registry, start) = loop_gateway("[serving]\nqueue_max = 1\n");
    let gateway = start.start();
    let grpc = Grpc::connect(gateway.grpc);
    let mut running = Connection::open(gateway.http);
    running.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_run();
    let mut waiting = Connection::open(gateway.http);
    waiting.post(LOOP, trips(2).as_bytes());
    gateway.wait_for_metric("pointsman_queue_depth", "", |depth| depth == 1.0);
    assert_try_later(&post(gateway.http, LOOP, trips(1)), "QUEUE_FULL", "queue_max");
    let status = grpc.infer(trips_message(1)).expect_err("a refusal");
    assert_eq!((status.code(), code_of(&status)), (Code::Unavailable, "QUEUE_FULL"));
    drop(running);
    assert_eq!(waiting.answer().expect("an answer").status, 200);
}

#[test]
fn requests_and_bytes_in_flight_are_bounded() {
    let (_registry, start) =
        loop_gateway("[limits]\nrequests_in_flight_max = 3\nbytes_in_flight_max = \"64KiB\"\n");
    let gateway = start.start();
    let grpc = Grpc::connect(gateway.grpc);
    let hold = |declared: usize| {
        let mut connection = Connection::open(gateway.http);
        let head = format!("POST {LOOP} HTTP/1.1\r\nhost: g\r\ncontent-length: {declared}\r\n\r\n");
        connection.send(head.as_bytes());
        connection
    };
    let in_flight = |count: f64| {
        gateway.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests == count);
    };
    let large = hold(60 << 10);
    in_flight(1.0);
    let key = "limits.bytes_in_flight_max";
    assert_try_later(&post(gateway.http, LOOP, vec![b' '; 8 << 10]), "OVERLOADED", key);
    let mut message = trips_message(1);
    message.id = "x".repeat(8 << 10);
    let status = grpc.infer(message).expect_err("a refusal");
    assert_eq!((status.code(), code_of(&status)), (Code::Unavailable, "OVERLOADED"), "{status}");
    assert_eq!(post(gateway.http, LOOP, trips(1)).status, 200);

    let small: Vec<Connection> = (0..2).map(|_| hold(10)).collect();
    in_flight(3.0);
    let key = "limits.requests_in_flight_max";
    assert_try_later(&post(gateway.http, LOOP, trips(1)), "OVERLOADED", key);
    let status = grpc.infer(trips_message(1)).expect_err("a refusal");
    assert_eq!((status.code(), code_of(&status)), (Code::Unavailable, "OVERLOADED"), "{status}");
    drop((large, small));
    in_flight(0.0);
    assert_eq!(gateway.metric("pointsman_request_bytes", ""), 0.0);
    assert_worker_is_free(gateway.http);
}
