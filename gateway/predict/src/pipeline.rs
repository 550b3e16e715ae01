//! The one straight function that every prediction takes, whatever protocol it came by.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_core::{
    Checked, DeadlineStage, InputMismatch, OutputTensor, PredictError, PredictRequest, Prediction, RunError,
    RunOutputs, StageTimes, Tensor, VersionSelector,
};
use pointsman_route::{Facts, Pick};

use crate::admission::{Admission, AdmissionLimits, Permit};
use crate::cache::{Found, ResponseCache};
use crate::lead::{Driver, Lead};
use crate::line::JoinError;
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::queue::{Reply, Task, Ticket, Unanswered, WorkerGone};
use crate::snapshot::{Reader, ServedModel};
use crate::version::Version;

/// The data path's state: what serves, what is in flight, what is counted.
#[derive(Clone, Debug)]
pub struct Predictor {
    snapshots: Reader,
    admission: Arc<Admission>,
    metrics: Metrics,
}

/// The model or version that a request is for, pinned once: what the request is decoded, checked, run and
/// answered by is of one generation.
#[derive(Clone, Debug)]
pub struct Pinned {
    version: Arc<Version>,
    choice: Choice,
}

#[derive(Clone, Debug)]
enum Choice {
    /// The version is the one that answers.
    Made(Pick),
    /// Its body says which version answers: those of the model at this generation stay until then.
    Open(Arc<ServedModel>),
}

/// The version that answers a request.
#[derive(Clone, Debug)]
pub struct Chosen {
    pick: Pick,
    version: Arc<Version>,
}

impl Pinned {
    /// The version that answers, or where the body says which that is, the default one: by its signature the body
    /// is decoded.
    #[must_use]
    pub fn version(&self) -> &Arc<Version> {
        &self.version
    }
}

impl Chosen {
    /// How the version was reached.
    #[must_use]
    pub fn pick(&self) -> &Pick {
        &self.pick
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

    /// Picks the version for a request by its head, and lets the snapshot go. Where the plan needs more than the head,
    /// [`Predictor::choose`] picks it.
    ///
    /// # Errors
    /// [`PredictError`] where the model or version is unknown or does not serve.
    pub fn pin(
        &self,
        model: &str,
        version: &VersionSelector,
        facts: &impl Facts,
        outcome: &mut Outcome,
    ) -> Result<Pinned, PredictError> {
        let snapshot = self.snapshots.pin();
        let served = snapshot.served(model)?;
        if served.plan.needs_body(version) {
            let default = served.find(version)?;
            // Where it fails before the choice, it counts there.
            outcome.came_to(served, default);
            return Ok(Pinned { version: default.clone(), choice: Choice::Open(served.clone()) });
        }
        let (pick, version) = served.pick(version, facts)?;
        outcome.reached(served, version, &pick);
        Ok(Pinned { version: version.clone(), choice: Choice::Made(pick) })
    }

    /// Picks the version for a request that is decoded, where that was left open.
    ///
    /// # Errors
    /// [`PredictError`] where the version does not serve.
    pub fn choose(
        &self,
        pinned: Pinned,
        facts: &impl Facts,
        outcome: &mut Outcome,
    ) -> Result<Chosen, PredictError> {
        let Pinned { version, choice } = pinned;
        match choice {
            Choice::Made(pick) => Ok(Chosen { pick, version }),
            Choice::Open(served) => {
                let (pick, version) = served.pick(&VersionSelector::Default, facts)?;
                outcome.reached(&served, version, &pick);
                Ok(Chosen { pick, version: version.clone() })
            }
        }
    }

    /// Picks the version for a request, looks whether it would be refused, before its body is read, and counts it as
    /// one of the model's from now on.
    ///
    /// # Errors
    /// Those of [`Predictor::pin`], and [`PredictError`] where the model has too much in flight or in its queue.
    pub fn enter(
        &self,
        model: &str,
        version: &VersionSelector,
        facts: &impl Facts,
        permit: &mut Permit,
        outcome: &mut Outcome,
    ) -> Result<Pinned, PredictError> {
        let pinned = self.pin(model, version, facts, outcome)?;
        let version = &pinned.version;
        // What is kept can be answered however long the queue is, and one that is not known yet has none.
        let is_made = matches!(pinned.choice, Choice::Made(_));
        if is_made && version.cache().is_none() {
            version.queue.check().map_err(|error| refused(version, error))?;
        }
        permit.enter(&version.share)?;
        Ok(pinned)
    }

    /// Predicts. Dropping the future takes the request back: it is not run if it still waits, and is
    /// interrupted if it runs.
    ///
    /// # Errors
    /// [`PredictError`], each with one code.
    pub async fn predict(
        &self,
        chosen: Chosen,
        request: PredictRequest,
        driver: Driver,
        outcome: &mut Outcome,
    ) -> Result<Prediction, PredictError> {
        let asked = check(chosen, request, driver, outcome)?;
        let answer = match asked.placed.version.cache().cloned() {
            // In a box, so that nobody else carries the room that it takes.
            Some(cache) => Box::pin(asked.find_or_run(cache)).await,
            None => asked.run().await,
        };
        outcome.predicted(&answer);
        answer
    }
}

/// Everything before the queue.
fn check(
    chosen: Chosen,
    request: PredictRequest,
    driver: Driver,
    outcome: &mut Outcome,
) -> Result<Asked, PredictError> {
    let Chosen { pick, version } = chosen;
    let mismatch =
        |mismatch| PredictError::InputMismatch { model: version.spec().model.to_string(), mismatch };
    let outputs = version.signature().select_outputs(&request.outputs).map_err(mismatch)?;
    let inputs = version.signature().check(request.inputs).map_err(mismatch)?;
    let rows = rows(&inputs);
    check_rows(&version, &inputs, rows).map_err(mismatch)?;
    let validator = version.spec().validator.as_ref();
    let Checked { violations, rejected } =
        validator.map(|validator| validator.check(&inputs, rows)).unwrap_or_default();
    outcome.judged(request.parameters, &inputs, rows, violations);
    if let Some(rejected) = rejected {
        return Err(mismatch(*rejected));
    }
    outcome.checked(&inputs, rows);
    let queued_at = Instant::now();
    let (deadline, priority) = (request.deadline, request.priority);
    if let Some(deadline) = deadline {
        in_time(&version, rows, deadline, queued_at)?;
    }
    let level = version.spec().limits.priorities.level(priority);
    Ok(Asked { inputs, level, deadline, queued_at, driver, placed: Placed { pick, version, outputs } })
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

/// A request that is checked.
struct Asked {
    /// In the order of the signature, until they are submitted.
    inputs: Vec<Option<Tensor>>,
    /// The priority: 1 comes first.
    level: u32,
    /// Who polls the request.
    driver: Driver,
    deadline: Option<Instant>,
    queued_at: Instant,
    placed: Placed,
}

/// What is remembered of a request while it waits.
struct Placed {
    pick: Pick,
    version: Arc<Version>,
    outputs: Vec<usize>,
}

impl Asked {
    /// Has it run, and waits for the answer.
    async fn run(mut self) -> Result<Prediction, PredictError> {
        let inputs = std::mem::take(&mut self.inputs);
        let (ticket, lead) = self.submit(inputs).map_err(|error| refused(&self.placed.version, error))?;
        let Self { deadline, driver, placed, .. } = self;
        placed.lead(lead, driver).await;
        let answer = within(deadline, ticket).await?;
        placed.answer(ran(answer, deadline)?)
    }

    /// Has it answered by what is kept, or by the run of an equal request, and run where there is neither.
    async fn find_or_run(self, cache: Arc<ResponseCache>) -> Result<Prediction, PredictError> {
        let Some(key) = cache.key(&self.inputs, &self.placed.outputs) else {
            cache.bypassed();
            return self.run().await;
        };
        let found = cache
            .find(key, |inputs| self.submit(inputs))
            .map_err(|error| refused(&self.placed.version, error))?;
        let took = self.queued_at.elapsed();
        match found {
            Found::Kept(outputs) => {
                cache.hit(took);
                return Ok(self.placed.prediction(outputs, of_another(Duration::ZERO)));
            }
            Found::Joined(flight, waiting) => {
                let answer = within(self.deadline, flight).await?;
                drop(waiting);
                // Whatever became of the other one, this one has not had its turn.
                if let Ok(Ok((outputs, _))) = answer {
                    cache.hit(took);
                    return Ok(self.placed.prediction(outputs, of_another(self.queued_at.elapsed())));
                }
            }
            Found::Submitted(flight, lead) => {
                cache.missed(took);
                self.placed.lead(lead, self.driver).await;
                let answer = within(self.deadline, flight).await?;
                return self.placed.answer(ran(answer, self.deadline)?);
            }
            Found::Collided => {}
        }
        cache.missed(took);
        self.run().await
    }

    /// Takes a place in the queue.
    fn submit(&self, inputs: Vec<Option<Tensor>>) -> Result<(Ticket, Option<Lead>), JoinError> {
        let Placed { version, outputs, .. } = &self.placed;
        // Neither how long they run nor that they may be run together was checked with optional inputs.
        let mut specs = version.signature().inputs.iter().zip(&inputs);
        let is_plain = specs.all(|(spec, input)| !spec.optional || input.is_none());
        version.queue.submit(Task {
            inputs,
            is_plain,
            outputs: outputs.clone(),
            level: self.level,
            deadline: self.deadline,
            queued_at: self.queued_at,
        })
    }
}

/// The deadline passed while the request waited.
const EXPIRED: PredictError = PredictError::DeadlineExceeded { stage: DeadlineStage::Ticket };

/// The only wait, bounded by the deadline. A ticket that is dropped takes its job back.
async fn within<F: Future>(deadline: Option<Instant>, answer: F) -> Result<F::Output, PredictError> {
    match deadline {
        None => Ok(answer.await),
        Some(deadline) => tokio::time::timeout_at(deadline.into(), answer).await.map_err(|_| EXPIRED),
    }
}

/// What became of a job. A worker drops one unanswered when it goes down.
fn ran(answer: Result<Reply, WorkerGone>, deadline: Option<Instant>) -> Result<Reply, PredictError> {
    answer.map_err(|WorkerGone| match deadline {
        Some(deadline) if deadline <= Instant::now() => EXPIRED,
        _ => PredictError::ShuttingDown,
    })
}

/// The times of an answer that an equal request was given, for which this one waited so long.
fn of_another(queue: Duration) -> StageTimes {
    StageTimes { queue, cached: true, ..StageTimes::default() }
}

impl Placed {
    /// Takes the lead, where it is up to this request to have what waits run.
    async fn lead(&self, lead: Option<Lead>, driver: Driver) {
        if let Some(lead) = lead {
            lead.take(driver, &self.version).await;
        }
    }

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
            arm: self.pick.arm.clone(),
            experiment: self.pick.assignment.as_ref().map(|assignment| assignment.experiment.clone()),
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
const _: fn(&Predictor, Chosen, PredictRequest, Driver, &mut Outcome) =
    |predictor, chosen, request, driver, outcome| {
        fn movable<F: Future + Send>(_: F) {}
        movable(predictor.predict(chosen, request, driver, outcome));
    };
