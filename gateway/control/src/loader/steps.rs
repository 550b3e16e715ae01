//! The steps of a version, each of which takes the one before by value.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_core::{
    Batching, BatchingPolicy, Findings, LatencyPolicy, LoadedModel, Session, Signature, SizeTime, Tensor,
    VersionNumber,
};
use pointsman_predict::{
    Ground, Monitor, Priorities, RunLimits, RunTimes, Sessions, Supervisor, Version, VersionSpec, rows,
};
use pointsman_registry::{
    Digest, GoldenCase, GoldenCases, Settings, Stamp, VersionFiles, compare, unmatched,
};

use super::batching::{self, Found, Rules};
use super::fault::{Gate, LoadFault};
use super::rows::Row;
use super::runner::{RunFault, Runner};
use super::samples::Samples;
use super::warm_up::Plan;
use super::{LoadJob, Loader, integer_division, memory, profile, response_cache, run_time, validator};
use crate::monitoring::Subject;
use crate::profiles::{Profiles, Subject as Measured};

/// A version whose files were read whole and agree with their digests.
pub(super) struct Verified {
    files: VersionFiles,
}

/// A version in an engine.
pub(super) struct Loaded {
    pub(super) files: VersionFiles,
    pub(super) engine: &'static str,
    engine_version: String,
    computes: bool,
    pub(super) loaded: Box<dyn LoadedModel>,
}

/// A version that answers its golden cases as training did.
pub(super) struct Checked {
    pub(super) loaded: Loaded,
    pub(super) session: Box<dyn Session>,
    pub(super) rows: Vec<Row>,
    pub(super) findings: Findings,
}

/// A version all of whose sessions have run: the only thing that can be started.
pub struct Warm {
    spec: VersionSpec,
    stamp: Stamp,
    /// The digest of the schema that it was made with.
    schema: Option<String>,
    model: Box<dyn LoadedModel>,
    sessions: Sessions,
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

    /// The digest of everything that was read.
    pub(super) fn contents(&self) -> Digest {
        self.files.contents()
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
        let (engine_version, computes) = (engine.version(), engine.computes());
        Ok(Loaded { files, engine: name, engine_version, computes, loaded })
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
        let Self { loaded, session, rows, mut findings } = self;
        let Loaded { files, engine, engine_version, loaded, .. } = loaded;
        let settings = &job.settings;
        let signature = named(loaded.signature(), settings);
        let samples = Samples::new(rows, files.golden.as_ref(), &signature);
        let rows_max = settings.max_batch_size.unwrap_or(usize::MAX);
        let outputs = signature.outputs.len();
        let plan = Plan::new(&samples, &findings.batching, rows_max, outputs);

        let workers = settings.workers.unwrap_or(loader.workers.workers).max(1);
        let mut sessions = Vec::with_capacity(workers);
        let mut next = Some(session);
        let mut cold = "its signature does not say how to make zeros for it".to_owned();
        // One more where runs are short enough for the threads of requests.
        let mut threads = workers;
        while sessions.len() < threads {
            let session = next.take().map_or_else(|| loaded.session(), Ok)?;
            let mut runner = Runner::start(session, loader.gates.run_timeout)?;
            if let Some(reason) = plan.warm(&mut runner, &mut findings.warm_up)? {
                cold = reason;
            }
            if sessions.is_empty() {
                let subject = Measured {
                    digest: &files.digest.to_string(),
                    engine,
                    engine_version: &engine_version,
                    intra_op_threads: loader.session.intra_op_threads,
                    // These follow from the requests.
                    rows: &[],
                };
                let sizes = known_or_measured(&mut runner, samples.one(), &plan, &job.profiles, subject)?;
                let steady = loader.workers.inline && profile::is_steady(&signature, &files.onnx);
                // Preferred numbers of rows are asked for as much as a limit is.
                let preferred = settings.batch_rows_preferred.last().copied();
                let asked = settings.batch_rows_max.map(|rows| rows as u64).or(preferred);
                findings.profile =
                    profile::decide(sizes, steady, asked.map(|rows| rows.min(rows_max as u64)));
                if !settings.batch_delay.is_zero() {
                    // To wait for others is a worker's work.
                    findings.profile.inline_rows_max = 0;
                }
                threads += usize::from(findings.profile.inline_rows_max > 0);
            }
            sessions.push(runner.finish()?);
        }
        let inline = if threads > workers { sessions.pop() } else { None };
        if findings.warm_up.sessions == 0 {
            findings.warnings.push(format!("it was not warmed: {cold}"));
        }
        compare_latency(loader, job, &mut findings)?;
        let signature = Arc::new(signature);
        let validator = validator::compile(job, &signature, &mut findings.warnings);
        let monitor = monitor(loader, job, &files, &signature, &mut findings.warnings);
        let spec = VersionSpec {
            model: job.model.clone(),
            number: job.number,
            signature,
            engine,
            digest: files.digest.to_string(),
            queue_max: settings.queue_max.unwrap_or(loader.workers.queue_max),
            request_rows_max: settings.max_batch_size.filter(|&rows| rows > 0).map(|rows| rows as u64),
            limits: limits(loader, settings, &findings),
            cache_bytes_max: response_cache::bytes_max(settings, &files.onnx, &mut findings.warnings),
            nonfinite: settings.nonfinite,
            findings: Arc::new(findings),
            validator,
            monitor,
        };
        let sessions = Sessions { workers: sessions, inline };
        let schema = settings.schema.as_ref().map(|schema| schema.digest.clone());
        Ok(Warm { spec, stamp: files.stamp, schema, model: loaded, sessions })
    }
}

/// A signature with the names of features and classes that the card gives.
fn named(signature: &Signature, settings: &Settings) -> Signature {
    let mut signature = signature.clone();
    for input in &mut signature.inputs {
        input.labels = settings.features.get(&*input.name).cloned();
    }
    for output in &mut signature.outputs {
        output.labels = settings.labels.get(&*output.name).cloned();
    }
    signature
}

/// Who sees the version's exchanges.
fn monitor(
    loader: &Loader,
    job: &LoadJob,
    files: &VersionFiles,
    signature: &Arc<Signature>,
    warnings: &mut Vec<String>,
) -> Option<Arc<dyn Monitor>> {
    let subject = Subject {
        model: &job.model,
        number: job.number,
        digest: &files.digest.to_string(),
        signature,
        schema: job.settings.schema.as_ref(),
        baseline: files.baseline.as_ref(),
        golden: files.golden.as_ref(),
        manifest: files.manifest.as_ref(),
    };
    loader.monitoring.as_ref()?.monitor(subject, warnings)
}

/// How the version's requests wait and are run.
fn limits(loader: &Loader, settings: &Settings, findings: &Findings) -> RunLimits {
    let profile = &findings.profile;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let priorities = settings
        .priorities
        .map(|(levels, default)| Priorities { levels: count(levels), default: count(default) });
    RunLimits {
        batch_rows_max: profile.batch_rows_max,
        batch_rows_preferred: settings.batch_rows_preferred.clone(),
        batch_delay: if profile.batch_rows_max > 1 { settings.batch_delay } else { Duration::ZERO },
        part_rows_max: profile::part_rows_max(&profile.sizes, profile.batch_rows_max)
            .filter(|_| findings.batching.is_batched()),
        inline_rows_max: profile.inline_rows_max,
        run_cores: loader.session.intra_op_threads,
        run_niceness: loader.workers.niceness,
        queue_delay: settings.queue_delay.unwrap_or(loader.workers.queue_delay),
        priorities: priorities.unwrap_or_default(),
        run_times: RunTimes::new(&profile.sizes),
    }
}

/// How long runs take: of one row, and of each number of rows that the plan has; those that fail are left out.
fn known_or_measured(
    runner: &mut Runner,
    one: Option<&Vec<Option<Tensor>>>,
    plan: &Plan,
    profiles: &Profiles,
    subject: Measured<'_>,
) -> Result<Vec<SizeTime>, LoadFault> {
    let Some(one) = one else { return Ok(Vec::new()) };
    let rows = rows::shared(one).unwrap_or(1);
    let requests: Vec<(u64, &Vec<Option<Tensor>>)> =
        std::iter::once((rows, one)).chain(plan.joined()).collect();
    let wanted: Vec<u64> = requests.iter().map(|(rows, _)| *rows).collect();
    let subject = Measured { rows: &wanted, ..subject };
    if let Some(sizes) = profiles.known(subject) {
        return Ok(sizes);
    }
    let sizes = measured(runner, &requests, plan.outputs())?;
    profiles.remember(subject, &sizes);
    Ok(sizes)
}

fn measured(
    runner: &mut Runner,
    requests: &[(u64, &Vec<Option<Tensor>>)],
    outputs: &[usize],
) -> Result<Vec<SizeTime>, LoadFault> {
    let mut sizes = Vec::new();
    let from = Instant::now();
    for (place, (rows, tensors)) in (1..).zip(requests) {
        if from.elapsed() >= profile::BUDGET {
            break;
        }
        let until = from + profile::BUDGET * place / u32::try_from(requests.len()).unwrap_or(1);
        let run = || match runner.run(tensors, outputs) {
            Ok(ran) => Ok(Some(ran.took)),
            Err(RunFault::Failed(_)) => Ok(None),
            Err(RunFault::TooLong(limit)) => {
                let what = "a run that was measured".into();
                Err(LoadFault::TooLong { gate: Gate::Latency, what, limit })
            }
        };
        sizes.extend(profile::measure(*rows, profile::runs_max(place), until, run)?);
    }
    Ok(sizes)
}

/// Holds the run time against that of the version that serves.
fn compare_latency(loader: &Loader, job: &LoadJob, findings: &mut Findings) -> Result<(), LoadFault> {
    let beside = job.beside.and_then(|beside| beside.run_time);
    let slower = findings
        .run_time()
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

    /// The digest of the schema that its requests are held against.
    #[must_use]
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
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

    /// What it takes to run it by hand, for whoever does not serve it: one session.
    #[must_use]
    pub fn into_session(self) -> Option<Box<dyn Session>> {
        let Sessions { workers, inline } = self.sessions;
        workers.into_iter().next().or(inline)
    }

    /// Starts the workers; the supervisor is told what becomes of them.
    ///
    /// # Errors
    /// [`LoadFault::Threads`].
    pub fn start(self, supervisor: Arc<dyn Supervisor>, ground: &Ground) -> Result<Arc<Version>, LoadFault> {
        let started = Version::start(self.spec, self.model, self.sessions, supervisor, ground);
        started.map_err(|e| LoadFault::Threads(e.to_string()))
    }
}
