//! Who sees the exchanges of versions, as the control path sees it.

use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::{ModelName, Schema, Signature, VersionNumber};
use pointsman_predict::Monitor;
use pointsman_registry::{GoldenCases, Manifest};

/// Makes the monitor of each version. Asked on the thread that loads the version, once that is warm.
pub trait Monitoring: Send + Sync {
    /// The monitor of a version; nothing where nobody wants to see its exchanges. What cannot be used of the `subject` is
    /// added to `warnings`, and keeps no version from serving.
    fn monitor(&self, subject: Subject<'_>, warnings: &mut Vec<String>) -> Option<Arc<dyn Monitor>>;
}

/// A version that is about to serve.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The model.
    pub model: &'a ModelName,
    /// The version's number.
    pub number: VersionNumber,
    /// SHA-256 over its files, in hexadecimal.
    pub digest: &'a str,
    /// What it takes and gives, with the names of features and classes.
    pub signature: &'a Arc<Signature>,
    /// What the values of its columns are expected to be.
    pub schema: Option<&'a Arc<Schema>>,
    /// The profile of its training data, as it stands in `baseline.json`.
    pub baseline: Option<&'a Bytes>,
    /// Real inputs with the outputs that training saw.
    pub golden: Option<&'a GoldenCases>,
    /// Where it comes from.
    pub manifest: Option<&'a Manifest>,
}
