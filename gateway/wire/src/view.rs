//! What the gateway tells about itself and its models, before it is put into a protocol's form.

use std::sync::Arc;
use std::time::Duration;

use pointsman_core::{ModelName, PredictError, Signature, VersionNumber, shown};

/// The gateway (`GET /v2`, `ServerMetadata`).
#[derive(Clone, Debug)]
pub struct ServerView {
    /// Always `pointsman`.
    pub name: &'static str,
    /// The gateway's version.
    pub version: &'static str,
    /// Extensions of the V2 protocol that it has.
    pub extensions: &'static [&'static str],
}

/// A model as one of its versions declares it (`GET /v2/models/M`, `ModelMetadata`, `/config`).
#[derive(Clone, Debug)]
pub struct ModelView {
    /// The model.
    pub name: ModelName,
    /// The version that is described.
    pub version: VersionNumber,
    /// Versions that serve, ascending.
    pub versions: Vec<VersionNumber>,
    /// The V2 platform, `onnxruntime_onnx` for ONNX models whatever the engine.
    pub platform: &'static str,
    /// The engine that runs it: `onnxruntime`, `tract`, `echo`.
    pub engine: &'static str,
    /// Inputs and outputs.
    pub signature: Arc<Signature>,
    /// Rows that one request may have, where the first dimension is a batch; 0 where that is not known.
    pub batch_rows_max: u32,
    /// Sessions that run at the same time.
    pub workers: u32,
    /// Whether answers are kept for equal requests.
    pub response_cache: bool,
}

/// One line of the repository index.
#[derive(Clone, Debug)]
pub struct IndexEntry {
    /// The model.
    pub name: String,
    /// The version; nothing where the model has none that could be read.
    pub version: Option<VersionNumber>,
    /// Where it stands.
    pub state: IndexState,
    /// Why it does not serve; empty where it does.
    pub reason: String,
}

/// The states of the V2 repository index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// It serves.
    Ready,
    /// It is on its way to serving.
    Loading,
    /// It has left and is not gone yet.
    Unloading,
    /// It does not serve.
    Unavailable,
}

impl IndexState {
    /// The protocol's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Loading => "LOADING",
            Self::Unloading => "UNLOADING",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

/// Checks the name of a parameter of the repository extension's load and unload.
///
/// # Errors
/// [`PredictError::Unsupported`] for one that would bring a model or a configuration by request, and for
/// any other that is not known.
pub(crate) fn check_repository_parameter(name: &str) -> Result<(), PredictError> {
    let remedy = match name {
        // Models have no dependents here: there are no ensembles.
        "unload_dependents" => return Ok(()),
        "config" => "write it into the model's config.pbtxt or model.toml",
        _ if name.starts_with("file:") => "put the file into the registry, and load the model then",
        _ => "leave it out",
    };
    Err(PredictError::Unsupported(format!("parameter '{}' is not supported: {remedy}", shown(name))))
}

/// A count and the time that its events took together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountedTime {
    /// How many.
    pub count: u64,
    /// How long in all.
    pub total: Duration,
}

/// What one version has done since it was loaded (`/stats`, `ModelStatistics`).
#[derive(Clone, Debug)]
pub struct StatisticsView {
    /// The model.
    pub name: ModelName,
    /// The version.
    pub version: VersionNumber,
    /// When the last request was answered, in milliseconds since 1970; 0 for never.
    pub last_inference_ms: u64,
    /// Rows answered by runs.
    pub inference_count: u64,
    /// Runs of the model.
    pub execution_count: u64,
    /// Requests answered, from arrival to answer.
    pub success: CountedTime,
    /// Requests that failed.
    pub fail: CountedTime,
    /// Time in the queue.
    pub queue: CountedTime,
    /// Time from the queue to the run.
    pub compute_input: CountedTime,
    /// Time in the run.
    pub compute_infer: CountedTime,
    /// Time from the run to the answer.
    pub compute_output: CountedTime,
    /// Requests answered without a run of their own, and the time that it took to look.
    pub cache_hit: CountedTime,
    /// Requests that were looked for in vain, and the time that it took to look.
    pub cache_miss: CountedTime,
}
