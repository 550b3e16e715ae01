//! A spool file that is written to.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Device and number of a file: what stays the same wherever it is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// Whether the file that lies at a path is this one. One whose folder is reached by another way than before is.
    pub(super) fn is_at(self, path: &Path) -> io::Result<bool> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Self::of(&metadata) == self),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// A spool file. Only whole messages are ever taken for written.
#[derive(Debug)]
pub(super) struct OpenFile {
    path: PathBuf,
    file: File,
    /// What tells it from other files.
    identity: Identity,
    /// Bytes that are written, and those of them that are on the disk.
    length: u64,
    synced: u64,
}

impl OpenFile {
    /// Makes one in a folder that is there, with its first message.
    pub(super) fn create(path: &Path, first: &[u8]) -> io::Result<Self> {
        // What was asked may be personal.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(path)?;
        let identity = Identity::of(&file.metadata()?);
        let mut open = Self { path: path.to_owned(), file, identity, length: 0, synced: 0 };
        if let Err(error) = open.append(first) {
            // Whatever is left of it has no message.
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(open)
    }

    /// Adds a message, whole or not at all.
    pub(super) fn append(&mut self, message: &[u8]) -> io::Result<()> {
        #[cfg(debug_assertions)]
        super::fault::before_write()?;
        let written = self.file.write_all_at(message, self.length).and_then(|()| self.check_there());
        if written.is_ok() {
            self.length += message.len() as u64;
        } else {
            // Readers stop before what is not whole, should that stay.
            let _ = self.file.set_len(self.length);
        }
        written
    }

    /// A file that somebody deleted, or moved away with its folder, can still be written to, and nobody will read it
    /// here.
    fn check_there(&self) -> io::Result<()> {
        if self.is_there()? { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Whether it is still what lies at its path.
    pub(super) fn is_there(&self) -> io::Result<bool> {
        self.identity.is_at(&self.path)
    }

    /// Sees to it that all is on the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.synced < self.length {
            self.file.sync_data()?;
            if let (0, Some(folder)) = (self.synced, self.path.parent()) {
                // Its name, too.
                File::open(folder)?.sync_all()?;
            }
            self.synced = self.length;
        }
        Ok(())
    }

    /// Bytes that are written.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
