//! How long a line may be: as long as whoever joins is served in time.
//!
//! A fixed number of places is a guess: the same hundred are a millisecond of one model and a minute of another. So the
//! number follows from how long those wait who are taken out. A burst may fill the line, as it empties again; but where
//! even the shortest wait of a while is over the target, the line does not get shorter by itself ("standing queue":
//! Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 2012), every wait is as long as the line, and the limit
//! is brought down by as much as the wait is too long. It is raised again where requests are refused and waits are
//! short.

use std::time::{Duration, Instant};

use pointsman_core::QueueDelay;

use crate::limits::RunLimits;

/// The shortest stretch of time that waits are looked at together.
const WINDOW: Duration = Duration::from_millis(100);
/// The fewest waits that are looked at together.
const WAITS_MIN: u32 = 4;
/// The most by which the limit is raised, and lowered, at once.
const RISE_MAX: f64 = 1.25;
const FALL_MAX: f64 = 0.5;
/// The lowest limit for each worker: one job more than it runs could hardly keep it busy.
const PER_WORKER_MIN: usize = 2;
/// The target by run time: so many runs, and no less than this. At 80 % of what one worker can do, one request in a
/// hundred waits for nine runs (M/D/1): who is let in under overload waits no longer than that.
const TARGET_RUNS: u32 = 8;
const TARGET_MIN: Duration = Duration::from_millis(20);

/// The limit of one line.
#[derive(Debug)]
pub(crate) struct Congestion {
    /// How long a wait may be; nothing where it may be any.
    target: Option<Duration>,
    least: usize,
    most: usize,
    limit: f64,
    window: Window,
}

#[derive(Debug)]
struct Window {
    /// None before the first wait.
    since: Option<Instant>,
    waits: u32,
    shortest: Duration,
    /// The longest that the line was.
    longest: usize,
    refused: bool,
}

const EMPTY: Window = Window { since: None, waits: 0, shortest: Duration::MAX, longest: 0, refused: false };

impl Congestion {
    /// For a line of `places`, before so many workers. It begins with what the measured run times say.
    pub(crate) fn new(limits: &RunLimits, places: usize, workers: usize) -> Self {
        let rows = limits.batch_rows_max.max(1);
        let run = limits.run_times.usual(rows);
        let target = match limits.queue_delay {
            QueueDelay::Off => None,
            QueueDelay::Within(target) => Some(target),
            QueueDelay::Auto => Some(run.map_or(TARGET_MIN, |run| (run * TARGET_RUNS).max(TARGET_MIN))),
        };
        let least = (workers * PER_WORKER_MIN).clamp(1, places);
        let served = |(target, run): (Duration, Duration)| {
            target.as_secs_f64() / run.as_secs_f64() * rows as f64 * workers as f64
        };
        let first = target.zip(run.filter(|run| !run.is_zero())).map(served);
        let limit = first.unwrap_or(f64::INFINITY).clamp(least as f64, places as f64);
        Self { target, least, most: places, limit, window: EMPTY }
    }

    /// The most jobs that may wait.
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// How long a job may wait where more than the least come.
    pub(crate) fn target(&self) -> Option<Duration> {
        self.target
    }

    /// A job was refused for the limit's sake.
    pub(crate) fn refused(&mut self) {
        self.window.refused = true;
    }

    /// A job that waited so long was taken out of a line of so many.
    pub(crate) fn waited(&mut self, wait: Duration, line: usize, now: Instant) {
        let Some(target) = self.target else { return };
        let window = &mut self.window;
        window.waits += 1;
        window.shortest = window.shortest.min(wait);
        window.longest = window.longest.max(line);
        let since = *window.since.get_or_insert(now);
        if window.waits < WAITS_MIN || now.saturating_duration_since(since) < WINDOW {
            return;
        }
        let Window { shortest, longest, refused, .. } = std::mem::replace(window, EMPTY);
        let gradient = target.as_secs_f64() / shortest.as_secs_f64().max(f64::MIN_POSITIVE);
        if shortest > target {
            self.limit = self.limit.min(longest as f64) * gradient.max(FALL_MAX);
        } else if refused {
            self.limit = self.limit * gradient.min(RISE_MAX) + 1.0;
        }
        self.limit = self.limit.clamp(self.least as f64, self.most as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use pointsman_core::{RunTime, SizeTime};

    use super::*;
    use crate::limits::RunTimes;

    fn limits(run: Option<Duration>, queue_delay: QueueDelay) -> RunLimits {
        let size = |median| SizeTime {
            rows: 1,
            run_time: RunTime { median, spread: Duration::ZERO, runs: 9 },
            slowest: median,
        };
        let sizes: Vec<SizeTime> = run.map(size).into_iter().collect();
        RunLimits { queue_delay, run_times: RunTimes::new(&sizes), ..RunLimits::default() }
    }

    /// One worker that runs each job for `run`, one arrival every `gap`: the waits of those served in the second
    /// half, and how many were refused, in so many arrivals.
    fn simulated(
        congestion: &mut Congestion,
        run: Duration,
        gap: Duration,
        arrivals: u32,
    ) -> (Vec<Duration>, u32) {
        // Behind whatever was simulated before.
        let start = congestion.window.since.unwrap_or_else(Instant::now) + Duration::from_secs(60);
        let mut line: VecDeque<Instant> = VecDeque::new();
        let (mut free_at, mut waits, mut refused) = (start, Vec::new(), 0);
        for n in 0..arrivals {
            let now = start + gap * n;
            while let Some(&first) = line.front()
                && free_at.max(first) <= now
            {
                let begin = free_at.max(first);
                congestion.waited(begin - first, line.len(), begin);
                line.pop_front();
                if n > arrivals / 2 {
                    waits.push(begin - first);
                }
                free_at = begin + run;
            }
            if line.len() < congestion.limit() {
                line.push_back(now);
            } else {
                congestion.refused();
                refused += 1;
            }
        }
        (waits, refused)
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn ten_times_too_many_wait_no_longer_than_the_target() {
        for run in [None, Some(5 * MS), Some(MS / 10)] {
            let mut congestion = Congestion::new(&limits(run, QueueDelay::Auto), 512, 1);
            let (waits, refused) = simulated(&mut congestion, 5 * MS, MS / 2, 40_000);
            let longest = waits.iter().max().expect("some are served");
            assert!(*longest <= 50 * MS, "{run:?}: {longest:?}, limit {}", congestion.limit());
            // The line is never empty: all that can be done is done.
            assert!(waits.iter().all(|wait| *wait > Duration::ZERO), "{run:?}");
            assert!(refused > 30_000, "{refused}");
        }
    }

    #[test]
    fn a_line_that_empties_has_all_its_places() {
        let mut congestion = Congestion::new(&limits(None, QueueDelay::Auto), 64, 1);
        let (_, refused) = simulated(&mut congestion, MS, 2 * MS, 10_000);
        assert_eq!((congestion.limit(), refused), (64, 0));
        // A burst that is over within the window.
        let start = Instant::now();
        for n in 0..60 {
            congestion.waited(n * MS, 60 - n as usize, start + n * MS);
        }
        congestion.waited(Duration::ZERO, 0, start + 200 * MS);
        assert_eq!(congestion.limit(), 64);
    }

    #[test]
    fn the_limit_comes_back_where_runs_get_short_again() {
        let mut congestion = Congestion::new(&limits(None, QueueDelay::Auto), 512, 1);
        simulated(&mut congestion, 5 * MS, MS / 2, 20_000);
        assert!(congestion.limit() < 20);
        simulated(&mut congestion, MS / 10, MS / 20, 200_000);
        assert!(congestion.limit() > 100, "{}", congestion.limit());
    }

    #[test]
    fn it_begins_with_what_is_known_and_never_goes_below_what_keeps_workers_busy() {
        let first =
            |run, delay, places, workers| Congestion::new(&limits(run, delay), places, workers).limit();
        assert_eq!(first(None, QueueDelay::Auto, 512, 2), 512);
        assert_eq!(first(Some(5 * MS), QueueDelay::Auto, 512, 2), 16);
        assert_eq!(first(Some(1000 * MS), QueueDelay::Auto, 512, 2), 16);
        assert_eq!(first(Some(1000 * MS), QueueDelay::Within(MS), 512, 2), 4);
        assert_eq!(first(Some(1000 * MS), QueueDelay::Within(MS), 1, 2), 1);
        assert_eq!(first(Some(MS), QueueDelay::Off, 512, 2), 512);
    }
}
