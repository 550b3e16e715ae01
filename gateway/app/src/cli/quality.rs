//! What `pointsman quality` and `pointsman labels` are asked.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};

use super::AdminClient;

/// `pointsman quality`.
#[derive(Debug, Args)]
pub(crate) struct Quality {
    /// The model.
    pub(crate) model: String,
    /// This version alone; the ranking is shown all the same.
    #[arg(long = "version", value_name = "VERSION")]
    pub(crate) version: Option<u64>,
    /// By the values of this slice of schema.toml: an input, or parameter.NAME.
    #[arg(long, value_name = "NAME")]
    pub(crate) slice: Option<String>,
    /// Each arm by itself.
    #[arg(long)]
    pub(crate) by_arm: bool,
    /// How time is cut: days such as 7d (weeks begin on Mondays), month, or all.
    #[arg(long, default_value = "30d", value_name = "WINDOW")]
    pub(crate) window: String,
    /// The version against which the others are ranked; without one, that which serves.
    #[arg(long, value_name = "VERSION")]
    pub(crate) champion: Option<u64>,
    /// With what probability an interval may be wrong.
    #[arg(long, default_value_t = 0.05)]
    pub(crate) alpha: f64,
    /// Write a page that needs nothing else, with plots.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}

/// `pointsman labels`.
#[derive(Debug, Args)]
pub(crate) struct LabelsCommand {
    /// What to do with labels.
    #[command(subcommand)]
    pub(crate) verb: LabelsVerb,
}

/// The verbs of `pointsman labels`.
#[derive(Debug, Subcommand)]
pub(crate) enum LabelsVerb {
    /// Send the labels of a file: columns or keys request_id, label, and where there are any row, at, source.
    #[command(
        after_help = "A file is read by its ending: .csv, .jsonl or .parquet. Exit code: 0 all lines are labels, 1 some are \
        malformed (the others count) or the file cannot be read or sent.\n\nExamples:\n  \
        pointsman labels import arrivals.csv\n  pointsman labels import arrivals.parquet --batch 5000"
    )]
    Import(ImportLabels),
}

/// `pointsman labels import`.
#[derive(Debug, Args)]
pub(crate) struct ImportLabels {
    /// The file.
    pub(crate) file: PathBuf,
    /// Labels of one request; a gateway takes at most labels.batch_max.
    #[arg(long, default_value_t = 1000, value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub(crate) batch: usize,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}
