//! What is asked for, and what is answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::arm::Arm;
use crate::id::{ModelName, RequestId, VersionNumber, VersionSelector};
use crate::tensor::Tensor;

/// A request for one prediction, whatever protocol it came by.
#[derive(Debug)]
pub struct PredictRequest {
    /// The gateway's own id.
    pub id: RequestId,
    /// The caller's V2 `id`, echoed in the answer.
    pub client_id: Option<String>,
    /// The model's name as the caller wrote it.
    pub model: String,
    /// Which version the caller asks for.
    pub version: VersionSelector,
    /// Request parameters that the protocol gives no meaning of its own.
    pub parameters: Parameters,
    /// The input tensors, in the caller's order.
    pub inputs: Vec<InputTensor>,
    /// Names of the outputs to answer with, in this order; empty for all.
    pub outputs: Vec<String>,
    /// The priority that the caller asks for: 1 comes first, 0 asks for none.
    pub priority: u64,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

/// Named values that a caller adds to a request.
pub type Parameters = Vec<(String, ParameterValue)>;

/// The value of one request parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterValue {
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number above `i64::MAX`.
    Uint(u64),
    /// Any other number.
    Double(f64),
    /// A text.
    String(String),
}

/// One input as it came.
#[derive(Clone, Debug)]
pub struct InputTensor {
    /// The name the caller gave it.
    pub name: String,
    /// Its value.
    pub tensor: Tensor,
}

/// The answer to a [`PredictRequest`].
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The model that answered.
    pub model: ModelName,
    /// The version that answered.
    pub version: VersionNumber,
    /// The arm of the traffic split that led to this version.
    pub arm: Arm,
    /// The experiment in which the request's unit was drawn, where it was.
    pub experiment: Option<Arc<str>>,
    /// The outputs: those asked for in the order asked, else all in the signature's order.
    pub outputs: Vec<OutputTensor>,
    /// How long the stages behind the queue took.
    pub times: StageTimes,
}

/// One output of a prediction.
#[derive(Clone, Debug)]
pub struct OutputTensor {
    /// Its name in the signature.
    pub name: Arc<str>,
    /// Its value.
    pub tensor: Tensor,
    /// Names of the classes along the last dimension, where the model's card or configuration has them.
    pub labels: Option<Arc<[String]>>,
}

/// Where the time of one request went, as the worker saw it.
#[derive(Clone, Copy, Debug, Default)]
pub struct StageTimes {
    /// From being queued to being taken up by a worker.
    pub queue: Duration,
    /// From being taken up to the start of the run.
    pub batch: Duration,
    /// The run itself.
    pub run: Duration,
    /// Requests that were run together.
    pub batch_requests: u32,
    /// Whether the answer is that of an equal request, and nothing was run for this one.
    pub cached: bool,
}
