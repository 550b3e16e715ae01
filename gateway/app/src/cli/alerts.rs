//! What `pointsman alerts` is asked.

use clap::Args;

use super::AdminClient;

/// `pointsman alerts`.
#[derive(Debug, Args)]
pub(crate) struct Alerts {
    /// Alerts of this model alone.
    pub(crate) model: Option<String>,
    /// Also those that are resolved.
    #[arg(long)]
    pub(crate) all: bool,
    /// How alerts came and went, the newest first, in place of how they stand.
    #[arg(long, conflicts_with = "all")]
    pub(crate) history: bool,
    /// How many of the last transitions.
    #[arg(long, default_value_t = 50, value_name = "N", requires = "history")]
    pub(crate) limit: u32,
    /// End with exit code 1 where one fires.
    #[arg(long, conflicts_with = "history")]
    pub(crate) fail_if_firing: bool,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}
