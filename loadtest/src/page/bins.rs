//! Seconds put together, so that a plot of hours has no more points than one of minutes.

use std::collections::BTreeMap;

use crate::findings::{Second, Stream};
use crate::readings::is_refusal;

/// The most points of a plot over time: more could not be told apart.
pub(super) const POINTS_MAX: usize = 180;

/// What is shorter, in seconds, belongs to the point before: a rate over it says nothing.
const SHORTEST_S: f64 = 0.25;

/// One or several seconds in a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bin {
    /// From the start of the part.
    pub(super) from_s: f64,
    pub(super) to_s: f64,
    pub(super) sent: u64,
    pub(super) ok: u64,
    pub(super) errors: BTreeMap<String, u64>,
    /// The highest p50, p90, p99 and maximum of its seconds.
    pub(super) quantiles_us: Option<[f64; 4]>,
    pub(super) buckets: Vec<u64>,
}

/// The seconds of a stream in at most [`POINTS_MAX`] bins, of a part that took `seconds`.
pub(super) fn bins(stream: &Stream, seconds: f64) -> Vec<Bin> {
    let known: Vec<&Second> = stream.over_time.iter().filter(|second| second.at_s.is_finite()).collect();
    let together = known.len().div_ceil(POINTS_MAX).max(1);
    let mut bins: Vec<Bin> = known.chunks(together).filter_map(bin).collect();
    let has_others = bins.len() > 1;
    let Some(last) = bins.last_mut() else { return bins };
    // The last second may have been cut short by the end of the part.
    if seconds > last.from_s {
        last.to_s = last.to_s.min(seconds);
    }
    if has_others
        && last.to_s - last.from_s < SHORTEST_S
        && let Some(short) = bins.pop()
        && let Some(before) = bins.pop()
    {
        bins.push(before.with(&short));
    }
    bins
}

fn bin(seconds: &[&Second]) -> Option<Bin> {
    let bins = seconds.iter().map(|second| Bin {
        from_s: second.at_s,
        to_s: second.at_s + 1.0,
        sent: second.sent,
        ok: second.ok,
        errors: second.errors.clone(),
        quantiles_us: second.quantiles_us.filter(|quantiles| quantiles.iter().all(|us| us.is_finite())),
        buckets: second.buckets.iter().map(|count| u64::from(*count)).collect(),
    });
    bins.reduce(|bin, next| bin.with(&next))
}

impl Bin {
    /// It and the one after it.
    fn with(mut self, next: &Self) -> Self {
        self.to_s = next.to_s;
        self.sent += next.sent;
        self.ok += next.ok;
        for (code, count) in &next.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
        self.quantiles_us = match (self.quantiles_us, next.quantiles_us) {
            (Some(one), Some(other)) => Some([0, 1, 2, 3].map(|at| one[at].max(other[at]))),
            (one, other) => one.or(other),
        };
        self.buckets.resize(self.buckets.len().max(next.buckets.len()), 0);
        self.buckets.iter_mut().zip(&next.buckets).for_each(|(sum, count)| *sum += count);
        self
    }

    /// The middle of it.
    pub(super) fn middle_s(&self) -> f64 {
        f64::midpoint(self.from_s, self.to_s)
    }

    /// So many of it, per second.
    pub(super) fn rate(&self, count: u64) -> f64 {
        count as f64 / (self.to_s - self.from_s).max(SHORTEST_S)
    }

    /// Requests that were refused for load.
    pub(super) fn refused(&self) -> u64 {
        self.errors.iter().filter(|(code, _)| is_refusal(code)).map(|(_, count)| count).sum()
    }

    /// Requests without a right answer that were not refused.
    pub(super) fn failed(&self) -> u64 {
        self.errors.values().sum::<u64>().saturating_sub(self.refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, Drawn};

    fn sums(bins: &[Bin]) -> (u64, u64, u64, u64) {
        let buckets = bins.iter().flat_map(|bin| &bin.buckets).sum();
        bins.iter().fold((0, 0, 0, buckets), |(sent, ok, errors, buckets), bin| {
            (sent + bin.sent, ok + bin.ok, errors + bin.refused() + bin.failed(), buckets)
        })
    }

    #[test]
    fn hours_become_few_points_and_nothing_is_lost() {
        for seconds in [1, 7, 180, 181, 359, 10_800] {
            let drawn = Drawn { name: "a", seconds, rate: 4, refused: 0.2, failed: 0.2, median_us: 900.0 };
            let stream = drawn.stream();
            let bins = bins(&stream, seconds as f64);
            assert!(
                bins.len() <= POINTS_MAX && bins.len() >= POINTS_MAX.min(seconds as usize) / 2,
                "{seconds}"
            );
            let counts = &stream.counts;
            assert_eq!(sums(&bins), (counts.sent, counts.ok, counts.errors(), counts.ok), "{seconds}");
            let (first, last) = (&bins[0], &bins[bins.len() - 1]);
            assert_eq!((first.from_s, last.to_s), (0.0, seconds as f64));
            assert!(bins.iter().all(|bin| (bin.rate(bin.sent) - 4.0).abs() < 1e-9), "{seconds}");
        }
    }

    #[test]
    fn a_second_cut_short_counts_with_the_one_before() {
        let mut stream = samples::steady().parts[0].streams[0].clone();
        stream.over_time.truncate(11);
        stream.over_time[10].sent = 8;
        let cut = bins(&stream, 10.01);
        assert_eq!((cut.len(), cut[9].to_s, cut[9].sent), (10, 10.01, 808));
        let half = bins(&stream, 10.5);
        assert_eq!((half.len(), half[10].rate(8)), (11, 16.0));
        stream.over_time.truncate(1);
        assert_eq!(bins(&stream, 0.1).len(), 1, "there is none before");
    }
}
