//! What the workers of one version have in common: the model that gives sessions, the count of their
//! crashes, and who is told of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pointsman_core::{Interrupt, LoadedModel, Session};

use crate::cache::ResponseCache;
use crate::crashes::Crashes;
use crate::lead::Inline;
use crate::limits::RunTimes;
use crate::queue::RunSlot;
use crate::record::{Counting, Record};
use crate::supervisor::Supervisor;

/// A session, and what interrupts its runs.
pub(crate) type Spare = (Box<dyn Session>, Arc<dyn Interrupt>);

/// Shared by the workers of a version; dropped by the last one to end.
pub(crate) struct Crew {
    /// Taken when the crew is dropped.
    model: Option<Box<dyn LoadedModel>>,
    record: Counting,
    run_times: RunTimes,
    crashes: Mutex<Crashes>,
    supervisor: Arc<dyn Supervisor>,
    /// Runs on threads of requests, and is freed on a worker's.
    inline: Option<Arc<Inline>>,
    /// Filled on threads of requests, and emptied on a worker's.
    cache: Option<Arc<ResponseCache>>,
}

impl Crew {
    pub(crate) fn new(
        model: Box<dyn LoadedModel>,
        record: Counting,
        run_times: RunTimes,
        supervisor: Arc<dyn Supervisor>,
        inline: Option<Box<dyn Session>>,
        cache: Option<Arc<ResponseCache>>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|crew| Self {
            model: Some(model),
            record,
            run_times,
            crashes: Mutex::default(),
            supervisor,
            inline: inline.map(|session| Inline::new(session, crew.clone())),
            cache,
        })
    }

    /// The session for the threads of requests.
    pub(crate) fn inline(&self) -> Option<&Arc<Inline>> {
        self.inline.as_ref()
    }

    /// What is counted of the version.
    pub(crate) fn record(&self) -> &Record {
        self.record.record()
    }

    /// How long runs take.
    pub(crate) fn run_times(&self) -> &RunTimes {
        &self.run_times
    }

    /// Another session, whose runs are interrupted by `slot` from now on.
    ///
    /// # Errors
    /// What the runtime said.
    pub(crate) fn session(&self, slot: &RunSlot) -> Result<Box<dyn Session>, String> {
        let (session, interrupt) = self.spare()?;
        slot.renew(interrupt);
        Ok(session)
    }

    /// Another session, whose runs its owner interrupts.
    ///
    /// # Errors
    /// What the runtime said.
    pub(crate) fn spare(&self) -> Result<Spare, String> {
        let another = || {
            let model = self.model.as_ref().ok_or("the model is gone")?;
            let session = model.session().map_err(|error| error.to_string())?;
            let interrupt = session.interrupt();
            Ok((session, interrupt))
        };
        catch_unwind(AssertUnwindSafe(another)).unwrap_or_else(|_| Err("the runtime panicked".into()))
    }

    /// A session panicked in a run.
    pub(crate) fn panicked(&self) {
        self.record.record().metrics.panicked();
        self.record.record().statistics().panicked();
        self.crashed();
    }

    /// Runs on the threads of requests take longer than what was measured: they are the workers' from now on.
    pub(crate) fn runs_long(&self, time: Duration) {
        let (model, version) = (self.record.record().model(), self.record.record().number().get());
        tracing::warn!(%model, version, ?time, "runs take far longer than what was measured; workers take them over");
    }

    /// There is no session in place of one that panicked.
    pub(crate) fn not_replaced(&self, reason: &str) {
        let (model, version) = (self.record.record().model(), self.record.record().number().get());
        tracing::warn!(%model, version, "a session that panicked could not be replaced: {reason}");
        self.crashed();
    }

    /// The calling worker has nothing left to answer.
    pub(crate) fn retiring(&self) {
        self.supervisor.retiring();
    }

    fn crashed(&self) {
        let report = self.crashes.lock().crashed(Instant::now());
        if let Some(crashes) = report {
            self.supervisor.crashing(crashes);
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        free(self.inline.as_ref().and_then(|inline| inline.take()));
        free(self.model.take());
        if let Some(cache) = &self.cache {
            cache.clear();
        }
        self.supervisor.gone();
    }
}

/// Drops a part of a runtime, which may panic where it is half broken.
pub(crate) fn free<T>(part: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(part))).is_err() {
        tracing::warn!("the runtime panicked while a session was freed");
    }
}
