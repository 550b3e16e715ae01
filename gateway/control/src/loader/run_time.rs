//! How long the runs of a version take, and whether that is too long beside the version that serves.

use std::fmt;
use std::time::{Duration, Instant};

use pointsman_core::RunTime;

/// The most runs that are measured.
pub(super) const RUNS_MAX: usize = 30;
/// How long is measured.
const BUDGET: Duration = Duration::from_millis(200);
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

/// Measures runs until there are enough or they took long enough; `run` gives what one took, or nothing where
/// it failed. Nothing where none succeeded.
pub(super) fn measure<E>(mut run: impl FnMut() -> Result<Option<Duration>, E>) -> Result<Option<RunTime>, E> {
    let from = Instant::now();
    let mut took = Vec::with_capacity(RUNS_MAX);
    while took.len() < RUNS_MAX && (took.is_empty() || from.elapsed() < BUDGET) {
        match run()? {
            Some(time) => took.push(time),
            None => break,
        }
    }
    Ok(of(took))
}

/// The run time that these measurements make.
fn of(mut took: Vec<Duration>) -> Option<RunTime> {
    took.sort_unstable();
    let at = |quarter: usize| took.get((took.len().checked_sub(1)?) * quarter / 4).copied();
    Some(RunTime { median: at(2)?, spread: at(3)?.saturating_sub(at(1)?), runs: took.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(median: u64) -> RunTime {
        RunTime { median: Duration::from_micros(median), spread: Duration::ZERO, runs: 1 }
    }

    #[test]
    fn median_and_spread_are_those_of_the_sorted_runs() {
        let took = |micros: &[u64]| micros.iter().map(|&m| Duration::from_micros(m)).collect::<Vec<_>>();
        assert_eq!(of(Vec::new()), None);
        assert_eq!(of(took(&[7])), Some(RunTime { runs: 1, ..micros(7) }));
        let found = of(took(&[50, 10, 40, 20, 30])).expect("five runs");
        assert_eq!((found.median, found.spread), (Duration::from_micros(30), Duration::from_micros(20)));
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

    #[test]
    fn measuring_ends_at_the_most_runs_and_at_a_failure() {
        let mut runs = 0;
        let found = measure::<()>(|| {
            runs += 1;
            Ok(Some(Duration::from_micros(1)))
        });
        assert_eq!((runs, found.expect("no fault").expect("runs").runs), (RUNS_MAX, RUNS_MAX));
        assert_eq!(measure::<()>(|| Ok(None)), Ok(None));
        assert_eq!(measure(|| Err("too long")), Err("too long"));
    }
}
