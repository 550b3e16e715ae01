//! What commands that wish something of a model are asked.

use clap::Args;

use super::AdminClient;

/// A wish about a model.
#[derive(Debug, Args)]
pub(crate) struct OfModel {
    /// The model.
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) how: How,
}

/// A wish about a version.
#[derive(Debug, Args)]
pub(crate) struct OfVersion {
    /// The model.
    pub(crate) model: String,
    /// The version's number.
    pub(crate) version: Option<u64>,
    #[command(flatten)]
    pub(crate) how: How,
}

/// `pointsman promote`.
#[derive(Debug, Args)]
pub(crate) struct Promote {
    /// The model.
    pub(crate) model: String,
    /// The version's number.
    pub(crate) version: u64,
    /// Also where callers of the version that serves would break.
    #[arg(long)]
    pub(crate) allow_breaking: bool,
    #[command(flatten)]
    pub(crate) how: How,
}

/// `pointsman alias`.
#[derive(Debug, Args)]
pub(crate) struct Alias {
    /// The model.
    pub(crate) model: String,
    /// The alias.
    pub(crate) alias: String,
    /// The version's number.
    #[arg(required_unless_present = "remove", conflicts_with = "remove")]
    pub(crate) version: Option<u64>,
    /// Let the alias stand for nothing.
    #[arg(long)]
    pub(crate) remove: bool,
    /// Also where callers of the alias would break.
    #[arg(long)]
    pub(crate) allow_breaking: bool,
    #[command(flatten)]
    pub(crate) how: How,
}

/// How a wish is brought forward.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// Only say what would happen.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Who wishes it, for the journal.
    #[arg(long, env = "POINTSMAN_OPERATOR", value_name = "NAME")]
    pub(crate) operator: Option<String>,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}
