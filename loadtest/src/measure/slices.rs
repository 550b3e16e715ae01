//! What came in each second.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::findings::Second;

/// Bounds of the buckets: so many in a decade, over so many, from 10 us on.
const EDGES_PER_DECADE: usize = 10;
const DECADES: usize = 7;
const FIRST_EDGE_US: f64 = 10.0;

/// The longest latency that a second's quantiles tell from longer ones, in microseconds.
const MICROS_MAX: u64 = 60_000_000;

/// One slice for each second.
#[derive(Debug)]
pub(super) struct Slices {
    edges_us: Vec<f64>,
    slices: Vec<Slice>,
}

/// One second. Quantiles are exact to 1 %: a long run has thousands of these.
#[derive(Debug)]
struct Slice {
    ok: u64,
    errors: BTreeMap<String, u64>,
    latency: Histogram<u32>,
    buckets: Vec<u32>,
}

impl Slice {
    fn new(edges: usize) -> Result<Self, String> {
        let latency = Histogram::new(2).map_err(|e| e.to_string())?;
        Ok(Self { ok: 0, errors: BTreeMap::new(), latency, buckets: vec![0; edges + 1] })
    }

    /// p50, p90, p99 and the longest.
    fn quantiles_us(&self) -> Option<[f64; 4]> {
        let at = |quantile| self.latency.value_at_quantile(quantile) as f64;
        (self.ok > 0).then(|| [0.5, 0.9, 0.99, 1.0].map(at))
    }
}

impl Slices {
    /// Empty ones for this time.
    pub(super) fn new(time: Duration) -> Result<Self, String> {
        let edge = |index: usize| FIRST_EDGE_US * 10_f64.powf(index as f64 / EDGES_PER_DECADE as f64);
        let edges_us: Vec<f64> = (0..=EDGES_PER_DECADE * DECADES).map(edge).collect();
        let slice = |_| Slice::new(edges_us.len());
        let slices = (0..time.as_secs_f64().ceil() as u64).map(slice).collect::<Result<_, _>>()?;
        Ok(Self { edges_us, slices })
    }

    /// A right answer to a request that was due at that time of the part.
    pub(super) fn right(&mut self, at: Duration, latency: Duration) {
        let Some(slice) = slice(&mut self.slices, at) else { return };
        let us = latency.as_secs_f64() * 1e6;
        slice.ok += 1;
        slice.buckets[self.edges_us.partition_point(|edge| *edge <= us)] += 1;
        // It grows with what it takes, so it refuses none.
        let _ = slice.latency.record((us.round() as u64).clamp(1, MICROS_MAX));
    }

    /// Anything else that came of one.
    pub(super) fn error(&mut self, at: Duration, code: &str) {
        if let Some(slice) = slice(&mut self.slices, at) {
            *slice.errors.entry(code.to_owned()).or_default() += 1;
        }
    }

    /// The bounds of the buckets and the seconds up to a time. Buckets that are empty in every second are left
    /// out at both ends.
    pub(super) fn seconds(self, time: Duration) -> (Vec<f64>, Vec<Second>) {
        let Self { edges_us, mut slices } = self;
        slices.truncate(time.as_secs_f64().ceil() as usize);
        let used = |bucket: &usize| slices.iter().any(|slice| slice.buckets[*bucket] > 0);
        let first = (0..=edges_us.len()).find(used).unwrap_or(0);
        let last = (0..=edges_us.len()).rfind(used).unwrap_or(0);
        // Bucket `first` has all that is below its edge; the edge of the last one stays where it has one.
        let edges = edges_us[first.min(edges_us.len())..(last + 1).min(edges_us.len())].to_vec();
        let second = |(index, slice): (usize, Slice)| Second {
            at_s: index as f64,
            sent: slice.ok + slice.errors.values().sum::<u64>(),
            ok: slice.ok,
            quantiles_us: slice.quantiles_us(),
            buckets: (first..=first + edges.len())
                .map(|b| slice.buckets.get(b).copied().unwrap_or(0))
                .collect(),
            errors: slice.errors,
        };
        let seconds = slices.into_iter().enumerate().map(second).collect();
        (edges, seconds)
    }
}

fn slice(slices: &mut [Slice], at: Duration) -> Option<&mut Slice> {
    slices.get_mut(usize::try_from(at.as_secs()).ok()?)
}
