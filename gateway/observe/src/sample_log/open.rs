//! A spool file that is written to.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A spool file. Only whole messages are ever taken for written.
#[derive(Debug)]
pub(super) struct OpenFile {
    path: PathBuf,
    file: File,
    /// Bytes that are written, and those of them that are on the disk.
    length: u64,
    synced: u64,
}

impl OpenFile {
    /// Makes one in a folder that is there, with its first message.
    pub(super) fn create(path: &Path, first: &[u8]) -> io::Result<Self> {
        // What was asked may be personal.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(path)?;
        let mut open = Self { path: path.to_owned(), file, length: 0, synced: 0 };
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

    /// A file that somebody deleted can still be written to, and nobody will ever read it.
    fn check_there(&self) -> io::Result<()> {
        if self.file.metadata()?.nlink() == 0 {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(())
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
