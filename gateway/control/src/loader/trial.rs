//! The trial: a version is brought up elsewhere first, where it can do no harm.

use pointsman_core::Batching;
use pointsman_registry::Digest;

use super::LoadJob;
use super::fault::LoadFault;

/// Brings a version up in a process of its own, with limits, and lets it go again. A model that crashes,
/// hangs or eats memory then does so there.
pub trait Trial: Send + Sync {
    /// Tries the version, through the same steps and gates.
    ///
    /// # Errors
    /// [`LoadFault::Tried`] with what a gate said there, [`LoadFault::Trial`] where the process crashed, took
    /// too long or could not be started.
    fn attempt(&self, job: &LoadJob) -> Result<Tried, LoadFault>;
}

/// What a trial found of a version that passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The digest of the files that were tried: only these may then be loaded.
    pub digest: Digest,
    /// What was found where requests may not be run together: several rows are then not run here either.
    pub unbatched: Option<Batching>,
}
