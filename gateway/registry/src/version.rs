//! One version, read whole.

use std::collections::BTreeMap;

use bytes::Bytes;
use pointsman_core::ModelFiles;

use crate::digest::Digest;
use crate::file_fault::{FileError, FileFault};
use crate::golden::GoldenCases;
use crate::manifest::Manifest;
use crate::onnx::{OnnxFault, OnnxSummary};
use crate::problem::{Problem, one_line};
use crate::stamp::Stamp;

/// A version as it was read: its files are in memory, agree with their digests where there are any,
/// and have been looked at. No runtime has seen them yet.
#[derive(Clone, Debug)]
pub struct VersionFiles {
    /// What a runtime is given.
    pub files: ModelFiles,
    /// The digest of these files together: another one is another model, whatever its number.
    pub digest: Digest,
    /// The state that its folder was in, from before the first file was read until after the last.
    pub stamp: Stamp,
    /// The digest of each file that was read or is listed in the manifest.
    pub digests: BTreeMap<String, Digest>,
    /// The manifest, where there is one.
    pub manifest: Option<Manifest>,
    /// The golden cases, where there are any.
    pub golden: Option<GoldenCases>,
    /// The profile of the training data (`baseline.json`) as it stands there, where there is one.
    pub baseline: Option<Bytes>,
    /// What the look at the model showed.
    pub onnx: OnnxSummary,
}

impl VersionFiles {
    /// The digest of everything that was read of it, golden cases too: with another one it may pass its gates.
    #[must_use]
    pub fn contents(&self) -> Digest {
        Digest::of_files(self.digests.iter().map(|(name, digest)| (name.as_str(), *digest)))
    }

    /// The bytes that its files take in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let external = self.files.external.iter().map(|(_, bytes)| bytes.len());
        self.files.model.len() + external.sum::<usize>()
    }
}

/// The registry as a whole cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the registry {place} cannot be read: {reason}")]
pub struct RegistryError {
    /// Where it should be.
    pub place: String,
    /// Why it is not.
    pub reason: String,
}

/// Why a version was not read. Each is one line that names the file and says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The registry as a whole cannot be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// One of the files cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The manifest, the golden cases or the Triton configuration do not say what they should.
    #[error("{}", join(problems))]
    Written {
        /// All that is wrong.
        problems: Vec<Problem>,
    },
    /// A file is not the one that the manifest lists.
    #[error(
        "{file}: is {found}, and manifest.toml says {expected}; copy the file again, or write the manifest anew"
    )]
    Digest {
        /// The file.
        file: String,
        /// What the manifest says.
        expected: Digest,
        /// What the file is.
        found: Digest,
    },
    /// A file that counts is not in the manifest that lists the files.
    #[error("{file}: is not listed under [files] in manifest.toml; list it with its digest")]
    Unlisted {
        /// The file.
        file: String,
    },
    /// The model is none that a runtime should be given.
    #[error("{file}: {}; {}", one_line(&fault.to_string()), fault.remedy())]
    Onnx {
        /// The file.
        file: String,
        /// What was found.
        fault: OnnxFault,
    },
    /// A file of weights is shorter than the model says.
    #[error("{file}: has {found} bytes, and the model needs {needed}; copy the file again")]
    ExternalShort {
        /// The file.
        file: String,
        /// What the model needs.
        needed: u64,
        /// What there is.
        found: u64,
    },
}

impl ReadError {
    /// Whether the fault is one that a copy still under way shows: once the folder changes, the
    /// version may be sound.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        match self {
            Self::File(error) => {
                matches!(error.fault, FileFault::Missing | FileFault::Empty | FileFault::Changed)
            }
            Self::Digest { .. } | Self::Unlisted { .. } | Self::ExternalShort { .. } => true,
            Self::Onnx { fault, .. } => matches!(fault, OnnxFault::Empty | OnnxFault::Broken { .. }),
            Self::Registry(_) | Self::Written { .. } => false,
        }
    }
}

fn join(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}
