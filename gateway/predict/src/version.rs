//! A version that serves: its signature, its queue and its workers.

use std::sync::{Arc, Weak};
use std::thread;

use pointsman_core::{
    Findings, LoadedModel, ModelName, Nonfinite, Session, Signature, Validator, VersionNumber,
};

use crate::cache::ResponseCache;
use crate::cores::{Cores, Share};
use crate::crew::Crew;
use crate::limits::RunLimits;
use crate::metrics::Metrics;
use crate::monitor::Monitor;
use crate::priority::stand_back;
use crate::queue::Queue;
use crate::record::{Counting, Record};
use crate::supervisor::Supervisor;
use crate::worker::Worker;

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
    pub request_rows_max: Option<u64>,
    /// How many rows are run at once.
    pub limits: RunLimits,
    /// Bytes of requests and answers that are kept, to answer equal requests without a run; nothing for none.
    pub cache_bytes_max: Option<usize>,
    /// How NaN and infinities leave as JSON where a request does not say; nothing leaves it to the
    /// gateway's configuration.
    pub nonfinite: Option<Nonfinite>,
    /// What its checks found.
    pub findings: Arc<Findings>,
    /// The rules of its model's schema; nothing where it has none.
    pub validator: Option<Arc<Validator>>,
    /// Who sees its exchanges.
    pub monitor: Option<Arc<dyn Monitor>>,
}

/// The sessions of a version.
pub struct Sessions {
    /// One for each worker.
    pub workers: Vec<Box<dyn Session>>,
    /// One for runs on the threads of requests, where these are short enough.
    pub inline: Option<Box<dyn Session>>,
}

/// What all versions have in common.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The instruments.
    pub metrics: Metrics,
    /// The cores that their runs share.
    pub cores: Arc<Cores>,
}

/// A version that serves. Dropping the last handle closes its queue; its workers answer what is
/// queued, then free their sessions on their own threads.
pub struct Version {
    spec: VersionSpec,
    workers: usize,
    /// Before the queue: a worker that leaves when that is closed is then the last to hold it.
    cache: Option<Arc<ResponseCache>>,
    pub(crate) queue: Queue,
    pub(crate) share: Arc<Share>,
    record: Counting,
    /// Held by the workers.
    pub(crate) crew: Weak<Crew>,
}

impl Version {
    /// Starts one worker thread for each of the `sessions`, which are the `model`'s; one more, where there is one, is
    /// run on the threads of requests. The model is kept for a
    /// worker whose session panicked, who gets another, and is freed when the last worker has ended.
    /// What is counted goes on where an earlier load of the same number left off, unless
    /// [`Metrics::forget`] came between.
    ///
    /// # Errors
    /// The system's, where it has no more threads. [`Supervisor::gone`] is called then as well.
    pub fn start(
        spec: VersionSpec,
        model: Box<dyn LoadedModel>,
        sessions: Sessions,
        supervisor: Arc<dyn Supervisor>,
        ground: &Ground,
    ) -> std::io::Result<Arc<Self>> {
        let Ground { metrics, cores } = ground;
        let record = metrics.record(&spec.model, spec.number);
        let Sessions { workers: sessions, inline } = sessions;
        let cache = spec.cache_bytes_max.and_then(|bytes_max| {
            let metrics = metrics.cache(&spec.model, spec.number);
            ResponseCache::new(bytes_max, spec.queue_max, metrics, record.clone())
        });
        let run_times = spec.limits.run_times.clone();
        let crew = Crew::new(model, record.clone(), run_times, supervisor, inline, cache.clone());
        let interrupts = sessions.iter().map(|session| session.interrupt()).collect();
        let queue = Queue::new(spec.queue_max, spec.limits.clone(), interrupts, crew.inline().cloned());
        let (workers, share) = (sessions.len(), cores.share(&spec.model));
        let held_by_workers = Arc::downgrade(&crew);
        for (index, session) in sessions.into_iter().enumerate() {
            let turns = (share.clone(), spec.limits.run_cores);
            let worker = Worker::new(queue.jobs(), queue.runs().clone(), index, turns, crew.clone());
            let alive = metrics.worker();
            // Names of threads are cut at 15 bytes by the system.
            let name = format!("run-{}-{}", spec.number, spec.model);
            let niceness = spec.limits.run_niceness;
            thread::Builder::new().name(name).spawn(move || {
                stand_back(niceness);
                worker.work(session);
                drop(alive);
            })?;
        }
        Ok(Arc::new(Self { spec, workers, cache, queue, share, record, crew: held_by_workers }))
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

    /// The most requests that may wait at the moment: never more than `queue_max`.
    #[must_use]
    pub fn queue_limit(&self) -> usize {
        self.queue.limit()
    }

    /// Its response cache, where it has one.
    #[must_use]
    pub fn cache(&self) -> Option<&Arc<ResponseCache>> {
        self.cache.as_ref()
    }

    /// What is counted of it. It outlives the version.
    #[must_use]
    pub fn record(&self) -> &Arc<Record> {
        self.record.record()
    }
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.spec.model, self.spec.number)
    }
}
