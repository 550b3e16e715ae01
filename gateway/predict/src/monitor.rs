//! Who sees what a version was asked and answered: schema, profiles and the sample log live behind this.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pointsman_core::{
    Code, OutputTensor, Parameters, PredictError, Prediction, RequestId, StageTimes, Tensor, TraceId,
    Validator, Violation,
};
use pointsman_route::Pick;

use crate::metrics::Protocol;

/// Takes every exchange of one version, once it has ended.
///
/// It is told on the thread of the request, after the answer's last byte was handed on: no caller waits for it, but
/// those whose requests are next on that thread do. So it must not wait for anybody, and what it does must be bounded.
pub trait Monitor: Send + Sync {
    /// A request has ended.
    fn ended(&self, exchange: Monitored);
}

/// A request that has ended, with its answer. Tensors are shared with the buffers that they came in, not copied.
#[derive(Debug)]
pub struct Monitored {
    /// The gateway's id.
    pub id: RequestId,
    /// The trace that it is part of, where there is one.
    pub trace: Option<TraceId>,
    /// By which protocol it came.
    pub protocol: Protocol,
    /// How its version was chosen; nothing where it ended before.
    pub pick: Option<Pick>,
    /// What it said beside its tensors.
    pub parameters: Parameters,
    /// What was asked, in the order of the version's signature; empty where it was refused before it was checked.
    pub inputs: Vec<Option<Tensor>>,
    /// Rows of the request; 0 where it was refused before it was checked.
    pub rows: u64,
    /// What the schema says of the inputs, and of the outputs where there are any. Those of inputs may have refused the
    /// request.
    pub violations: Vec<Violation>,
    /// What the caller was given, or why there is nothing.
    pub outputs: Result<Vec<OutputTensor>, Code>,
    /// Where the time went behind the queue.
    pub times: StageTimes,
    /// How long decoding took.
    pub decode: Duration,
    /// How long encoding took.
    pub encode: Duration,
    /// From the request's headers to its end.
    pub total: Duration,
    /// Whether a shadow is shown it.
    pub is_shadowed: bool,
}

/// A request that is followed, until it has ended.
pub(crate) struct Followed {
    monitor: Arc<dyn Monitor>,
    /// The rules for its outputs.
    validator: Option<Arc<Validator>>,
    exchange: Monitored,
}

impl Followed {
    /// Follows a request that has come to a version.
    pub(crate) fn new(
        monitor: Arc<dyn Monitor>,
        validator: Option<Arc<Validator>>,
        id: RequestId,
        trace: Option<TraceId>,
        protocol: Protocol,
    ) -> Box<Self> {
        let exchange = Monitored {
            id,
            trace,
            protocol,
            pick: None,
            parameters: Vec::new(),
            inputs: Vec::new(),
            rows: 0,
            violations: Vec::new(),
            outputs: Err(Code::Cancelled),
            times: StageTimes::default(),
            decode: Duration::ZERO,
            encode: Duration::ZERO,
            total: Duration::ZERO,
            is_shadowed: false,
        };
        Box::new(Self { monitor, validator, exchange })
    }

    /// The request has reached the version that answers it.
    pub(crate) fn reached(&mut self, pick: &Pick) {
        self.exchange.pick = Some(pick.clone());
    }

    /// The request agrees with the signature, and this is what the schema says of it.
    pub(crate) fn judged(
        &mut self,
        parameters: Parameters,
        inputs: &[Option<Tensor>],
        rows: u64,
        violations: Vec<Violation>,
    ) {
        self.exchange.violations = violations;
        self.exchange.parameters = parameters;
        self.exchange.inputs = inputs.to_vec();
        self.exchange.rows = rows;
    }

    /// The request is answered, though nobody has the answer yet.
    pub(crate) fn answered(&mut self, answer: &Result<Prediction, PredictError>) {
        if let Ok(prediction) = answer {
            self.exchange.outputs = Ok(prediction.outputs.clone());
            self.exchange.times = prediction.times;
        }
    }

    /// The request has ended.
    pub(crate) fn ended(mut self, failed: Option<Code>, times: Ended) {
        if let Some(code) = failed {
            self.exchange.outputs = Err(code);
        }
        // Here, and not when they came: by now the caller has them, and does not wait for this.
        if let (Some(validator), Ok(outputs)) = (&self.validator, &self.exchange.outputs) {
            self.exchange.violations.extend(validator.check_outputs(outputs));
        }
        let Ended { decode, encode, total, is_shadowed } = times;
        self.monitor.ended(Monitored { decode, encode, total, is_shadowed, ..self.exchange });
    }
}

/// What is known of a request at its end alone.
pub(crate) struct Ended {
    pub(crate) decode: Duration,
    pub(crate) encode: Duration,
    pub(crate) total: Duration,
    pub(crate) is_shadowed: bool,
}

impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}
