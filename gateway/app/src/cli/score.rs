//! What `pointsman score` is asked.

use clap::Args;

use super::AdminClient;

/// `pointsman score`.
#[derive(Debug, Args)]
pub(crate) struct Score {
    /// The model.
    pub(crate) model: String,
    /// Another version than the one that serves.
    #[arg(long = "version", value_name = "N")]
    pub(crate) model_version: Option<u64>,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}
