//! What `pointsman log` is asked.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};

use super::AdminClient;

/// `pointsman log`.
#[derive(Debug, Args)]
pub(crate) struct Log {
    /// What to do with the sample log.
    #[command(subcommand)]
    pub(crate) verb: LogVerb,
}

/// The verbs of `pointsman log`.
#[derive(Debug, Subcommand)]
pub(crate) enum LogVerb {
    /// Show the last rows.
    #[command(after_help = "Examples:\n  pointsman log tail\n  pointsman log tail iris -n 5 --json")]
    Tail(TailLog),
    /// Show all that is logged of one request.
    Show(ShowLogged),
    /// Show what became of sampled requests, and how large the log is.
    Stats(AdminClient),
    /// Write rows as JSON lines.
    #[command(
        after_help = "The Parquet files themselves can be read as they are: DuckDB's read_parquet('LOG/**/*.parquet'), \
        pandas.read_parquet.\n\nExamples:\n  pointsman log export iris --since 24h -o iris.jsonl\n  \
        pointsman log export --since 2026-11-01T00:00:00Z --until 2026-11-02T00:00:00Z"
    )]
    Export(ExportLog),
    /// Run logged requests again with the versions that are named, and say how they differ.
    #[command(override_usage = "pointsman log replay ID --versions VERSION,...\n       \
        pointsman log replay --model MODEL [--since TIME] [--until TIME] [--limit N] --versions VERSION,...\n\n\
        Examples:\n  pointsman log replay 019ae2f0-6b1c-7d1e-8a55-0242ac120002 --versions 2,3\n  \
        pointsman log replay --model iris --since 1h --limit 50 --versions 2,3")]
    Replay(ReplayLog),
    /// Delete rows from the log, those in its Parquet files too.
    #[command(
        override_usage = "pointsman log delete --request ID\n       pointsman log delete --unit HASH\n       \
        pointsman log delete --unit-id UNIT\n\n\
        Examples:\n  pointsman log delete --request 019ae2f0-6b1c-7d1e-8a55-0242ac120002\n  \
        pointsman log delete --unit 7c69d7d5a48dd8c5    the unit_hash of its rows\n  \
        pointsman log delete --unit-id user-7           the unit itself"
    )]
    Delete(DeleteFromLog),
}

/// `pointsman log tail`.
#[derive(Debug, Args)]
pub(crate) struct TailLog {
    /// Rows of this model alone.
    pub(crate) model: Option<String>,
    /// How many.
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    pub(crate) rows: usize,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}

/// `pointsman log show`.
#[derive(Debug, Args)]
pub(crate) struct ShowLogged {
    /// The id of the request, as the answer had it in `pointsman-request-id`.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}

/// `pointsman log export`.
#[derive(Debug, Args)]
pub(crate) struct ExportLog {
    /// Rows of this model alone.
    pub(crate) model: Option<String>,
    /// Rows from then on: a time of RFC 3339, or how long ago, such as 24h.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Rows from before then.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// In which form.
    #[arg(long, value_parser = ["jsonl"], default_value = "jsonl")]
    pub(crate) format: String,
    /// The file; without one, standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The gateway's admin listener.
    #[arg(long, env = "POINTSMAN_ADMIN_URL", value_name = "URL", default_value = "http://127.0.0.1:8003")]
    pub(crate) admin_url: String,
}

/// `pointsman log replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayLog {
    /// The id of a request.
    #[arg(required_unless_present = "model", conflicts_with = "model")]
    pub(crate) id: Option<String>,
    /// In place of one request, the first of this model,
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// from then on: a time of RFC 3339, or how long ago, such as 24h,
    #[arg(long, value_name = "TIME", requires = "model")]
    pub(crate) since: Option<String>,
    /// and from before then;
    #[arg(long, value_name = "TIME", requires = "model")]
    pub(crate) until: Option<String>,
    /// so many.
    #[arg(long, default_value_t = 20, value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub(crate) limit: usize,
    /// The versions; the others are held against the first.
    #[arg(long, value_delimiter = ',', required = true, value_name = "VERSION,...")]
    pub(crate) versions: Vec<u64>,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}

/// `pointsman log delete`.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct DeleteFromLog {
    /// The id of a request.
    #[arg(long, value_name = "ID", group = "subject", required_unless_present_any = ["unit", "unit_id"])]
    pub(crate) request: Option<String>,
    /// The hash of a unit, 16 digits, as rows have it.
    #[arg(long, value_name = "HASH", group = "subject", required_unless_present_any = ["request", "unit_id"])]
    pub(crate) unit: Option<String>,
    /// A unit as callers name it, such as a user's id: in the experiments of the plans that count now.
    #[arg(long, value_name = "UNIT", group = "subject", required_unless_present_any = ["request", "unit"])]
    pub(crate) unit_id: Option<String>,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}
