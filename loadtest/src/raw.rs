//! The floor of the run: ONNX Runtime alone, on one thread, with the model's first golden case.

use std::path::Path;
use std::time::{Duration, Instant};

use pointsman_core::{Engine, ModelName, RunInputs, SessionOptions};
use pointsman_engine::onnxruntime::{Library, OnnxRuntime, Search, probe};
use pointsman_registry::{DirectoryRegistry, Limits, Registry};

use crate::process::own_cpu_time;

/// Prints the microseconds of CPU that one run takes.
pub(crate) fn run(models: &Path, model: &str, seconds: f64) -> Result<(), String> {
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
            for _ in 0..100 {
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
    println!("{}", spent.as_secs_f64() * 1e6 / runs as f64);
    Ok(())
}
