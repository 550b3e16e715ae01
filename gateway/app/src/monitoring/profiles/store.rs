//! Windows in the state directory: a file for each version.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The most files that are kept; the oldest go.
const FILES_MAX: usize = 256;
/// The largest that is read.
const BYTES_MAX: u64 = 1 << 30;

/// The directory of windows.
pub(super) struct Store {
    directory: PathBuf,
}

impl Store {
    /// The one below the state directory.
    ///
    /// # Errors
    /// A line on what keeps it from being used.
    pub(super) fn open(state: &Path) -> Result<Self, String> {
        let directory = state.join("profiles");
        fs::create_dir_all(&directory)
            .map_err(|e| format!("the directory {} for windows of traffic: {e}", directory.display()))?;
        Ok(Self { directory })
    }

    /// Names of models are made of letters, digits, `_`, `.` and `-`, and do not begin with a dot.
    fn path(&self, model: &str, version: u64) -> PathBuf {
        self.directory.join(format!("{model}.{version}.json"))
    }

    /// What was written of a version; nothing where nothing was, or it cannot be read.
    pub(super) fn read(&self, model: &str, version: u64) -> Option<String> {
        let path = self.path(model, version);
        let size = fs::metadata(&path).ok()?.len();
        if size > BYTES_MAX {
            tracing::warn!("{} has {size} bytes and is left: at most {BYTES_MAX} are read", path.display());
            return None;
        }
        fs::read_to_string(&path)
            .inspect_err(|error| tracing::warn!("{} cannot be read: {error}", path.display()))
            .ok()
    }

    /// Writes what is known of a version, in one step.
    ///
    /// # Errors
    /// The system's. What stood there still does.
    pub(super) fn write(&self, model: &str, version: u64, document: &str) -> io::Result<()> {
        let path = self.path(model, version);
        let staged = self.directory.join(".new");
        let mut file = fs::File::create(&staged)?;
        file.write_all(document.as_bytes())?;
        file.sync_all()?;
        fs::rename(&staged, &path)?;
        self.prune(&path)
    }

    fn prune(&self, kept: &Path) -> io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.path() != kept {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        files.sort_unstable();
        let over = (files.len() + 1).saturating_sub(FILES_MAX);
        files.iter().take(over).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_oldest_of_too_many_goes() {
        let state = tempfile::tempdir().expect("a directory");
        let store = Store::open(state.path()).expect("a store");
        assert_eq!(store.read("m", 1), None);
        (1..=FILES_MAX as u64 + 3).for_each(|version| {
            store.write("m", version, &version.to_string()).expect("written");
        });
        assert_eq!(store.read("m", FILES_MAX as u64 + 3).as_deref(), Some("259"));
        assert_eq!(fs::read_dir(state.path().join("profiles")).expect("files").count(), FILES_MAX);
    }
}
