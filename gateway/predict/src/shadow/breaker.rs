//! Whether a shadow that keeps failing rests.
//!
//! The thread that runs it says how runs end; threads of requests ask. So all of it is in atomics: none of those may wait
//! for a thread of the lowest class.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Opens after some failures in a row, for a time that doubles as long as the first run afterwards fails.
#[derive(Debug)]
pub(crate) struct Breaker {
    failures_max: u32,
    backoff: Duration,
    backoff_max: Duration,
    base: Instant,
    /// In milliseconds since `base`; 0 where it is closed.
    open_until: AtomicU64,
    failures: AtomicU32,
    /// How often it has opened since the last success.
    opened: AtomicU32,
}

impl Breaker {
    /// A closed one.
    pub(crate) fn new(failures_max: u32, backoff: Duration, backoff_max: Duration, now: Instant) -> Self {
        let zero = AtomicU32::default;
        Self {
            failures_max: failures_max.max(1),
            backoff,
            backoff_max,
            base: now,
            open_until: AtomicU64::default(),
            failures: zero(),
            opened: zero(),
        }
    }

    /// Whether nothing is run at the moment. From the end of its time on the next run is a trial.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.open_until.load(Ordering::Relaxed) > self.milliseconds(now)
    }

    /// A run succeeded. Whether it was open before.
    pub(crate) fn succeeded(&self) -> bool {
        self.failures.store(0, Ordering::Relaxed);
        self.open_until.store(0, Ordering::Relaxed);
        self.opened.swap(0, Ordering::Relaxed) > 0
    }

    /// A run failed. For how long it opens, where it does.
    pub(crate) fn failed(&self, now: Instant) -> Option<Duration> {
        let failures = self.failures.load(Ordering::Relaxed).saturating_add(1);
        self.failures.store(failures, Ordering::Relaxed);
        let opened = self.opened.load(Ordering::Relaxed);
        // A trial that fails is enough.
        if opened == 0 && failures < self.failures_max {
            return None;
        }
        let rest = self.backoff.saturating_mul(1 << opened.min(16)).min(self.backoff_max);
        self.opened.store(opened.saturating_add(1), Ordering::Relaxed);
        let until = self.milliseconds(now).saturating_add(rest.as_millis() as u64).max(1);
        self.open_until.store(until, Ordering::Relaxed);
        Some(rest)
    }

    fn milliseconds(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.base).as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_opens_after_failures_in_a_row_and_rests_longer_each_time() {
        let start = Instant::now();
        let breaker = Breaker::new(3, SECOND, SECOND * 5, start);
        let at = |seconds| start + SECOND * seconds;
        assert_eq!([1, 2].map(|_| breaker.failed(at(0))), [None, None]);
        assert!(!breaker.succeeded() && !breaker.is_open(at(0)));
        assert_eq!([1, 2, 3].map(|_| breaker.failed(at(0))), [None, None, Some(SECOND)]);
        assert!(breaker.is_open(at(0)) && !breaker.is_open(at(1)));
        // One trial that fails is enough from here on.
        assert_eq!(breaker.failed(at(1)), Some(SECOND * 2));
        assert!(breaker.is_open(at(2)) && !breaker.is_open(at(3)));
        assert_eq!([3, 8, 20].map(|s| breaker.failed(at(s))), [SECOND * 4, SECOND * 5, SECOND * 5].map(Some));
        assert!(breaker.succeeded() && !breaker.is_open(at(20)));
        assert_eq!(breaker.failed(at(21)), None);
        assert!(!breaker.succeeded());
    }
}
