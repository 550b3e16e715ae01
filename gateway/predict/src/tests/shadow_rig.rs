//! A data path whose default version has a shadow that does what a test says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pointsman_core::{
    Code, Datatype, InputTensor, Interrupt, LoadError, LoadedModel, OutputTensor, Pair, PredictError,
    PredictRequest, Prediction, RequestId, RunError, RunInputs, RunOutputs, Session, Shape, Signature,
    Tensor, VersionNumber,
};
use pointsman_route::{Bare, Document, Salts, Settled, Split, Standing, Versions};
use prometheus_client::registry::Registry;

use super::rig::{model, served, spec};
use crate::{
    AdmissionLimits, Cores, Driver, Ground, Metrics, Observer, Outcome, Predictor, Protocol, Publisher,
    Sessions, Shadow, ShadowGround, ShadowLimits, ShadowSpec, Tee, Version, VersionSpec, Windows,
    snapshot_cell,
};

/// How long a state is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Answers with its input.
    Echo,
    /// Runs until it is interrupted, or another act is played.
    Hang,
    /// Runs until another act is played, whoever interrupts it.
    HangDeaf,
    Panic,
    Fail,
    Reject,
    /// Answers with many bytes of another shape and datatype, and twice as often as asked.
    Garbage,
    /// Takes much memory, and answers with it.
    Allocate,
}

/// What the sessions of one version do and did.
pub(super) struct Stage {
    act: Mutex<Act>,
    changed: Condvar,
    pub(super) runs: AtomicUsize,
    pub(super) made: AtomicUsize,
    /// The names of the threads that freed a session.
    pub(super) freed_by: Mutex<Vec<String>>,
}

impl Stage {
    pub(super) fn new(act: Act) -> Arc<Self> {
        Arc::new(Self {
            act: Mutex::new(act),
            changed: Condvar::new(),
            runs: AtomicUsize::default(),
            made: AtomicUsize::default(),
            freed_by: Mutex::default(),
        })
    }

    pub(super) fn play(&self, act: Act) {
        *self.act.lock().unwrap() = act;
        self.changed.notify_all();
    }

    fn act(&self) -> Act {
        *self.act.lock().unwrap()
    }
}

struct Player {
    stage: Arc<Stage>,
    interrupted: Arc<Mutex<bool>>,
}

impl Session for Player {
    fn run(&mut self, inputs: RunInputs<'_>) -> Result<RunOutputs, RunError> {
        self.stage.runs.fetch_add(1, Ordering::SeqCst);
        let echo = || Ok(inputs.tensors.iter().flatten().cloned().collect());
        let large = |bytes: usize| {
            let shape = Shape::new(&[bytes as u64]).unwrap();
            Tensor::new(Datatype::Int8, shape, Bytes::from(vec![1; bytes])).unwrap()
        };
        match self.stage.act() {
            Act::Echo => echo(),
            Act::Panic => panic!("as the test says"),
            Act::Fail => Err(RunError::Failed("as the test says".into())),
            Act::Reject => Err(RunError::Rejected("as the test says".into())),
            Act::Garbage => Ok(vec![large(1 << 14); 2 * inputs.outputs.len()]),
            Act::Allocate => Ok(vec![large(32 << 20)]),
            act @ (Act::Hang | Act::HangDeaf) => {
                let guard = self.stage.act.lock().unwrap();
                let hangs = |now: &mut Act| {
                    *now == act && (act == Act::HangDeaf || !*self.interrupted.lock().unwrap())
                };
                let (guard, late) = self.stage.changed.wait_timeout_while(guard, PATIENCE, hangs).unwrap();
                assert!(!late.timed_out(), "nobody ended the run");
                if *guard == act { Err(RunError::Interrupted) } else { echo() }
            }
        }
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::new(Switch { stage: self.stage.clone(), interrupted: self.interrupted.clone() })
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        self.stage.freed_by.lock().unwrap().push(name);
    }
}

struct Switch {
    stage: Arc<Stage>,
    interrupted: Arc<Mutex<bool>>,
}

impl Interrupt for Switch {
    fn terminate(&self) {
        let _act = self.stage.act.lock().unwrap();
        *self.interrupted.lock().unwrap() = true;
        self.stage.changed.notify_all();
    }

    fn reset(&self) {
        *self.interrupted.lock().unwrap() = false;
    }
}

struct Model(Arc<Stage>);

impl LoadedModel for Model {
    fn signature(&self) -> &Signature {
        unreachable!("the version has its own")
    }

    fn session(&self) -> Result<Box<dyn Session>, LoadError> {
        self.0.made.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Player { stage: self.0.clone(), interrupted: Arc::default() }))
    }
}

/// What an observer was told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) id: RequestId,
    pub(super) versions: (u64, u64),
    pub(super) inputs: Vec<InputTensor>,
    pub(super) primary: Result<Vec<OutputTensor>, Code>,
    pub(super) shadow: Result<Vec<OutputTensor>, Code>,
    pub(super) floor: Option<Result<Vec<OutputTensor>, Code>>,
}

#[derive(Default)]
pub(super) struct Notes {
    told: Mutex<Vec<Told>>,
    /// How many exchanges each shadow that ended was offered.
    pub(super) ended: Mutex<Vec<u64>>,
}

impl Notes {
    pub(super) fn read(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }
}

impl Observer for Notes {
    fn paired(&self, pair: &Pair<'_>) {
        let owned = |side: &pointsman_core::Side<'_>| side.outputs.map(<[OutputTensor]>::to_vec);
        self.told.lock().unwrap().push(Told {
            id: pair.id,
            versions: (pair.primary.version.get(), pair.shadow.version.get()),
            inputs: pair.inputs.detached(),
            primary: owned(&pair.primary),
            shadow: owned(&pair.shadow),
            floor: pair.floor.as_ref().map(owned),
        });
    }

    fn ended(&self, accounting: &crate::Accounting) {
        assert!(accounting.is_balanced() && accounting.held == 0, "{accounting:?}");
        self.ended.lock().unwrap().push(accounting.offered);
    }
}

/// How a shadow is set up.
pub(super) struct Setup {
    pub(super) limits: ShadowLimits,
    pub(super) floor: bool,
    pub(super) off_share: f64,
    pub(super) spec: fn(VersionNumber) -> VersionSpec,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: ShadowLimits::default(),
            floor: false,
            off_share: 0.0,
            spec: |number| spec(number, 64),
        }
    }
}

/// Version 2 answers, and 3 is its shadow, which sees everything.
pub(super) struct ShadowRig {
    pub(super) predictor: Predictor,
    pub(super) publisher: Publisher,
    pub(super) primary: Arc<Stage>,
    pub(super) stage: Arc<Stage>,
    pub(super) notes: Arc<Notes>,
    registry: Registry,
}

impl ShadowRig {
    pub(super) fn new(act: Act, setup: Setup) -> Self {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let (mut publisher, reader) = snapshot_cell();
        let predictor = Predictor::new(reader, AdmissionLimits::default(), metrics.clone());
        let (primary, stage) = (Stage::new(Act::Echo), Stage::new(act));
        let ground = Ground { metrics: metrics.clone(), cores: Cores::new(4) };
        let start = |number, stage: &Arc<Stage>, make: fn(VersionNumber) -> VersionSpec| {
            let model = Box::new(Model(stage.clone()));
            let sessions = Sessions { workers: vec![model.session().unwrap()], inline: None };
            let spec = make(VersionNumber::new(number).unwrap());
            Version::start(spec, model, sessions, Arc::new(()), &ground).unwrap()
        };
        let answers = start(2, &primary, |number| spec(number, 64));
        let version = start(3, &stage, setup.spec);
        let notes = Arc::new(Notes::default());
        let windows =
            Windows::new(1, Instant::now(), Windows::LENGTH, setup.off_share, Duration::ZERO).unwrap();
        let shadow = ShadowSpec {
            sees: sees_all(),
            primary: answers.clone(),
            version,
            floor: setup.floor,
            limits: setup.limits,
            windows,
        };
        let ground = ShadowGround {
            metrics: metrics.clone(),
            admission: predictor.admission().clone(),
            observer: notes.clone(),
        };
        let shadow = Shadow::start(shadow, &ground).unwrap();
        let tee = Tee::new(answers.clone(), vec![shadow], windows, &metrics);
        let served = crate::ServedModel { tee: Some(tee), ..served(answers) };
        publisher.publish(HashMap::from([(model(), Arc::new(served))]));
        Self { predictor, publisher, primary, stage, notes, registry }
    }

    pub(super) fn tee(&self) -> Arc<Tee> {
        self.predictor.snapshots().snapshot().models["m"].tee.clone().unwrap()
    }

    pub(super) fn shadow(&self) -> Arc<Shadow> {
        self.tee().shadows()[0].clone()
    }

    /// Asks, and has the answer written to its caller.
    pub(super) async fn ask(&self, request: PredictRequest) -> Result<Prediction, PredictError> {
        let predictor = &self.predictor;
        let mut outcome = Outcome::received(predictor.metrics(), request.id, Protocol::V2Rest);
        let bare = Bare(request.id);
        let pinned = predictor.pin(&request.model, &request.version, &bare, &mut outcome)?;
        let chosen = predictor.choose(pinned, &bare, &mut outcome)?;
        let answer = predictor.predict(chosen, request, Driver::Task, &mut outcome).await;
        let before = self.shadow().accounting().offered;
        match &answer {
            Ok(prediction) => outcome.ok(&prediction.times, Duration::ZERO),
            Err(error) => outcome.failed(error.code()),
        }
        assert!(self.shadow().accounting().offered <= before + 1);
        answer
    }

    /// Waits until nothing waits for the shadow or runs in it, and each that was offered is accounted for.
    pub(super) async fn rest(&self) -> crate::Accounting {
        let shadow = self.shadow();
        until(|| shadow.accounting().held == 0).await;
        let accounting = shadow.accounting();
        assert!(accounting.is_balanced(), "{accounting:?}");
        accounting
    }

    /// All metrics, as they are scraped.
    pub(super) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

fn sees_all() -> pointsman_route::Shadow {
    let plan = "[[shadows]]\nname = \"s\"\nversion = 3\nshare = \"100%\"\n";
    let settled = Settled::new("m", Document::from_toml(plan).unwrap(), &Salts::new()).unwrap();
    let versions = Versions { aliases: &Default::default(), standing: &|_| Standing::Warm };
    let split = Split::compile(&settled, &versions).unwrap();
    split.shadows(RequestId::generate()).next().unwrap().clone()
}

/// Waits until something holds. Asleep in between: a thread of the lowest class gets hardly anything beside one that
/// asks all the time.
pub(super) async fn until(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it never came about");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
