//! A version that serves: its signature, its queue and its workers.

use std::sync::Arc;
use std::thread;

use pointsman_core::{ModelName, Nonfinite, Session, Signature, VersionNumber};

use crate::metrics::{Metrics, VersionMetrics};
use crate::queue::Queue;
use crate::statistics::Statistics;
use crate::worker::work;

/// What a version is made of.
pub struct VersionSpec {
    /// The model.
    pub model: ModelName,
    /// Its number.
    pub number: VersionNumber,
    /// What it takes and gives.
    pub signature: Arc<Signature>,
    /// The engine that runs it.
    pub engine: &'static str,
    /// SHA-256 over its files, in hexadecimal.
    pub digest: String,
    /// Requests that may wait for it.
    pub queue_max: usize,
    /// Rows that one request may have; nothing where there is no such limit.
    pub batch_rows_max: Option<u64>,
    /// How NaN and infinities leave as JSON where a request does not say; nothing leaves it to the
    /// gateway's configuration.
    pub nonfinite: Option<Nonfinite>,
}

/// A version that serves. Dropping the last handle closes its queue; its workers answer what is
/// queued, then free their sessions on their own threads.
pub struct Version {
    spec: VersionSpec,
    workers: usize,
    pub(crate) queue: Queue,
    pub(crate) metrics: VersionMetrics,
    statistics: Statistics,
}

impl Version {
    /// Starts one worker thread per session.
    ///
    /// # Errors
    /// The system's, where it has no more threads.
    pub fn start(
        spec: VersionSpec,
        sessions: Vec<Box<dyn Session>>,
        metrics: &Metrics,
    ) -> std::io::Result<Arc<Self>> {
        let queue = Queue::new(spec.queue_max, sessions.iter().map(|s| s.interrupt()).collect());
        let workers = sessions.len();
        for (worker, session) in sessions.into_iter().enumerate() {
            let jobs = queue.jobs();
            let runs = queue.runs().clone();
            let alive = metrics.worker();
            // Names of threads are cut at 15 bytes by the system.
            let name = format!("run-{}-{}", spec.number, spec.model);
            thread::Builder::new().name(name).spawn(move || {
                work(session, &jobs, &runs, worker);
                drop(alive);
            })?;
        }
        let metrics = metrics.version(&spec.model, spec.number);
        Ok(Arc::new(Self { spec, workers, queue, metrics, statistics: Statistics::default() }))
    }

    /// What it is made of.
    #[must_use]
    pub fn spec(&self) -> &VersionSpec {
        &self.spec
    }

    /// What it takes and gives.
    #[must_use]
    pub fn signature(&self) -> &Arc<Signature> {
        &self.spec.signature
    }

    /// Sessions that run at the same time.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Requests that wait.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.queue.depth()
    }

    /// What it has done.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.spec.model, self.spec.number)
    }
}
