//! ONNX Runtime, loaded from a shared library at run time.
//!
//! [`Library::find`] looks for a library that is safe to load, [`OnnxRuntime::start`] loads it, once
//! per process. Sessions share the weights of their model: ONNX Runtime's `Run` may be called on one
//! session from many threads (Microsoft guarantees it, onnxruntime#114), which the `ort` crate's
//! `&mut self` does not use, so [`session`](self) calls the C interface itself.

mod library;
mod memory;
mod model;
mod session;
mod value;
mod zipmap;

use std::sync::{Arc, OnceLock};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::Session as OrtSession;
use pointsman_core::{Engine, LoadError, LoadedModel, ModelFiles, SessionOptions};

pub use self::library::{Library, LibraryError, LibraryVersion, Probe, Search, VERSION_FLOOR, probe};
use self::model::OrtModel;

const NAME: &str = "onnxruntime";

/// The variable that switches off the uploader of Microsoft's own builds (1.29.0 and later), which
/// is on by default and which no call of its interface stops.
const TELEMETRY_OFF: &str = "ORT_DISABLE_TELEMETRY";

/// Switches ONNX Runtime's telemetry off for this process and its children.
///
/// # Safety
/// To be called before the process has a second thread: it changes the environment.
#[allow(unsafe_code)]
pub unsafe fn disable_telemetry() {
    // SAFETY: the caller holds that no other thread reads the environment.
    unsafe { std::env::set_var(TELEMETRY_OFF, "1") };
}

/// The engine around one loaded library.
pub struct OnnxRuntime {
    environment: Environment,
    library: Library,
}

/// ONNX Runtime allows one environment per process, and it is never given back.
static STARTED: OnceLock<()> = OnceLock::new();

impl OnnxRuntime {
    /// Loads the library that [`Library::find`] found safe.
    ///
    /// # Errors
    /// [`LibraryError`] where telemetry was not switched off first, where the library cannot be
    /// loaded after all, or on a second start in one process.
    pub fn start(library: Library) -> Result<Self, LibraryError> {
        if std::env::var_os(TELEMETRY_OFF).is_none_or(|v| v != "1") {
            return Err(LibraryError::TelemetryOn);
        }
        if STARTED.set(()).is_err() {
            return Err(LibraryError::AlreadyStarted);
        }
        let refused = |reason: String| LibraryError::Refused { path: library.path.clone(), reason };
        let environment = ort::init_from(&library.path)
            .map_err(|e| refused(e.to_string()))?
            .with_name("pointsman")
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|e| refused(reason(e)))?;
        environment.set_log_level(LogLevel::Warning);
        Ok(Self { environment, library })
    }

    /// The library that serves.
    #[must_use]
    pub fn library(&self) -> &Library {
        &self.library
    }
}

/// Passes the runtime's own log on; its locations are paths of the machine that built it.
fn log(level: LogLevel, category: &str, _id: &str, _location: &str, message: &str) {
    match level {
        LogLevel::Fatal | LogLevel::Error => tracing::warn!(target: "onnxruntime", category, "{message}"),
        LogLevel::Warning => tracing::debug!(target: "onnxruntime", category, "{message}"),
        LogLevel::Info | LogLevel::Verbose => tracing::trace!(target: "onnxruntime", category, "{message}"),
    }
}

impl Engine for OnnxRuntime {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        self.library.version.to_string()
    }

    fn dies_of_integer_overflow(&self) -> bool {
        true
    }

    fn load(&self, files: &ModelFiles, options: &SessionOptions) -> Result<Box<dyn LoadedModel>, LoadError> {
        let session =
            self.commit(files, options).map_err(|reason| LoadError::Refused { engine: NAME, reason })?;
        OrtModel::new(&session, &files.declared).map(|model| Box::new(model) as Box<dyn LoadedModel>)
    }

    fn release_memory(&self) {
        memory::release();
    }
}

impl OnnxRuntime {
    /// Creates the session from bytes alone: weights in other files are handed over by name, so the
    /// runtime opens no file.
    fn commit(&self, files: &ModelFiles, options: &SessionOptions) -> Result<OrtSession, String> {
        let mut builder = OrtSession::builder(&self.environment).map_err(reason)?;
        builder = builder.with_intra_threads(options.intra_op_threads).map_err(reason)?;
        builder = builder.with_inter_threads(1).map_err(reason)?;
        builder = builder.with_intra_op_spinning(options.spinning).map_err(reason)?;
        builder = builder.with_inter_op_spinning(options.spinning).map_err(reason)?;
        for (name, bytes) in &files.external {
            builder =
                builder.with_external_initializer_file_in_memory(name, bytes.clone()).map_err(reason)?;
        }
        builder.commit_from_memory(&files.model).map_err(reason)
    }
}

/// The longest that a refusal's reason gets: names of a model stand in it, and they have any length.
const REASON_MAX: usize = 1000;

/// The runtime's own words, on one line.
#[allow(clippy::needless_pass_by_value)] // taken by `map_err`
fn reason<R>(error: ort::Error<R>) -> String {
    let words = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect()
}
