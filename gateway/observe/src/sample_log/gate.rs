//! The probability with which requests of one class are kept: lowered where there are more of them than may be.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The part of a cap that a steady stream spends.
const PLANNED: f64 = 0.5;
/// How fast the probability falls beyond that: with n requests beyond it is this part of the cap over n.
const FALL: f64 = 0.1;
/// The part of a cap that is spent ever more slowly.
const LAST: f64 = 0.25;

/// The least probability of a class that is kept at all: never nothing, or what is left out could not be weighted.
const LEAST: f64 = 1.0 / (1_u64 << 32) as f64;

/// A rate with a cap on how many are kept in a window.
///
/// The probability of a request depends on the requests before it alone, never on its own hash, and is what its row
/// says. So `1/probability` over the rows that are kept is an unbiased estimate of how many requests there were
/// (Horvitz and Thompson 1952, section 3), and its error is a martingale.
///
/// Within a window the rate holds until half of the cap is spent on average. From there it falls as 1/n with the n
/// requests that came beyond, so that the weights stay of the same order as n/cap, and in proportion to what is left of
/// the last quarter, which is hardly ever reached. A window begins with the rate that would have spent half of the cap
/// in the window before. Simulated for a cap of 120: where a window has five times as many requests as the one before,
/// 95 of 100 intervals hold the total, and 92 where it has twenty times as many; for a cap of 1000, 95 in both.
#[derive(Debug)]
pub(super) struct Gate {
    /// What is asked for.
    rate: f64,
    /// The most that is kept in a window; nothing for as many as come.
    cap: Option<u64>,
    /// The rate that this window began with, as bits.
    begun_with: AtomicU64,
    /// Requests of the class in this window.
    seen: AtomicU64,
    /// Those that were kept.
    kept: AtomicU64,
}

impl Gate {
    pub(super) fn new(rate: f64, cap: Option<u64>) -> Self {
        let begun_with = AtomicU64::new(rate.to_bits());
        Self { rate, cap, begun_with, seen: AtomicU64::default(), kept: AtomicU64::default() }
    }

    /// The probability of the next request.
    pub(super) fn probability(&self) -> f64 {
        let Some(cap) = self.cap.filter(|_| self.rate > 0.0) else { return self.rate };
        let begun_with = f64::from_bits(self.begun_with.load(Relaxed));
        let (cap, seen) = (cap as f64, self.seen.load(Relaxed) as f64);
        let beyond = seen - (PLANNED - FALL) * cap / begun_with;
        let falling = if beyond > 0.0 { (FALL * cap / beyond).min(begun_with) } else { begun_with };
        let left = (cap - self.kept.load(Relaxed) as f64) / (LAST * cap);
        (falling * left.clamp(0.0, 1.0)).max(LEAST * self.rate)
    }

    /// Counts a request of the class.
    pub(super) fn count(&self, is_kept: bool) {
        if self.cap.is_some() {
            self.seen.fetch_add(1, Relaxed);
            self.kept.fetch_add(u64::from(is_kept), Relaxed);
        }
    }

    /// Begins the next window.
    pub(super) fn turn(&self) {
        let Some(cap) = self.cap else { return };
        let seen = self.seen.swap(0, Relaxed) as f64;
        self.kept.store(0, Relaxed);
        let affordable = if seen > 0.0 { PLANNED * cap as f64 / seen } else { f64::INFINITY };
        self.begun_with.store(self.rate.min(affordable).to_bits(), Relaxed);
    }
}
