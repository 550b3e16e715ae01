//! Streams of requests: answered in their order, an error being an answer like any other.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use pointsman_core::RequestId;
use pointsman_predict::Protocol;
use pointsman_wire::grpc::proto::{ModelInferRequest, ModelStreamInferResponse};
use pointsman_wire::grpc::{status, stream_error, stream_response};
use tonic::{Request, Status, Streaming};

use super::{Inference, Undecoded, refused};
use crate::exchange::{Caller, Received};

/// Requests of one stream that are answered at the same time.
const CONCURRENT_MAX: usize = 16;

/// The answers of one stream.
pub(super) type AnswerStream = Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

/// Answers the requests of a stream. With the metadata `triton_grpc_error: true` the first error ends
/// it with a status; else errors are messages and the stream stays open.
pub(super) fn answer(inference: Inference, request: Request<Streaming<ModelInferRequest>>) -> AnswerStream {
    let metadata = Arc::new(request.metadata().clone());
    let caller = request.extensions().get::<Caller>().copied();
    let errors_end = request.metadata().get("triton_grpc_error").is_some_and(|value| value == "true");
    let undecoded = request.extensions().get::<Undecoded>().cloned();
    let answers = request.into_inner().map(move |message| {
        if let Some(undecoded) = &undecoded {
            undecoded.decoded();
        }
        let (inference, metadata) = (inference.clone(), metadata.clone());
        async move {
            let gateway = &inference.gateway;
            let headers = (*metadata).as_ref();
            let received =
                || Received::new(gateway, RequestId::generate(), Protocol::V2Grpc, headers).of_stream();
            let message = message.map_err(|status| refused(status, gateway, received))?;
            let id = message.id.clone();
            let answered = match received().admit(None, caller) {
                Ok(exchange) => inference.infer(exchange, message, &metadata).await,
                Err(error) => {
                    gateway.refusals.pause(&error).await;
                    Err(error)
                }
            };
            match answered {
                Ok((response, mut answer)) => {
                    answer.answered.written();
                    Ok(stream_response(response, answer.metadata.pairs()))
                }
                Err(error) if errors_end => Err(status(&error)),
                Err(error) => Ok(stream_error(&error, &id)),
            }
        }
    });
    Box::pin(answers.buffered(CONCURRENT_MAX))
}
