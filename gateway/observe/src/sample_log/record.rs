//! A request that ended, as the sample log takes it.

use std::time::{Duration, SystemTime};

use pointsman_core::{Code, OutputTensor, Parameters, RequestId, StageTimes, Tensor, TraceId, Violation};

use super::sampler::Chosen;

/// A request that ended. Nothing of it is copied before it is known what of it may be written.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The gateway's id.
    pub id: RequestId,
    /// The trace that it is part of, where there is one.
    pub trace: Option<TraceId>,
    /// When the example is from.
    pub at: SystemTime,
    /// How it came to its version.
    pub origin: Origin<'a>,
    /// How likely it was kept.
    pub chosen: Chosen,
    /// What it said beside its tensors.
    pub parameters: &'a Parameters,
    /// What was asked, in the order of the signature; empty where it was refused before it was checked.
    pub inputs: &'a [Option<Tensor>],
    /// Rows of the request.
    pub rows: u64,
    /// What the schema says of the inputs.
    pub violations: &'a [Violation],
    /// What the caller was given.
    pub outputs: Result<&'a [OutputTensor], Code>,
    /// Where the time went behind the queue.
    pub times: StageTimes,
    /// How long decoding took.
    pub decode: Duration,
    /// How long encoding took.
    pub encode: Duration,
    /// From the request's headers to its end.
    pub total: Duration,
    /// What shadows made of the same inputs.
    pub shadows: &'a [ShadowAnswer],
}

/// How a request came to its version.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// By which protocol.
    pub protocol: &'static str,
    /// The arm.
    pub arm: Option<&'a str>,
    /// How the arm was chosen.
    pub way: Option<&'static str>,
    /// What was drawn, where something was.
    pub drawn: Option<Drawn<'a>>,
}

/// The draw of a unit in an experiment.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// The experiment.
    pub experiment: &'a str,
    /// Tells the unit from others.
    pub unit: u64,
    /// What the unit is.
    pub unit_kind: &'static str,
    /// With which probability a unit gets this arm.
    pub propensity: f64,
}

/// What a shadow made of the same inputs.
#[derive(Clone, Debug)]
pub struct ShadowAnswer {
    /// Its version.
    pub version: u64,
    /// Its outputs, or why there are none.
    pub outputs: Result<Vec<OutputTensor>, Code>,
    /// How long its run took.
    pub run: Duration,
    /// Whether it answers otherwise, as the model's comparison sees it; nothing where that cannot be told.
    pub disagrees: Option<bool>,
}

impl Record<'_> {
    /// Bytes of all tensors.
    pub(super) fn bytes(&self) -> usize {
        let inputs = self.inputs.iter().flatten().map(|tensor| tensor.data().len());
        let outputs = self.outputs.iter().copied().flatten().map(|output| output.tensor.data().len());
        let shadows = self.shadows.iter().map(ShadowAnswer::bytes);
        inputs.chain(outputs).chain(shadows).sum()
    }

    /// Examples: at least one, so that a refused request has a row as well.
    pub(super) fn examples(&self) -> usize {
        usize::try_from(self.rows).unwrap_or(usize::MAX).max(1)
    }
}

impl ShadowAnswer {
    /// Bytes of its outputs.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.outputs.iter().flatten().map(|output| output.tensor.data().len()).sum()
    }
}
