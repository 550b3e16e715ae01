//! Which engines there are: found at the start, shown by `pointsman engines`.

#[cfg(feature = "onnxruntime")]
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use pointsman_core::Engine;
use pointsman_engine::Echo;

use crate::End;
#[cfg(feature = "onnxruntime")]
use crate::child::{self, ChildFault, Ended};

/// The engines of this process.
pub(crate) struct Engines {
    available: Vec<Arc<dyn Engine>>,
    notes: Vec<String>,
    /// Where the ONNX Runtime library is and how it was found.
    library: Option<String>,
}

/// What to do where ONNX Runtime is not there.
#[cfg(feature = "onnxruntime")]
const REMEDY: &str = "deploy/install-onnxruntime installs it, --onnxruntime names one";

impl Engines {
    /// Looks for ONNX Runtime, and takes the engines that are compiled in.
    #[must_use]
    pub(crate) fn find(configured: Option<PathBuf>) -> Self {
        let mut engines = Self { available: Vec::new(), notes: Vec::new(), library: None };
        engines.find_onnxruntime(configured);
        #[cfg(feature = "tract")]
        engines.available.push(Arc::new(pointsman_engine::tract::Tract));
        engines.available.push(Arc::new(Echo));
        engines
    }

    #[cfg(feature = "onnxruntime")]
    fn find_onnxruntime(&mut self, configured: Option<PathBuf>) {
        use pointsman_engine::onnxruntime::{Library, OnnxRuntime, Search};

        let (found, refused) = Library::find(&Search::usual(configured), &probe_in_child);
        self.notes.extend(refused.iter().map(|error| format!("ONNX Runtime is not loaded from {error}")));
        let Some(library) = found else {
            self.notes.push(format!("no ONNX Runtime library is used: {REMEDY}"));
            return;
        };
        let place = format!("{} ({})", library.path.display(), library.source);
        match OnnxRuntime::start(library) {
            Ok(engine) => {
                self.library = Some(place);
                self.available.push(Arc::new(engine));
            }
            Err(error) => self.notes.push(format!("ONNX Runtime is not loaded from {error}")),
        }
    }

    #[cfg(not(feature = "onnxruntime"))]
    fn find_onnxruntime(&mut self, _: Option<PathBuf>) {
        self.notes.push("this binary was built without the feature onnxruntime".into());
    }

    /// The engines, the preferred one first.
    #[must_use]
    pub(crate) fn available(&self) -> &[Arc<dyn Engine>] {
        &self.available
    }

    /// Why ONNX Runtime, or a library of it, is not used: a line each.
    #[must_use]
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where the ONNX Runtime library is and how it was found.
    #[must_use]
    pub(crate) fn library(&self) -> Option<&str> {
        self.library.as_deref()
    }
}

/// How long a library may take to load in the child process.
#[cfg(feature = "onnxruntime")]
const PROBE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Has a child process load the library first: a broken one kills the child and not the gateway.
#[cfg(feature = "onnxruntime")]
fn probe_in_child(path: &Path) -> Result<pointsman_engine::onnxruntime::LibraryVersion, String> {
    use std::os::unix::process::ExitStatusExt;

    let mut command = child::this_binary();
    command.arg("probe-onnxruntime").arg(path);
    let Ended { status, stdout: said, .. } =
        child::run(&mut command, PROBE_TIMEOUT).map_err(|fault| match fault {
            ChildFault::NotStarted(reason) => format!("it cannot be probed: {reason}"),
            ChildFault::TooLong => format!("loading it took longer than {PROBE_TIMEOUT:?}"),
        })?;
    if let Some(signal) = status.signal() {
        return Err(format!(
            "a process that loads it dies of signal {signal}: the file is truncated or broken"
        ));
    }
    if !status.success() {
        return Err(said.trim().to_owned());
    }
    pointsman_engine::onnxruntime::LibraryVersion::parse(&said)
        .ok_or_else(|| format!("its version '{}' is none", said.trim()))
}

/// `pointsman engines`.
pub(crate) fn show(arguments: &crate::cli::Engines) -> End {
    let config = match arguments.config() {
        Ok(config) => config,
        Err(problems) => return crate::serve::refuse(&problems),
    };
    let engines = Engines::find(config.onnxruntime_library);
    if arguments.json {
        let list: Vec<_> = engines
            .available()
            .iter()
            .map(|engine| serde_json::json!({"name": engine.name(), "version": engine.version()}))
            .collect();
        let library = engines.library();
        println!(
            "{}",
            serde_json::json!({"engines": list, "onnxruntime_library": library, "notes": engines.notes()})
        );
        return End::Done;
    }
    for engine in engines.available() {
        let place = engines.library().filter(|_| engine.name() == "onnxruntime");
        let place = place.map(|place| format!("  {place}")).unwrap_or_default();
        println!("{:<12} {}{place}", engine.name(), engine.version());
    }
    for note in engines.notes() {
        println!("note: {note}");
    }
    End::Done
}

/// `pointsman probe-onnxruntime`: what the child process of [`Engines::find`] does.
#[cfg(feature = "onnxruntime")]
pub(crate) fn probe(path: &Path) -> End {
    match pointsman_engine::onnxruntime::probe(path) {
        Ok(version) => {
            println!("{version}");
            End::Done
        }
        Err(reason) => {
            println!("{reason}");
            End::Refused
        }
    }
}

/// `pointsman probe-onnxruntime` in a binary that cannot load one.
#[cfg(not(feature = "onnxruntime"))]
pub(crate) fn probe(_: &std::path::Path) -> End {
    println!("this binary was built without the feature onnxruntime");
    End::Refused
}
