//! What runs of a version cost in one way to run it: longer and in more detail than a load has time for.

use std::thread;
use std::time::{Duration, Instant};

use pointsman_core::{Batching, SessionOptions, SizeTime, Tensor};

use super::fault::{Gate, LoadFault};
use super::profile::{self, Took};
use super::rows::Row;
use super::runner::{RunFault, Runner};
use super::samples::Samples;
use super::{LoadJob, Loader, memory, steps};

/// The most runs of one session and size that a round has.
const RUNS_MAX: usize = 100_000;

/// A way to run a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Runs at the same time, each with a session of its own.
    pub workers: usize,
    /// Threads of each run.
    pub threads: usize,
}

/// What was measured of a version that is run in one way.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The way.
    pub way: Way,
    /// The engine.
    pub engine: &'static str,
    /// Whether requests may be run together.
    pub batching: Batching,
    /// What runs cost, in ascending order of rows: one size alone where requests may not be run together, and none
    /// where no run succeeded.
    pub costs: Vec<Cost>,
    /// The most rows of several requests that would be run together for that.
    pub batch_rows_max: u64,
}

/// What runs of so many rows cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// How long they take.
    pub size: SizeTime,
    /// What one takes of processors, on all its threads: the mean.
    pub cpu: Duration,
}

/// A version that is measured in one way, in as many rounds as are asked for. Several can take turns, so that what else
/// the machine does meanwhile falls on all of them.
pub struct Measurement {
    way: Way,
    engine: &'static str,
    batching: Batching,
    outputs: Vec<usize>,
    sizes: Vec<Size>,
    /// One for each worker, with its session.
    runners: Vec<Runner>,
}

/// One number of rows.
struct Size {
    rows: u64,
    request: Row,
    took: Vec<Took>,
}

impl Loader {
    /// Brings a version up as far as its check, and runs it once with requests of each of these numbers of rows, to
    /// measure it in this way.
    ///
    /// # Errors
    /// That of the first gate that the version does not pass, and [`LoadFault::TooLong`] where a run does not end.
    pub fn measurement(&self, job: &LoadJob, way: Way, rows: &[u64]) -> Result<Measurement, LoadFault> {
        let session = SessionOptions { intra_op_threads: way.threads, ..self.session };
        let loader = Self { session, ..self.clone() };
        memory::check(memory::need(job.bytes), loader.gates.memory_reserve)?;
        let checked = steps::verify(&loader, job)?.load(&loader, job)?.check(&loader, job, None)?;
        let steps::Checked { loaded, session, rows: known, findings } = checked;
        let steps::Loaded { files, engine, loaded: model, .. } = loaded;
        let samples = Samples::new(known, files.golden.as_ref(), model.signature());
        let rows_max = job.settings.max_batch_size.map_or(u64::MAX, |rows| rows as u64);

        let mut runners = vec![Runner::start(session, loader.gates.run_timeout)?];
        while runners.len() < way.workers {
            runners.push(Runner::start(model.session()?, loader.gates.run_timeout)?);
        }
        let outputs: Vec<usize> = (0..model.signature().outputs.len()).collect();
        let mut sizes = Vec::new();
        for (rows, request) in samples.of(rows, &findings.batching, rows_max) {
            // First runs of a size make room for it.
            let ran = runners.iter_mut().map(|runner| run(runner, &request, &outputs));
            if ran.collect::<Result<Vec<_>, _>>()?.iter().all(Option::is_some) {
                sizes.push(Size { rows, request, took: Vec::new() });
            }
        }
        Ok(Measurement { way, engine, batching: findings.batching, outputs, sizes, runners })
    }
}

impl Measurement {
    /// Runs every size for its part of `time`, and once at least. Where a run has several threads, nothing else must
    /// happen in the process meanwhile: what it takes of processors is told from the whole process.
    ///
    /// # Errors
    /// [`LoadFault::TooLong`] where a run does not end.
    pub fn round(&mut self, time: Duration) -> Result<(), LoadFault> {
        let part = time / u32::try_from(self.sizes.len().max(1)).unwrap_or(u32::MAX);
        for Size { request, took, .. } in &mut self.sizes {
            let until = Instant::now() + part;
            let outputs = &self.outputs;
            let again =
                |runner: &mut Runner| profile::repeat(RUNS_MAX, until, || run(runner, request, outputs));
            let all: Vec<_> = thread::scope(|scope| {
                let runners = self.runners.iter_mut();
                let started: Vec<_> = runners.map(|runner| scope.spawn(|| again(runner))).collect();
                let gone = || LoadFault::Threads("a thread of the measurement panicked".into());
                started.into_iter().map(|thread| thread.join().map_err(|_| gone())?).collect()
            });
            for ran in all {
                took.extend(ran?);
            }
        }
        Ok(())
    }

    /// What all rounds together found. The sessions are freed.
    ///
    /// # Errors
    /// [`LoadFault::Threads`] where a session panics then.
    pub fn end(self) -> Result<Measured, LoadFault> {
        self.runners.into_iter().try_for_each(|runner| runner.finish().map(drop))?;
        let Self { way, engine, batching, sizes, .. } = self;
        let costs: Vec<Cost> = sizes.iter().filter_map(|size| cost(size.rows, &size.took, way)).collect();
        let sizes: Vec<SizeTime> = costs.iter().map(|cost| cost.size).collect();
        Ok(Measured { way, engine, batching, costs, batch_rows_max: profile::batch_rows_max(&sizes) })
    }
}

/// What one run took; nothing where it failed.
fn run(
    runner: &mut Runner,
    request: &[Option<Tensor>],
    outputs: &[usize],
) -> Result<Option<Took>, LoadFault> {
    match runner.run(request, outputs) {
        Ok(ran) => Ok(Some(ran.took)),
        Err(RunFault::Failed(_)) => Ok(None),
        Err(RunFault::TooLong(limit)) => {
            Err(LoadFault::TooLong { gate: Gate::Latency, what: "a run that was measured".into(), limit })
        }
    }
}

fn cost(rows: u64, took: &[Took], way: Way) -> Option<Cost> {
    let size = profile::size_time(rows, took)?;
    // Where each run has one thread, others run at the same time; where it has several, none does.
    let of = |took: &Took| if way.threads == 1 { took.cpu } else { took.process_cpu };
    let cpu = took.iter().map(of).sum::<Duration>() / u32::try_from(took.len()).unwrap_or(u32::MAX);
    Some(Cost { size, cpu })
}
