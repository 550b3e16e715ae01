//! When a version keeps crashing: so many crashes within so short a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many crashes within [`WINDOW`] are reported, and after that only as many again.
const REPORTED: usize = 5;

/// How far apart the crashes of one report may lie.
const WINDOW: Duration = Duration::from_secs(60);

/// The crashes of one version.
#[derive(Debug, Default)]
pub(crate) struct Crashes {
    /// Those not reported yet and not too long ago; never more than [`REPORTED`].
    recent: VecDeque<Instant>,
    count: u32,
}

impl Crashes {
    /// Counts one more. Gives the number of all where it is time to report.
    pub(crate) fn crashed(&mut self, now: Instant) -> Option<u32> {
        self.count = self.count.saturating_add(1);
        self.recent.push_back(now);
        self.recent.retain(|&then| now.saturating_duration_since(then) <= WINDOW);
        if self.recent.len() < REPORTED {
            return None;
        }
        self.recent.clear();
        Some(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reports of crashes at these seconds.
    fn reports(seconds: impl IntoIterator<Item = u64>) -> Vec<Option<u32>> {
        let start = Instant::now();
        let mut crashes = Crashes::default();
        seconds.into_iter().map(|second| crashes.crashed(start + Duration::from_secs(second))).collect()
    }

    #[test]
    fn five_within_a_minute_are_reported_and_then_five_more() {
        let mut expected = vec![None; 12];
        (expected[4], expected[9]) = (Some(5), Some(10));
        assert_eq!(reports(0..12), expected);
        assert_eq!(reports([0, 15, 30, 45, 60]), [None, None, None, None, Some(5)]);
    }

    #[test]
    fn crashes_that_lie_far_apart_are_not_reported() {
        assert_eq!(reports([0, 15, 30, 45, 61]), [None; 5]);
        assert!(reports((0..1000).map(|i| i * 16)).iter().all(Option::is_none));
        // The minute is that of the last ones, whatever was before.
        assert_eq!(reports([0, 100, 110, 120, 130, 140])[4..], [None, Some(6)]);
    }
}
