//! Whether the runs of a version take too long beside the version that serves.

use std::fmt;
use std::time::Duration;

use pointsman_core::RunTime;

/// A run that is longer by no more than this is not slower: it is less than a request spends elsewhere.
const SLACK: Duration = Duration::from_micros(100);

/// A version is slower than the one that serves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slower {
    /// Its run time.
    pub run_time: RunTime,
    /// That of the version that serves.
    pub beside: RunTime,
    /// How many times as long it may take.
    pub ratio_max: f64,
}

impl fmt::Display for Slower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run_time, beside, ratio_max } = self;
        write!(
            f,
            "a run takes {:?} (spread {:?}), more than {ratio_max} times the {:?} (spread {:?}) of the version that \
             serves",
            run_time.median, run_time.spread, beside.median, beside.spread
        )
    }
}

/// Whether a version is slower than the one that serves: in the median more than `ratio_max` times, and more
/// than a tenth of a millisecond.
pub(super) fn slower(run_time: RunTime, beside: RunTime, ratio_max: f64) -> Option<Slower> {
    let over = run_time.median > beside.median + SLACK;
    let many_times = run_time.median.as_secs_f64() > beside.median.as_secs_f64() * ratio_max;
    (over && many_times).then_some(Slower { run_time, beside, ratio_max })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(median: u64) -> RunTime {
        RunTime { median: Duration::from_micros(median), spread: Duration::ZERO, runs: 1 }
    }

    #[test]
    fn slower_is_many_times_and_by_more_than_the_slack() {
        for (now, beside, is_slower) in [
            (200, 100, false), // exactly twice
            (201, 100, true),
            (201, 101, false), // by exactly the slack
            (150, 1, true),
            (101, 1, false), // a hundred times, and nobody would feel it
            (5000, 2500, false),
            (5001, 2500, true),
            (50, 100, false),
        ] {
            assert_eq!(slower(micros(now), micros(beside), 2.0).is_some(), is_slower, "{now} {beside}");
        }
        let text = slower(micros(900), micros(100), 2.0).expect("slower").to_string();
        assert!(text.contains("900µs") && text.contains("more than 2 times the 100µs"), "{text}");
    }
}
