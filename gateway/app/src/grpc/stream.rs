//! Streams of requests: answered in their order, an error being an answer like any other.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use pointsman_core::RequestId;
use pointsman_wire::grpc::proto::{ModelInferRequest, ModelStreamInferResponse};
use pointsman_wire::grpc::{status, stream_error, stream_response};
use tonic::{Request, Status, Streaming};

use super::{CallContext, Inference, Undecoded, in_table};

/// Requests of one stream that are answered at the same time.
const CONCURRENT_MAX: usize = 16;

/// The answers of one stream.
pub(super) type AnswerStream = Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

/// Answers the requests of a stream. With the metadata `triton_grpc_error: true` the first error ends
/// it with a status; else errors are messages and the stream stays open.
pub(super) fn answer(inference: Inference, request: Request<Streaming<ModelInferRequest>>) -> AnswerStream {
    let caller = CallContext::of(&request);
    let errors_end = request.metadata().get("triton_grpc_error").is_some_and(|value| value == "true");
    let undecoded = request.extensions().get::<Undecoded>().cloned();
    let answers = request.into_inner().map(move |message| {
        if let Some(undecoded) = &undecoded {
            undecoded.decoded();
        }
        let (inference, caller) = (inference.clone(), caller.clone());
        async move {
            let message = message.map_err(|status| in_table(status, &inference.gateway))?;
            let id = message.id.clone();
            match inference.infer(RequestId::generate(), message, &caller).await {
                Ok((response, mut answer)) => {
                    answer.answered.written();
                    Ok(stream_response(response))
                }
                Err(error) if errors_end => Err(status(&error)),
                Err(error) => Ok(stream_error(&error, &id)),
            }
        }
    });
    Box::pin(answers.buffered(CONCURRENT_MAX))
}
