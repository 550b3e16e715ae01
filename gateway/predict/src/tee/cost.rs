//! What shadows cost the version that serves: how long its requests take with them and without.

use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// Times that are told apart, in microseconds, and how many digits of them.
const LEAST_US: u64 = 1;
const MOST_US: u64 = 60_000_000;
const DIGITS: u8 = 2;

/// How long requests took, from their headers to the last byte of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many.
    pub requests: u64,
    /// The median.
    pub p50: Duration,
    /// The 99th percentile.
    pub p99: Duration,
}

/// The same while shadows ran and while none did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// While shadows ran.
    pub on: Latency,
    /// While none did.
    pub off: Latency,
}

impl Cost {
    /// The 99th percentile with shadows over that without; nothing while there is none of one.
    #[must_use]
    pub fn p99_ratio(&self) -> Option<f64> {
        let off = self.off.p99.as_secs_f64();
        (self.on.requests > 0 && off > 0.0).then(|| self.on.p99.as_secs_f64() / off)
    }
}

/// The histograms of both. They are locked by threads of requests and by who reads, never by a shadow's: that could
/// be held up at any place.
pub(crate) struct Costs([Mutex<Histogram<u64>>; 2]);

impl Default for Costs {
    fn default() -> Self {
        let histogram = || Histogram::new_with_bounds(LEAST_US, MOST_US, DIGITS).expect("the bounds above");
        Self([Mutex::new(histogram()), Mutex::new(histogram())])
    }
}

impl Costs {
    pub(crate) fn push(&self, is_on: bool, total: Duration) {
        let us = u64::try_from(total.as_micros()).unwrap_or(MOST_US);
        self.0[usize::from(is_on)].lock().saturating_record(us.clamp(LEAST_US, MOST_US));
    }

    pub(crate) fn read(&self) -> Cost {
        let read = |histogram: &Mutex<Histogram<u64>>| {
            let histogram = histogram.lock();
            let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
            match histogram.len() {
                0 => Latency::default(),
                requests => Latency { requests, p50: at(0.5), p99: at(0.99) },
            }
        };
        let [off, on] = &self.0;
        Cost { on: read(on), off: read(off) }
    }
}

impl std::fmt::Debug for Costs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.read().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_and_without_are_kept_apart() {
        let costs = Costs::default();
        assert_eq!((costs.read(), costs.read().p99_ratio()), (Cost::default(), None));
        for us in 1..=1000 {
            costs.push(false, Duration::from_micros(us));
            costs.push(true, Duration::from_micros(2 * us));
        }
        let Cost { on, off } = costs.read();
        assert_eq!((on.requests, off.requests), (1000, 1000));
        let near = |found: Duration, us: f64| (found.as_secs_f64() * 1e6 / us - 1.0).abs() < 0.01;
        assert!(near(off.p50, 500.0) && near(off.p99, 990.0) && near(on.p99, 1980.0), "{on:?} {off:?}");
        assert!((costs.read().p99_ratio().expect("both") - 2.0).abs() < 0.03);
        costs.push(true, Duration::MAX);
        costs.push(true, Duration::ZERO);
        assert_eq!(costs.read().on.requests, 1002);
    }
}
