//! One comparison, as the thread of its shadow and those who read share it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use pointsman_core::Pair;
use pointsman_observe::{Comparison, Totals};
use pointsman_predict::{Accounting, Observer};

use super::{Busy, drop_into};
use crate::monitoring::sample_log::Answers;

/// How long a reader waits for a shadow's thread.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// A comparison that a shadow feeds.
pub(super) struct Entry {
    comparison: Mutex<Comparison>,
    totals: Latest,
    answers: Option<Arc<Answers>>,
    since: Instant,
    /// In microseconds after `since`.
    touched: AtomicU64,
}

impl Entry {
    pub(super) fn new(comparison: Comparison, since: Instant, answers: Option<Arc<Answers>>) -> Self {
        let (totals, touched) = (Latest::default(), AtomicU64::default());
        let entry = Self { comparison: Mutex::new(comparison), totals, answers, since, touched };
        entry.touch();
        entry
    }

    /// Notes that it is in use.
    pub(super) fn touch(&self) {
        let micros = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.touched.store(micros, Ordering::Relaxed);
    }

    /// When it was in use last.
    pub(super) fn touched(&self) -> u64 {
        self.touched.load(Ordering::Relaxed)
    }

    /// What was counted. Waits for nobody.
    pub(super) fn totals(&self) -> Totals {
        self.totals.read()
    }

    /// Reads the comparison.
    ///
    /// # Errors
    /// [`Busy`] where the thread of the shadow has it, and is held up.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Comparison) -> T) -> Result<T, Busy> {
        self.comparison.try_lock_for(READ_TIMEOUT).map(|comparison| read(&comparison)).ok_or(Busy)
    }

    /// The comparison as it is.
    ///
    /// # Errors
    /// As [`Entry::read`].
    pub(super) fn copy(&self) -> Result<Comparison, Busy> {
        self.read(Clone::clone)
    }

    /// Has it as a thread would that is held up.
    #[cfg(test)]
    pub(super) fn hold(&self) -> impl Drop + '_ {
        self.comparison.lock()
    }
}

impl Observer for Entry {
    fn paired(&self, pair: &Pair<'_>) {
        let (before, now) = {
            let mut comparison = self.comparison.lock();
            let before = comparison.totals();
            comparison.push(pair);
            let now = comparison.totals();
            self.totals.write(now);
            (before, now)
        };
        self.touch();
        if let Some(answers) = &self.answers {
            let disagrees = (now.answered > before.answered).then_some(now.disagreed > before.disagreed);
            answers.tell(pair, disagrees);
        }
    }

    fn ended(&self, accounting: &Accounting) {
        drop_into(&mut self.comparison.lock(), accounting);
    }
}

/// The latest totals: two places, of which the one that is not read is written.
///
/// One thread writes, and may be held up while it does. Nobody waits for it then, as what counts lies in the other place.
#[derive(Default)]
struct Latest {
    places: [RwLock<Totals>; 2],
    /// The place that is read.
    read: AtomicUsize,
}

impl Latest {
    /// Called by one thread at a time.
    fn write(&self, totals: Totals) {
        let next = 1 - self.read.load(Ordering::Relaxed);
        *self.places[next].write() = totals;
        self.read.store(next, Ordering::Release);
    }

    fn read(&self) -> Totals {
        loop {
            let place = self.read.load(Ordering::Acquire);
            // Taken only where it has ceased to be the one that is read: then there are newer totals in the other.
            if let Some(totals) = self.places[place].try_read()
                // And what is written there meanwhile does not count yet: the next reader would find less.
                && self.read.load(Ordering::Acquire) == place
            {
                return *totals;
            }
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_those_of_one_moment_and_never_go_back() {
        let latest = Latest::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=20_000 {
                    latest.write(Totals { pairs: n, answered: n, floor_pairs: n, ..Totals::default() });
                }
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut before = 0;
                    while before < 20_000 {
                        let Totals { pairs, answered, floor_pairs, .. } = latest.read();
                        assert!(pairs == answered && pairs == floor_pairs && pairs >= before);
                        before = pairs;
                    }
                });
            }
        });
    }

    #[test]
    fn a_writer_that_is_held_up_holds_no_reader_up() {
        let latest = Latest::default();
        latest.write(Totals { pairs: 1, ..Totals::default() });
        let held_up = latest.places[1 - latest.read.load(Ordering::Relaxed)].write();
        assert_eq!(latest.read().pairs, 1);
        drop(held_up);
    }
}
