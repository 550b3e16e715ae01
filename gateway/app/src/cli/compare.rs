//! What `pointsman compare` and `pointsman replay` are asked.

use std::path::PathBuf;

use clap::Args;

use super::AdminClient;

/// `pointsman compare`.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The model; without one, what is compared is listed.
    pub(crate) model: Option<String>,
    /// The shadow's version; without it all that are compared.
    #[arg(long, value_name = "VERSION", requires = "model")]
    pub(crate) shadow: Option<u64>,
    /// The version that it ran beside; without it any.
    #[arg(long, value_name = "VERSION", requires = "model")]
    pub(crate) primary: Option<u64>,
    /// With what probability each interval may be wrong.
    #[arg(long, default_value_t = 0.05)]
    pub(crate) alpha: f64,
    /// Write the report as a page with plots, which needs nothing else; of several the first.
    #[arg(long, value_name = "FILE", conflicts_with = "json", requires = "model")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}

/// `pointsman replay`.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The id of the request, as `pointsman compare` names the pairs that are furthest apart.
    pub(crate) id: String,
    /// The versions, of which the others are held against the first.
    #[arg(long, value_name = "VERSIONS", value_delimiter = ',', required = true)]
    pub(crate) versions: Vec<u64>,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}
