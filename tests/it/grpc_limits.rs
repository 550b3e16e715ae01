//! Sizes, deadlines and cancellation in V2 gRPC: the vectors G5 to G7 of the protocol's reference.

use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use pointsman_core::{Datatype, InputTensor};
use pointsman_tests::{Gateway, OnnxModel, Start, TestRegistry, get, grpc, v2, wait_for};
use pointsman_wire::grpc::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use pointsman_wire::grpc::proto::infer_parameter::ParameterChoice;
use pointsman_wire::grpc::proto::{InferParameter, ModelInferRequest};
use tonic::{Code, Request};

/// The default of `limits.body_bytes_max`.
const BODY_BYTES_MAX: usize = 64 << 20;

/// Products of square matrices: with [`SIZE`] rows, far more work than any test waits for.
const PRODUCTS: usize = 400;
const SIZE: usize = 1024;

fn slow_model() -> Vec<u8> {
    let mut model = OnnxModel::new().input("x", Datatype::Fp32, &[-1, -1]);
    let mut last = "x".to_owned();
    for i in 0..PRODUCTS {
        let next = if i + 1 == PRODUCTS { "y".to_owned() } else { format!("p{i}") };
        model = model.node("MatMul", &[&last, "x"], &next);
        last = next;
    }
    model.output("y", Datatype::Fp32, &[-1, -1]).bytes()
}

fn start() -> Gateway {
    let registry = TestRegistry::new()
        .file("same/1/model.onnx", OnnxModel::identity(Datatype::Uint8, &[-1]).bytes())
        .file("slow/1/model.onnx", slow_model())
        .file("slow/model.toml", "workers = 1\nqueue_max = 1\n");
    Start::over(registry.path()).start()
}

fn square(size: usize) -> ModelInferRequest {
    let tensor = v2::tensor(&[size as u64, size as u64], &vec![0.0_f32; size * size]);
    grpc::raw_request("slow", &[InputTensor { name: "x".into(), tensor }])
}

fn bytes(count: usize) -> ModelInferRequest {
    let tensor = v2::new_tensor(Datatype::Uint8, &[count as u64], vec![7; count]);
    grpc::raw_request("same", &[InputTensor { name: "x".into(), tensor }])
}

fn executions(gateway: &Gateway, model: &str) -> u64 {
    let statistics = get(gateway.http, &format!("/v2/models/{model}/stats")).json();
    statistics["model_stats"][0]["execution_count"].as_u64().expect("a count")
}

/// G5: a message as large as a body may be, and one that is larger.
#[tokio::test]
async fn messages_up_to_the_limit() {
    let gateway = start();
    let mut client = grpc::client(gateway.grpc).await;
    let fits = BODY_BYTES_MAX - 128;
    let response = client.model_infer(bytes(fits)).await.expect("an answer").into_inner();
    assert_eq!(response.raw_output_contents[0].len(), fits);
    let status = client.model_infer(bytes(BODY_BYTES_MAX)).await.expect_err("too large");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    client.model_infer(bytes(1)).await.expect("the next request is answered");
}

/// G7: a deadline that has passed when the request comes, by metadata and by parameter: the run never
/// starts. The client here leaves the deadline to the server, as Triton's do not.
#[tokio::test]
async fn a_deadline_that_has_passed_starts_no_run() {
    let gateway = start();
    let hyper = HyperClient::builder(TokioExecutor::new()).http2_only(true).build_http::<tonic::body::Body>();
    let origin = format!("http://{}", gateway.grpc).parse().expect("a URI");
    let mut client = GrpcInferenceServiceClient::with_origin(hyper, origin);
    let mut by_metadata = Request::new(bytes(1));
    by_metadata.metadata_mut().insert("grpc-timeout", "1u".parse().expect("a value"));
    let microsecond = InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(1)) };
    let parameters = [("timeout".to_owned(), microsecond)].into();
    let by_parameter = Request::new(ModelInferRequest { parameters, ..bytes(1) });
    for request in [by_metadata, by_parameter] {
        let status = client.model_infer(request).await.expect_err("the deadline has passed");
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        assert!(status.message().starts_with("Request timeout expired"), "{status:?}");
    }
    assert_eq!(executions(&gateway, "same"), 0);
    let mut in_time = Request::new(bytes(1));
    in_time.metadata_mut().insert("grpc-timeout", "30S".parse().expect("a value"));
    client.model_infer(in_time).await.expect("an answer in time");
    assert_eq!(executions(&gateway, "same"), 1);
}

/// A deadline that passes during the run ends it.
#[tokio::test]
async fn a_deadline_ends_the_run() {
    let gateway = start();
    let mut client = grpc::client(gateway.grpc).await;
    let limit = InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(200_000)) };
    let parameters = [("timeout".to_owned(), limit)].into();
    let status =
        client.model_infer(ModelInferRequest { parameters, ..square(SIZE) }).await.expect_err("slow");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    client.model_infer(square(2)).await.expect("the worker is free again");
}

/// G6: with one request running and one queued the queue is full; the queued one goes away, and there
/// is room again while the first still runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_request_frees_its_place_in_the_queue() {
    let gateway = start();
    let client = grpc::client(gateway.grpc).await;
    let ask = |size| {
        let mut client = client.clone();
        tokio::spawn(async move { client.model_infer(square(size)).await })
    };
    let waiting = |count| (gateway.metric("pointsman_queue_depth", "model=\"slow\"") == count).then_some(());
    let running = ask(SIZE);
    // Its tensor is large: a small one that is sent later could overtake it on the way.
    gateway.wait_for_run();
    let queued = ask(2);
    wait_for("the second to wait for the first", || waiting(1.0));
    let refused = ask(2).await.expect("no panic").expect_err("the queue is full");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(refused.message().contains("Exceeds maximum queue size"), "{refused:?}");
    queued.abort();
    wait_for("the second to leave the queue", || waiting(0.0));
    let next = ask(2);
    wait_for("the next to take its place", || waiting(1.0));
    assert!(!running.is_finished(), "the first one runs all the while");
    running.abort();
    next.await.expect("no panic").expect("the worker goes on to the next");
    assert_eq!(gateway.metric("pointsman_requests_total", "code=\"CANCELLED\""), 2.0);
}
