//! What `pointsman predict` is asked.

use std::path::PathBuf;

use clap::Args;

/// `pointsman predict`.
#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// The model.
    pub(crate) model: String,
    /// The version or alias; without one, what the model's plan serves.
    #[arg(long = "version", value_name = "VERSION")]
    pub(crate) model_version: Option<String>,
    /// A V2 request as JSON; - reads standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// The gateway's HTTP listener.
    #[arg(long, env = "POINTSMAN_URL", value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub(crate) url: String,
    /// Answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
