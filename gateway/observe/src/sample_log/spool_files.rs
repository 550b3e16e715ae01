//! Which spool files there are, and how large they are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The spool files of a gateway with their sizes. Shared by threads.
#[derive(Debug, Default)]
pub(super) struct SpoolFiles(Mutex<Sizes>);

#[derive(Debug, Default)]
struct Sizes {
    by_path: HashMap<PathBuf, u64>,
    /// Of all of them.
    bytes: u64,
}

impl SpoolFiles {
    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.sizes().bytes
    }

    /// A file has so many bytes more.
    pub(super) fn grow(&self, path: &Path, by: u64) {
        let mut sizes = self.sizes();
        sizes.bytes += by;
        match sizes.by_path.get_mut(path) {
            Some(size) => *size += by,
            None => drop(sizes.by_path.insert(path.to_owned(), by)),
        }
    }

    /// A file has so many bytes.
    pub(super) fn set(&self, path: &Path, bytes: u64) {
        self.forget(path);
        self.grow(path, bytes);
    }

    /// A file is not there any more.
    pub(super) fn forget(&self, path: &Path) {
        let mut sizes = self.sizes();
        if let Some(size) = sizes.by_path.remove(path) {
            sizes.bytes -= size;
        }
    }

    /// Forgets those that are not.
    pub(super) fn retain(&self, is_there: impl Fn(&Path) -> bool) {
        let paths: Vec<PathBuf> = self.sizes().by_path.keys().cloned().collect();
        paths.iter().filter(|path| !is_there(path)).for_each(|path| self.forget(path));
    }

    fn sizes(&self) -> MutexGuard<'_, Sizes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_files_that_are_there() {
        let files = SpoolFiles::default();
        let (a, b) = (Path::new("a"), Path::new("b"));
        files.grow(a, 5);
        files.grow(a, 2);
        files.set(b, 10);
        files.set(b, 20);
        assert_eq!(files.bytes(), 27);
        files.forget(a);
        files.forget(a);
        assert_eq!(files.bytes(), 20);
        files.grow(a, 1);
        files.retain(|path| path == a);
        assert_eq!(files.bytes(), 1);
    }
}
