//! When requests are due: a function of rate, pattern and seed alone, never of answers.

mod rates;
pub(crate) mod trace;

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;

pub(crate) use self::rates::Rates;

/// How the times between requests are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arrivals {
    /// The same time between any two.
    Constant,
    /// Independent of each other, as many unrelated callers send (a Poisson process).
    Poisson,
}

impl Arrivals {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
        }
    }
}

/// What decides when requests are due.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// A rate, and how it is spread.
    Rates(Rates, Arrivals),
    /// These moments, and no more.
    Trace(Arc<[Duration]>),
    /// A closed loop: the next one, when a place is free.
    Closed,
}

/// The times at which one thread's requests are due.
#[derive(Debug)]
pub(crate) struct Schedule<'a> {
    pattern: &'a Pattern,
    thread: usize,
    threads: usize,
    sent: usize,
    /// The requests of all threads that are due before the next one of a Poisson process.
    passed: f64,
    random: fastrand::Rng,
}

impl<'a> Schedule<'a> {
    /// The share of thread `thread` out of `threads` in a pattern.
    ///
    /// Constant arrivals of the threads lie evenly between each other; Poisson processes of a part of
    /// the rate each are together one of the whole rate.
    pub(crate) fn of_thread(pattern: &'a Pattern, thread: usize, threads: usize, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed.wrapping_add(thread as u64));
        Self { pattern, thread, threads, sent: 0, passed: 0.0, random }
    }
}

impl Iterator for Schedule<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // Multiplied rather than added up, so that no error grows over a long run.
        let index = self.thread + self.sent * self.threads;
        self.sent += 1;
        let seconds = match self.pattern {
            Pattern::Rates(rates, Arrivals::Constant) => rates.time_of(index as f64),
            Pattern::Rates(rates, Arrivals::Poisson) => {
                // The inverse of the exponential distribution; 1 - x is never 0. A rate that changes
                // changes the time that a request stands for.
                self.passed -= (1.0 - self.random.f64()).ln() * self.threads as f64;
                rates.time_of(self.passed)
            }
            Pattern::Trace(trace) => return trace.get(index).copied(),
            Pattern::Closed => 0.0,
        };
        // Beyond what a duration holds nothing is due any more.
        Duration::try_from_secs_f64(seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(arrivals: Arrivals, rate: f64) -> Pattern {
        Pattern::Rates(Rates::constant(rate), arrivals)
    }

    /// What all threads send together, in order.
    fn together(pattern: &Pattern, threads: usize, each: usize) -> Vec<f64> {
        let schedules = (0..threads).map(|t| Schedule::of_thread(pattern, t, threads, 7));
        let mut due: Vec<f64> = schedules.flat_map(|s| s.take(each)).map(|d| d.as_secs_f64()).collect();
        due.sort_by(f64::total_cmp);
        due
    }

    #[test]
    fn constant_arrivals_of_all_threads_are_even() {
        for threads in [1, 2, 3] {
            let due = together(&pattern(Arrivals::Constant, 1000.0), threads, 1000);
            for (index, due) in due.iter().enumerate() {
                assert!((due - index as f64 / 1000.0).abs() < 1e-6, "request {index} is due at {due}");
            }
        }
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let pattern = pattern(Arrivals::Constant, 3000.0);
        let mut schedule = Schedule::of_thread(&pattern, 0, 1, 0);
        let due = schedule.nth(3_000_000).expect("schedules have no end");
        assert!((due.as_secs_f64() - 1000.0).abs() < 1e-6, "{due:?}");
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_its_spread() {
        for threads in [1, 3] {
            let due = together(&pattern(Arrivals::Poisson, 1000.0), threads, 60_000 / threads);
            let gaps: Vec<f64> = due.windows(2).map(|w| w[1] - w[0]).take(50_000).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            assert!((mean * 1000.0 - 1.0).abs() < 0.03, "mean {mean}");
            // Exponential gaps have a standard deviation equal to their mean.
            assert!((variance.sqrt() / mean - 1.0).abs() < 0.03, "deviation {}", variance.sqrt());
        }
    }

    #[test]
    fn a_seed_gives_the_same_schedule_again() {
        let pattern = pattern(Arrivals::Poisson, 100.0);
        let of = |seed| Schedule::of_thread(&pattern, 0, 1, seed).take(100).collect::<Vec<_>>();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn threads_share_a_trace_and_end_with_it() {
        let trace: Arc<[Duration]> = (0..10).map(Duration::from_millis).collect();
        let due = together(&Pattern::Trace(trace.clone()), 3, 100);
        assert_eq!(due, trace.iter().map(Duration::as_secs_f64).collect::<Vec<_>>());
    }

    #[test]
    fn a_poisson_process_follows_a_ramp() {
        let ramp = Rates::ramp(0.0, 2000.0, Duration::from_secs(20));
        let due = together(&Pattern::Rates(ramp, Arrivals::Poisson), 2, 20_000);
        // The rate rises evenly, so a half of the time holds a quarter of the requests.
        let [half, all] = [10.0, 20.0].map(|end| due.iter().filter(|due| **due < end).count() as f64);
        assert!((all / 20_000.0 - 1.0).abs() < 0.03, "{all}");
        assert!((half / all - 0.25).abs() < 0.02, "{half} of {all}");
    }
}
