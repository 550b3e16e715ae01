//! `POST /v1/feedback`: labels, on the admin listener, and on the HTTP listener where the configuration says so. Whoever
//! may label may have a rollout led back.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use pointsman_core::PredictError;
use serde_json::{Value, json};

use super::answer::{document, error};
use super::{AnswerBody, Query, read_at_most};
use crate::gateway::Gateway;

/// The path.
pub(super) const PATH: &str = "/v1/feedback";

/// Takes in the labels of a request's body.
///
/// # Errors
/// Where the body cannot be read, or its labels not be written.
pub(crate) async fn take_feedback(
    gateway: &Gateway,
    request: Request<Incoming>,
    timeout: Duration,
) -> Result<Value, PredictError> {
    Query::none(request.uri())?;
    let body = read_at_most(gateway, request.into_body(), gateway.limits.body_bytes_max, timeout).await?;
    let labels = gateway.monitors.labels.clone();
    // They are on the disk before they are answered, and connections are accepted on this thread.
    let taken = tokio::task::spawn_blocking(move || labels.feedback(&body)).await;
    // A task that was thrown away says that the runtime is going down.
    let answered = taken.map_err(|_| PredictError::ShuttingDown)??;
    Ok(json!(answered))
}

/// Answers a request on the HTTP listener.
pub(super) async fn answer(
    gateway: &Gateway,
    request: Request<Incoming>,
    timeout: Duration,
) -> Response<AnswerBody> {
    if request.method() != Method::POST {
        return error(&PredictError::MethodNotAllowed { allowed: "POST" });
    }
    match take_feedback(gateway, request, timeout).await {
        Ok(json) => document(Bytes::from(json.to_string())),
        Err(problem) => error(&problem),
    }
}
