//! Requests that several tests make: of the models of `tests/models`, and over gRPC.

use std::net::SocketAddr;

use pointsman_tests::{Start, TestRegistry};
use pointsman_wire::grpc::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use pointsman_wire::grpc::proto::model_infer_request::InferInputTensor;
use pointsman_wire::grpc::proto::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

/// Where predictions of the model `loop` are asked for.
pub(crate) const LOOP: &str = "/v2/models/loop/infer";

/// As many iterations as take years.
pub(crate) const FOREVER: i64 = 1 << 50;

/// A gateway that serves `loop`, whose runs take as long as their requests say, on one worker.
pub(crate) fn loop_gateway(config: &str) -> (TestRegistry, Start) {
    let registry = TestRegistry::new().made("loop", "loop").file("loop/model.toml", "workers = 1\n");
    let start = Start::over(registry.path()).config(&format!("[shutdown]\ndrain_delay = \"0s\"\n{config}"));
    (registry, start)
}

/// A request to `loop`: so many iterations.
pub(crate) fn trips(count: i64) -> String {
    let input = json!({"name": "trips", "shape": [1], "datatype": "INT64", "data": [count]});
    json!({"inputs": [input]}).to_string()
}

/// The same with a deadline, as V2 has it: in microseconds.
pub(crate) fn trips_within(count: i64, micros: u64) -> String {
    let mut request: serde_json::Value = serde_json::from_str(&trips(count)).expect("JSON");
    request["parameters"] = json!({"timeout": micros});
    request.to_string()
}

/// The same over gRPC.
pub(crate) fn trips_message(count: i64) -> ModelInferRequest {
    let contents = InferTensorContents { int64_contents: vec![count], ..Default::default() };
    ModelInferRequest {
        model_name: "loop".into(),
        inputs: vec![InferInputTensor {
            name: "trips".into(),
            datatype: "INT64".into(),
            shape: vec![1],
            contents: Some(contents),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// How a call ended.
pub(crate) type Answer = Result<Response<ModelInferResponse>, Status>;

/// A gRPC client, with a runtime of its own so that tests stay plain functions.
pub(crate) struct Grpc {
    runtime: Runtime,
    client: GrpcInferenceServiceClient<Channel>,
}

impl Grpc {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let channel = runtime.block_on(endpoint.connect()).expect("a connection");
        let client = GrpcInferenceServiceClient::new(channel).max_encoding_message_size(usize::MAX);
        Self { runtime, client }
    }

    /// Predicts.
    pub(crate) fn infer(&self, request: impl tonic::IntoRequest<ModelInferRequest>) -> Answer {
        let (mut client, request) = (self.client.clone(), request.into_request());
        self.runtime.block_on(async move { client.model_infer(request).await })
    }

    /// Starts to predict; the call goes on until its handle is aborted.
    pub(crate) fn start(&self, message: ModelInferRequest) -> JoinHandle<Answer> {
        let mut client = self.client.clone();
        self.runtime.spawn(async move { client.model_infer(Request::new(message)).await })
    }

    /// Waits for a call that was started.
    pub(crate) fn wait(&self, call: JoinHandle<Answer>) -> Answer {
        self.runtime.block_on(call).expect("a call that was not aborted")
    }
}

/// The stable code that an answer's metadata has.
pub(crate) fn code_of(status: &Status) -> &str {
    status.metadata().get("pointsman-code").and_then(|code| code.to_str().ok()).unwrap_or_default()
}
