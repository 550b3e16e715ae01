//! How long runs took, of both sides on the same inputs.

use pointsman_core::StageTimes;
use pointsman_stats::Tally;

use crate::quantiles::Quantiles;

/// A run so many times as long as the primary's counts as slower.
pub(crate) const SLOWER_RATIO: f64 = 1.25;

/// Times of runs in seconds, of pairs in which both ran.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latency {
    pub(crate) primary: Quantiles,
    pub(crate) shadow: Quantiles,
    /// The shadow's less the primary's.
    pub(crate) difference: Quantiles,
    pub(crate) slower: Tally,
    /// How long the shadow's had to wait. It runs on what others leave, so this says nothing of the version.
    pub(crate) queue: Quantiles,
}

impl Latency {
    /// Takes a pair in. An answer from a cache has no run to be compared.
    pub(crate) fn push(&mut self, primary: &StageTimes, shadow: &StageTimes) {
        if primary.cached || shadow.cached {
            return;
        }
        let (here, there) = (primary.run.as_secs_f64(), shadow.run.as_secs_f64());
        self.primary.push(here);
        self.shadow.push(there);
        self.difference.push(there - here);
        self.slower.push(there > SLOWER_RATIO * here);
        self.queue.push(shadow.queue.as_secs_f64());
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.primary.merge(&other.primary);
        self.shadow.merge(&other.shadow);
        self.difference.merge(&other.difference);
        self.slower = self.slower.and(other.slower);
        self.queue.merge(&other.queue);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn differences_are_of_the_same_inputs_and_a_cached_answer_has_none() {
        let times =
            |ms, cached| StageTimes { run: Duration::from_millis(ms), cached, ..StageTimes::default() };
        let mut latency = Latency::default();
        for (primary, shadow) in [(10, 12), (10, 13), (20, 10)] {
            latency.push(&times(primary, false), &times(shadow, false));
        }
        latency.push(&times(0, true), &times(50, false));
        assert_eq!((latency.difference.count(), latency.slower.hits()), (3, 1));
        assert!((latency.difference.at(0.0).expect("pairs") + 0.01).abs() < 1e-9);
        assert!((latency.difference.at(1.0).expect("pairs") - 0.003).abs() < 1e-9);
    }
}
