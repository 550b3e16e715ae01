//! How many requests an experiment has had of late.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The most moments that are remembered; one comes every minute.
const MOMENTS_MAX: usize = 10;
/// What is shorter says nothing of a pace.
const TIME_MIN: Duration = Duration::from_secs(1);

/// Counts of requests at a few moments.
#[derive(Debug)]
pub(super) struct Pace(VecDeque<(Instant, u64)>);

impl Pace {
    pub(super) fn new(requests: u64) -> Self {
        Self([(Instant::now(), requests)].into())
    }

    /// A minute has passed.
    pub(super) fn note(&mut self, requests: u64) {
        // Sums that began anew count from 0.
        if self.0.back().is_some_and(|(_, before)| *before > requests) {
            self.0.clear();
        }
        if self.0.len() == MOMENTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((Instant::now(), requests));
    }

    /// Requests a second since the first of them; nothing where that is not known yet.
    pub(super) fn of(&self, requests: u64) -> Option<f64> {
        let (since, before) = self.0.front()?;
        let time = since.elapsed();
        let came = requests.checked_sub(*before).filter(|came| *came > 0)?;
        (time >= TIME_MIN).then(|| came as f64 / time.as_secs_f64())
    }
}
