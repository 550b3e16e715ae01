//! The floor of the run: ONNX Runtime alone, on one thread, with the model's first golden case.

use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};

use pointsman_core::{Engine, ModelName, RunInputs, SessionOptions};
use pointsman_engine::onnxruntime::{Library, OnnxRuntime, Search, probe};
use pointsman_registry::{DirectoryRegistry, Limits, Registry};

use crate::process::{on_core, own_cpu_time};

/// A model that is run in a process of its own, bound to a core where there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alone<'a> {
    pub(crate) core: Option<usize>,
    pub(crate) registry: &'a Path,
    pub(crate) model: &'a str,
}

impl Alone<'_> {
    /// How long each run takes that follows the one before at once, for so long.
    ///
    /// # Errors
    /// What the process said.
    pub(crate) fn times(&self, time: Duration) -> Result<Vec<Duration>, String> {
        self.measure(time, None)
    }

    /// How long after it was due each run is done, where one begins when it is due and the one before is done.
    ///
    /// # Errors
    /// What the process said.
    pub(crate) fn paced(&self, due: &[Duration]) -> Result<Vec<Duration>, String> {
        let file = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
        write_times(file.path(), due)?;
        self.measure(Duration::ZERO, Some(file.path()))
    }

    fn measure(&self, time: Duration, due: Option<&Path>) -> Result<Vec<Duration>, String> {
        let scratch = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut command = on_core(self.core, program.as_os_str());
        command.arg("raw").arg("--models").arg(self.registry).args(["--model", self.model]);
        command.arg("--seconds").arg(time.as_secs_f64().to_string()).arg("--times").arg(scratch.path());
        if let Some(due) = due {
            command.arg("--due").arg(due);
        }
        let output = command.output().map_err(|e| e.to_string())?;
        if !output.status.success() {
            return Err(format!("ONNX Runtime alone: {}", String::from_utf8_lossy(&output.stderr)));
        }
        read_times(scratch.path())
    }
}

/// Reads times in nanoseconds, a line each.
fn read_times(file: &Path) -> Result<Vec<Duration>, String> {
    let told = |problem: &dyn Display| format!("{}: {problem}", file.display());
    let lines = std::fs::read_to_string(file).map_err(|e| told(&e))?;
    let time = |line: &str| line.parse().map(Duration::from_nanos).map_err(|e| told(&e));
    lines.lines().map(time).collect()
}

/// Writes times in nanoseconds, a line each.
fn write_times(file: &Path, times: &[Duration]) -> Result<(), String> {
    let lines: String = times.iter().map(|time| format!("{}\n", time.as_nanos())).collect();
    std::fs::write(file, lines).map_err(|e| format!("{}: {e}", file.display()))
}

/// How long a model is run before anything counts.
const WARM_UP: Duration = Duration::from_millis(200);
/// Runs between two looks at the clock.
const RUNS_AT_ONCE: usize = 10;
/// How long a single caller leaves between two runs: the time of a small request and its answer.
const PAUSE: Duration = Duration::from_micros(100);
/// The most runs with pauses between them.
const PAUSED_RUNS_MAX: usize = 2000;

/// What is found of a model that is run without any server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// Two figures in microseconds, printed: the CPU time of a run that follows the one before at once, and the median time
    /// of one that does not. Caches hold less of a model after a pause, so a single caller's run takes longer.
    Figures,
    /// How long each run took that followed the one before at once, in this file.
    Times(&'a Path),
    /// How long after each of these moments its run was done, where the one before was done first, in this file.
    Paced { due: &'a Path, times: &'a Path },
}

/// Runs a model for so many seconds, twice where there are two figures.
///
/// # Errors
/// Where there is no ONNX Runtime or no such model, or it cannot be run.
pub(crate) fn run(models: &Path, model: &str, seconds: f64, wanted: Wanted<'_>) -> Result<(), String> {
    // This process has nothing to lose: it may load an unknown library at once.
    let (library, _) = Library::find(&Search::usual(None), &probe);
    let library = library.ok_or("ONNX Runtime is not installed: deploy/install-onnxruntime")?;
    let engine = OnnxRuntime::start(library).map_err(|e| e.to_string())?;
    let registry = DirectoryRegistry::open(models, Limits::default()).map_err(|e| e.to_string())?;
    let name = ModelName::new(model).map_err(|e| e.to_string())?;
    let scan = registry.scan().map_err(|e| e.to_string())?;
    let listing = scan.models.iter().find(|listing| listing.name == name);
    let version = listing.and_then(|l| l.wanted().default).ok_or_else(|| format!("no model {model}"))?;
    let files = registry.read(&name, version).map_err(|e| e.to_string())?;
    let loaded = engine.load(&files.files, &SessionOptions::default()).map_err(|e| e.to_string())?;
    let case = files.golden.as_ref().and_then(|g| g.cases.first()).ok_or("the model has no golden case")?;
    let inputs = loaded.signature().check(case.inputs.clone()).map_err(|m| m.describe(model))?;
    let outputs: Vec<usize> = (0..loaded.signature().outputs.len()).collect();
    let mut session = loaded.session().map_err(|e| e.to_string())?;
    let mut once = || -> Result<(), String> {
        session.run(RunInputs { tensors: &inputs, outputs: &outputs }).map(drop).map_err(|e| e.to_string())
    };
    let time = Duration::from_secs_f64(seconds);
    run_for(&mut once, WARM_UP)?;
    match wanted {
        Wanted::Figures => {
            let before = own_cpu_time()?;
            let runs = run_for(&mut once, time)?;
            let spent = own_cpu_time()? - before;
            let after_pause = median_after_pauses(&mut once, time)?;
            println!("{} {}", spent.as_secs_f64() * 1e6 / runs as f64, after_pause.as_secs_f64() * 1e6);
        }
        Wanted::Times(file) => {
            let (mut times, until) = (Vec::new(), Instant::now() + time);
            while Instant::now() < until {
                let from = Instant::now();
                once()?;
                times.push(from.elapsed());
            }
            write_times(file, &times)?;
        }
        Wanted::Paced { due, times: file } => {
            let (mut times, began) = (Vec::new(), Instant::now());
            for due in read_times(due)? {
                std::thread::sleep(due.saturating_sub(began.elapsed()));
                once()?;
                times.push(began.elapsed().saturating_sub(due));
            }
            write_times(file, &times)?;
        }
    }
    Ok(())
}

/// Runs one after the other for a time, and says how many there were.
fn run_for(once: &mut impl FnMut() -> Result<(), String>, time: Duration) -> Result<u64, String> {
    let until = Instant::now() + time;
    let mut runs = 0;
    while Instant::now() < until {
        for _ in 0..RUNS_AT_ONCE {
            once()?;
            runs += 1;
        }
    }
    Ok(runs)
}

/// The median time of runs with a pause before each.
fn median_after_pauses(
    once: &mut impl FnMut() -> Result<(), String>,
    time: Duration,
) -> Result<Duration, String> {
    let mut paused = Vec::new();
    let until = Instant::now() + time;
    while paused.is_empty() || paused.len() < PAUSED_RUNS_MAX && Instant::now() < until {
        std::thread::sleep(PAUSE);
        let from = Instant::now();
        once()?;
        paused.push(from.elapsed());
    }
    paused.sort_unstable();
    Ok(paused[paused.len() / 2])
}
