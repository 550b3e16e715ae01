//! A session of a version, and how it is run for a shadow.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Instant;

use pointsman_core::{
    Code, InputTensor, OutputTensor, RunError, RunInputs, Side, Signature, StageTimes, Tensor, VersionNumber,
};

use super::watch::Watch;
use crate::crew::{Crew, Spare, free};
use crate::exchange::Exchange;
use crate::version::Version;

/// The place of a session, which is made when it is needed and made again where it panicked.
///
/// It does not keep the version: that can go whenever its callers let it.
pub(super) struct Seat {
    number: VersionNumber,
    signature: Arc<Signature>,
    crew: Weak<Crew>,
    session: Option<Spare>,
}

/// What came of a run.
pub(super) struct Answer {
    pub(super) number: VersionNumber,
    pub(super) outputs: Result<Vec<OutputTensor>, Unable>,
    pub(super) times: StageTimes,
}

/// Why there are no outputs.
#[derive(Debug)]
pub(super) enum Unable {
    /// The version refuses the inputs: that is an answer too.
    Refused(Code),
    /// The run failed or panicked, or there is no session.
    Failed(String),
    /// It was past its deadline. On what others leave of the processors that says nothing of the version.
    Hung,
    /// Nor does it that the version is not there any more.
    Gone,
}

impl Answer {
    /// What is said of the version, if anything is.
    pub(super) fn told(&self) -> Option<Side<'_>> {
        let outputs: Result<&[OutputTensor], _> = match &self.outputs {
            Ok(outputs) => Ok(outputs),
            Err(Unable::Refused(code)) => Err(*code),
            Err(Unable::Failed(_)) => Err(Code::SessionFailed),
            Err(Unable::Hung | Unable::Gone) => return None,
        };
        Some(Side { version: self.number, outputs, times: self.times })
    }
}

impl Seat {
    pub(super) fn new(version: &Version) -> Self {
        let (number, signature) = (version.spec().number, version.signature().clone());
        Self { number, signature, crew: version.crew.clone(), session: None }
    }

    /// Runs the inputs of an exchange, whose names are those of `asked`. Outputs are those that the exchange has, or all.
    pub(super) fn answer(
        &mut self,
        exchange: &Exchange,
        asked: &Signature,
        offered_at: Instant,
        watch: &Watch,
    ) -> Answer {
        let mut times =
            StageTimes { queue: offered_at.elapsed(), batch_requests: 1, ..StageTimes::default() };
        let outputs = self.outputs(exchange, asked, watch, &mut times);
        Answer { number: self.number, outputs, times }
    }

    fn outputs(
        &mut self,
        exchange: &Exchange,
        asked: &Signature,
        watch: &Watch,
        times: &mut StageTimes,
    ) -> Result<Vec<OutputTensor>, Unable> {
        let named = asked.inputs.iter().zip(&exchange.inputs).filter_map(|(spec, tensor)| {
            Some(InputTensor { name: spec.name.to_string(), tensor: tensor.clone()? })
        });
        let mismatch = |_| Unable::Refused(Code::InputMismatch);
        let tensors = self.signature.check(named.collect()).map_err(mismatch)?;
        let outputs = self.wanted(exchange);
        let (mut session, interrupt) = self.take()?;
        let inputs = RunInputs { tensors: &tensors, outputs: &outputs };
        watch.begin(interrupt.clone());
        let started_at = Instant::now();
        let ran = catch_unwind(AssertUnwindSafe(|| session.run(inputs)));
        times.run = started_at.elapsed();
        let hung = watch.end();
        match ran {
            Ok(result) => {
                self.session = Some((session, interrupt));
                self.named(&outputs, result, hung)
            }
            Err(_) => {
                // Its state is not known: another takes its place.
                free(session);
                Err(Unable::Failed("the session panicked".into()))
            }
        }
    }

    /// Indices of the outputs to be compared, those that the version does not have left out.
    fn wanted(&self, exchange: &Exchange) -> Vec<usize> {
        let known = &self.signature.outputs;
        match &exchange.outputs {
            Ok(outputs) => {
                let place = |output: &OutputTensor| known.iter().position(|spec| spec.name == output.name);
                outputs.iter().filter_map(place).collect()
            }
            Err(_) => (0..known.len()).collect(),
        }
    }

    fn named(
        &self,
        outputs: &[usize],
        result: Result<Vec<Tensor>, RunError>,
        hung: bool,
    ) -> Result<Vec<OutputTensor>, Unable> {
        let tensors = match result {
            _ if hung => return Err(Unable::Hung),
            Ok(tensors) => tensors,
            Err(RunError::Rejected(_)) => return Err(Unable::Refused(Code::InputRejected)),
            Err(RunError::Interrupted) => return Err(Unable::Hung),
            Err(RunError::Failed(reason)) => return Err(Unable::Failed(reason)),
        };
        let specs = outputs.iter().filter_map(|index| self.signature.outputs.get(*index));
        let named = |(spec, tensor): (&pointsman_core::TensorSpec, Tensor)| OutputTensor {
            name: spec.name.clone(),
            tensor,
            labels: spec.labels.clone(),
        };
        Ok(specs.zip(tensors).map(named).collect())
    }

    fn take(&mut self) -> Result<Spare, Unable> {
        match self.session.take() {
            Some(session) => Ok(session),
            None => self.crew.upgrade().ok_or(Unable::Gone)?.spare().map_err(Unable::Failed),
        }
    }

    /// Frees the session, on the calling thread.
    pub(super) fn clear(&mut self) {
        free(self.session.take());
    }
}
