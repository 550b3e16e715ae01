//! From a version in a registry to one that is warm: every step and every gate, in the only order that
//! the types allow.
//!
//! ```text
//! memory? -> trial? -> Verified -> integer division? -> Loaded -> golden cases? -> Checked -> Warm -> latency?
//! ```
//!
//! What is decided is decided by functions of their arguments, in a file for each gate; the steps in
//! [`steps`](self) do what has effects.

mod batching;
mod fault;
mod gates;
mod integer_division;
mod measure;
mod memory;
mod profile;
mod response_cache;
mod rows;
mod run_time;
mod runner;
mod samples;
mod steps;
#[cfg(test)]
mod tests;
mod trial;
mod validator;
mod warm_up;
mod zeros;

use std::sync::Arc;

use pointsman_core::{EngineChoice, ModelName, QueueDelay, RunTime, SessionOptions, VersionNumber};
use pointsman_registry::{Registry, Settings};

use crate::engines::Engines;
use crate::monitoring::Monitoring;
use crate::profiles::Profiles;

pub use fault::{Gate, LoadFailure, LoadFault, TrialRefusal};
pub use gates::Gates;
pub use measure::{Cost, Measured, Measurement, Way};
pub use memory::Shortage;
pub use run_time::Slower;
pub use steps::Warm;
pub use trial::{Trial, Tried};

/// What every version is loaded with.
#[derive(Clone)]
pub struct Loader {
    /// Where files come from.
    pub registry: Arc<dyn Registry>,
    /// What runs them.
    pub engines: Engines,
    /// Which engine, where a card does not say.
    pub engine: EngineChoice,
    /// How sessions run.
    pub session: SessionOptions,
    /// How many workers, and how long a queue, where a card does not say.
    pub workers: WorkerDefaults,
    /// Who sees what versions are asked and answer; nobody in a trial.
    pub monitoring: Option<Arc<dyn Monitoring>>,
    /// What a version has to pass.
    pub gates: Gates,
    /// Who tries a version first, apart from this process; nobody where models are trusted.
    pub trial: Option<Arc<dyn Trial>>,
}

/// What cards that say nothing get.
#[derive(Clone, Debug)]
pub struct WorkerDefaults {
    /// Worker threads of a version.
    pub workers: usize,
    /// Requests that may wait for it.
    pub queue_max: usize,
    /// How long they may, where ever more come.
    pub queue_delay: QueueDelay,
    /// Whether runs that are short enough happen on the threads of requests.
    pub inline: bool,
    /// By how much workers are nicer than the threads that serve connections, 0 to 19 (`nice(2)`).
    pub niceness: u32,
}

/// A version to be loaded.
#[derive(Clone, Debug)]
pub struct LoadJob {
    /// The model.
    pub model: ModelName,
    /// The version's number.
    pub number: VersionNumber,
    /// How it is to be served.
    pub settings: Settings,
    /// Bytes of its files, as listed; 0 where that is not known.
    pub bytes: u64,
    /// What it is to take over from, where something serves.
    pub beside: Option<Beside>,
    /// What was measured before.
    pub profiles: Profiles,
    /// What failed under this number again and again, and is not given to an engine once more.
    pub quarantined: Option<Quarantined>,
}

/// Files that failed again and again.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// SHA-256 over them.
    pub contents: String,
    /// What was said of them.
    pub reason: String,
}

/// A version that serves while another is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside {
    /// How long its runs took at its own check.
    pub run_time: Option<RunTime>,
}

impl Loader {
    /// All steps and gates in their order. Blocks for as long as that takes, and is bounded in time but
    /// for the engine's own loading, which only a [`Trial`] can bound.
    ///
    /// # Errors
    /// That of the first gate that the version does not pass.
    pub fn bring_up(&self, job: &LoadJob) -> Result<Warm, LoadFailure> {
        memory::check(memory::need(job.bytes), self.gates.memory_reserve).map_err(LoadFault::from)?;
        let tried = self.trial.as_ref().map(|trial| trial.attempt(job)).transpose()?;
        let verified = steps::verify(self, job)?;
        let contents = verified.contents();
        self.bring_up_verified(job, tried, verified)
            .map_err(|fault| LoadFailure { fault: Box::new(fault), contents: Some(contents) })
    }

    fn bring_up_verified(
        &self,
        job: &LoadJob,
        tried: Option<Tried>,
        verified: steps::Verified,
    ) -> Result<Warm, LoadFault> {
        if tried.as_ref().is_some_and(|tried| tried.digest != verified.digest()) {
            return Err(LoadFault::ChangedAfterTrial);
        }
        let contents = verified.contents().to_string();
        if let Some(known) = job.quarantined.as_ref().filter(|known| known.contents == contents) {
            return Err(LoadFault::Quarantined(known.reason.clone()));
        }
        let unbatched = tried.and_then(|tried| tried.unbatched);
        verified.load(self, job)?.check(self, job, unbatched)?.warm(self, job)
    }
}
