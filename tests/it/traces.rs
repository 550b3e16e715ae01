//! OpenTelemetry: one span per request, below the caller's, and a collector that is not there.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use pointsman_tests::{Connection, Gateway, Start, TestRegistry, post, request, wait_for};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::{Request, Response, Status};

use crate::calls::{FOREVER, Grpc, LOOP, trips, trips_message};

/// The caller's trace and span, sampled.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|r| r.scope_spans);
        self.spans.lock().expect("no panic").extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts one; it runs as long as the runtime is kept.
    fn start() -> (Self, SocketAddr, Runtime) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("its address");
        let collector = Self::default();
        let service = TowerToHyperService::new(TraceServiceServer::new(collector.clone()));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let builder = http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service.clone()));
            }
        });
        (collector, address, runtime)
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("no panic").clone()
    }
}

/// A gateway over `loop` that sends its spans there.
fn gateway(collector: SocketAddr, more: &str) -> (TestRegistry, Gateway) {
    let registry = TestRegistry::new().made("loop", "loop");
    let config = format!(
        "[telemetry]\notlp_endpoint = \"http://{collector}\"\n{more}\n[shutdown]\ndrain_delay = \"0s\"\n"
    );
    let gateway = Start::over(registry.path()).config(&config).start();
    (registry, gateway)
}

fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|a| a.key == key).and_then(|a| a.value.as_ref()?.value.as_ref());
    match found {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn each_request_has_one_span_below_its_caller() {
    let (collector, address, _runtime) = Collector::start();
    let (_registry, gateway) = gateway(address, "");
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", parent.as_str())];
    let answer = request("POST", gateway.http, LOOP, &headers, Some(trips(2).as_bytes()));
    let response = answer.header("traceresponse").expect("a trace").to_owned();
    let id = answer.header("pointsman-request-id").expect("an id").to_owned();
    let refused = request("POST", gateway.http, LOOP, &headers, Some(b"{"));
    assert!(refused.header("traceresponse").is_some(), "{refused:?}");
    let mut message = Request::new(trips_message(3));
    message.metadata_mut().insert("traceparent", parent.parse().expect("text"));
    let called = Grpc::connect(gateway.grpc).infer(message).expect("an answer");
    assert!(called.metadata().get("traceresponse").is_some());
    // Without a caller's context the request starts a trace of its own.
    assert_eq!(post(gateway.http, LOOP, trips(4)).status, 200);
    assert_eq!(gateway.stop().code, Some(0));

    let spans = collector.spans();
    assert_eq!(spans.len(), 4, "{spans:#?}");
    let below: Vec<&Span> = spans.iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
    assert_eq!(below.len(), 3);
    assert!(below.iter().all(|span| hex(&span.parent_span_id) == PARENT), "{below:#?}");
    let first = below.iter().find(|span| attribute(span, "pointsman.request_id") == id).expect("the first");
    assert_eq!(response, format!("00-{TRACE}-{}-01", hex(&first.span_id)));
    for (key, value) in
        [("pointsman.model", "loop"), ("pointsman.version", "1"), ("pointsman.arm", "default")]
    {
        assert_eq!(attribute(first, key), value, "{key}");
    }
    let events: Vec<&str> = first.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(events, ["decode", "queue", "batch", "run", "encode"]);
    let within = |at: u64| (first.start_time_unix_nano..=first.end_time_unix_nano).contains(&at);
    assert!(first.events.iter().all(|event| within(event.time_unix_nano)), "{first:#?}");
    let failed = below.iter().filter(|span| attribute(span, "pointsman.code") == "BAD_REQUEST").count();
    assert_eq!(failed, 1, "{below:#?}");
}

#[test]
fn the_caller_and_the_ratio_decide_what_is_traced() {
    let (collector, address, _runtime) = Collector::start();
    let (_registry, gateway) = gateway(address, "sample_ratio = 0.0");
    assert_eq!(post(gateway.http, LOOP, trips(1)).status, 200);
    for (flags, malformed) in [("00", false), ("01", false), ("01", true)] {
        let parent =
            if malformed { "00-nonsense".to_owned() } else { format!("00-{TRACE}-{PARENT}-{flags}") };
        let answer =
            request("POST", gateway.http, LOOP, &[("traceparent", &parent)], Some(trips(1).as_bytes()));
        assert_eq!(answer.status, 200, "{parent}");
    }
    assert_eq!(gateway.stop().code, Some(0));
    let traces: Vec<String> = collector.spans().iter().map(|span| hex(&span.trace_id)).collect();
    assert_eq!(traces, [TRACE]);
}

#[test]
fn requests_that_are_refused_at_the_door_have_their_spans_and_lines() {
    let (collector, address, _runtime) = Collector::start();
    let limits = "[limits]\nrequests_in_flight_max = 1\n[log]\nformat = \"json\"\nrequests = true";
    let (_registry, gateway) = gateway(address, limits);
    let mut running = Connection::open(gateway.http);
    running.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_run();
    let refused = post(gateway.http, LOOP, trips(1));
    assert_eq!(refused.error().1, "OVERLOADED");
    assert!(refused.header("traceresponse").is_some(), "{refused:?}");
    Grpc::connect(gateway.grpc).infer(trips_message(1)).expect_err("a refusal");
    drop(running);
    gateway.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests == 0.0);
    let stopped = gateway.stop();
    assert_eq!(stopped.code, Some(0));
    for protocol in ["v2-rest", "v2-grpc"] {
        let of_it = |line: &&str| line.contains(protocol) && line.contains("\"code\":\"OVERLOADED\"");
        assert_eq!(stopped.stderr.lines().filter(of_it).count(), 1, "{protocol}: {}", stopped.stderr);
    }
    let spans = collector.spans();
    let refused = spans.iter().filter(|span| attribute(span, "pointsman.code") == "OVERLOADED");
    assert_eq!((refused.count(), spans.len()), (2, 3), "{spans:#?}");
}

/// A caller that leaves does not leave an open span behind.
#[test]
fn a_request_whose_caller_left_has_its_span() {
    let (collector, address, _runtime) = Collector::start();
    let (_registry, gateway) = gateway(address, "");
    let mut caller = Connection::open(gateway.http);
    caller.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_run();
    drop(caller);
    gateway.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests == 0.0);
    assert_eq!(gateway.stop().code, Some(0));
    assert_eq!(collector.spans().len(), 1);
}

/// A port that nobody listens on, and one that accepts and never answers.
#[test]
fn a_collector_that_does_not_take_spans_delays_nothing() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    for address in [closed, silent.local_addr().expect("its address")] {
        let (_registry, gateway) = gateway(address, "");
        let from = Instant::now();
        for _ in 0..200 {
            assert_eq!(post(gateway.http, LOOP, trips(1)).status, 200);
        }
        println!("200 requests: {:?}", from.elapsed());
        assert!(from.elapsed() < Duration::from_secs(10), "{:?}", from.elapsed());
        let from = Instant::now();
        let stopped = gateway.stop();
        println!("the way down: {:?}", from.elapsed());
        assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
        assert!(from.elapsed() < Duration::from_secs(15), "{:?}", from.elapsed());
    }
}

/// The negative control of all others: where no endpoint is named, nothing is sent and said.
#[test]
fn nothing_is_traced_unless_asked_for() {
    let registry = TestRegistry::new().made("loop", "loop");
    let gateway = Start::over(registry.path()).start();
    let headers = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")];
    let answer = request("POST", gateway.http, LOOP, &headers, Some(trips(1).as_bytes()));
    assert_eq!((answer.status, answer.header("traceresponse")), (200, None));
    wait_for("the gateway to be idle", || {
        (gateway.metric("pointsman_requests_in_flight", "") == 0.0).then_some(())
    });
    assert_eq!(gateway.stop().code, Some(0));
}
