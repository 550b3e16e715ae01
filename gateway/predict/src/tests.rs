//! The data path with sessions that do what a test says, and no runtime.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pointsman_core::{
    Code, Datatype, Dim, InputTensor, Interrupt, ModelName, PredictError, PredictRequest, Prediction,
    RequestId, RunError, RunInputs, RunOutputs, Session, Shape, Signature, Tensor, TensorSpec, VersionNumber,
    VersionSelector,
};
use pointsman_route::Plan;
use prometheus_client::registry::Registry;

use crate::{
    AdmissionLimits, Metrics, Outcome, Predictor, Protocol, Publisher, ServedModel, Version, VersionSpec,
    snapshot_cell,
};

/// What a test and its session share.
#[derive(Default)]
struct Script {
    state: Mutex<State>,
    changed: Condvar,
    runs: AtomicUsize,
}

#[derive(Default)]
struct State {
    open: bool,
    terminated: bool,
    running: bool,
    panics: bool,
    freed_by: Option<String>,
}

impl Script {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    /// Waits for a state of the session, at most ten seconds.
    fn wait_for(&self, reached: impl Fn(&State) -> bool) {
        let guard = self.state.lock().unwrap();
        let (_guard, timeout) =
            self.changed.wait_timeout_while(guard, Duration::from_secs(10), |state| !reached(state)).unwrap();
        assert!(!timeout.timed_out(), "the session never got there");
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

/// Runs until the script opens, then answers with its input.
struct Scripted(Arc<Script>);

impl Session for Scripted {
    fn run(&mut self, inputs: RunInputs<'_>) -> Result<RunOutputs, RunError> {
        self.0.runs.fetch_add(1, Ordering::SeqCst);
        self.0.change(|state| state.running = true);
        self.0.wait_for(|state| state.open || state.terminated || state.panics);
        let mut panics = false;
        let mut terminated = false;
        self.0.change(|state| {
            state.running = false;
            panics = std::mem::take(&mut state.panics);
            terminated = state.terminated;
        });
        assert!(!panics, "as the script says");
        if terminated {
            return Err(RunError::Interrupted);
        }
        Ok(inputs.tensors.iter().flatten().cloned().collect())
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::new(Switch(self.0.clone()))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        self.0.change(|state| state.freed_by = Some(name));
    }
}

struct Switch(Arc<Script>);

impl Interrupt for Switch {
    fn terminate(&self) {
        self.0.change(|state| state.terminated = true);
    }

    fn reset(&self) {
        self.0.change(|state| state.terminated = false);
    }
}

/// A data path with one model `m` in version 2, alias `best`, and one worker.
struct Rig {
    predictor: Predictor,
    publisher: Publisher,
    script: Arc<Script>,
    registry: Registry,
}

impl Rig {
    fn new(queue_max: usize) -> Self {
        let script = Arc::new(Script::default());
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let (mut publisher, reader) = snapshot_cell();
        let number = VersionNumber::new(2).unwrap();
        let name = ModelName::new("m").unwrap();
        let spec = VersionSpec {
            model: name.clone(),
            number,
            signature: Arc::new(Signature {
                inputs: vec![tensor_spec("x")],
                outputs: vec![tensor_spec("y")],
            }),
            engine: "scripted",
            digest: String::new(),
            queue_max,
            batch_rows_max: Some(8),
            nonfinite: None,
        };
        let version = Version::start(spec, vec![Box::new(Scripted(script.clone()))], &metrics).unwrap();
        let served = ServedModel {
            name: name.clone(),
            plan: Plan { default: Some(number), aliases: [("best".into(), number)].into() },
            versions: BTreeMap::from([(number, version)]),
            unavailable: BTreeMap::new(),
            problem: String::new(),
        };
        publisher.publish(HashMap::from([(name, Arc::new(served))]));
        let predictor = Predictor::new(reader, AdmissionLimits::default(), metrics);
        Self { predictor, publisher, script, registry }
    }

    /// Starts a request on a task of its own.
    fn ask(&self, request: PredictRequest) -> tokio::task::JoinHandle<Result<Prediction, PredictError>> {
        let predictor = self.predictor.clone();
        tokio::spawn(async move {
            let mut outcome = Outcome::received(predictor.metrics(), Protocol::V2Rest);
            let answer = match predictor.pin(&request.model, &request.version, &mut outcome) {
                Ok(pinned) => predictor.predict(pinned, request, &mut outcome).await,
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
    fn counted(&self, name: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

fn tensor_spec(name: &str) -> TensorSpec {
    let shape = Some(vec![Dim::Dynamic(None), Dim::Fixed(1)]);
    TensorSpec { name: name.into(), datatype: Datatype::Uint8, shape, optional: false, labels: None }
}

fn request(rows: u64) -> PredictRequest {
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
        deadline: None,
    }
}

fn code(answer: Result<Prediction, PredictError>) -> Code {
    answer.unwrap_err().code()
}

#[tokio::test]
async fn an_answer_says_which_version_made_it() {
    let rig = Rig::new(4);
    rig.script.change(|state| state.open = true);
    for (version, arm) in [("", "default"), ("2", "direct"), ("best", "direct")] {
        let asked = PredictRequest { version: VersionSelector::parse(version).unwrap(), ..request(3) };
        let answer = rig.ask(asked).await.unwrap().unwrap();
        assert_eq!((answer.model.as_str(), answer.version.get(), answer.arm), ("m", 2, arm));
        assert_eq!(&*answer.outputs[0].name, "y");
        assert_eq!(answer.outputs[0].tensor.data().as_ref(), [7; 3]);
    }
}

#[tokio::test]
async fn what_nobody_serves_is_refused() {
    let rig = Rig::new(4);
    let asked = |model: &str, version: &str| PredictRequest {
        model: model.into(),
        version: VersionSelector::parse(version).unwrap(),
        ..request(1)
    };
    assert_eq!(code(rig.ask(asked("n", "")).await.unwrap()), Code::UnknownModel);
    assert_eq!(code(rig.ask(asked("m", "3")).await.unwrap()), Code::UnknownVersion);
    assert_eq!(code(rig.ask(asked("m", "worst")).await.unwrap()), Code::UnknownVersion);
    assert_eq!(code(rig.ask(request(9)).await.unwrap()), Code::InputMismatch);
    assert_eq!(rig.script.runs(), 0);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let rig = Rig::new(1);
    let running = rig.ask(request(1));
    rig.script.wait_for_async(|state| state.running).await;
    let queued = rig.ask(request(1));
    let version = rig.predictor.snapshots().snapshot().models["m"].versions.values().next().unwrap().clone();
    until(|| version.queue_depth() == 1).await;
    assert_eq!(code(rig.ask(request(1)).await.unwrap()), Code::QueueFull);
    rig.script.change(|state| state.open = true);
    assert!(running.await.unwrap().is_ok() && queued.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_request_whose_caller_left_the_queue_never_runs() {
    let rig = Rig::new(4);
    let running = rig.ask(request(1));
    rig.script.wait_for_async(|state| state.running).await;
    let gone = rig.ask(request(1));
    let version = rig.predictor.snapshots().snapshot().models["m"].versions.values().next().unwrap().clone();
    until(|| version.queue_depth() == 1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    rig.script.change(|state| state.open = true);
    assert!(running.await.unwrap().is_ok());
    assert!(rig.ask(request(1)).await.unwrap().is_ok());
    assert_eq!(rig.script.runs(), 2);
}

#[tokio::test]
async fn a_run_whose_caller_left_is_interrupted_and_the_worker_goes_on() {
    let rig = Rig::new(4);
    let gone = rig.ask(request(1));
    rig.script.wait_for_async(|state| state.running).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    rig.script.wait_for_async(|state| !state.running && !state.terminated).await;
    rig.script.change(|state| state.open = true);
    assert!(rig.ask(request(1)).await.unwrap().is_ok());
}

#[tokio::test]
async fn deadlines_reach_the_queue_and_the_run() {
    let rig = Rig::new(4);
    let within = |time| PredictRequest { deadline: Some(Instant::now() + time), ..request(1) };
    assert_eq!(code(rig.ask(within(Duration::ZERO)).await.unwrap()), Code::DeadlineExceeded);
    assert_eq!(rig.script.runs(), 0);

    let running = rig.ask(within(Duration::from_millis(50)));
    rig.script.wait_for_async(|state| state.running).await;
    let queued = rig.ask(within(Duration::from_millis(1)));
    assert_eq!(code(queued.await.unwrap()), Code::DeadlineExceeded);
    assert_eq!(code(running.await.unwrap()), Code::DeadlineExceeded);
    rig.script.wait_for_async(|state| !state.running && !state.terminated).await;
    rig.script.change(|state| state.open = true);
    assert!(rig.ask(request(1)).await.unwrap().is_ok());
    assert_eq!(rig.script.runs(), 2, "the expired one in the queue was not run");
}

#[tokio::test]
async fn a_withdrawn_version_answers_what_it_accepted_and_frees_its_session_itself() {
    let mut rig = Rig::new(4);
    let running = rig.ask(request(1));
    rig.script.wait_for_async(|state| state.running).await;
    let version = rig.predictor.snapshots().snapshot().models["m"].versions.values().next().unwrap().clone();
    let queued = rig.ask(request(1));
    until(|| version.queue_depth() == 1).await;
    drop(version);
    rig.publisher.publish(HashMap::new());
    assert_eq!(code(rig.ask(request(1)).await.unwrap()), Code::UnknownModel);
    rig.script.change(|state| state.open = true);
    assert!(running.await.unwrap().is_ok() && queued.await.unwrap().is_ok());
    rig.script.wait_for_async(|state| state.freed_by.is_some()).await;
    assert_eq!(rig.script.state.lock().unwrap().freed_by.as_deref(), Some("run-2-m"));
}

#[tokio::test]
async fn a_panic_of_a_session_is_one_failed_request() {
    let rig = Rig::new(4);
    rig.script.change(|state| state.panics = true);
    assert_eq!(code(rig.ask(request(1)).await.unwrap()), Code::SessionFailed);
    rig.script.change(|state| state.open = true);
    assert!(rig.ask(request(1)).await.unwrap().is_ok());
}

#[tokio::test]
async fn every_request_has_one_outcome() {
    let rig = Rig::new(1);
    let running = rig.ask(request(1));
    rig.script.wait_for_async(|state| state.running).await;
    let gone = rig.ask(request(1));
    let version = rig.predictor.snapshots().snapshot().models["m"].versions.values().next().unwrap().clone();
    until(|| version.queue_depth() == 1).await;
    let full = rig.ask(request(1)).await.unwrap();
    assert!(full.is_err());
    gone.abort();
    assert!(gone.await.is_err());
    rig.script.change(|state| state.open = true);
    assert!(running.await.unwrap().is_ok());
    assert_eq!(rig.counted("pointsman_requests_received_total"), 3);
    assert_eq!(rig.counted("pointsman_requests_total"), 3);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &rig.registry).unwrap();
    for code in ["OK", "QUEUE_FULL", "CANCELLED"] {
        let line = text.lines().find(|l| l.contains(&format!("protocol=\"v2-rest\",code=\"{code}\"")));
        assert!(line.is_some_and(|l| l.ends_with(" 1")), "{code}: {line:?}");
    }
}

impl Script {
    /// As [`Script::wait_for`], from a task.
    async fn wait_for_async(self: &Arc<Self>, reached: impl Fn(&State) -> bool + Send + 'static) {
        let script = self.clone();
        tokio::task::spawn_blocking(move || script.wait_for(reached)).await.unwrap();
    }
}

/// Yields until something holds, at most ten seconds.
fn until(holds: impl Fn() -> bool) -> impl Future<Output = ()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    async move {
        while !holds() {
            assert!(Instant::now() < deadline, "it never came about");
            tokio::task::yield_now().await;
        }
    }
}
