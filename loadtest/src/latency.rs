//! Times in a histogram of three digits, from a nanosecond to a minute.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::findings::Latency;

/// The longest time that is told from longer ones, in nanoseconds: a minute.
const NANOS_MAX: u64 = 60_000_000_000;

/// Columns of the name in a line of a table.
pub(crate) const NAME_WIDTH: usize = 30;

/// The quantiles that findings have.
const QUANTILES: [f64; 15] =
    [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999];

/// Times of one kind. Quantiles are exact to 0.1 %, whatever the number of samples.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// No sample yet.
    ///
    /// # Errors
    /// Where the histogram refuses its bounds, which are constants.
    pub(crate) fn new() -> Result<Self, String> {
        Histogram::new_with_bounds(1, NANOS_MAX, 3).map(Self).map_err(|e| e.to_string())
    }

    /// Adds a sample; longer ones count as a minute.
    pub(crate) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds all samples of another.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), String> {
        self.0.add(&other.0).map_err(|e| e.to_string())
    }

    /// How many samples there are.
    pub(crate) fn samples(&self) -> u64 {
        self.0.len()
    }

    /// The time, in microseconds, that a share `quantile` of the samples does not exceed; nothing
    /// without samples.
    pub(crate) fn quantile_us(&self, quantile: f64) -> Option<f64> {
        (self.samples() > 0).then(|| self.0.value_at_quantile(quantile) as f64 / 1e3)
    }

    /// What is known of them, for findings. A quantile is left out where fewer than one sample lies above it.
    pub(crate) fn found(&self) -> Latency {
        let samples = self.samples();
        let reached = |quantile: &f64| samples as f64 * (1.0 - quantile) >= 1.0 - 1e-9;
        let at = |quantile: f64| Some((quantile, self.quantile_us(quantile)?));
        Latency {
            samples,
            mean_us: if samples > 0 { self.0.mean() / 1e3 } else { 0.0 },
            max_us: self.max_us().unwrap_or(0.0),
            quantiles_us: QUANTILES.into_iter().filter(reached).filter_map(at).collect(),
        }
    }

    /// A line of a table: a name, the number of samples, and quantiles in milliseconds.
    pub(crate) fn line(&self, f: &mut fmt::Formatter<'_>, name: &str, quantiles: &[f64]) -> fmt::Result {
        write!(f, "  {name:<NAME_WIDTH$} {:>10}", self.samples())?;
        for &quantile in quantiles {
            match self.quantile_us(quantile) {
                Some(us) => write!(f, " {:>9.3}", us / 1e3)?,
                None => write!(f, " {:>9}", "-")?,
            }
        }
        writeln!(f)
    }

    /// The longest, in microseconds; nothing without samples.
    pub(crate) fn max_us(&self) -> Option<f64> {
        self.quantile_us(1.0)
    }

    /// Samples and quantiles in microseconds; null where there are no samples.
    pub(crate) fn json(&self) -> Value {
        json!({
            "samples": self.samples(),
            "p50_us": self.quantile_us(0.5), "p90_us": self.quantile_us(0.9), "p99_us": self.quantile_us(0.99),
            "p99_9_us": self.quantile_us(0.999), "max_us": self.max_us(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_samples() {
        let mut all = Latencies::new().expect("bounds");
        assert_eq!((all.samples(), all.quantile_us(0.5)), (0, None));
        for micros in 1..=1000 {
            let mut one = Latencies::new().expect("bounds");
            one.record(Duration::from_micros(micros));
            all.add(&one).expect("same bounds");
        }
        for (quantile, expected) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let found = all.quantile_us(quantile).expect("samples");
            assert!((found / expected - 1.0).abs() < 2e-3, "{quantile}: {found}");
        }
    }

    #[test]
    fn findings_have_the_quantiles_that_samples_reach() {
        let mut latencies = Latencies::new().expect("bounds");
        (1..=100).for_each(|micros| latencies.record(Duration::from_micros(micros)));
        let found = latencies.found();
        assert_eq!(found.quantiles_us.last().map(|(quantile, _)| *quantile), Some(0.99));
        assert!(
            (found.mean_us / 50.5 - 1.0).abs() < 2e-3 && (found.max_us / 100.0 - 1.0).abs() < 2e-3,
            "{found:?}"
        );
        let none = Latencies::new().expect("bounds").found();
        assert!(none.samples == 0 && none.quantiles_us.is_empty(), "{none:?}");
    }

    #[test]
    fn what_is_over_a_minute_counts_as_one() {
        let mut latencies = Latencies::new().expect("bounds");
        latencies.record(Duration::from_secs(600));
        let max = latencies.max_us().expect("a sample");
        assert!((max / 6e7 - 1.0).abs() < 2e-3, "{max}");
    }
}
