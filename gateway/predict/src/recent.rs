//! The last answers of a version: how long they took, and how many came in a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many are remembered.
const KEPT: usize = 4096;
/// The half of a cell that holds how long an answer took, in microseconds. The other is when it came, in milliseconds
/// after the first; one more, so that 0 is no answer.
const TIME_BITS: u32 = 32;

/// The last answers, of a fixed size, for threads that must not wait.
#[derive(Debug)]
pub struct Recent {
    from: Instant,
    next: AtomicU64,
    cells: Box<[AtomicU64]>,
}

/// What the last answers say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lately {
    /// How many they are.
    pub answers: usize,
    /// The median, the 95th and the 99th percentile of their times, in microseconds.
    pub quantiles_us: [u64; 3],
    /// How many came in a second, from the first of them until now.
    pub per_second: f64,
}

impl Default for Recent {
    fn default() -> Self {
        let cells = (0..KEPT).map(|_| AtomicU64::new(0)).collect();
        Self { from: Instant::now(), next: AtomicU64::new(0), cells }
    }
}

impl Recent {
    pub(crate) fn push(&self, total: Duration) {
        let at = u32::try_from(self.from.elapsed().as_millis()).unwrap_or(u32::MAX).max(1);
        let time = u32::try_from(total.as_micros()).unwrap_or(u32::MAX);
        let place = self.next.fetch_add(1, Ordering::Relaxed) as usize % KEPT;
        if let Some(cell) = self.cells.get(place) {
            cell.store(u64::from(at) << TIME_BITS | u64::from(time), Ordering::Relaxed);
        }
    }

    /// Which share of them took longer; nothing where there are none.
    #[must_use]
    pub fn share_over(&self, time: Duration) -> f64 {
        let most = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let all = self.cells.iter().map(|cell| cell.load(Ordering::Relaxed)).filter(|cell| *cell != 0);
        let (mut count, mut over) = (0_u32, 0_u32);
        for cell in all {
            count += 1;
            over += u32::from(cell & u64::from(u32::MAX) > most);
        }
        f64::from(over) / f64::from(count.max(1))
    }

    /// What they say now; nothing where there are none.
    #[must_use]
    pub fn read(&self) -> Option<Lately> {
        let now = self.from.elapsed();
        let all = self.cells.iter().map(|cell| cell.load(Ordering::Relaxed)).filter(|cell| *cell != 0);
        let (mut first, mut times) = (u64::MAX, Vec::new());
        for cell in all {
            first = first.min(cell >> TIME_BITS);
            times.push(cell & u64::from(u32::MAX));
        }
        times.sort_unstable();
        // The smallest time that so large a part is not over.
        let quantile = |part: f64| {
            let rank = (part * times.len() as f64).ceil() as usize;
            times.get(rank.saturating_sub(1)).copied()
        };
        let since = now.saturating_sub(Duration::from_millis(first)).as_secs_f64().max(0.001);
        Some(Lately {
            answers: times.len(),
            quantiles_us: [quantile(0.5)?, quantile(0.95)?, quantile(0.99)?],
            per_second: times.len() as f64 / since,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answers_are_read_and_no_others() {
        let recent = Recent::default();
        assert_eq!(recent.read(), None);
        for micros in 1..=100 {
            recent.push(Duration::from_micros(micros));
        }
        let lately = recent.read().expect("some answers");
        assert_eq!((lately.answers, lately.quantiles_us), (100, [50, 95, 99]));
        let shares = [0, 90, 100].map(|micros| recent.share_over(Duration::from_micros(micros)));
        assert_eq!(shares, [1.0, 0.1, 0.0]);
        for _ in 0..KEPT {
            recent.push(Duration::from_micros(7));
        }
        let lately = recent.read().expect("some answers");
        assert_eq!((lately.answers, lately.quantiles_us), (KEPT, [7; 3]));
        assert!(lately.per_second > 0.0);
        recent.push(Duration::MAX);
        assert!(recent.read().is_some());
    }
}
