//! What one version has done, by however many loads, in the terms of the V2 statistics extension.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use pointsman_core::StageTimes;

use crate::recent::Recent;

/// A count and the time that its events took together.
#[derive(Debug, Default)]
pub struct CountedTime {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl CountedTime {
    fn add(&self, time: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How many, and how long in all.
    #[must_use]
    pub fn read(&self) -> (u64, Duration) {
        let nanoseconds = self.nanoseconds.load(Ordering::Relaxed);
        (self.count.load(Ordering::Relaxed), Duration::from_nanos(nanoseconds))
    }
}

/// The counters of one version.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Requests answered, from their headers to the answer.
    pub success: CountedTime,
    /// Requests that reached the version and got no answer from it.
    pub fail: CountedTime,
    /// Time in the queue.
    pub queue: CountedTime,
    /// Time from the queue to the run.
    pub batch: CountedTime,
    /// Time in the run.
    pub run: CountedTime,
    /// Requests answered without a run of their own, and the time that it took to look.
    pub cache_hit: CountedTime,
    /// Requests that were looked for in vain, and the time that it took to look.
    pub cache_miss: CountedTime,
    /// Runs that succeeded, of one request or several together.
    pub executions: CountedTime,
    /// The last answers.
    pub recent: Recent,
    panics: AtomicU64,
    rows: AtomicU64,
    last_answer_ms: AtomicU64,
}

impl Statistics {
    /// Counts one answered request.
    pub(crate) fn answered(&self, times: &StageTimes, rows: u64, total: Duration) {
        self.success.add(total);
        self.recent.push(total);
        self.queue.add(times.queue);
        if !times.cached {
            self.batch.add(times.batch);
            self.run.add(times.run);
            self.rows.fetch_add(rows, Ordering::Relaxed);
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.last_answer_ms.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts one run.
    pub(crate) fn ran(&self, time: Duration) {
        self.executions.add(time);
    }

    /// Counts one request that was found in the cache.
    pub(crate) fn hit(&self, time: Duration) {
        self.cache_hit.add(time);
    }

    /// Counts one request that was not.
    pub(crate) fn missed(&self, time: Duration) {
        self.cache_miss.add(time);
    }

    /// Counts one request that failed.
    pub(crate) fn failed(&self, total: Duration) {
        self.fail.add(total);
    }

    /// Counts one run that panicked.
    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs that panicked.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Rows answered by runs.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// When the last request was answered, in milliseconds since 1970; 0 for never.
    #[must_use]
    pub fn last_answer_ms(&self) -> u64 {
        self.last_answer_ms.load(Ordering::Relaxed)
    }
}
