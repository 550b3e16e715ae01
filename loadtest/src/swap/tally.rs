//! Counts what came of the requests, each judged by the course of the run.

use std::time::Duration;

use super::answered::Record;
use super::course::State;
use crate::client::Protocol;
use crate::latency::Latencies;
use crate::references::Verdict;

/// Messages that are kept of each kind of fault.
const MESSAGES_MAX: usize = 5;

/// Faults of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// How many.
    pub(super) count: u64,
    /// What some of them were.
    pub(super) messages: Vec<String>,
}

/// Latencies by protocol.
#[derive(Clone, Debug)]
pub(super) struct ByProtocol {
    latencies: Vec<(Protocol, Latencies)>,
}

/// All counts.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Requests that have ended.
    pub(super) requests: u64,
    /// Those of them that were due after the warm-up.
    pub(super) measured: u64,
    /// No complete answer, or an error.
    pub(super) failed: Faults,
    /// Answers of a version that was not the default one at any moment.
    pub(super) wrong: Faults,
    /// Answers that are not wholly those of the version they name.
    pub(super) mixed: Faults,
    /// Latencies of right answers after the warm-up: wholly outside of swaps,
    pub(super) steady: ByProtocol,
    /// and not.
    pub(super) during: ByProtocol,
    /// How late the generator took requests up.
    pub(super) lag: Latencies,
    /// How long they then waited for a connection.
    pub(super) queued: Latencies,
    /// When the last measured request was due.
    pub(super) last_due: Duration,
}

impl Faults {
    fn add(&mut self, message: impl FnOnce() -> String) {
        self.count += 1;
        if self.messages.len() < MESSAGES_MAX {
            self.messages.push(message());
        }
    }
}

impl ByProtocol {
    fn new() -> Result<Self, String> {
        let latencies = Protocol::ALL.map(|protocol| Latencies::new().map(|new| (protocol, new)));
        Ok(Self { latencies: latencies.into_iter().collect::<Result<_, _>>()? })
    }

    fn record(&mut self, protocol: Protocol, latency: Duration) {
        if let Some((_, latencies)) = self.latencies.iter_mut().find(|(of, _)| *of == protocol) {
            latencies.record(latency);
        }
    }

    /// Those of one protocol each, without those that were not used.
    pub(super) fn each(&self) -> impl Iterator<Item = (Protocol, &Latencies)> {
        let each = self.latencies.iter().map(|(protocol, latencies)| (*protocol, latencies));
        each.filter(|(_, latencies)| latencies.samples() > 0)
    }

    /// Those of all together.
    pub(super) fn all(&self) -> Result<Latencies, String> {
        let mut all = Latencies::new()?;
        for (_, latencies) in &self.latencies {
            all.add(latencies)?;
        }
        Ok(all)
    }
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new() -> Result<Self, String> {
        Ok(Self {
            requests: 0,
            measured: 0,
            failed: Faults::default(),
            wrong: Faults::default(),
            mixed: Faults::default(),
            steady: ByProtocol::new()?,
            during: ByProtocol::new()?,
            lag: Latencies::new()?,
            queued: Latencies::new()?,
            last_due: Duration::ZERO,
        })
    }

    /// Judges a request that has ended. Faults count at any time, latencies after the warm-up.
    pub(super) fn add(&mut self, record: &Record, state: &State) {
        let Record { protocol, input, due, fired, sent, ended, verdict } = record;
        let named = || format!("{} input {input}, sent at {:.3} s", protocol.name(), sent.as_secs_f64());
        self.requests += 1;
        let measured = state.measured_from.is_some_and(|from| *due >= from);
        if measured {
            self.measured += 1;
            self.last_due = self.last_due.max(*due);
            self.lag.record(fired.saturating_sub(*due));
            self.queued.record(sent.saturating_sub(*fired));
        }
        let version = match verdict {
            Verdict::Failed(said) => return self.failed.add(|| format!("{}: {said}", named())),
            Verdict::Mixed(said) => return self.mixed.add(|| format!("{}: {said}", named())),
            Verdict::Whole { version } => *version,
        };
        if !state.timeline.may_answer(version, *sent, *ended) {
            let ended = ended.as_secs_f64();
            return self.wrong.add(|| format!("{}, answered at {ended:.3} s by version {version}", named()));
        }
        if measured {
            let during = state.timeline.covers(*due);
            let latencies = if during { &mut self.during } else { &mut self.steady };
            latencies.record(*protocol, ended.saturating_sub(*due));
        }
    }

    /// Counts requests that were sent and never ended as failed.
    pub(super) fn lost(&mut self, sent: u64) {
        for _ in self.requests..sent {
            self.requests += 1;
            self.failed.add(|| "a request was sent and never ended".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::swap::course::Course;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn record(sent: u64, ended: u64, verdict: Verdict) -> Record {
        let (due, protocol) = (at(sent), Protocol::Grpc);
        Record { protocol, input: 0, due, fired: due, sent: due, ended: at(ended), verdict }
    }

    /// Measured from 100 on, version 1 until a swap to 2 between 200 and 300.
    fn judged(records: &[Record]) -> Tally {
        let course = Course::new(Clock::start(), 1);
        let mut state = course.state();
        state.measured_from = Some(at(100));
        state.timeline.begin(2, at(200));
        state.timeline.end(true, at(300));
        let mut tally = Tally::new().expect("histograms");
        for record in records {
            tally.add(record, &state);
        }
        tally
    }

    fn counts(tally: &Tally) -> [u64; 4] {
        [tally.requests, tally.failed.count, tally.wrong.count, tally.mixed.count]
    }

    #[test]
    fn a_lost_a_wrong_and_a_mixed_answer_are_each_found() {
        let right = record(150, 160, Verdict::Whole { version: 1 });
        assert_eq!(counts(&judged(std::slice::from_ref(&right))), [1, 0, 0, 0]);
        for (verdict, expected) in [
            (Verdict::Failed("the connection was closed".into()), [2, 1, 0, 0]),
            (Verdict::Whole { version: 1 }, [2, 0, 1, 0]),
            (Verdict::Mixed("byte 7 differs".into()), [2, 0, 0, 1]),
        ] {
            let tally = judged(&[right.clone(), record(310, 320, verdict)]);
            assert_eq!(counts(&tally), expected);
            let messages = [&tally.failed.messages, &tally.wrong.messages, &tally.mixed.messages];
            assert_eq!(messages.iter().map(|m| m.len()).sum::<usize>(), 1, "{messages:?}");
        }
        let mut tally = judged(&[right]);
        tally.lost(3);
        assert_eq!(counts(&tally), [3, 2, 0, 0]);
    }

    #[test]
    fn faults_count_in_the_warm_up_and_latencies_do_not() {
        let tally = judged(&[
            record(10, 20, Verdict::Whole { version: 1 }),
            record(30, 40, Verdict::Whole { version: 2 }),
        ]);
        assert_eq!(counts(&tally), [2, 0, 1, 0]);
        let samples = |latencies: &ByProtocol| latencies.all().expect("same bounds").samples();
        assert_eq!((tally.measured, samples(&tally.steady), samples(&tally.during)), (0, 0, 0));
    }

    #[test]
    fn latencies_count_from_due_and_go_by_the_window() {
        let mut waited = record(215, 231, Verdict::Whole { version: 2 });
        waited.due = at(201);
        let tally = judged(&[
            record(150, 155, Verdict::Whole { version: 1 }),
            waited,
            record(400, 410, Verdict::Whole { version: 2 }),
        ]);
        let steady = tally.steady.all().expect("same bounds");
        let during = tally.during.all().expect("same bounds");
        assert_eq!((steady.samples(), during.samples()), (2, 1));
        let max = during.max_us().expect("a sample");
        assert!((max / 30_000.0 - 1.0).abs() < 2e-3, "{max}");
        let protocols: Vec<Protocol> = tally.during.each().map(|(protocol, _)| protocol).collect();
        assert_eq!(protocols, [Protocol::Grpc]);
    }
}
