//! When requests are due: a function of rate, pattern and seed alone, never of answers.

use std::time::Duration;

use clap::ValueEnum;

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

/// The times at which one thread's requests are due, without end.
#[derive(Debug)]
pub(crate) struct Schedule {
    arrivals: Arrivals,
    /// Seconds between two requests, in the mean.
    interval: f64,
    /// When the next one is due, in seconds from the start; for constant arrivals that of request 0.
    next: f64,
    sent: u64,
    random: fastrand::Rng,
}

impl Schedule {
    /// The share of thread `thread` out of `threads` in `rate` requests per second.
    ///
    /// Constant arrivals of the threads lie evenly between each other; Poisson processes of a part of
    /// the rate each are together one of the whole rate.
    pub(crate) fn of_thread(arrivals: Arrivals, rate: f64, thread: usize, threads: usize, seed: u64) -> Self {
        let next = match arrivals {
            Arrivals::Constant => thread as f64 / rate,
            Arrivals::Poisson => 0.0,
        };
        let random = fastrand::Rng::with_seed(seed.wrapping_add(thread as u64));
        Self { arrivals, interval: threads as f64 / rate, next, sent: 0, random }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let due = match self.arrivals {
            // Multiplied rather than added up, so that no error grows over a long run.
            Arrivals::Constant => self.next + self.sent as f64 * self.interval,
            Arrivals::Poisson => {
                // The inverse of the exponential distribution; 1 - x is never 0.
                self.next -= (1.0 - self.random.f64()).ln() * self.interval;
                self.next
            }
        };
        self.sent += 1;
        Some(Duration::from_secs_f64(due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What all threads send together, in order.
    fn together(arrivals: Arrivals, rate: f64, threads: usize, each: usize) -> Vec<f64> {
        let schedules = (0..threads).map(|t| Schedule::of_thread(arrivals, rate, t, threads, 7));
        let mut due: Vec<f64> = schedules.flat_map(|s| s.take(each)).map(|d| d.as_secs_f64()).collect();
        due.sort_by(f64::total_cmp);
        due
    }

    #[test]
    fn constant_arrivals_of_all_threads_are_even() {
        for threads in [1, 2, 3] {
            let due = together(Arrivals::Constant, 1000.0, threads, 1000);
            for (index, due) in due.iter().enumerate() {
                assert!((due - index as f64 / 1000.0).abs() < 1e-6, "request {index} is due at {due}");
            }
        }
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let mut schedule = Schedule::of_thread(Arrivals::Constant, 3000.0, 0, 1, 0);
        let due = schedule.nth(3_000_000).expect("schedules have no end");
        assert!((due.as_secs_f64() - 1000.0).abs() < 1e-6, "{due:?}");
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_its_spread() {
        for threads in [1, 3] {
            let due = together(Arrivals::Poisson, 1000.0, threads, 60_000 / threads);
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
        let of =
            |seed| Schedule::of_thread(Arrivals::Poisson, 100.0, 0, 1, seed).take(100).collect::<Vec<_>>();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
