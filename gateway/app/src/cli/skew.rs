//! What `pointsman skew` is asked.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `pointsman skew`.
#[derive(Debug, Args)]
pub(crate) struct Skew {
    /// What to do about skew.
    #[command(subcommand)]
    pub(crate) verb: SkewVerb,
}

/// The verbs of `pointsman skew`.
#[derive(Debug, Subcommand)]
pub(crate) enum SkewVerb {
    /// Hold logged inputs against features that were computed afterwards for the same requests.
    #[command(
        after_help = "The table has the ids that answers named (pointsman-request-id), a column for each feature, and a \
        column `row` where requests have several.\n\n\
        Example:\n  pointsman skew join --log /var/lib/pointsman/log --model flights --features offline.parquet"
    )]
    Join(JoinSkew),
}

/// `pointsman skew join`.
#[derive(Debug, Args)]
pub(crate) struct JoinSkew {
    /// The directory of the sample log.
    #[arg(long, value_name = "DIR")]
    pub(crate) log: PathBuf,
    /// Rows of this model alone.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// The recomputed features: CSV or Parquet.
    #[arg(long, value_name = "FILE")]
    pub(crate) features: PathBuf,
    /// The column of request ids in it.
    #[arg(long, value_name = "COLUMN", default_value = "request_id")]
    pub(crate) on: String,
    /// By which part of itself a number may differ.
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part, allow_negative_numbers = true)]
    pub(crate) rtol: f64,
    /// With what probability each interval may be wrong.
    #[arg(long, default_value_t = 0.05)]
    pub(crate) alpha: f64,
    /// Answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A part of something, from 0 to 1.
fn part(text: &str) -> Result<f64, String> {
    let part = text.parse::<f64>().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "give a number from 0 to 1, such as 0.001".into())
}
