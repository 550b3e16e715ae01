//! tonic, over hyper's HTTP/2: a request is decoded, and an answer encoded.

use std::convert::Infallible;
use std::future::{Ready, ready};

use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pointsman_wire::grpc::proto::{ModelInferRequest, ModelInferResponse};
use prost::Message;
use tokio::net::TcpStream;
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;

/// Reads the answer that every request gets.
pub(super) fn answer(body: Bytes) -> Result<ModelInferResponse, String> {
    ModelInferResponse::decode(body).map_err(|e| format!("the body is no ModelInferResponse: {e}"))
}

/// Answers the requests of one connection.
pub(super) async fn connection(stream: TcpStream, answer: ModelInferResponse) {
    let service = service_fn(move |request: Request<Incoming>| {
        let same = Same(answer.clone());
        async move { Ok::<_, Infallible>(Grpc::new(ProstCodec::default()).unary(same, request).await) }
    });
    let builder = http2::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// Gives the same answer to everybody.
struct Same(ModelInferResponse);

impl UnaryService<ModelInferRequest> for Same {
    type Response = ModelInferResponse;
    type Future = Ready<Result<tonic::Response<ModelInferResponse>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<ModelInferRequest>) -> Self::Future {
        ready(Ok(tonic::Response::new(std::mem::take(&mut self.0))))
    }
}
