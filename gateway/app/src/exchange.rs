//! One prediction request from its headers to the end of its answer: the id, the place in flight, the
//! outcome, the log line and the span, for every protocol alike.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use pointsman_core::{PredictError, PredictRequest, Prediction, RequestId, StageTimes};
use pointsman_predict::{Outcome, Permit, Protocol};

use crate::gateway::Gateway;
use crate::telemetry::RequestSpan;

/// The address that a request comes from. It is with the request where callers are limited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(pub(crate) IpAddr);

/// A prediction request under way. Dropped before its end, it counts as cancelled.
pub(crate) struct Exchange {
    gateway: Arc<Gateway>,
    id: RequestId,
    protocol: Protocol,
    outcome: Outcome,
    permit: Permit,
    span: Option<RequestSpan>,
    client_id: Option<String>,
}

impl Exchange {
    /// Lets a request in, before its body is read.
    ///
    /// # Errors
    /// [`PredictError::Overloaded`], which is counted as this request's outcome.
    pub(crate) fn admit(
        gateway: &Arc<Gateway>,
        id: RequestId,
        protocol: Protocol,
        headers: &HeaderMap,
        declared: Option<usize>,
        caller: Option<Caller>,
    ) -> Result<Self, PredictError> {
        let outcome = Outcome::received(gateway.predictor.metrics(), protocol);
        // No body is larger than its limit, whatever its headers declare.
        let bytes = declared.unwrap_or(0).min(gateway.limits.body_bytes_max);
        let permit = match gateway.predictor.admission().admit(bytes, caller.map(|caller| caller.0)) {
            Ok(permit) => permit,
            Err(error) => {
                outcome.failed(error.code());
                return Err(error);
            }
        };
        let span = gateway.tracer.as_ref().map(|tracer| tracer.start_request(headers, id));
        Ok(Self { gateway: gateway.clone(), id, protocol, outcome, permit, span, client_id: None })
    }

    /// The gateway's id of the request.
    #[must_use]
    pub(crate) fn id(&self) -> RequestId {
        self.id
    }

    /// When the request's headers came.
    #[must_use]
    pub(crate) fn received_at(&self) -> Instant {
        self.outcome.received_at()
    }

    /// The place in flight.
    pub(crate) fn permit(&mut self) -> &mut Permit {
        &mut self.permit
    }

    /// The `traceparent` of the request's span, where there is one.
    #[must_use]
    pub(crate) fn trace_response(&self) -> Option<String> {
        self.span.as_ref().map(RequestSpan::trace_response)
    }

    /// Predicts, `decode` being the time that it took to read the request.
    ///
    /// # Errors
    /// Those of [`pointsman_predict::Predictor::predict`].
    pub(crate) async fn predict(
        &mut self,
        request: PredictRequest,
        decode: Duration,
    ) -> Result<Prediction, PredictError> {
        self.outcome.decoded(decode);
        if let Some(span) = &mut self.span {
            span.decoded(decode);
        }
        if self.gateway.log_requests {
            self.client_id.clone_from(&request.client_id);
        }
        self.gateway.predictor.predict(request, &mut self.outcome).await.map(|predicted| predicted.prediction)
    }

    /// The answer is encoded; what is left is to write it.
    #[must_use]
    pub(crate) fn answered(self, prediction: &Prediction, encode: Duration) -> Answered {
        if self.gateway.log_requests {
            let times = &prediction.times;
            tracing::info!(
                target: "request",
                id = %self.id,
                client_id = self.client_id.as_deref().unwrap_or_default(),
                model = %prediction.model,
                version = prediction.version.get(),
                arm = prediction.arm,
                protocol = self.protocol.name(),
                code = "OK",
                queue_us = micros(times.queue),
                run_us = micros(times.run),
                encode_us = micros(encode),
                total_us = micros(self.received_at().elapsed()),
            );
        }
        if let Some(span) = self.span {
            span.answered(prediction, encode);
        }
        Answered { outcome: Some(self.outcome), times: prediction.times, encode, _permit: self.permit }
    }

    /// The answer is an error.
    pub(crate) fn failed(self, error: &PredictError) {
        if self.gateway.log_requests {
            tracing::info!(
                target: "request",
                id = %self.id,
                client_id = self.client_id.as_deref().unwrap_or_default(),
                protocol = self.protocol.name(),
                code = error.code().name(),
                total_us = micros(self.received_at().elapsed()),
                "{error}"
            );
        }
        if let Some(span) = self.span {
            span.failed(error);
        }
        self.outcome.failed(error.code());
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// An answer that is being written. It counts as given once its last byte is handed to the
/// connection, and as cancelled where the client goes away before.
#[derive(Debug)]
pub(crate) struct Answered {
    outcome: Option<Outcome>,
    times: StageTimes,
    encode: Duration,
    _permit: Permit,
}

impl Answered {
    /// The last byte is on its way.
    pub(crate) fn written(&mut self) {
        if let Some(outcome) = self.outcome.take() {
            outcome.ok(&self.times, self.encode);
        }
    }
}
