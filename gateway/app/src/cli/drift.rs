//! What `pointsman drift` and `pointsman baseline` are asked.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{AdminClient, Settings};

/// `pointsman drift`.
#[derive(Debug, Args)]
pub(crate) struct Drift {
    /// The model; without one, what is profiled is listed.
    pub(crate) model: Option<String>,
    /// The version; without it the one that had most rows.
    #[arg(long, value_name = "VERSION", requires = "model")]
    pub(crate) version: Option<u64>,
    /// The arm; without it all of them together.
    #[arg(long, value_name = "NAME", requires = "model")]
    pub(crate) arm: Option<String>,
    /// How far back to look; without it one window (drift.window).
    #[arg(long, value_name = "TIME", requires = "model")]
    pub(crate) window: Option<String>,
    /// What to hold it against; without it training where there is a baseline.
    #[arg(long, value_name = "WHAT", requires = "model")]
    pub(crate) against: Option<AgainstWhat>,
    /// From when on, RFC 3339 or a date, UTC; in place of --window.
    #[arg(long, value_name = "WHEN", requires = "model", conflicts_with = "window")]
    pub(crate) since: Option<String>,
    /// Up to when.
    #[arg(long, value_name = "WHEN", requires = "model")]
    pub(crate) until: Option<String>,
    /// Write the report as a page with plots, which needs nothing else.
    #[arg(long, value_name = "FILE", conflicts_with = "json", requires = "model")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) files: LogFiles,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}

/// A sample log in place of a running gateway.
#[derive(Debug, Args)]
#[command(next_help_heading = "From a sample log, without a gateway")]
pub(crate) struct LogFiles {
    /// The directory of a sample log: its rows, by their inclusion probabilities, in place of what a gateway has seen.
    /// Without --version it is the one that would serve.
    #[arg(long, value_name = "DIR", requires = "model")]
    pub(crate) log: Option<PathBuf>,
    /// The registry with the model and its baseline.json [default: models].
    #[arg(long, env = "POINTSMAN_MODELS", value_name = "DIR")]
    pub(crate) models: Option<PathBuf>,
    /// A configuration file, for windows and limits.
    #[arg(long, env = "POINTSMAN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The ONNX Runtime library to use.
    #[arg(long, env = "POINTSMAN_ONNXRUNTIME", value_name = "FILE")]
    pub(crate) onnxruntime: Option<PathBuf>,
}

impl Drift {
    /// Where the configuration comes from.
    pub(crate) fn settings(&self) -> Settings {
        let LogFiles { models, config, onnxruntime, .. } = &self.files;
        Settings { models: models.clone(), config: config.clone(), onnxruntime: onnxruntime.clone() }
    }
}

/// What windows are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AgainstWhat {
    /// The training data, as baseline.json has it: skew.
    Training,
    /// The time before: drift.
    Previous,
}

/// `pointsman baseline`.
#[derive(Debug, Args)]
pub(crate) struct Baseline {
    /// What to do with a baseline.
    #[command(subcommand)]
    pub(crate) verb: BaselineVerb,
}

/// The verbs of `pointsman baseline`.
#[derive(Debug, Subcommand)]
pub(crate) enum BaselineVerb {
    /// Profile training data and the version's answers to it: baseline.json, and a schema.toml to edit.
    #[command(
        after_help = "Columns are matched by name with the inputs of the version; others are left out, and named.\n\n\
        Examples:\n  pointsman baseline build train.csv --model iris\n  \
        pointsman baseline build train.parquet --model flights --version 2 --models models\n  \
        pointsman baseline build train.csv --model iris --out /tmp/baseline.json\n  \
        pointsman baseline build --log /var/lib/pointsman/log --model iris --since 2026-10-01 --until 2026-11-01"
    )]
    Build(Build),
}

/// `pointsman baseline build`.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The training data: CSV with a line of names, or Parquet (by its ending).
    #[arg(required_unless_present = "log", conflicts_with = "log")]
    pub(crate) data: Option<PathBuf>,
    /// In place of it the directory of a sample log: the version's rows, with what it answered, by their inclusion
    /// probabilities,
    #[arg(long, value_name = "DIR", conflicts_with_all = ["rows", "inputs_only"])]
    pub(crate) log: Option<PathBuf>,
    /// from then on, RFC 3339 or a date, UTC,
    #[arg(long, value_name = "WHEN", requires = "log")]
    pub(crate) since: Option<String>,
    /// and up to then.
    #[arg(long, value_name = "WHEN", requires = "log")]
    pub(crate) until: Option<String>,
    /// The model.
    #[arg(long)]
    pub(crate) model: String,
    /// The version; without it the one that would serve.
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<u64>,
    /// The registry: a directory of `<model>/<version>/model.onnx` [default: models].
    #[arg(long, env = "POINTSMAN_MODELS", value_name = "DIR")]
    pub(crate) models: Option<PathBuf>,
    /// A configuration file.
    #[arg(long, env = "POINTSMAN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The ONNX Runtime library to use.
    #[arg(long, env = "POINTSMAN_ONNXRUNTIME", value_name = "FILE")]
    pub(crate) onnxruntime: Option<PathBuf>,
    /// Read the first so many rows alone.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows: Option<u64>,
    /// Rows of one run of the model.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub(crate) batch: u64,
    /// Profile the inputs alone; the model is not run.
    #[arg(long)]
    pub(crate) inputs_only: bool,
    /// Where to write baseline.json; without it into the version's folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write what was learned as schema.toml there; without it into the model's folder, where there is none yet.
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
    /// Write over the file of --schema where it is there already.
    #[arg(long, requires = "schema")]
    pub(crate) force: bool,
}

impl Build {
    /// Where the configuration comes from.
    pub(crate) fn settings(&self) -> Settings {
        let Self { models, config, onnxruntime, .. } = self;
        Settings { models: models.clone(), config: config.clone(), onnxruntime: onnxruntime.clone() }
    }
}
