//! A server for tests, in the same process: HTTP/1.1, HTTP/2 and gRPC on one port.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use pointsman_wire::grpc::proto::model_infer_response::InferOutputTensor;
use pointsman_wire::grpc::proto::model_metadata_response::TensorMetadata;
use pointsman_wire::grpc::proto::{ModelInferResponse, ModelMetadataResponse};
use prost::Message;
use tokio::net::TcpListener;

use super::endpoint::Endpoint;

/// The answer of a server.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A running server.
pub(super) struct Served {
    pub(super) endpoint: Endpoint,
    /// Connections that it took.
    pub(super) connections: Arc<AtomicUsize>,
}

/// An endpoint where this address is the only one.
pub(super) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint { http: Some(address), grpc: Some(address), host: address.to_string() }
}

/// Runs a test of one thread, as generators have it.
pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

/// Answers each request, whose body was read, by a function of its path.
pub(super) async fn serve<F>(answer: impl Fn(String) -> F + Clone + Send + 'static) -> Served
where
    F: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let taken = connections.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            taken.fetch_add(1, Ordering::Relaxed);
            let answer = answer.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer.clone();
                async move {
                    let path = request.uri().path().to_owned();
                    let _ = request.into_body().collect().await;
                    Ok::<_, Infallible>(answer(path).await)
                }
            });
            tokio::spawn(async move {
                let _ =
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Served { endpoint: endpoint(address), connections }
}

/// What a model `m` of version 3 answers that takes `x` and gives `y`, one FP32 each: always 0.5.
pub(super) fn predict(path: &str) -> Answer {
    match path {
        "/v2/models/m" | "/v2/models/m/versions/3" => json(
            r#"{"name":"m","versions":["3"],"platform":"p","inputs":[{"name":"x","datatype":"FP32","shape":[-1,2]}],
                "outputs":[{"name":"y","datatype":"FP32","shape":[-1]}]}"#,
        ),
        "/v2/models/m/infer" => json(
            r#"{"model_name":"m","model_version":"3","outputs":[
                {"name":"y","datatype":"FP32","shape":[1],"data":[0.5]}]}"#,
        ),
        "/inference.GRPCInferenceService/ModelInfer" => {
            let output = InferOutputTensor {
                name: "y".into(),
                datatype: "FP32".into(),
                shape: vec![1],
                ..InferOutputTensor::default()
            };
            grpc(&ModelInferResponse {
                model_name: "m".into(),
                model_version: "3".into(),
                outputs: vec![output],
                raw_output_contents: vec![Bytes::from_static(&[0, 0, 0, 63])],
                ..ModelInferResponse::default()
            })
        }
        "/inference.GRPCInferenceService/ModelMetadata" => {
            let tensor = |name: &str, shape: &[i64]| TensorMetadata {
                name: name.into(),
                datatype: "FP32".into(),
                shape: shape.into(),
            };
            grpc(&ModelMetadataResponse {
                name: "m".into(),
                inputs: vec![tensor("x", &[-1, 2])],
                outputs: vec![tensor("y", &[-1])],
                ..ModelMetadataResponse::default()
            })
        }
        _ => {
            let mut answer = json(r#"{"error":"Not Found","code":"NOT_FOUND"}"#);
            *answer.status_mut() = http::StatusCode::NOT_FOUND;
            answer
        }
    }
}

/// A body.
pub(super) fn json(text: &str) -> Answer {
    Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())).boxed_unsync())
}

/// A message, and the status behind it.
fn grpc(message: &impl Message) -> Answer {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    let body = Full::new(Bytes::from([&[0], &length[..], &message].concat()));
    let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from(0))]);
    let mut answer = Response::new(body.with_trailers(async { Some(Ok(trailers)) }).boxed_unsync());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}
