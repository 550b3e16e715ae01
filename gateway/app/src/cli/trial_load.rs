//! What `pointsman trial-load` is told.

use std::path::PathBuf;

use clap::Args;

/// `pointsman trial-load`: what the gateway tells the process that it starts for a trial.
#[derive(Debug, Args)]
pub(crate) struct TrialLoad {
    /// The registry.
    pub(crate) models: PathBuf,
    /// The model.
    pub(crate) model: String,
    /// The version's number.
    pub(crate) number: u64,
    /// The process that waits for this one.
    #[arg(long)]
    pub(crate) gateway: u32,
    /// Bytes of memory that this process may write to.
    #[arg(long)]
    pub(crate) memory_max: u64,
    /// Seconds of a processor that it may take.
    #[arg(long)]
    pub(crate) seconds_max: u64,
    /// `serving.engine`.
    #[arg(long)]
    pub(crate) engine: String,
    /// `serving.intra_op_threads`.
    #[arg(long)]
    pub(crate) intra_op_threads: usize,
    /// `gates.integer_division`.
    #[arg(long)]
    pub(crate) integer_division: String,
    /// `onnxruntime.library`.
    #[arg(long)]
    pub(crate) onnxruntime: Option<PathBuf>,
}
