//! What is decided of a version before it serves: how its requests wait, and how many rows are run at once.

use std::sync::Arc;
use std::time::Duration;

use pointsman_core::{QueueDelay, SizeTime};

/// How a version's requests wait and are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// The most rows of several requests that are run together; 1 where each is run alone.
    pub batch_rows_max: u64,
    /// Numbers of rows that are run together as soon as they are there, ascending; where others wait as well, the
    /// largest of these that there is.
    pub batch_rows_preferred: Arc<[u64]>,
    /// How long a request waits for others to be run with.
    pub batch_delay: Duration,
    /// A request of more rows than this is cut, and its answer put together again; nothing where none is.
    pub part_rows_max: Option<u64>,
    /// The most rows that are run on the thread of a request; 0 where none are.
    pub inline_rows_max: u64,
    /// Threads that one run may use.
    pub run_cores: usize,
    /// By how much workers are nicer than the threads that serve connections, 0 to 19 (`nice(2)`).
    pub run_niceness: u32,
    /// How long a request is let wait for a worker before those that come are refused.
    pub queue_delay: QueueDelay,
    /// Which priorities requests can have.
    pub priorities: Priorities,
    /// How long runs take.
    pub run_times: RunTimes,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            batch_rows_max: 1,
            batch_rows_preferred: Arc::new([]),
            batch_delay: Duration::ZERO,
            part_rows_max: None,
            inline_rows_max: 0,
            run_cores: 1,
            run_niceness: 0,
            queue_delay: QueueDelay::Off,
            priorities: Priorities::default(),
            run_times: RunTimes::default(),
        }
    }
}

/// The priorities of requests: 1 comes first. There is one where the model does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priorities {
    /// How many there are.
    pub levels: u32,
    /// That of a request which says none, or one that there is not.
    pub default: u32,
}

impl Default for Priorities {
    fn default() -> Self {
        Self { levels: 1, default: 1 }
    }
}

impl Priorities {
    /// The level of a request that asked for this one. 0 asks for none, as in Triton.
    #[must_use]
    pub fn level(&self, asked: u64) -> u32 {
        u32::try_from(asked).ok().filter(|level| (1..=self.levels).contains(level)).unwrap_or(self.default)
    }
}

/// How long runs take by their number of rows, as it was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunTimes(Arc<[SizeTime]>);

impl RunTimes {
    /// Of what was measured, ascending by rows.
    #[must_use]
    pub fn new(sizes: &[SizeTime]) -> Self {
        Self(sizes.into())
    }

    /// What a run of so many rows takes at least: the quicker half of those measured of the largest size that is not
    /// larger. Zero where nothing was measured.
    #[must_use]
    pub fn least(&self, rows: u64) -> Duration {
        let size = self.0.iter().rev().find(|size| size.rows <= rows);
        size.map_or(Duration::ZERO, |size| size.run_time.median.saturating_sub(size.run_time.spread))
    }

    /// What a run of so many rows takes: that of the smallest size that is not smaller, or of the largest.
    #[must_use]
    pub fn usual(&self, rows: u64) -> Option<Duration> {
        let size = self.0.iter().find(|size| size.rows >= rows).or(self.0.last());
        size.map(|size| size.run_time.median)
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::RunTime;

    use super::*;

    #[test]
    fn a_priority_that_there_is_not_is_the_default() {
        let priorities = Priorities { levels: 3, default: 2 };
        assert_eq!([0, 1, 2, 3, 4, u64::MAX].map(|asked| priorities.level(asked)), [2, 1, 2, 3, 2, 2]);
        assert_eq!(Priorities::default().level(7), 1);
    }

    #[test]
    fn run_times_between_what_was_measured_are_bounded_by_it() {
        let size = |rows, micros| {
            let (median, spread) = (Duration::from_micros(micros), Duration::from_micros(micros / 10));
            SizeTime { rows, run_time: RunTime { median, spread, runs: 9 }, slowest: median }
        };
        let times = RunTimes::new(&[size(1, 100), size(8, 400)]);
        let micros = |rows| (times.least(rows).as_micros(), times.usual(rows).expect("measured").as_micros());
        assert_eq!(
            [micros(1), micros(7), micros(8), micros(99)],
            [(90, 100), (90, 400), (360, 400), (360, 400)]
        );
        assert_eq!((RunTimes::default().least(1), RunTimes::default().usual(1)), (Duration::ZERO, None));
    }
}
