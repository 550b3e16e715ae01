//! How long a gateway takes to be ready, and what it holds then, by its number of models.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use crate::about::Begun;
use crate::bench::Found;
use crate::findings::{Figure, Findings};
use crate::gateway::Start;
use crate::output::Output;
use crate::process::Usage;

/// What the command's help says last.
pub(crate) const HELP: &str = "\
Each registry is started several times over one state directory; the first time, in which profiles are measured, is not \
counted. Start is from the process to ready; memory is resident memory then,, before any request.

Example (build first: cargo build --release && cargo build --release -p pointsman-loadtest):
  pointsman-loadtest start
  with tract in place of ONNX Runtime
  pointsman-loadtest start --config tract.toml     # [serving] engine = \"tract\"";

/// What to measure.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The gateway's binary.
    #[arg(long, default_value = "target/release/pointsman")]
    gateway: PathBuf,
    /// A configuration for it.
    #[arg(long)]
    config: Option<PathBuf>,
    /// A version's folder, of which all models are copies.
    #[arg(long, default_value = "models/digits/1")]
    version: PathBuf,
    /// Numbers of models.
    #[arg(long, value_delimiter = ',', default_value = "1,3,10,25,50")]
    counts: Vec<u32>,
    /// How often each is started and counted.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    #[command(flatten)]
    output: Output,
}

/// What one start came to.
#[derive(Clone, Copy, Debug)]
struct Started {
    seconds: f64,
    resident_bytes: f64,
}

/// `start`: whether what was asked for held.
///
/// # Errors
/// Where a gateway does not start.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let begun = Begun::now();
    let mut found = Found::default();
    for &count in &arguments.counts {
        let started = starts(arguments, count)?;
        let median = |of: fn(&Started) -> f64| {
            let mut values: Vec<f64> = started.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let models = if count == 1 { "1 model".into() } else { format!("{count} models") };
        found.figures.push(Figure::of(format!("start of {models}"), median(|s| s.seconds) * 1e3, "ms"));
        let mebibytes = median(|s| s.resident_bytes) / f64::from(1 << 20);
        found.figures.push(Figure::of(format!("memory of {models}"), mebibytes, "MiB"));
    }
    let targets = [("gateway".to_owned(), arguments.gateway.display().to_string())].into();
    let purpose = "How long a gateway takes to be ready, and what it holds then";
    let about = begun.about("start", purpose, targets);
    arguments.output.give(&Findings::new(about, found, None, &[]), &[])
}

/// Starts a gateway over so many models, again and again.
fn starts(arguments: &Arguments, count: u32) -> Result<Vec<Started>, String> {
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let registry = scratch.path().join("models");
    for number in 1..=count {
        copy(&arguments.version, &registry.join(format!("model-{number}/1")))?;
    }
    let state = scratch.path().join("state");
    let mut started = Vec::new();
    for round in 0..=arguments.rounds {
        let from = Instant::now();
        let gateway = Start {
            binary: &arguments.gateway,
            core: None,
            registry: &registry,
            config: arguments.config.as_deref(),
            state: Some(&state),
            scratch: scratch.path(),
            variables: &[],
        };
        let gateway = gateway.start()?;
        let seconds = from.elapsed().as_secs_f64();
        let resident_bytes = Usage::of(gateway.server.id())?.resident_bytes as f64;
        if round > 0 {
            started.push(Started { seconds, resident_bytes });
        }
        drop(gateway);
    }
    Ok(started)
}

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let named = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
    std::fs::create_dir_all(to).map_err(|e| named(to, e))?;
    for entry in std::fs::read_dir(from).map_err(|e| named(from, e))? {
        let file = entry.map_err(|e| named(from, e))?.path();
        let name = file.file_name().unwrap_or_default();
        std::fs::copy(&file, to.join(name)).map_err(|e| named(&file, e))?;
    }
    Ok(())
}
