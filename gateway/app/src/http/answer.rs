//! Answers: heads and bodies.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use pointsman_core::{PredictError, Prediction, RequestId};
use pointsman_wire::status::status;
use pointsman_wire::v2;

use super::body::AnswerBody;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The header of the gateway's request id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("pointsman-request-id");
const VERSION: HeaderName = HeaderName::from_static("pointsman-version");
const EXPERIMENT: HeaderName = HeaderName::from_static("pointsman-experiment");
const ARM: HeaderName = HeaderName::from_static("pointsman-arm");
const TRACE_RESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// A JSON document.
#[must_use]
pub(crate) fn document(json: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(json));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// A JSON document that says that something does not serve.
#[must_use]
pub(crate) fn unavailable(json: Bytes) -> Response<AnswerBody> {
    let mut response = document(json);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// An error, with the status and the retry advice of the one table.
#[must_use]
pub(crate) fn error(error: &PredictError) -> Response<AnswerBody> {
    let status = status(error.code());
    let mut response = document(v2::documents::error(error));
    *response.status_mut() = status.http;
    let headers = response.headers_mut();
    if let Some(seconds) = status.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    match error {
        PredictError::MethodNotAllowed { allowed } => {
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        PredictError::UnsupportedEncoding { .. } => {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
        }
        _ => {}
    }
    response
}

/// Says which request an answer belongs to.
pub(crate) fn identify(response: &mut Response<AnswerBody>, id: RequestId, trace: Option<String>) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_bytes(&id.encode()) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some(value) = trace.and_then(|trace| HeaderValue::try_from(trace).ok()) {
        headers.insert(TRACE_RESPONSE, value);
    }
}

/// Says which version answered, by which arm and in which experiment.
pub(crate) fn attribute(response: &mut Response<AnswerBody>, prediction: &Prediction) {
    let headers = response.headers_mut();
    headers.insert(VERSION, HeaderValue::from(prediction.version.get()));
    if let Ok(arm) = HeaderValue::from_str(prediction.arm.name()) {
        headers.insert(ARM, arm);
    }
    let experiment = prediction.experiment.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(experiment)) = experiment {
        headers.insert(EXPERIMENT, experiment);
    }
}
