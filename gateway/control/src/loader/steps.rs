//! The steps of a version, each of which takes the one before by value.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pointsman_core::{
    Batching, BatchingPolicy, Findings, LatencyPolicy, LoadedModel, RunTime, Session, Signature, Tensor,
    VersionNumber, WarmUpInputs,
};
use pointsman_predict::{Metrics, Supervisor, Version, VersionSpec};
use pointsman_registry::{Digest, GoldenCase, GoldenCases, Stamp, VersionFiles, compare, unmatched};

use super::batching::{self, Found, Rules};
use super::fault::{Gate, LoadFault};
use super::rows::Row;
use super::runner::{RunFault, Runner};
use super::warm_up::Plan;
use super::zeros::zeros;
use super::{LoadJob, Loader, integer_division, memory, run_time};

/// A version whose files were read whole and agree with their digests.
pub(super) struct Verified {
    files: VersionFiles,
}

/// A version in an engine.
pub(super) struct Loaded {
    files: VersionFiles,
    engine: &'static str,
    computes: bool,
    loaded: Box<dyn LoadedModel>,
}

/// A version that answers its golden cases as training did.
pub(super) struct Checked {
    loaded: Loaded,
    session: Box<dyn Session>,
    rows: Vec<Row>,
    findings: Findings,
}

/// A version all of whose sessions have run: the only thing that can be started.
pub struct Warm {
    spec: VersionSpec,
    stamp: Stamp,
    model: Box<dyn LoadedModel>,
    sessions: Vec<Box<dyn Session>>,
}

/// Reads and verifies a version.
pub(super) fn verify(loader: &Loader, job: &LoadJob) -> Result<Verified, LoadFault> {
    let files = loader.registry.read(&job.model, job.number)?;
    Ok(Verified { files })
}

impl Verified {
    /// The digest of its files together.
    pub(super) fn digest(&self) -> Digest {
        self.files.digest
    }

    /// Gives the files to an engine.
    pub(super) fn load(self, loader: &Loader, job: &LoadJob) -> Result<Loaded, LoadFault> {
        let Self { files } = self;
        let choice = job.settings.engine.unwrap_or(loader.engine);
        let engine = loader.engines.choose(choice).map_err(LoadFault::NoEngine)?;
        memory::check(memory::need_of_engine(files.bytes() as u64), loader.gates.memory_reserve)?;
        let name = engine.name();
        let deadly = engine.dies_of_integer_overflow();
        let divides = &files.onnx.integer_division;
        integer_division::check(name, deadly, divides, &loader.gates, &job.settings)?;
        let loaded = catch_unwind(AssertUnwindSafe(|| engine.load(&files.files, &loader.session)));
        let loaded = loaded.map_err(|_| LoadFault::Panicked { engine: name })??;
        Ok(Loaded { files, engine: name, computes: engine.computes(), loaded })
    }
}

impl Loaded {
    /// Runs the golden cases, where there are any, and rows of them together unless it is known already that
    /// they may not be.
    pub(super) fn check(
        self,
        loader: &Loader,
        job: &LoadJob,
        unbatched: Option<Batching>,
    ) -> Result<Checked, LoadFault> {
        let mut runner = Runner::start(self.loaded.session()?, loader.gates.run_timeout)?;
        let signature = self.loaded.signature();
        let golden = self.files.golden.as_ref();
        let mut findings = Findings::default();
        let unmatched = unmatched(&job.model, &job.settings, signature);
        findings.warnings.extend(unmatched.iter().map(ToString::to_string));
        if let Some(golden) = golden.filter(|_| self.computes) {
            for (index, case) in golden.cases.iter().enumerate() {
                check_case(&mut runner, signature, golden, case).map_err(|fault| fault.of(index, case))?;
            }
            findings.golden = golden.cases.len();
        } else if self.computes {
            let warning = "it has no golden.json: its answers were not compared with those that training saw";
            findings.warnings.push(warning.into());
        }
        let Found { batching, rows } = match unbatched {
            Some(batching) => Found { batching, rows: Vec::new() },
            None => batching::check(&mut runner, signature, &Rules::new(&job.settings, golden))?,
        };
        if job.settings.batching == BatchingPolicy::Allow && !batching.is_batched() {
            findings.warnings.push(format!("its card allows batching: {batching}"));
        }
        findings.batching = batching;
        Ok(Checked { session: runner.finish()?, loaded: self, rows, findings })
    }
}

/// Why a golden case is not passed.
enum CaseFault {
    /// It is answered otherwise.
    Answer(String),
    /// It is not answered.
    Run(RunFault),
}

impl CaseFault {
    fn of(self, index: usize, case: &GoldenCase) -> LoadFault {
        let note = case.note.clone();
        match self {
            Self::Answer(what) | Self::Run(RunFault::Failed(what)) => LoadFault::Golden { index, note, what },
            Self::Run(RunFault::TooLong(limit)) => {
                let what = format!("golden case {index} ({note})");
                LoadFault::TooLong { gate: Gate::Golden, what, limit }
            }
        }
    }
}

/// Compares one case with what the session answers.
fn check_case(
    runner: &mut Runner,
    signature: &Signature,
    golden: &GoldenCases,
    case: &GoldenCase,
) -> Result<(), CaseFault> {
    let mismatch = |m: pointsman_core::InputMismatch| CaseFault::Answer(m.describe("this version"));
    let inputs = signature.check(case.inputs.clone()).map_err(mismatch)?;
    let names: Vec<String> = case.outputs.iter().map(|o| o.name.clone()).collect();
    let outputs = signature.select_outputs(&names).map_err(mismatch)?;
    let ran = runner.run(&inputs, &outputs).map_err(CaseFault::Run)?;
    for (expected, got) in case.outputs.iter().zip(&ran.outputs) {
        compare(&expected.tensor, got, golden.rtol, golden.atol)
            .map_err(|difference| CaseFault::Answer(format!("output '{}': {difference}", expected.name)))?;
    }
    Ok(())
}

impl Checked {
    /// Creates the sessions of all workers, runs each, and measures how long a run takes.
    pub(super) fn warm(self, loader: &Loader, job: &LoadJob) -> Result<Warm, LoadFault> {
        let Self { loaded: Loaded { files, engine, loaded, .. }, session, mut rows, mut findings } = self;
        let settings = &job.settings;
        let mut signature = loaded.signature().clone();
        for output in &mut signature.outputs {
            output.labels = settings.labels.get(&*output.name).cloned();
        }
        let case = files.golden.as_ref().and_then(|golden| golden.cases.first());
        let golden = case.and_then(|case| signature.check(case.inputs.clone()).ok());
        let inputs = if golden.is_some() { WarmUpInputs::Golden } else { WarmUpInputs::Zeros };
        let first = golden.or_else(|| zeros(&signature));
        if rows.is_empty() {
            rows.extend(first.clone().filter(|_| inputs == WarmUpInputs::Zeros));
        }
        let rows_max = settings.max_batch_size.unwrap_or(usize::MAX);
        let outputs = signature.outputs.len();
        let plan = Plan::new(inputs, first.clone(), &findings.batching, &rows, rows_max, outputs);

        let workers = settings.workers.unwrap_or(loader.workers.workers).max(1);
        let mut sessions = Vec::with_capacity(workers);
        let mut next = Some(session);
        let mut cold = "its signature does not say how to make zeros for it".to_owned();
        while sessions.len() < workers {
            let session = next.take().map_or_else(|| loaded.session(), Ok)?;
            let mut runner = Runner::start(session, loader.gates.run_timeout)?;
            if let Some(reason) = plan.warm(&mut runner, &mut findings.warm_up)? {
                cold = reason;
            }
            if sessions.is_empty() && loader.gates.latency != LatencyPolicy::Off {
                // One row, so that versions with other golden cases can be compared.
                let one = rows.first().or(first.as_ref());
                findings.run_time =
                    one.map(|one| run_time_of(&mut runner, one, outputs)).transpose()?.flatten();
            }
            sessions.push(runner.finish()?);
        }
        if findings.warm_up.sessions == 0 {
            findings.warnings.push(format!("it was not warmed: {cold}"));
        }
        compare_latency(loader, job, &mut findings)?;
        let spec = VersionSpec {
            model: job.model.clone(),
            number: job.number,
            signature: Arc::new(signature),
            engine,
            digest: files.digest.to_string(),
            queue_max: settings.queue_max.unwrap_or(loader.workers.queue_max),
            batch_rows_max: settings.max_batch_size.filter(|&rows| rows > 0).map(|rows| rows as u64),
            nonfinite: settings.nonfinite,
            findings: Arc::new(findings),
        };
        Ok(Warm { spec, stamp: files.stamp, model: loaded, sessions })
    }
}

/// How long runs with these inputs take; nothing where they fail.
fn run_time_of(
    runner: &mut Runner,
    inputs: &[Option<Tensor>],
    outputs: usize,
) -> Result<Option<RunTime>, LoadFault> {
    let outputs: Vec<usize> = (0..outputs).collect();
    run_time::measure(|| match runner.run(inputs, &outputs) {
        Ok(ran) => Ok(Some(ran.took)),
        Err(RunFault::Failed(_)) => Ok(None),
        Err(RunFault::TooLong(limit)) => {
            Err(LoadFault::TooLong { gate: Gate::Latency, what: "a run that was measured".into(), limit })
        }
    })
}

/// Holds the run time against that of the version that serves.
fn compare_latency(loader: &Loader, job: &LoadJob, findings: &mut Findings) -> Result<(), LoadFault> {
    let beside = job.beside.and_then(|beside| beside.run_time);
    let slower = findings
        .run_time
        .zip(beside)
        .and_then(|(own, beside)| run_time::slower(own, beside, loader.gates.latency_ratio_max));
    match (slower, loader.gates.latency) {
        (Some(slower), LatencyPolicy::Refuse) => return Err(LoadFault::Latency(slower)),
        (Some(slower), LatencyPolicy::Warn) => findings.warnings.push(slower.to_string()),
        (Some(_), LatencyPolicy::Off) | (None, _) => {}
    }
    Ok(())
}

impl Warm {
    /// Its number.
    #[must_use]
    pub fn number(&self) -> VersionNumber {
        self.spec.number
    }

    /// The folder that it was read from.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The digest of its files together: `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.spec.digest
    }

    /// What it takes and gives.
    #[must_use]
    pub fn signature(&self) -> &Arc<Signature> {
        &self.spec.signature
    }

    /// The engine that runs it.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.spec.engine
    }

    /// What its checks found.
    #[must_use]
    pub fn findings(&self) -> &Arc<Findings> {
        &self.spec.findings
    }

    /// Starts the workers; the supervisor is told what becomes of them.
    ///
    /// # Errors
    /// [`LoadFault::Threads`].
    pub fn start(
        self,
        supervisor: Arc<dyn Supervisor>,
        metrics: &Metrics,
    ) -> Result<Arc<Version>, LoadFault> {
        let started = Version::start(self.spec, self.model, self.sessions, supervisor, metrics);
        started.map_err(|e| LoadFault::Threads(e.to_string()))
    }
}
