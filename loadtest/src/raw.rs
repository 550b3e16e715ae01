//! The floor of the run: ONNX Runtime alone, on one thread, with the model's first golden case.

use std::path::Path;
use std::time::{Duration, Instant};

use pointsman_core::{Engine, ModelName, RunInputs, SessionOptions};
use pointsman_engine::onnxruntime::{Library, OnnxRuntime, Search, probe};
use pointsman_registry::{DirectoryRegistry, Limits, Registry};

use crate::process::{on_core, own_cpu_time};

/// Runs a model in a process of its own, on a core, and gives how long each run took.
///
/// # Errors
/// What that process said.
pub(crate) fn times(
    core: Option<usize>,
    registry: &Path,
    model: &str,
    time: Duration,
) -> Result<Vec<Duration>, String> {
    let scratch = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = on_core(core, program.as_os_str());
    command.arg("raw").arg("--models").arg(registry).args(["--model", model]);
    command.arg("--seconds").arg(time.as_secs_f64().to_string()).arg("--times").arg(scratch.path());
    let output = command.output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(format!("ONNX Runtime alone: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let lines = std::fs::read_to_string(scratch.path()).map_err(|e| e.to_string())?;
    Ok(lines.lines().filter_map(|line| line.parse().ok()).map(Duration::from_nanos).collect())
}

/// Runs between two looks at the clock.
const RUNS_AT_ONCE: usize = 10;
/// How long a single caller leaves between two runs: the time of a small request and its answer.
const PAUSE: Duration = Duration::from_micros(100);
/// The most runs with pauses between them.
const PAUSED_RUNS_MAX: usize = 2000;

/// Prints two figures in microseconds: the CPU time of a run that follows the one before at once, and the median time of
/// one that does not. Caches hold less of a model after a pause, so a single caller's run takes longer.
pub(crate) fn run(models: &Path, model: &str, seconds: f64, times: Option<&Path>) -> Result<(), String> {
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
    let mut run_for = |time: Duration| -> Result<u64, String> {
        let until = Instant::now() + time;
        let mut runs = 0;
        while Instant::now() < until {
            for _ in 0..RUNS_AT_ONCE {
                session.run(RunInputs { tensors: &inputs, outputs: &outputs }).map_err(|e| e.to_string())?;
                runs += 1;
            }
        }
        Ok(runs)
    };
    run_for(Duration::from_millis(200))?;
    let before = own_cpu_time()?;
    let runs = run_for(Duration::from_secs_f64(seconds))?;
    let spent = own_cpu_time()? - before;
    if let Some(file) = times {
        let (mut lines, until) = (String::new(), Instant::now() + Duration::from_secs_f64(seconds));
        while Instant::now() < until {
            let from = Instant::now();
            session.run(RunInputs { tensors: &inputs, outputs: &outputs }).map_err(|e| e.to_string())?;
            lines.push_str(&format!("{}\n", from.elapsed().as_nanos()));
        }
        std::fs::write(file, lines).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    let mut paused = Vec::new();
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    while paused.is_empty() || paused.len() < PAUSED_RUNS_MAX && Instant::now() < until {
        std::thread::sleep(PAUSE);
        let from = Instant::now();
        session.run(RunInputs { tensors: &inputs, outputs: &outputs }).map_err(|e| e.to_string())?;
        paused.push(from.elapsed());
    }
    paused.sort_unstable();
    let after_pause = paused[paused.len() / 2];
    println!("{} {}", spent.as_secs_f64() * 1e6 / runs as f64, after_pause.as_secs_f64() * 1e6);
    Ok(())
}
