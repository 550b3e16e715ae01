//! Clients that take their answers slowly, or not at all.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::Request;
use pointsman_core::{Datatype, InputTensor};
use pointsman_tests::{Connection, Gateway, OnnxModel, Start, TestRegistry, v2};
use tokio::task::JoinHandle;

/// Values of the large answer: far more than connections and their sockets hold.
const ELEMENTS: u64 = 4_000_000;
const PATIENCE: Duration = Duration::from_secs(20);
const INFER: &str = "/v2/models/through/infer";

/// A gateway that answers with what it is sent, and gives up clients that take nothing for so long.
fn gateway(write_timeout: &str) -> (TestRegistry, Gateway) {
    let model = OnnxModel::new().input("x", Datatype::Fp32, &[-1]).node("Identity", &["x"], "y").output(
        "y",
        Datatype::Fp32,
        &[-1],
    );
    let registry = TestRegistry::new().file("through/1/model.onnx", model.bytes());
    let config = format!("[limits]\nwrite_timeout = \"{write_timeout}\"\n[shutdown]\ndrain_delay = \"0s\"\n");
    let gateway = Start::over(registry.path()).config(&config).start();
    (registry, gateway)
}

/// The body of a request whose answer is as large, and the length of its JSON.
fn body(elements: u64) -> (String, Vec<u8>) {
    let values: Vec<f32> = (0..elements).map(|i| i as f32).collect();
    let (length, body) =
        v2::binary_request(&[InputTensor { name: "x".into(), tensor: v2::tensor(&[elements], &values) }]);
    (length.to_string(), body)
}

/// An HTTP/2 connection whose client grants this window to each stream, and whether it is still open.
async fn connect(gateway: SocketAddr, window: u32) -> (SendRequest<Bytes>, JoinHandle<()>) {
    let stream = tokio::net::TcpStream::connect(gateway).await.expect("a connection");
    let handshake = Builder::new().initial_window_size(window).handshake(stream);
    let (sender, connection) = handshake.await.expect("HTTP/2");
    (sender, tokio::spawn(async move { drop(connection.await) }))
}

async fn ask(sender: SendRequest<Bytes>, gateway: SocketAddr, elements: u64) -> ResponseFuture {
    let (length, body) = body(elements);
    let request = Request::post(format!("http://{gateway}{INFER}"))
        .header("inference-header-content-length", length)
        .body(())
        .expect("a request");
    let mut sender = sender.ready().await.expect("it is open");
    let (answer, mut stream) = sender.send_request(request, false).expect("it is open");
    stream.send_data(body.into(), true).expect("it is open");
    answer
}

/// Takes the next bytes of an answer, and grants as many more.
async fn take(answer: &mut RecvStream) -> Option<usize> {
    let bytes = answer.data().await?.expect("the answer goes on").len();
    answer.flow_control().release_capacity(bytes).expect("they were taken");
    Some(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_grants_no_window_holds_no_place_in_flight() {
    let (_registry, gateway) = gateway("500ms");
    let (sender, open) = connect(gateway.http, 0).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        let answer = ask(sender.clone(), gateway.http, 1).await.await.expect("the head of an answer");
        assert_eq!(answer.status(), 200);
        answers.push(answer);
    }
    assert_eq!(gateway.metric("pointsman_requests_in_flight", ""), 3.0);
    tokio::time::timeout(PATIENCE, open).await.expect("the gateway closes the connection").expect("it ends");
    gateway.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests == 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_a_little_now_and_then_gets_all_of_it() {
    let (_registry, gateway) = gateway("500ms");
    let (sender, open) = connect(gateway.http, 1 << 20).await;
    let answer = ask(sender.clone(), gateway.http, ELEMENTS).await.await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let mut answer = answer.into_body();
    let mut came = 0;
    // More than the timeout in all, and less at once.
    for step in 1..=8 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(gateway.metric("pointsman_requests_in_flight", ""), 1.0, "it is not written");
        while came < step << 17 {
            came += take(&mut answer).await.expect("more");
        }
    }
    while let Some(bytes) = take(&mut answer).await {
        came += bytes;
    }
    assert!(came as u64 >= 4 * ELEMENTS, "{came} bytes");
    gateway.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests == 0.0);
    assert!(!open.is_finished());
}

#[test]
fn an_answer_is_in_flight_until_its_client_has_taken_it() {
    let (_registry, gateway) = gateway("60s");
    let (length, body) = body(ELEMENTS);
    let mut connection = Connection::open(gateway.http);
    let head = format!(
        "POST {INFER} HTTP/1.1\r\nhost: g\r\ninference-header-content-length: {length}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.send(head.as_bytes());
    connection.send(&body);
    // The run is over, and the answer waits for its client.
    gateway.wait_for_metric("pointsman_runs_total", "model=\"through\"", |runs| runs == 1.0);
    gateway.wait_for_metric("pointsman_cores_busy", "", |cores| cores == 0.0);
    assert_eq!(gateway.metric("pointsman_requests_in_flight", ""), 1.0);
    let answer = connection.answer().expect("an answer");
    assert!(answer.body.len() as u64 >= 4 * ELEMENTS);
    gateway.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests == 0.0);
}
