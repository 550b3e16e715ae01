//! What became of exchanges that were offered: `offered = answered + dropped + held`, at every moment of rest.

use std::sync::atomic::{AtomicU64, Ordering};

use pointsman_core::{LoadTenth, ShadowDrop};

/// How many exchanges were dropped for each reason, in the order of [`ShadowDrop::ALL`], at each tenth of the primary's
/// load.
pub type Drops = [[u64; LoadTenth::COUNT]; ShadowDrop::ALL.len()];

/// What became of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// All that were offered.
    pub offered: u64,
    /// Those that the shadow answered, be it that it refuses the inputs.
    pub answered: u64,
    /// Those that it did not, by reason and load.
    pub dropped: Drops,
    /// Those that wait or run.
    pub held: u64,
    /// Bytes of these.
    pub held_bytes: u64,
}

impl Accounting {
    /// Those dropped for one reason.
    #[must_use]
    pub fn dropped(&self, reason: ShadowDrop) -> u64 {
        self.dropped[reason as usize].iter().sum()
    }

    /// Whether each that was offered is accounted for.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let dropped: u64 = self.dropped.iter().flatten().sum();
        self.offered == self.answered + dropped + self.held
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    offered: AtomicU64,
    answered: AtomicU64,
    dropped: [[AtomicU64; LoadTenth::COUNT]; ShadowDrop::ALL.len()],
}

impl Counts {
    pub(crate) fn offered(&self) {
        self.offered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self, reason: ShadowDrop, load: LoadTenth) {
        self.dropped[reason as usize][load.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, (held, held_bytes): (usize, usize)) -> Accounting {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut dropped = Drops::default();
        for (row, counts) in dropped.iter_mut().zip(&self.dropped) {
            row.iter_mut().zip(counts).for_each(|(cell, count)| *cell = read(count));
        }
        Accounting {
            offered: read(&self.offered),
            answered: read(&self.answered),
            dropped,
            held: held as u64,
            held_bytes: held_bytes as u64,
        }
    }
}
