//! The steps of a version into a snapshot, in the only order that the types allow.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pointsman_core::{
    Engine, LoadError, LoadedModel, ModelName, RunError, RunInputs, Session, SessionOptions, Signature,
    VersionNumber,
};
use pointsman_predict::{Metrics, Version, VersionSpec};
use pointsman_registry::{GoldenCase, GoldenCases, ReadError, Registry, Settings, VersionFiles, compare};

use crate::warmup::zeros;

/// Why a version does not get to serve: one line for the operator.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LoadFault {
    /// Its files are not what they should be.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No such engine is there.
    #[error("{0}")]
    NoEngine(String),
    /// The engine refuses it.
    #[error(transparent)]
    Engine(#[from] LoadError),
    /// The engine panicked.
    #[error("{engine} panicked while loading it; this is a bug of the engine or a broken model")]
    Panicked {
        /// The engine.
        engine: &'static str,
    },
    /// It does not answer a golden case as training did.
    #[error("golden case {index} ({note}): {what}")]
    Golden {
        /// The case, from 0.
        index: usize,
        /// What the case is about.
        note: String,
        /// The disagreement.
        what: String,
    },
    /// The system has no more threads.
    #[error("its worker threads cannot be started: {0}")]
    Threads(String),
}

/// A version whose files were read whole and agree with their digests.
pub struct Verified {
    model: ModelName,
    number: VersionNumber,
    files: VersionFiles,
}

/// A version in an engine.
pub struct Loaded {
    verified: Verified,
    engine: &'static str,
    computes: bool,
    loaded: Box<dyn LoadedModel>,
}

/// A version that answers its golden cases as training did.
pub struct Checked {
    loaded: Loaded,
    session: Box<dyn Session>,
}

/// A version all of whose sessions have run.
pub struct Warm {
    spec: VersionSpec,
    model: Box<dyn LoadedModel>,
    sessions: Vec<Box<dyn Session>>,
}

/// Reads and verifies a version.
///
/// # Errors
/// [`LoadFault::Read`].
pub fn verify(
    registry: &dyn Registry,
    model: &ModelName,
    number: VersionNumber,
) -> Result<Verified, LoadFault> {
    let files = registry.read(model, number)?;
    Ok(Verified { model: model.clone(), number, files })
}

impl Verified {
    /// Gives the files to an engine.
    ///
    /// # Errors
    /// [`LoadFault::Engine`] and [`LoadFault::Panicked`].
    pub fn load(self, engine: &dyn Engine, options: &SessionOptions) -> Result<Loaded, LoadFault> {
        let name = engine.name();
        let loaded = catch_unwind(AssertUnwindSafe(|| engine.load(&self.files.files, options)));
        let loaded = loaded.map_err(|_| LoadFault::Panicked { engine: name })??;
        Ok(Loaded { verified: self, engine: name, computes: engine.computes(), loaded })
    }
}

impl Loaded {
    /// Runs the golden cases, where there are any.
    ///
    /// # Errors
    /// [`LoadFault::Golden`] for the first case that is answered otherwise than in training.
    pub fn check(self) -> Result<Checked, LoadFault> {
        let mut session = self.loaded.session()?;
        let golden = self.verified.files.golden.as_ref().filter(|_| self.computes);
        if let Some(golden) = golden {
            for (index, case) in golden.cases.iter().enumerate() {
                check_case(session.as_mut(), self.loaded.signature(), golden, case)
                    .map_err(|what| LoadFault::Golden { index, note: case.note.clone(), what })?;
            }
        }
        Ok(Checked { loaded: self, session })
    }
}

/// Compares one case with what the session answers; the error says what disagrees.
fn check_case(
    session: &mut dyn Session,
    signature: &Signature,
    golden: &GoldenCases,
    case: &GoldenCase,
) -> Result<(), String> {
    let inputs = signature.check(case.inputs.clone()).map_err(|m| m.describe("this version"))?;
    let names: Vec<String> = case.outputs.iter().map(|o| o.name.clone()).collect();
    let outputs = signature.select_outputs(&names).map_err(|m| m.describe("this version"))?;
    let run =
        catch_unwind(AssertUnwindSafe(|| session.run(RunInputs { tensors: &inputs, outputs: &outputs })));
    let got = run
        .unwrap_or_else(|_| Err(RunError::Failed("the engine panicked".into())))
        .map_err(|e| e.to_string())?;
    for (expected, got) in case.outputs.iter().zip(&got) {
        compare(&expected.tensor, got, golden.rtol, golden.atol)
            .map_err(|difference| format!("output '{}': {difference}", expected.name))?;
    }
    Ok(())
}

impl Checked {
    /// Creates the sessions of all workers and runs each once: with the first golden case, or with
    /// zeros of the signature.
    ///
    /// # Errors
    /// [`LoadFault::Engine`] where the engine refuses another session.
    pub fn warm(self, settings: &Settings, defaults: &WorkerDefaults) -> Result<Warm, LoadFault> {
        let Self { loaded: Loaded { verified, engine, loaded, .. }, session } = self;
        let mut sessions = vec![session];
        let workers = settings.workers.unwrap_or(defaults.workers);
        while sessions.len() < workers {
            sessions.push(loaded.session()?);
        }
        let mut signature = loaded.signature().clone();
        for output in &mut signature.outputs {
            output.labels = settings.labels.get(&*output.name).cloned();
        }
        let golden = verified.files.golden.as_ref().and_then(|golden| golden.cases.first());
        let inputs = match golden {
            Some(case) => signature.check(case.inputs.clone()).ok(),
            None => zeros(&signature),
        };
        if let Some(inputs) = inputs {
            let outputs: Vec<usize> = (0..signature.outputs.len()).collect();
            for session in &mut sessions {
                let run = RunInputs { tensors: &inputs, outputs: &outputs };
                // Zeros need not be an input that the model takes; only the golden cases decide.
                let _ = catch_unwind(AssertUnwindSafe(|| session.run(run)));
            }
        }
        let spec = VersionSpec {
            model: verified.model,
            number: verified.number,
            signature: Arc::new(signature),
            engine,
            digest: verified.files.digest.to_string(),
            queue_max: settings.queue_max.unwrap_or(defaults.queue_max),
            batch_rows_max: settings.max_batch_size.filter(|&rows| rows > 0).map(|rows| rows as u64),
            nonfinite: settings.nonfinite,
        };
        Ok(Warm { spec, model: loaded, sessions })
    }
}

/// What cards that say nothing get.
#[derive(Clone, Debug)]
pub struct WorkerDefaults {
    /// Worker threads of a version.
    pub workers: usize,
    /// Requests that may wait for it.
    pub queue_max: usize,
}

impl Warm {
    /// Starts the workers.
    ///
    /// # Errors
    /// [`LoadFault::Threads`].
    pub fn start(self, metrics: &Metrics) -> Result<Arc<Version>, LoadFault> {
        let started = Version::start(self.spec, self.model, self.sessions, Arc::new(()), metrics);
        started.map_err(|e| LoadFault::Threads(e.to_string()))
    }
}

/// What every version is loaded with.
#[derive(Clone, Copy)]
pub struct Loader<'a> {
    /// Where its files come from.
    pub registry: &'a dyn Registry,
    /// How its sessions run.
    pub session: &'a SessionOptions,
    /// How many workers, and how long a queue, where its card does not say.
    pub workers: &'a WorkerDefaults,
    /// Where its instruments are registered.
    pub metrics: &'a Metrics,
}

impl Loader<'_> {
    /// All steps in their order.
    ///
    /// # Errors
    /// The first step's that fails.
    pub fn bring_up(
        &self,
        model: &ModelName,
        number: VersionNumber,
        engine: &dyn Engine,
        settings: &Settings,
    ) -> Result<Arc<Version>, LoadFault> {
        let verified = verify(self.registry, model, number)?;
        let checked = verified.load(engine, self.session)?.check()?;
        checked.warm(settings, self.workers)?.start(self.metrics)
    }
}
