//! One prediction request from its headers to the end of its answer: the id, the place in flight, the
//! outcome, the log line and the span, for every protocol alike.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use pointsman_core::{PredictError, PredictRequest, Prediction, RequestId, StageTimes, VersionSelector};
use pointsman_predict::{Driver, Outcome, Permit, Pinned, Protocol};
use pointsman_route::Pick;

use crate::facts::RequestFacts;
use crate::gateway::Gateway;
use crate::telemetry::{Reached, RequestSpan, trace_of};

/// The address that a request comes from. It is with the request where callers are limited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(pub(crate) IpAddr);

/// A prediction request whose headers have come. Dropped before its end, it counts as cancelled.
pub(crate) struct Received {
    gateway: Arc<Gateway>,
    id: RequestId,
    protocol: Protocol,
    outcome: Outcome,
    span: Option<RequestSpan>,
    client_id: Option<String>,
    /// How the version was chosen, once it is.
    pick: Option<Pick>,
    driver: Driver,
}

/// A prediction request under way: it has a place in flight.
pub(crate) struct Exchange {
    request: Received,
    permit: Permit,
}

impl Received {
    /// Takes a request in: from here on it has an outcome, a log line and a span, however it ends.
    #[must_use]
    pub(crate) fn new(
        gateway: &Arc<Gateway>,
        id: RequestId,
        protocol: Protocol,
        headers: &HeaderMap,
    ) -> Self {
        let mut outcome = Outcome::received(gateway.predictor.metrics(), id, protocol);
        let span = gateway.tracer.as_ref().map(|tracer| tracer.start_request(headers, id));
        let trace = span.as_ref().map_or_else(|| trace_of(headers), |span| Some(span.trace()));
        if let Some(trace) = trace {
            outcome.traced(trace);
        }
        Self {
            gateway: gateway.clone(),
            id,
            protocol,
            outcome,
            span,
            client_id: None,
            pick: None,
            driver: Driver::Task,
        }
    }

    /// The request is one of a stream, which is polled as its client reads.
    #[must_use]
    pub(crate) fn of_stream(mut self) -> Self {
        self.driver = Driver::Reader;
        self
    }

    /// No shadow and no monitor is shown the request.
    #[must_use]
    pub(crate) fn apart(mut self) -> Self {
        self.outcome.apart();
        self
    }

    /// The `traceparent` of the request's span, where there is one.
    #[must_use]
    pub(crate) fn trace_response(&self) -> Option<String> {
        self.span.as_ref().map(RequestSpan::trace_response)
    }

    /// Lets the request in, before its body is read.
    ///
    /// # Errors
    /// [`PredictError::Overloaded`] and [`PredictError::CallerLimit`], which end this request.
    pub(crate) fn admit(
        self,
        declared: Option<usize>,
        caller: Option<Caller>,
    ) -> Result<Exchange, PredictError> {
        // No body is larger than its limit, whatever its headers declare.
        let bytes = declared.unwrap_or(0).min(self.gateway.limits.body_bytes_max);
        let admitted = self.gateway.predictor.admission().admit(bytes, caller.map(|caller| caller.0));
        match admitted {
            Ok(permit) => Ok(Exchange { request: self, permit }),
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }

    /// The answer is an error.
    pub(crate) fn failed(mut self, error: &PredictError) {
        self.end_without_answer(error);
    }

    fn end_without_answer(&mut self, error: &PredictError) {
        let version = self.outcome.version().map(|version| version.spec());
        if self.gateway.log_requests {
            tracing::info!(
                target: "request",
                id = %self.id,
                client_id = self.client_id.as_deref().unwrap_or_default(),
                model = version.map_or("", |spec| spec.model.as_str()),
                version = version.map(|spec| spec.number.get()),
                arm = version.map(|_| self.outcome.arm().name()),
                way = self.pick.as_ref().map(|pick| pick.way.name()),
                experiment = experiment(self.pick.as_ref()),
                unit_kind = unit_kind(self.pick.as_ref()),
                protocol = self.protocol.name(),
                code = error.code().name(),
                decode_us = micros(self.outcome.decode()),
                total_us = micros(self.outcome.received_at().elapsed()),
                "{error}"
            );
        }
        if let Some(span) = &mut self.span {
            let (arm, experiment) = (self.outcome.arm(), experiment(self.pick.as_ref()));
            let reached = version.map(|version| Reached { version, arm, experiment });
            span.failed(error, reached);
        }
        self.outcome.failed(error.code());
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if !self.outcome.is_finished() {
            self.end_without_answer(&PredictError::Cancelled);
        }
    }
}

impl Exchange {
    /// The gateway's id of the request.
    #[must_use]
    pub(crate) fn id(&self) -> RequestId {
        self.request.id
    }

    /// When the request's headers came.
    #[must_use]
    pub(crate) fn received_at(&self) -> Instant {
        self.request.outcome.received_at()
    }

    /// The place in flight.
    pub(crate) fn permit(&mut self) -> &mut Permit {
        &mut self.permit
    }

    /// The `traceparent` of the request's span, where there is one.
    #[must_use]
    pub(crate) fn trace_response(&self) -> Option<String> {
        self.request.trace_response()
    }

    /// Lets the request on to its model, or refuses it before its body is read.
    ///
    /// # Errors
    /// Those of [`pointsman_predict::Predictor::enter`].
    pub(crate) fn enter(
        &mut self,
        model: &str,
        version: &VersionSelector,
        headers: &HeaderMap,
    ) -> Result<Pinned, PredictError> {
        let Self { request: Received { gateway, id, outcome, .. }, permit } = self;
        let facts = RequestFacts { headers, id: *id, request: None };
        gateway.predictor.enter(model, version, &facts, permit, outcome)
    }

    /// Picks the version that the request is for, by which it is decoded and run.
    ///
    /// # Errors
    /// Those of [`pointsman_predict::Predictor::pin`].
    pub(crate) fn pin(
        &mut self,
        model: &str,
        version: &VersionSelector,
        headers: &HeaderMap,
    ) -> Result<Pinned, PredictError> {
        let Received { gateway, id, outcome, .. } = &mut self.request;
        let facts = RequestFacts { headers, id: *id, request: None };
        gateway.predictor.pin(model, version, &facts, outcome)
    }

    /// Predicts, `decode` being the time that it took to read the request.
    ///
    /// # Errors
    /// Those of [`pointsman_predict::Predictor::predict`].
    pub(crate) async fn predict(
        &mut self,
        pinned: Pinned,
        headers: &HeaderMap,
        request: PredictRequest,
        decode: Duration,
    ) -> Result<Prediction, PredictError> {
        let Received { gateway, id, outcome, span, client_id, pick, driver, .. } = &mut self.request;
        outcome.decoded(decode);
        if let Some(span) = span {
            span.decoded(decode);
        }
        if gateway.log_requests {
            client_id.clone_from(&request.client_id);
        }
        let facts = RequestFacts { headers, id: *id, request: Some(&request) };
        let chosen = gateway.predictor.choose(pinned, &facts, outcome)?;
        if gateway.log_requests || span.is_some() {
            *pick = Some(chosen.pick().clone());
        }
        gateway.predictor.predict(chosen, request, *driver, outcome).await
    }

    /// The answer is encoded; what is left is to write it.
    #[must_use]
    pub(crate) fn answered(self, prediction: &Prediction, encode: Duration) -> Answered {
        Answered { exchange: self, times: prediction.times, encode }
    }

    /// The answer is an error.
    pub(crate) fn failed(self, error: &PredictError) {
        self.request.failed(error);
    }
}

/// The experiment in which a request's unit was drawn.
fn experiment(pick: Option<&Pick>) -> Option<&str> {
    Some(&*pick?.assignment.as_ref()?.experiment)
}

/// What its unit is.
fn unit_kind(pick: Option<&Pick>) -> Option<&'static str> {
    Some(pick?.assignment.as_ref()?.unit_kind.name())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// An answer that is being written. It counts as given once its last byte is handed to the
/// connection, and as cancelled where the client goes away before.
pub(crate) struct Answered {
    exchange: Exchange,
    times: StageTimes,
    encode: Duration,
}

impl Answered {
    /// The last byte is on its way.
    pub(crate) fn written(&mut self) {
        let Self { exchange: Exchange { request, .. }, times, encode } = self;
        let Some(version) = request.outcome.version().filter(|_| !request.outcome.is_finished()) else {
            return;
        };
        let spec = version.spec();
        if request.gateway.log_requests {
            tracing::info!(
                target: "request",
                id = %request.id,
                client_id = request.client_id.as_deref().unwrap_or_default(),
                model = %spec.model,
                version = spec.number.get(),
                arm = request.outcome.arm().name(),
                way = request.pick.as_ref().map(|pick| pick.way.name()),
                experiment = experiment(request.pick.as_ref()),
                unit_kind = unit_kind(request.pick.as_ref()),
                protocol = request.protocol.name(),
                code = "OK",
                cached = times.cached,
                decode_us = micros(request.outcome.decode()),
                queue_us = micros(times.queue),
                batch_us = micros(times.batch),
                run_us = micros(times.run),
                encode_us = micros(*encode),
                total_us = micros(request.outcome.received_at().elapsed()),
            );
        }
        if let Some(span) = &mut request.span {
            let (arm, experiment) = (request.outcome.arm(), experiment(request.pick.as_ref()));
            span.answered(Reached { version: spec, arm, experiment }, times, *encode);
        }
        request.outcome.ok(times, *encode);
    }
}
