//! Where models come from.
//!
//! A [`Registry`] is looked at whole ([`Registry::scan`]: which models there are, what their owners
//! say about them) and read version by version ([`Registry::read`]: all files of one, in memory and
//! verified). Which versions are all there is judged over several looks by [`Settling`], and what
//! should be loaded is decided from a listing by [`serving`]: both without I/O or a clock.
//! [`Registry::watch`] says when looking again may be worth it.
//!
//! ```text
//! models/iris/model.toml          Card          serve, aliases, engine, labels
//! models/iris/schema.toml         Schema        what values are expected to be
//! models/iris/config.pbtxt        TritonConfig  the same from a registry that Triton serves
//! models/iris/3/model.onnx        OnnxSummary   looked at before a runtime parses it
//! models/iris/3/manifest.toml     Manifest      digests, lineage
//! models/iris/3/golden.json       GoldenCases   inputs with the outputs that training saw
//! models/iris/3/tombstone                       withdraws the version; in models/iris, the model
//! ```
//!
//! What must hold here:
//!
//! - Nothing outside the registry's root is opened, whatever a name, a link or a model says.
//! - A file is read whole, once; nothing is parsed before its digest agrees with the manifest.
//! - What is wrong with one model is said with it and changes nothing for the others.
//! - Each thing that is read has a limit in [`Limits`], and each message names file and remedy.
//!
//! Calls block: they belong on a loader's thread.

// A fuzzer's build instruments the unit tests too: they need its runtime to link.
#[cfg(test)]
use bolero as _;

mod card;
mod digest;
mod directory;
mod file_fault;
mod golden;
mod leftover;
mod limits;
mod listing;
mod location;
mod manifest;
mod onnx;
mod problem;
mod schema;
mod settling;
mod stamp;
mod table;
mod tolerance;
mod triton;
mod unmatched;
mod version;
mod wanted;

use pointsman_core::{ModelName, VersionNumber};

pub use card::{Card, Load, OnNew, Serve};
pub use digest::Digest;
pub use directory::{DirectoryRegistry, Watch, WatchError};
pub use file_fault::{FileError, FileFault};
pub use golden::{Difference, ExpectedOutput, GoldenCase, GoldenCases, compare, distance};
pub use limits::Limits;
pub use listing::{FolderState, ModelListing, Scan, Settings, Traces, Unfinished, VersionListing};
pub use location::LocationFault;
pub use manifest::Manifest;
pub use onnx::{ExternalFault, OnnxFault, OnnxSummary, Operator, TensorFault, look};
pub use problem::Problem;
pub use schema::{
    COLUMN_BINS_MAX, COLUMN_NAME_MAX, COLUMN_VALUE_BYTES_MAX, COLUMN_VALUES_MAX, SCHEMA_COLUMNS_MAX,
    SLICES_MAX, TRUNCATE_MAX, read_schema, schema_text,
};
pub use settling::Settling;
pub use stamp::Stamp;
pub use tolerance::Tolerance;
pub use triton::{DynamicBatching, TritonConfig, VersionPolicy};
pub use unmatched::unmatched;
pub use version::{ReadError, RegistryError, VersionFiles};
pub use wanted::{Wanted, serving};

/// A place that models come from.
pub trait Registry: Send + Sync {
    /// Looks at all models, without reading any version.
    ///
    /// # Errors
    /// [`RegistryError`] where the registry as a whole cannot be read. That says nothing about the
    /// models that were there before.
    fn scan(&self) -> Result<Scan, RegistryError>;

    /// Reads one version whole and verifies it.
    ///
    /// # Errors
    /// [`ReadError`] where a file is missing, unsafe, too large, or not what it should be, and where
    /// the version's folder changed meanwhile.
    fn read(&self, model: &ModelName, version: VersionNumber) -> Result<VersionFiles, ReadError>;

    /// Calls `wake` soon after something in the registry has changed, several times for one change
    /// and from another thread, until the [`Watch`] is dropped. `wake` must not wait.
    ///
    /// # Errors
    /// [`WatchError`] where the registry cannot tell: it has to be looked at from time to time. That
    /// is a good idea in any case, for events can be lost.
    fn watch(&self, wake: Box<dyn Fn() + Send + Sync>) -> Result<Watch, WatchError> {
        drop(wake);
        Err(WatchError::new("this kind of registry has no events"))
    }
}
