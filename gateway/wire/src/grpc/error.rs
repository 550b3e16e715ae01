//! Errors in the forms of gRPC: a status for a call, a message for a stream that goes on.

use pointsman_core::PredictError;
use tonic::Status;
use tonic::metadata::{MetadataMap, MetadataValue};

use crate::grpc::proto::infer_parameter::ParameterChoice;
use crate::grpc::proto::{InferParameter, ModelInferResponse, ModelStreamInferResponse};
use crate::status::status as table;

/// The metadata, and the parameter of a stream's response, that hold the error's stable code.
const CODE: &str = "pointsman-code";

/// Parameter of a stream's responses: no further one belongs to the same request.
const FINAL_RESPONSE: &str = "triton_final_response";

/// The most bytes of one error's text. It travels in a header, and clients take 8 KiB of headers in
/// all; a byte may take three there.
const TEXT_BYTES_MAX: usize = 1024;

/// The status that a call ends with: code and `retry-after` from the one table, the stable code as
/// `pointsman-code`.
#[must_use]
pub fn status(error: &PredictError) -> Status {
    let row = table(error.code());
    let mut metadata = MetadataMap::with_capacity(2);
    metadata.insert(CODE, MetadataValue::from_static(error.code().name()));
    if let Some(seconds) = row.retry_after {
        metadata.insert("retry-after", MetadataValue::from(seconds));
    }
    Status::with_metadata(row.grpc, text(error), metadata)
}

/// The response that tells of an error on a stream that stays open, with the request's `id` so that
/// the caller knows which of its requests it is about.
#[must_use]
pub fn stream_error(error: &PredictError, id: &str) -> ModelStreamInferResponse {
    let code = ParameterChoice::StringParam(error.code().name().to_owned());
    let mut response = ModelInferResponse { id: id.to_owned(), ..Default::default() };
    response.parameters.insert(CODE.to_owned(), InferParameter { parameter_choice: Some(code) });
    ModelStreamInferResponse { error_message: text(error), infer_response: Some(marked_final(response)) }
}

/// The response that carries an answer on a stream. Every request has exactly one, so it is also
/// marked as the final one, and `triton_enable_empty_final_response` asks for nothing more. What a call of its own would
/// have as `metadata` are its parameters.
#[must_use]
pub fn stream_response(
    mut response: ModelInferResponse,
    metadata: impl Iterator<Item = (&'static str, String)>,
) -> ModelStreamInferResponse {
    let text = |text| InferParameter { parameter_choice: Some(ParameterChoice::StringParam(text)) };
    response.parameters.extend(metadata.map(|(name, value)| (name.to_owned(), text(value))));
    let infer_response = Some(marked_final(response));
    ModelStreamInferResponse { error_message: String::new(), infer_response }
}

fn marked_final(mut response: ModelInferResponse) -> ModelInferResponse {
    let last = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    response.parameters.insert(FINAL_RESPONSE.to_owned(), last);
    response
}

/// The error's text, cut at [`TEXT_BYTES_MAX`].
fn text(error: &PredictError) -> String {
    let mut text = error.to_string();
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use pointsman_core::Code;

    use super::*;

    #[test]
    fn a_status_has_the_code_the_text_and_the_retry() {
        let status = status(&PredictError::QueueFull { model: "m".into(), limit: 8 });
        assert_eq!(status.code(), tonic::Code::Unavailable);
        assert!(status.message().contains("Exceeds maximum queue size"), "{}", status.message());
        assert_eq!(status.metadata().get("pointsman-code").expect("set"), "QUEUE_FULL");
        assert_eq!(status.metadata().get("retry-after").expect("set"), "1");

        let status = super::status(&PredictError::BadRequest("no".into()));
        assert_eq!((status.code(), status.message()), (tonic::Code::InvalidArgument, "no"));
        assert_eq!(status.metadata().get("pointsman-code").expect("set"), Code::BadRequest.name());
        assert!(status.metadata().get("retry-after").is_none());
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let status = status(&PredictError::UnknownModel { model: "\u{20ac}".repeat(4096) });
        assert!(status.message().len() <= TEXT_BYTES_MAX + 3);
        assert!(status.message().ends_with("\u{20ac}..."));
    }

    #[test]
    fn a_stream_tells_which_request_failed_and_why() {
        let response = stream_error(&PredictError::NotFound, "7");
        assert_eq!(response.error_message, "Not Found");
        let inner = response.infer_response.expect("names the request");
        assert_eq!(inner.id, "7");
        let code = inner.parameters["pointsman-code"].parameter_choice.clone();
        assert_eq!(code, Some(ParameterChoice::StringParam("NOT_FOUND".into())));

        let metadata = [("pointsman-arm", "next".to_owned())];
        let response = stream_response(ModelInferResponse::default(), metadata.into_iter());
        assert_eq!(response.error_message, "");
        let parameters = response.infer_response.expect("set").parameters;
        let last = parameters["triton_final_response"].parameter_choice.clone();
        assert_eq!(last, Some(ParameterChoice::BoolParam(true)));
        let arm = parameters["pointsman-arm"].parameter_choice.clone();
        assert_eq!(arm, Some(ParameterChoice::StringParam("next".into())));
    }
}
