//! Counts what came of the requests of one stream.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Named;
use super::record::Record;
use super::slices::Slices;
use crate::call::Verdict;
use crate::findings::{Counts, Stream};
use crate::latency::Latencies;

/// Error codes that are told apart: a server could make up one for each answer.
const CODES_MAX: usize = 64;

/// The code of all further ones.
const OTHER: &str = "other";

/// What is counted of a stream. What was due in the warm-up is not.
#[derive(Debug)]
pub(super) struct Tally {
    /// Since when requests count, and for how long.
    from: Duration,
    time: Duration,
    /// Right answers that came in that time, whenever their requests were due.
    came: u64,
    /// Requests that have ended, those of the warm-up too.
    ended: u64,
    counts: Counts,
    errors: BTreeMap<String, u64>,
    said: BTreeMap<String, String>,
    latency: Latencies,
    refusals: Latencies,
    lag: Latencies,
    slices: Slices,
}

impl Tally {
    /// Nothing yet, of requests that are due from then on for that long.
    pub(super) fn new(from: Duration, time: Duration) -> Result<Self, String> {
        Ok(Self {
            from,
            time,
            came: 0,
            ended: 0,
            counts: Counts::default(),
            errors: BTreeMap::new(),
            said: BTreeMap::new(),
            latency: Latencies::new()?,
            refusals: Latencies::new()?,
            lag: Latencies::new()?,
            slices: Slices::new(time)?,
        })
    }

    /// Counts a request that has ended.
    pub(super) fn add(&mut self, record: &Record) {
        let Record { due, fired, sent, ended, verdict, .. } = record;
        self.ended += 1;
        // A backlog that is answered later is none of the throughput of this time.
        if *verdict == Verdict::Right && *ended >= self.from && *ended < self.from + self.time {
            self.came += 1;
        }
        let Some(at) = due.checked_sub(self.from) else { return };
        self.counts.sent += 1;
        self.lag.record(fired.saturating_sub(*due));
        let fault = match verdict {
            Verdict::Right => {
                let latency = ended.saturating_sub(*due);
                self.counts.ok += 1;
                self.latency.record(latency);
                return self.slices.right(at, latency);
            }
            Verdict::Refused(fault) => {
                self.counts.refused += 1;
                self.refusals.record(ended.saturating_sub(*sent));
                fault
            }
            Verdict::Failed(fault) => {
                self.counts.failed += 1;
                fault
            }
            Verdict::Wrong(fault) => {
                self.counts.wrong += 1;
                fault
            }
            Verdict::Lost(fault) => {
                self.counts.lost += 1;
                fault
            }
        };
        let known = self.errors.contains_key(&*fault.code) || self.errors.len() < CODES_MAX;
        let code = if known { &*fault.code } else { OTHER };
        match self.errors.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                self.errors.insert(code.to_owned(), 1);
                self.said.insert(code.to_owned(), fault.said.clone());
            }
        }
        self.slices.error(at, code);
    }

    /// Counts requests that were sent and never ended as lost.
    pub(super) fn lose(&mut self, sent: u64) {
        let lost = sent.saturating_sub(self.ended);
        if lost > 0 {
            self.counts.sent += lost;
            self.counts.lost += lost;
            *self.errors.entry("never ended".into()).or_default() += lost;
        }
    }

    /// What was found in that time.
    pub(super) fn stream(self, named: Named, time: Duration) -> Stream {
        let per_second = |count: u64| count as f64 / time.as_secs_f64().max(f64::EPSILON);
        let (edges_us, over_time) = self.slices.seconds(time);
        Stream {
            name: named.name,
            model: named.model,
            protocol: named.protocol,
            arrivals: named.arrivals,
            offered_rate: (!named.closed).then(|| per_second(self.counts.sent)),
            counts: self.counts,
            errors: self.errors,
            said: self.said,
            goodput: per_second(self.came),
            latency: self.latency.found(),
            refusal_latency: (self.refusals.samples() > 0).then(|| self.refusals.found()),
            lag: self.lag.found(),
            edges_us,
            over_time,
        }
    }
}

#[cfg(test)]
mod tests;
