//! A crowd that asks at a fixed rate while something else is done.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::{Crowd, Gave, Met};
use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::latency::Latencies;
use crate::schedule::{Arrivals, Pattern, Rates};
use crate::traffic::{Drive, Lane, Traffic};
use crate::watcher::Watcher;

/// Requests that may be without an answer.
const IN_FLIGHT_MAX: usize = 4096;

/// How long a request may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is looked whether all is well.
const LOOK: Duration = Duration::from_millis(50);

/// The traffic, with what has come so far.
pub(crate) struct Flow<'a> {
    traffic: Traffic<Met>,
    clock: Clock,
    met: Vec<Met>,
    watcher: &'a Watcher,
}

/// All that came, in the order in which it was sent.
#[derive(Debug, Default)]
pub(crate) struct Flown {
    pub(crate) met: Vec<Met>,
    /// Requests of which nothing came.
    pub(crate) lost: u64,
}

impl<'a> Flow<'a> {
    /// Begins to send.
    ///
    /// # Errors
    /// Where no connection can be made.
    pub(crate) fn start(crowd: Crowd, rate: u32, clock: Clock, watcher: &'a Watcher) -> Result<Self, String> {
        let pattern = Pattern::Rates(Rates::constant(rate.into()), Arrivals::Constant);
        let lane = Lane { caller: Arc::new(crowd), pattern, in_flight_max: IN_FLIGHT_MAX, timeout: TIMEOUT };
        let traffic = Traffic::start(vec![lane], Drive { threads: 1, seed: 0, until: None }, clock)?;
        Ok(Self { traffic, clock, met: Vec::new(), watcher })
    }

    /// Lets it go on for a time.
    ///
    /// # Errors
    /// Where the gateway ended, no request leaves any more, or the run is interrupted.
    pub(crate) fn pause(&mut self, time: Duration, gateway: &mut Gateway) -> Result<(), String> {
        let until = self.clock.now() + time;
        while let Some(left) = until.checked_sub(self.clock.now()).filter(|left| !left.is_zero()) {
            match self.traffic.records().recv_timeout(left.min(LOOK)) {
                Ok(batch) => self.met.extend(batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err("no generator sends any more".into()),
            }
        }
        if self.watcher.is_interrupted() {
            return Err("interrupted".into());
        }
        if gateway.server.is_running() {
            Ok(())
        } else {
            Err(format!("the gateway ended:\n{}", gateway.end_of_log()))
        }
    }

    /// Ends it, and waits for what is still to come.
    ///
    /// # Errors
    /// What ended it early.
    pub(crate) fn end(mut self) -> Result<Flown, String> {
        self.traffic.stop();
        while let Ok(batch) = self.traffic.records().recv() {
            self.met.extend(batch);
        }
        let sent: u64 = self.traffic.end()?.iter().sum();
        let mut met = self.met;
        met.sort_by_key(|met| met.sent);
        Ok(Flown { lost: sent.saturating_sub(met.len() as u64), met })
    }
}

impl Flown {
    /// Requests that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.met.iter().filter(|met| matches!(met.gave, Gave::Failed(_))).count() as u64
    }

    /// Answers that are not wholly those of their version, or whose version is not that of their arm.
    pub(crate) fn wrong(&self, is_of: impl Fn(&Met, &str, u64) -> bool) -> u64 {
        let wrong = |met: &&Met| match &met.gave {
            Gave::Answer { arm, version } => !is_of(met, arm, *version),
            Gave::Mixed(_) => true,
            Gave::Failed(_) => false,
        };
        self.met.iter().filter(wrong).count() as u64
    }

    /// What some said that must not be.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &str> {
        /// So many are shown.
        const SHOWN_MAX: usize = 5;
        let said = self.met.iter().filter_map(|met| match &met.gave {
            Gave::Mixed(said) | Gave::Failed(said) => Some(said.as_str()),
            Gave::Answer { .. } => None,
        });
        said.take(SHOWN_MAX)
    }

    /// Latencies of answers to requests that were due in a time.
    ///
    /// # Errors
    /// As [`Latencies::new`].
    pub(crate) fn latencies(&self, from: Duration, to: Duration) -> Result<Latencies, String> {
        let mut latencies = Latencies::new()?;
        let within = self.met.iter().filter(|met| met.due >= from && met.due < to && met.arm().is_some());
        within.for_each(|met| latencies.record(met.ended.saturating_sub(met.due)));
        Ok(latencies)
    }
}
