//! What a part is like at the moment, over the second before.

use std::time::Duration;

use super::record::Record;
use crate::call::Verdict;
use crate::latency::Latencies;
use crate::progress::Snapshot;

/// How long what is shown goes back.
const WINDOW: Duration = Duration::from_secs(1);

/// Counts of a window, and what the last whole one was like.
#[derive(Debug)]
pub(super) struct Live {
    /// Whether no stream has a rate of its own.
    closed: bool,
    since: Duration,
    sent_before: u64,
    ended: u64,
    failed: u64,
    ok: u64,
    refused: u64,
    latency: Latencies,
    lag: Latencies,
    last: Snapshot,
}

impl Live {
    /// Nothing yet, of a part.
    pub(super) fn new(part: &str, total: Duration, since: Duration, closed: bool) -> Result<Self, String> {
        let last = Snapshot {
            part: part.into(),
            number: 0,
            of_parts: None,
            elapsed: Duration::ZERO,
            total,
            due_rate: (!closed).then_some(0.0),
            ok_rate: 0.0,
            refused_rate: 0.0,
            failed: 0,
            p50_us: None,
            p99_us: None,
            lag_p99_us: None,
            in_flight: 0,
        };
        let (latency, lag) = (Latencies::new()?, Latencies::new()?);
        let (sent_before, ended, failed, ok, refused) = (0, 0, 0, 0, 0);
        Ok(Self { closed, since, sent_before, ended, failed, ok, refused, latency, lag, last })
    }

    /// Counts a request that has ended.
    pub(super) fn add(&mut self, record: &Record) {
        self.ended += 1;
        self.lag.record(record.fired.saturating_sub(record.due));
        match record.verdict {
            Verdict::Right => {
                self.ok += 1;
                self.latency.record(record.ended.saturating_sub(record.due));
            }
            Verdict::Refused(_) => self.refused += 1,
            Verdict::Failed(_) | Verdict::Wrong(_) | Verdict::Lost(_) => self.failed += 1,
        }
    }

    /// What it is like at that moment, with so many requests sent so far.
    pub(super) fn look(&mut self, now: Duration, elapsed: Duration, sent: u64) -> Result<Snapshot, String> {
        let seconds = now.saturating_sub(self.since).as_secs_f64();
        if seconds >= WINDOW.as_secs_f64() {
            let per_second = |count: u64| count as f64 / seconds;
            let due = per_second(sent.saturating_sub(self.sent_before));
            self.last.due_rate = (!self.closed).then_some(due);
            (self.last.ok_rate, self.last.refused_rate) = (per_second(self.ok), per_second(self.refused));
            (self.last.p50_us, self.last.p99_us) =
                (self.latency.quantile_us(0.5), self.latency.quantile_us(0.99));
            self.last.lag_p99_us = self.lag.quantile_us(0.99);
            (self.since, self.sent_before, self.ok, self.refused) = (now, sent, 0, 0);
            (self.latency, self.lag) = (Latencies::new()?, Latencies::new()?);
        }
        self.last.elapsed = elapsed.min(self.last.total);
        self.last.failed = self.failed;
        self.last.in_flight = sent.saturating_sub(self.ended);
        Ok(self.last.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Fault;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn record(due: u64, ended: u64, verdict: Verdict) -> Record {
        Record { stream: 0, due: at(due), fired: at(due + 2), sent: at(due + 2), ended: at(ended), verdict }
    }

    #[test]
    fn a_moment_is_the_last_whole_second_and_failures_are_all_of_them() {
        let mut live = Live::new("steady", at(5000), at(0), false).expect("histograms");
        (0..10).for_each(|n| live.add(&record(n, n + 20, Verdict::Right)));
        live.add(&record(0, 1, Verdict::Refused(Fault::new("OVERLOADED", ""))));
        live.add(&record(0, 1, Verdict::Lost(Fault::new("timeout", ""))));
        let early = live.look(at(500), at(400), 15).expect("a moment");
        assert_eq!((early.due_rate, early.ok_rate), (Some(0.0), 0.0), "no second is over");
        let first = live.look(at(2000), at(1900), 20).expect("a moment");
        assert_eq!((first.due_rate, first.ok_rate, first.refused_rate), (Some(10.0), 5.0, 0.5));
        assert_eq!((first.failed, first.in_flight), (1, 8));
        assert!(first.p99_us.is_some_and(|us| (us / 20_000.0 - 1.0).abs() < 0.01), "{first:?}");
        let second = live.look(at(3000), at(9000), 20).expect("a moment");
        assert_eq!((second.ok_rate, second.p99_us, second.failed), (0.0, None, 1));
        assert_eq!(second.elapsed, at(5000), "what is late is not longer");
    }
}
