//! A data path over one version that gives each row plus one, in runs that a test holds up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use bytes::Bytes;
use pointsman_core::{
    Datatype, InputTensor, Interrupt, LoadError, LoadedModel, PredictError, PredictRequest, Prediction,
    RequestId, RunError, RunInputs, RunOutputs, Session, Shape, Signature, Tensor, VersionNumber,
};
use pointsman_route::Bare;
use prometheus_client::registry::Registry;

use super::rig::{request, served, spec};
use crate::{
    AdmissionLimits, Cores, Driver, Ground, Metrics, Outcome, Predictor, Protocol, RunLimits, Sessions,
    Version, VersionSpec, snapshot_cell,
};

/// How long a state is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the sessions do and did.
#[derive(Default)]
pub(super) struct Sums {
    state: Mutex<State>,
    changed: Condvar,
    pub(super) interrupted: AtomicBool,
}

#[derive(Default)]
pub(super) struct State {
    /// Runs wait until it is set.
    pub(super) open: bool,
    /// So many of the next runs fail.
    pub(super) failing: usize,
    pub(super) waiting: usize,
    /// The rows of each run, with its thread.
    pub(super) runs: Vec<(Vec<u8>, ThreadId)>,
}

impl Sums {
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock().expect("not poisoned"));
        self.changed.notify_all();
        changed
    }

    pub(super) async fn wait_for(self: &Arc<Self>, reached: impl Fn(&State) -> bool + Send + 'static) {
        let sums = self.clone();
        let waited = tokio::task::spawn_blocking(move || {
            let guard = sums.state.lock().expect("not poisoned");
            let waited = sums.changed.wait_timeout_while(guard, PATIENCE, |state| !reached(state));
            waited.expect("not poisoned").1.timed_out()
        });
        assert!(!waited.await.expect("no panic"), "it never came to that");
    }

    pub(super) fn runs(&self) -> Vec<Vec<u8>> {
        self.change(|state| state.runs.iter().map(|(rows, _)| rows.clone()).collect())
    }
}

/// Gives each row plus one. A row of 99 makes a run fail, one of 100 makes it panic.
struct PlusOne(Arc<Sums>);

impl Session for PlusOne {
    fn run(&mut self, inputs: RunInputs<'_>) -> Result<RunOutputs, RunError> {
        let tensor = inputs.tensors[0].as_ref().expect("it has to come");
        let rows = tensor.data().to_vec();
        self.0.change(|state| {
            state.waiting += 1;
            state.runs.push((rows.clone(), std::thread::current().id()));
        });
        let guard = self.0.state.lock().expect("not poisoned");
        let wait = |state: &mut State| !state.open && !self.0.interrupted.load(Ordering::SeqCst);
        let (mut state, _) = self.0.changed.wait_timeout_while(guard, PATIENCE, wait).expect("not poisoned");
        let fails = state.failing > 0 && !self.0.interrupted.load(Ordering::SeqCst);
        state.failing -= usize::from(fails);
        drop(state);
        if self.0.interrupted.swap(false, Ordering::SeqCst) {
            return Err(RunError::Interrupted);
        }
        if fails {
            return Err(RunError::Failed("as the test says".into()));
        }
        assert!(!rows.contains(&100), "as the row says");
        if rows.contains(&99) {
            return Err(RunError::Rejected("99".into()));
        }
        let sums: Vec<u8> = rows.iter().map(|row| row + 1).collect();
        Ok(vec![Tensor::new(Datatype::Uint8, tensor.shape().clone(), Bytes::from(sums)).expect("fits")])
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::new(Switch(self.0.clone()))
    }
}

struct Switch(Arc<Sums>);

impl Interrupt for Switch {
    fn terminate(&self) {
        self.0.interrupted.store(true, Ordering::SeqCst);
        self.0.changed.notify_all();
    }

    fn reset(&self) {}
}

struct Model(Arc<Sums>);

impl LoadedModel for Model {
    fn signature(&self) -> &Signature {
        unreachable!("the version has its own")
    }

    fn session(&self) -> Result<Box<dyn Session>, LoadError> {
        Ok(Box::new(PlusOne(self.0.clone())))
    }
}

/// A data path over one version of one worker.
pub(super) fn data_path(limits: RunLimits, queue_max: usize) -> (Predictor, Arc<Sums>, Arc<Version>) {
    data_path_over(VersionSpec { limits, ..spec(VersionNumber::new(2).expect("above zero"), queue_max) })
}

/// A data path over this version, of one worker and without a limit on rows.
pub(super) fn data_path_over(mut spec: VersionSpec) -> (Predictor, Arc<Sums>, Arc<Version>) {
    let sums = Arc::new(Sums::default());
    let metrics = Metrics::register(&mut Registry::default());
    let (mut publisher, reader) = snapshot_cell();
    let predictor = Predictor::new(reader, AdmissionLimits::default(), metrics.clone());
    spec.request_rows_max = None;
    let session = || Box::new(PlusOne(sums.clone())) as Box<dyn Session>;
    let inline = (spec.limits.inline_rows_max > 0).then(session);
    let sessions = Sessions { workers: vec![session()], inline };
    let model = Box::new(Model(sums.clone()));
    let ground = Ground { metrics, cores: Cores::new(2) };
    let version = Version::start(spec, model, sessions, Arc::new(()), &ground).expect("threads");
    publisher.publish(HashMap::from([(super::rig::model(), Arc::new(served(version.clone())))]));
    (predictor, sums, version)
}

/// A request of these rows.
pub(super) fn rows(rows: &[u8]) -> PredictRequest {
    let shape = Shape::new(&[rows.len() as u64, 1]).expect("few dimensions");
    let tensor = Tensor::new(Datatype::Uint8, shape, Bytes::copy_from_slice(rows)).expect("fits");
    PredictRequest { inputs: vec![InputTensor { name: "x".into(), tensor }], ..request(1) }
}

pub(super) async fn predict(
    predictor: Predictor,
    request: PredictRequest,
) -> Result<Prediction, PredictError> {
    predict_for(Driver::Task, predictor, request).await
}

pub(super) async fn predict_for(
    driver: Driver,
    predictor: Predictor,
    request: PredictRequest,
) -> Result<Prediction, PredictError> {
    let mut outcome = Outcome::received(predictor.metrics(), RequestId::generate(), Protocol::V2Rest);
    let pinned = predictor.pin(&request.model, &request.version, &Bare(request.id), &mut outcome)?;
    let chosen = predictor.choose(pinned, &Bare(request.id), &mut outcome)?;
    let answer = predictor.predict(chosen, request, driver, &mut outcome).await;
    if let Ok(prediction) = &answer {
        outcome.ok(&prediction.times, Duration::ZERO);
    }
    answer
}

pub(super) type Asked = tokio::task::JoinHandle<Result<Prediction, PredictError>>;

pub(super) fn ask(predictor: &Predictor, request: PredictRequest) -> Asked {
    tokio::spawn(predict(predictor.clone(), request))
}

pub(super) async fn answer(asked: Asked) -> Result<Vec<u8>, String> {
    let answer = asked.await.expect("no panic").map_err(|error| error.code().name().to_owned())?;
    Ok(answer.outputs[0].tensor.data().to_vec())
}

pub(super) fn limits(batch_rows_max: u64, inline_rows_max: u64) -> RunLimits {
    RunLimits { batch_rows_max, inline_rows_max, ..RunLimits::default() }
}

pub(super) fn batched() -> RunLimits {
    limits(8, 0)
}

pub(super) fn short() -> RunLimits {
    limits(4, 4)
}

/// One request that keeps the worker busy, and behind it others, all of which wait.
pub(super) async fn behind_one(
    predictor: &Predictor,
    sums: &Arc<Sums>,
    version: &Arc<Version>,
    all: &[&[u8]],
) -> Vec<Asked> {
    let first = ask(predictor, rows(&[0]));
    sums.wait_for(|state| state.waiting == 1).await;
    let mut asked = vec![first];
    for request in all {
        let depth = version.queue_depth();
        asked.push(ask(predictor, rows(request)));
        while version.queue_depth() == depth {
            tokio::task::yield_now().await;
        }
    }
    asked
}
