//! What `pointsman profile` is asked.

use std::path::PathBuf;

use clap::Args;

use super::AdminClient;

/// `pointsman profile`.
#[derive(Debug, Args)]
pub(crate) struct Profile {
    /// The model.
    pub(crate) model: String,
    /// The version, by its number; without it the one that serves.
    pub(crate) version: Option<u64>,
    #[command(flatten)]
    pub(crate) client: AdminClient,
    #[command(flatten)]
    pub(crate) sweep: Sweep,
}

/// The sweep of `pointsman profile`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sweep")]
pub(crate) struct Sweep {
    /// Measure it here, without a gateway, with several numbers of threads for a run.
    #[arg(long)]
    pub(crate) sweep: bool,
    /// Threads of a run that are measured, beside 1 [default: 1, 2, 4 and so on up to the cores].
    #[arg(long, value_name = "N,N", value_delimiter = ',', requires = "sweep",
        value_parser = clap::value_parser!(u64).range(1..=256))]
    pub(crate) threads: Vec<u64>,
    /// Rows of a run that are measured, where requests may be run together.
    #[arg(long, value_name = "N,N", value_delimiter = ',', requires = "sweep", default_value = "1,2,4,8,16",
        value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) rows: Vec<u64>,
    /// Seconds for each number of threads, and for as many workers.
    #[arg(long, value_name = "S", requires = "sweep", default_value = "2", value_parser = seconds)]
    pub(crate) seconds: f64,
    /// The registry [default: models].
    #[arg(long, env = "POINTSMAN_MODELS", value_name = "DIR")]
    pub(crate) models: Option<PathBuf>,
    /// A configuration file.
    #[arg(long, env = "POINTSMAN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The ONNX Runtime library to use.
    #[arg(long, env = "POINTSMAN_ONNXRUNTIME", value_name = "FILE")]
    pub(crate) onnxruntime: Option<PathBuf>,
}

/// The longest that one number of threads is measured, in seconds.
const SECONDS_MAX: f64 = 3600.0;

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0 && *seconds <= SECONDS_MAX);
    seconds.ok_or_else(|| format!("it is a number above 0, and at most {SECONDS_MAX}"))
}
