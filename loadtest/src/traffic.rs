//! Requests that leave when they are due, whether or not earlier ones were answered.
//!
//! So a server that stalls is met by every request that real callers would have sent meanwhile, and
//! each latency counts from the moment at which its request was due: nothing is left out because the
//! generator itself waited ("coordinated omission"). How late requests leave is recorded with each.
//! A closed loop is there too, for what is to be compared with one.

mod caller;
mod generator;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

pub(crate) use self::caller::{Caller, Turn};
use self::generator::Generator;
use crate::clock::Clock;
use crate::schedule::Pattern;

/// Batches of records that wait to be counted. A generator that finds no place waits, and is late.
const BATCHES_MAX: usize = 1024;

/// Requests of one kind: who sends them, and when.
#[derive(Debug)]
pub(crate) struct Lane<C> {
    /// What sends each of them.
    pub(crate) caller: Arc<C>,
    /// When they are due.
    pub(crate) pattern: Pattern,
    /// Requests of each thread that may be without an answer.
    pub(crate) in_flight_max: usize,
    /// How long a request may wait for a connection, and then for its answer.
    pub(crate) timeout: Duration,
}

/// How the lanes are driven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drive {
    /// Threads that send; each has its share of every lane.
    pub(crate) threads: usize,
    /// What random times are drawn from.
    pub(crate) seed: u64,
    /// When the last request is due, from the start; without it, when the traffic is stopped.
    pub(crate) until: Option<Duration>,
}

/// Traffic that is being sent, until it is over, stopped or dropped.
#[derive(Debug)]
pub(crate) struct Traffic<R> {
    stop: Arc<AtomicBool>,
    sent: Arc<[AtomicU64]>,
    start: Duration,
    threads: Vec<JoinHandle<Result<(), String>>>,
    records: Receiver<Vec<R>>,
}

impl<R: Send + 'static> Traffic<R> {
    /// Opens all connections, and then starts to send on all threads at once.
    ///
    /// # Errors
    /// Where a connection cannot be made, or the system has no thread left.
    pub(crate) fn start<C: Caller<Record = R>>(
        lanes: Vec<Lane<C>>,
        drive: Drive,
        clock: Clock,
    ) -> Result<Self, String> {
        let (batches, records) = sync_channel(BATCHES_MAX);
        let (opened, waits) = channel();
        let (go, start) = watch::channel(None);
        let stop = Arc::new(AtomicBool::new(false));
        let (sent, lanes): (Arc<[AtomicU64]>, Arc<[Lane<C>]>) =
            (lanes.iter().map(|_| AtomicU64::new(0)).collect(), lanes.into());
        let mut threads = Vec::new();
        for thread in 0..drive.threads {
            let generator = Generator {
                lanes: lanes.clone(),
                drive,
                thread,
                clock,
                stop: stop.clone(),
                sent: sent.clone(),
                batches: batches.clone(),
            };
            let (opened, start) = (opened.clone(), start.clone());
            let run = move || generator.run(opened, start);
            let handle = std::thread::Builder::new().name(format!("generator-{thread}")).spawn(run);
            threads.push(handle.map_err(|e| e.to_string())?);
        }
        drop((batches, opened));
        let mut traffic = Self { stop, sent, start: Duration::ZERO, threads, records };
        if waits.iter().take(drive.threads).count() < drive.threads {
            // What kept a thread from opening its connections is what that thread says.
            drop(go);
            traffic.join()?;
            return Err("a generator ended before it sent anything".into());
        }
        traffic.start = clock.now();
        let _ = go.send(Some(traffic.start));
        Ok(traffic)
    }

    /// When it started, by the clock.
    pub(crate) fn started(&self) -> Duration {
        self.start
    }

    /// Records of requests that have ended, as they come; an error once all generators have ended.
    pub(crate) fn records(&self) -> &Receiver<Vec<R>> {
        &self.records
    }

    /// How many requests were sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.iter().map(|sent| sent.load(Ordering::Relaxed)).sum()
    }

    /// Lets no further request become due. What was sent is still answered.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether no generator sends any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// How many requests of each lane were sent, once all generators have ended.
    ///
    /// # Errors
    /// What ended a generator early.
    pub(crate) fn end(mut self) -> Result<Vec<u64>, String> {
        self.stop();
        self.join()?;
        Ok(self.sent.iter().map(|sent| sent.load(Ordering::Relaxed)).collect())
    }

    fn join(&mut self) -> Result<(), String> {
        let ends: Vec<_> = self.threads.drain(..).map(JoinHandle::join).collect();
        ends.into_iter().try_for_each(|end| end.map_err(|_| "a generator panicked".to_owned())?)
    }
}

impl<R> Drop for Traffic<R> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
