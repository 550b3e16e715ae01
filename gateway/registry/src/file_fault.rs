//! Why a file of a registry cannot be read.

use crate::problem::{Problem, one_line};

/// A file or folder that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}; {}", one_line(file), fault.remedy())]
pub struct FileError {
    /// The file, relative to the registry's root.
    pub file: String,
    /// Why.
    pub fault: FileFault,
}

/// Why a file or folder cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It is a symbolic link, or lies behind one.
    #[error("is, or lies behind, a symbolic link")]
    Symlink,
    /// Other names exist for the same bytes, perhaps outside the registry.
    #[error("has {links} hard links")]
    HardLink {
        /// How many names it has.
        links: u64,
    },
    /// It is a folder, a pipe, a socket or a device.
    #[error("is not a regular file")]
    NotAFile,
    /// It is not a folder.
    #[error("is not a folder")]
    NotAFolder,
    /// It is larger than may be.
    #[error("has {size} bytes, over the limit of {limit} ({key})")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The most it may have.
        limit: u64,
        /// The limit's key.
        key: &'static str,
    },
    /// A folder with more entries than are looked at.
    #[error("has more than {limit} entries (entries_max)")]
    TooManyEntries {
        /// The most that are looked at.
        limit: usize,
    },
    /// A folder that lies too deep.
    #[error("lies more than {limit} folders deep (depth_max)")]
    TooDeep {
        /// The deepest that is looked at.
        limit: usize,
    },
    /// It has no bytes, and was to have some.
    #[error("is empty")]
    Empty,
    /// It was written to while it was read.
    #[error("changed while it was read")]
    Changed,
    /// Anything else that the system said.
    #[error("cannot be read: {reason}")]
    System {
        /// What it said.
        reason: String,
    },
}

impl FileFault {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Missing => "put it there",
            Self::Symlink => {
                "put the file itself there (a Kubernetes ConfigMap or Secret mounts links: copy its files into a \
                 volume first)"
            }
            Self::HardLink { .. } => "copy the file instead of linking it",
            Self::NotAFile | Self::NotAFolder => "remove it",
            Self::TooLarge { .. } | Self::TooManyEntries { .. } => "make it smaller, or raise the limit",
            Self::TooDeep { .. } => "put its files higher up",
            Self::Empty => "copy the file again",
            Self::Changed => "write a version elsewhere and move its folder here when it is complete",
            Self::System { .. } => "check its permissions and the disk",
        }
    }
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        Self::new(&error.file, error.fault.to_string(), error.fault.remedy())
    }
}
