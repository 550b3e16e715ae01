//! Who is told how requests of an experiment ended, once their callers were answered.

use std::sync::Arc;
use std::time::Duration;

use pointsman_core::{Arm, Code, OutputTensor, PredictError, Prediction, VersionNumber};
use pointsman_route::Assignment;

/// Is told how each request ended whose unit was drawn in an experiment.
///
/// It is told on the thread of the request, after the answer's last byte was handed on: no caller waits for it, but
/// those whose requests are next on that thread do. So it must not wait for anybody, and what it does must be bounded.
pub trait Witness: Send + Sync {
    /// A request has ended.
    fn ended(&self, ended: &Ended<'_>);
}

/// How a request ended whose unit was drawn.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// What was drawn.
    pub assignment: &'a Assignment,
    /// The arm.
    pub arm: &'a Arm,
    /// The version that was to answer.
    pub version: VersionNumber,
    /// The outputs that the caller was given, or why there are none.
    pub outputs: Result<&'a [OutputTensor], Code>,
    /// From the request's headers to its end.
    pub total: Duration,
}

/// The witnesses of a model.
#[derive(Clone, Default)]
pub struct Witnesses(Option<Arc<[Arc<dyn Witness>]>>);

impl Witnesses {
    /// These.
    #[must_use]
    pub fn new(all: Vec<Arc<dyn Witness>>) -> Self {
        Self((!all.is_empty()).then(|| all.into()))
    }

    /// Follows a request whose unit was drawn, where there is anybody to be told.
    pub(crate) fn follow(&self, assignment: &Assignment) -> Option<Box<Watched>> {
        let witnesses = self.0.clone()?;
        Some(Box::new(Watched { witnesses, assignment: assignment.clone(), outputs: Vec::new() }))
    }
}

impl std::fmt::Debug for Witnesses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} witnesses", self.0.as_ref().map_or(0, |all| all.len()))
    }
}

/// A request that is followed, until it has ended.
pub(crate) struct Watched {
    witnesses: Arc<[Arc<dyn Witness>]>,
    assignment: Assignment,
    outputs: Vec<OutputTensor>,
}

impl Watched {
    /// The request is answered, though nobody has the answer yet.
    pub(crate) fn answered(&mut self, answer: &Result<Prediction, PredictError>) {
        if let Ok(prediction) = answer {
            // Tensors are shared, not copied.
            self.outputs.clone_from(&prediction.outputs);
        }
    }

    /// The request has ended.
    pub(crate) fn ended(&self, arm: &Arm, version: VersionNumber, failed: Option<Code>, total: Duration) {
        let outputs = failed.map_or(Ok(&*self.outputs), Err);
        let ended = Ended { assignment: &self.assignment, arm, version, outputs, total };
        self.witnesses.iter().for_each(|witness| witness.ended(&ended));
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("assignment", &self.assignment).finish_non_exhaustive()
    }
}
