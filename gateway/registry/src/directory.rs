//! A registry in a directory: `<model>/<version>/model.onnx`, and what stands beside it.

mod folder;
mod read;
mod scan;
mod version_folder;
mod watch;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use pointsman_core::{ModelName, VersionNumber};

use crate::Registry;
use crate::limits::Limits;
use crate::listing::Scan;
use crate::version::{ReadError, RegistryError, VersionFiles};
use folder::{Folder, SizeLimit};

pub use watch::{Watch, WatchError};

/// A directory of models.
#[derive(Clone, Debug)]
pub struct DirectoryRegistry {
    root: PathBuf,
    limits: Limits,
}

impl DirectoryRegistry {
    /// A registry in the directory `root`.
    ///
    /// # Errors
    /// [`RegistryError`] where it cannot be opened now. Later it may come and go: each look opens it anew.
    pub fn open(root: impl Into<PathBuf>, limits: Limits) -> Result<Self, RegistryError> {
        let registry = Self { root: root.into(), limits };
        registry.folder()?;
        Ok(registry)
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn folder(&self) -> Result<Folder, RegistryError> {
        Folder::root(&self.root).map_err(|errno| RegistryError {
            place: self.root.display().to_string(),
            reason: std::io::Error::from(errno).to_string(),
        })
    }
}

impl Registry for DirectoryRegistry {
    fn scan(&self) -> Result<Scan, RegistryError> {
        let root = self.folder()?;
        scan::scan(&root, &self.limits).map_err(|error| RegistryError {
            place: self.root.display().to_string(),
            reason: error.to_string(),
        })
    }

    fn read(&self, model: &ModelName, version: VersionNumber) -> Result<VersionFiles, ReadError> {
        read::read(&self.folder()?, model, version, &self.limits)
    }

    fn watch(&self, wake: Box<dyn Fn() + Send + Sync>) -> Result<Watch, WatchError> {
        Watch::start(&self.root, wake, &self.limits)
    }
}

/// The limit of the small files that people write.
fn card_limit(limits: &Limits) -> SizeLimit {
    SizeLimit { bytes: limits.card_bytes_max, key: "card_bytes_max" }
}
