//! The one straight function that every prediction takes, whatever protocol it came by.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use pointsman_core::{
    DeadlineStage, InputMismatch, OutputTensor, PredictError, PredictRequest, Prediction, RunError,
    RunOutputs, StageTimes, Tensor, VersionSelector,
};
use pointsman_route::Pick;

use crate::admission::{Admission, AdmissionLimits, Permit};
use crate::lead::{Driver, Lead};
use crate::line::JoinError;
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::queue::{Reply, Task, Ticket, Unanswered, WorkerGone};
use crate::snapshot::Reader;
use crate::version::Version;

/// The data path's state: what serves, what is in flight, what is counted.
#[derive(Clone, Debug)]
pub struct Predictor {
    snapshots: Reader,
    admission: Arc<Admission>,
    metrics: Metrics,
}

/// The version that a request is for, picked once: what the request is decoded, checked, run and
/// answered by is of one generation.
#[derive(Clone, Debug)]
pub struct Pinned {
    pick: Pick,
    version: Arc<Version>,
}

impl Pinned {
    /// The version.
    #[must_use]
    pub fn version(&self) -> &Arc<Version> {
        &self.version
    }
}

impl Predictor {
    /// A data path over the snapshots of `snapshots`.
    #[must_use]
    pub fn new(snapshots: Reader, limits: AdmissionLimits, metrics: Metrics) -> Self {
        Self { snapshots, admission: Admission::new(limits), metrics }
    }

    /// What serves.
    #[must_use]
    pub fn snapshots(&self) -> &Reader {
        &self.snapshots
    }

    /// The door, which a request passes before its body is read.
    #[must_use]
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// The instruments.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Picks the version for a request, and lets the snapshot go.
    ///
    /// # Errors
    /// [`PredictError`] where the model or version is unknown or does not serve.
    pub fn pin(
        &self,
        model: &str,
        version: &VersionSelector,
        outcome: &mut Outcome,
    ) -> Result<Pinned, PredictError> {
        let snapshot = self.snapshots.pin();
        let (pick, version) = snapshot.pick(model, version)?;
        outcome.reached(version);
        Ok(Pinned { pick, version: version.clone() })
    }

    /// Looks whether a request for this model would be refused, before its body is read, and counts it as one of the
    /// model's from now on.
    ///
    /// # Errors
    /// Those of [`Predictor::pin`], and [`PredictError`] where the model has too much in flight or in its queue.
    pub fn enter(
        &self,
        model: &str,
        version: &VersionSelector,
        permit: &mut Permit,
        outcome: &mut Outcome,
    ) -> Result<(), PredictError> {
        let snapshot = self.snapshots.pin();
        let (_, version) = snapshot.pick(model, version)?;
        outcome.reached(version);
        version.queue.check().map_err(|error| refused(version, error))?;
        permit.enter(&version.share)
    }

    /// Predicts. Dropping the future takes the request back: it is not run if it still waits, and is
    /// interrupted if it runs.
    ///
    /// # Errors
    /// [`PredictError`], each with one code.
    pub async fn predict(
        &self,
        pinned: Pinned,
        request: PredictRequest,
        driver: Driver,
        outcome: &mut Outcome,
    ) -> Result<Prediction, PredictError> {
        let Submitted { ticket, lead, deadline, placed } = submit(pinned, request, outcome)?;
        if let Some(lead) = lead {
            lead.take(driver, &placed.version).await;
        }
        let reply = wait(ticket, deadline).await?;
        placed.answer(reply)
    }
}

/// Everything before the wait.
fn submit(pinned: Pinned, request: PredictRequest, outcome: &mut Outcome) -> Result<Submitted, PredictError> {
    let Pinned { pick, version } = pinned;
    let model = || version.spec().model.to_string();
    let mismatch = |mismatch| PredictError::InputMismatch { model: model(), mismatch };
    let outputs = version.signature().select_outputs(&request.outputs).map_err(mismatch)?;
    let inputs = version.signature().check(request.inputs).map_err(mismatch)?;
    let rows = rows(&inputs);
    check_rows(&version, &inputs, rows).map_err(mismatch)?;
    outcome.has_rows(rows);
    let queued_at = Instant::now();
    if let Some(deadline) = request.deadline {
        in_time(&version, rows, deadline, queued_at)?;
    }
    // Neither how long they run nor that they may be run together was checked with optional inputs.
    let specs = version.signature().inputs.iter();
    let is_plain = specs.zip(&inputs).all(|(spec, input)| !spec.optional || input.is_none());
    let level = version.spec().limits.priorities.level(request.priority);
    let (deadline, outputs_wanted) = (request.deadline, outputs.clone());
    let task = Task { inputs, is_plain, outputs: outputs_wanted, level, deadline, queued_at };
    let (ticket, lead) = version.queue.submit(task).map_err(|error| refused(&version, error))?;
    Ok(Submitted { ticket, lead, deadline: request.deadline, placed: Placed { pick, version, outputs } })
}

/// Whether a request of so many rows can be answered before its deadline: a run takes its time, whoever waits.
fn in_time(version: &Version, rows: u64, deadline: Instant, now: Instant) -> Result<(), PredictError> {
    let stage = if deadline <= now {
        DeadlineStage::Arrival
    } else if deadline <= now + version.spec().limits.run_times.least(rows) {
        DeadlineStage::Run
    } else {
        return Ok(());
    };
    Err(PredictError::DeadlineExceeded { stage })
}

/// Why there is no place in the queue.
fn refused(version: &Version, error: JoinError) -> PredictError {
    let model = version.spec().model.to_string();
    match error {
        JoinError::Full => PredictError::QueueFull { model, limit: version.spec().queue_max },
        JoinError::Long { limit, target } => PredictError::QueueLong { model, limit, target },
        JoinError::Closed => PredictError::ShuttingDown,
    }
}

/// A request that waits for its answer.
struct Submitted {
    ticket: Ticket,
    /// It is up to this request to have what waits run.
    lead: Option<Lead>,
    deadline: Option<Instant>,
    placed: Placed,
}

/// What is remembered of a request while it waits.
struct Placed {
    pick: Pick,
    version: Arc<Version>,
    outputs: Vec<usize>,
}

/// The only wait, bounded by the deadline. A ticket that is dropped takes its job back.
async fn wait(ticket: Ticket, deadline: Option<Instant>) -> Result<Reply, PredictError> {
    let expired = PredictError::DeadlineExceeded { stage: DeadlineStage::Ticket };
    let answer: Result<Reply, WorkerGone> = match deadline {
        None => ticket.await,
        Some(deadline) => match tokio::time::timeout_at(deadline.into(), ticket).await {
            Ok(answer) => answer,
            Err(_) => return Err(expired),
        },
    };
    answer.map_err(|WorkerGone| match deadline {
        // A worker drops a job unanswered when it goes down.
        Some(deadline) if deadline <= Instant::now() => expired,
        _ => PredictError::ShuttingDown,
    })
}

impl Placed {
    fn answer(self, reply: Reply) -> Result<Prediction, PredictError> {
        let spec = self.version.spec();
        let (model, version) = (|| spec.model.to_string(), spec.number.get());
        let (outputs, times) = reply.map_err(|error| match error {
            Unanswered::Run(RunError::Rejected(reason)) => {
                PredictError::InputRejected { model: model(), version, reason }
            }
            Unanswered::Run(RunError::Interrupted) | Unanswered::Late => {
                PredictError::DeadlineExceeded { stage: DeadlineStage::Ticket }
            }
            Unanswered::Shed => PredictError::Shed { model: model() },
            Unanswered::Run(RunError::Failed(reason)) => {
                tracing::warn!(model = %spec.model, version, "a run failed: {reason}");
                PredictError::SessionFailed { model: model(), version }
            }
        })?;
        Ok(self.prediction(outputs, times))
    }

    fn prediction(&self, outputs: RunOutputs, times: StageTimes) -> Prediction {
        let spec = self.version.spec();
        let named = self.outputs.iter().zip(outputs).map(|(&index, tensor)| {
            let output = &spec.signature.outputs[index];
            OutputTensor { name: output.name.clone(), tensor, labels: output.labels.clone() }
        });
        Prediction {
            model: spec.model.clone(),
            version: spec.number,
            arm: self.pick.arm.name(),
            outputs: named.collect(),
            times,
        }
    }
}

/// Rows of a request: the first dimension of its first input, 1 for a scalar or no input.
fn rows(inputs: &[Option<Tensor>]) -> u64 {
    let first = inputs.iter().flatten().next();
    first.and_then(|tensor| tensor.shape().dims().first()).copied().unwrap_or(1)
}

/// Holds to the version's limit on rows, where it has one.
fn check_rows(version: &Version, inputs: &[Option<Tensor>], rows: u64) -> Result<(), InputMismatch> {
    match version.spec().request_rows_max {
        Some(rows_max) if rows > rows_max && !inputs.is_empty() => {
            let name = version.signature().inputs[0].name.clone();
            Err(InputMismatch::TooManyRows { name, rows_max, found: rows })
        }
        _ => Ok(()),
    }
}

/// Compile-time proof that the future can move between threads.
const _: fn(&Predictor, Pinned, PredictRequest, Driver, &mut Outcome) =
    |predictor, pinned, request, driver, outcome| {
        fn movable<F: Future + Send>(_: F) {}
        movable(predictor.predict(pinned, request, driver, outcome));
    };
