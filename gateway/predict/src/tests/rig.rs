//! A data path over one model with sessions that do what a test says, and no runtime.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use pointsman_core::{
    Code, Datatype, Dim, InputTensor, Interrupt, LoadError, LoadedModel, ModelName, PredictError,
    PredictRequest, Prediction, RequestId, RunError, RunInputs, RunOutputs, Session, Shape, Signature,
    Tensor, TensorSpec, VersionNumber, VersionSelector,
};
use pointsman_route::{Bare, Plan};
use prometheus_client::registry::Registry;

use crate::{
    AdmissionLimits, Cores, Driver, Ground, Metrics, Outcome, Predictor, Protocol, Publisher, RunLimits,
    ServedModel, Sessions, Supervisor, Version, VersionSpec, Witnesses, snapshot_cell,
};

/// What a test and its sessions share.
#[derive(Default)]
pub(super) struct Script {
    state: Mutex<State>,
    changed: Condvar,
    runs: AtomicUsize,
}

#[derive(Default)]
pub(super) struct State {
    /// Runs end at once.
    pub(super) open: bool,
    /// The session whose run is to end.
    pub(super) terminated: Option<usize>,
    pub(super) running: bool,
    /// The next run panics, or the one that waits.
    pub(super) panics: bool,
    /// Every session panics when it is freed.
    pub(super) panics_when_freed: bool,
    /// The model gives no session.
    pub(super) refuses: bool,
    /// Sessions asked for after the first ones, given or not.
    pub(super) asked_again: usize,
    /// The names of the threads that freed a session.
    pub(super) freed_by: Vec<String>,
    /// What the supervisor was told.
    pub(super) crashing: Vec<u32>,
    pub(super) gone: usize,
}

impl Script {
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
        changed
    }

    /// Waits for a state of the sessions, at most ten seconds.
    pub(super) fn wait_for(&self, reached: impl Fn(&State) -> bool) {
        let guard = self.state.lock().unwrap();
        let (_guard, timeout) =
            self.changed.wait_timeout_while(guard, Duration::from_secs(10), |state| !reached(state)).unwrap();
        assert!(!timeout.timed_out(), "the sessions never got there");
    }

    /// As [`Script::wait_for`], from a task.
    pub(super) async fn wait_for_async(self: &Arc<Self>, reached: impl Fn(&State) -> bool + Send + 'static) {
        let script = self.clone();
        tokio::task::spawn_blocking(move || script.wait_for(reached)).await.unwrap();
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

/// Runs until the script opens, then answers with its input.
struct Scripted {
    script: Arc<Script>,
    id: usize,
}

impl Session for Scripted {
    fn run(&mut self, inputs: RunInputs<'_>) -> Result<RunOutputs, RunError> {
        let (script, id) = (&self.script, self.id);
        script.runs.fetch_add(1, Ordering::SeqCst);
        script.change(|state| state.running = true);
        script.wait_for(|state| state.open || state.terminated == Some(id) || state.panics);
        let (panics, terminated) = script.change(|state| {
            state.running = false;
            (std::mem::take(&mut state.panics), state.terminated == Some(id))
        });
        assert!(!panics, "as the script says");
        if terminated {
            return Err(RunError::Interrupted);
        }
        Ok(inputs.tensors.iter().flatten().cloned().collect())
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::new(Switch { script: self.script.clone(), id: self.id })
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let panics = self.script.change(|state| {
            state.freed_by.push(name);
            state.panics_when_freed
        });
        assert!(!panics, "as the script says");
    }
}

struct Switch {
    script: Arc<Script>,
    id: usize,
}

impl Interrupt for Switch {
    fn terminate(&self) {
        self.script.change(|state| state.terminated = Some(self.id));
    }

    fn reset(&self) {
        self.script.change(|state| state.terminated = None);
    }
}

/// Gives one more session where the script lets it.
struct ScriptedModel(Arc<Script>);

impl LoadedModel for ScriptedModel {
    fn signature(&self) -> &Signature {
        unreachable!("the version has its own")
    }

    fn session(&self) -> Result<Box<dyn Session>, LoadError> {
        let (refuses, id) = self.0.change(|state| {
            state.asked_again += 1;
            (state.refuses, 100 + state.asked_again)
        });
        if refuses {
            return Err(LoadError::Refused { engine: "scripted", reason: "as the script says".into() });
        }
        Ok(Box::new(Scripted { script: self.0.clone(), id }))
    }
}

struct Told(Arc<Script>);

impl Supervisor for Told {
    fn crashing(&self, crashes: u32) {
        self.0.change(|state| state.crashing.push(crashes));
    }

    fn retiring(&self) {}

    fn gone(&self) {
        self.0.change(|state| state.gone += 1);
    }
}

/// A version of `m` that follows a script.
pub(super) fn start(
    number: VersionNumber,
    script: &Arc<Script>,
    queue_max: usize,
    workers: usize,
    metrics: &Metrics,
) -> Arc<Version> {
    let sessions =
        (0..workers).map(|id| Box::new(Scripted { script: script.clone(), id }) as Box<dyn Session>);
    let model = Box::new(ScriptedModel(script.clone()));
    let supervisor = Arc::new(Told(script.clone()));
    let sessions = Sessions { workers: sessions.collect(), inline: None };
    let ground = Ground { metrics: metrics.clone(), cores: Cores::new(4) };
    Version::start(spec(number, queue_max), model, sessions, supervisor, &ground).unwrap()
}

/// A version of `m` from bytes to bytes.
pub(super) fn spec(number: VersionNumber, queue_max: usize) -> VersionSpec {
    VersionSpec {
        model: model(),
        number,
        signature: Arc::new(Signature { inputs: vec![tensor_spec("x")], outputs: vec![tensor_spec("y")] }),
        engine: "scripted",
        digest: String::new(),
        queue_max,
        request_rows_max: Some(8),
        limits: RunLimits::default(),
        cache_bytes_max: None,
        nonfinite: None,
        findings: Default::default(),
        validator: None,
        monitor: None,
    }
}

/// The model's name.
pub(super) fn model() -> ModelName {
    ModelName::new("m").unwrap()
}

/// The model with this default version and nothing else.
pub(super) fn served(version: Arc<Version>) -> ServedModel {
    let number = version.spec().number;
    ServedModel {
        name: model(),
        plan: Plan { default: Some(number), aliases: [("best".into(), number)].into(), ..Plan::default() },
        versions: BTreeMap::from([(number, version)]),
        unavailable: BTreeMap::new(),
        retired: BTreeMap::new(),
        held: BTreeMap::new(),
        tee: None,
        witnesses: Witnesses::default(),
        problem: String::new(),
    }
}

/// A data path with one model `m` in version 2, alias `best`.
pub(super) struct Rig {
    pub(super) predictor: Predictor,
    pub(super) publisher: Publisher,
    pub(super) script: Arc<Script>,
    registry: Registry,
}

impl Rig {
    /// One with one worker.
    pub(super) fn new(queue_max: usize) -> Self {
        Self::with_workers(queue_max, 1)
    }

    pub(super) fn with_workers(queue_max: usize, workers: usize) -> Self {
        let script = Arc::new(Script::default());
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let (publisher, reader) = snapshot_cell();
        let predictor = Predictor::new(reader, AdmissionLimits::default(), metrics);
        let mut rig = Self { predictor, publisher, script, registry };
        let number = VersionNumber::new(2).unwrap();
        let version = start(number, &rig.script, queue_max, workers, rig.predictor.metrics());
        rig.publish(served(version));
        rig
    }

    /// Publishes the model and nothing else.
    pub(super) fn publish(&mut self, served: ServedModel) {
        self.publisher.publish(HashMap::from([(model(), Arc::new(served))]));
    }

    /// The version that serves.
    pub(super) fn version(&self) -> Arc<Version> {
        self.predictor.snapshots().snapshot().models["m"].versions.values().next().unwrap().clone()
    }

    /// All metrics, as they are scraped.
    pub(super) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// Starts a request on a task of its own.
    pub(super) fn ask(
        &self,
        request: PredictRequest,
    ) -> tokio::task::JoinHandle<Result<Prediction, PredictError>> {
        let predictor = self.predictor.clone();
        tokio::spawn(async move {
            let mut outcome = Outcome::received(predictor.metrics(), RequestId::generate(), Protocol::V2Rest);
            let bare = Bare(request.id);
            let pinned = predictor.pin(&request.model, &request.version, &bare, &mut outcome);
            let chosen = pinned.and_then(|pinned| predictor.choose(pinned, &bare, &mut outcome));
            let answer = match chosen {
                Ok(chosen) => predictor.predict(chosen, request, Driver::Task, &mut outcome).await,
                Err(error) => Err(error),
            };
            match &answer {
                Ok(prediction) => outcome.ok(&prediction.times, Duration::ZERO),
                Err(error) => outcome.failed(error.code()),
            }
            answer
        })
    }

    /// The sum of a counter over its label sets.
    pub(super) fn counted(&self, name: &str) -> u64 {
        let text = self.metrics();
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

fn tensor_spec(name: &str) -> TensorSpec {
    let shape = Some(vec![Dim::Dynamic(None), Dim::Fixed(1)]);
    TensorSpec { name: name.into(), datatype: Datatype::Uint8, shape, optional: false, labels: None }
}

pub(super) fn request(rows: u64) -> PredictRequest {
    let data = Bytes::from(vec![7; usize::try_from(rows).unwrap()]);
    let tensor = Tensor::new(Datatype::Uint8, Shape::new(&[rows, 1]).unwrap(), data).unwrap();
    PredictRequest {
        id: RequestId::generate(),
        client_id: None,
        model: "m".into(),
        version: VersionSelector::Default,
        parameters: Vec::new(),
        inputs: vec![InputTensor { name: "x".into(), tensor }],
        outputs: Vec::new(),
        priority: 0,
        deadline: None,
    }
}

pub(super) fn code(answer: Result<Prediction, PredictError>) -> Code {
    answer.unwrap_err().code()
}
