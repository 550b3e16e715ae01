//! The open loop: requests leave when they are due, whether or not earlier ones were answered.
//!
//! So a server that stalls is met by every request that real callers would have sent meanwhile, and
//! each latency counts from the moment at which its request was due: nothing is left out because the
//! generator itself waited ("coordinated omission"). How late requests leave is recorded with each.

mod generator;
mod record;
mod sender;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

pub(crate) use self::record::Record;
use crate::client::Protocol;
use crate::clock::Clock;
use crate::references::References;
use crate::requests::Requests;
use crate::schedule::Arrivals;

/// Batches of records that wait to be counted. A generator that finds no place waits, and is late.
const BATCHES_MAX: usize = 1024;

/// What is sent, to where and how fast.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where HTTP goes.
    pub(crate) http: SocketAddr,
    /// Where gRPC goes.
    pub(crate) grpc: SocketAddr,
    /// The protocols, which take turns.
    pub(crate) protocols: Vec<Protocol>,
    /// Requests per second, in all.
    pub(crate) rate: f64,
    /// How they are spread.
    pub(crate) arrivals: Arrivals,
    /// What random times are drawn from.
    pub(crate) seed: u64,
    /// Threads that send.
    pub(crate) threads: usize,
    /// Connections of each protocol on each thread.
    pub(crate) connections: usize,
    /// How long an answer may take from the moment at which its request was sent.
    pub(crate) timeout: Duration,
    /// Requests of each thread that may be without an answer.
    pub(crate) in_flight_max: usize,
}

/// The requests, which take turns, and their right answers.
#[derive(Debug)]
pub(crate) struct Work {
    /// One for each input.
    pub(crate) requests: Vec<Requests>,
    /// For the same inputs.
    pub(crate) references: References,
}

/// Traffic that is being sent, until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Result<(), String>>>,
    records: Receiver<Vec<Record>>,
}

impl Traffic {
    /// Starts to send.
    ///
    /// # Errors
    /// Where the system has no thread left. That nothing can be reached is told by [`Traffic::end`].
    pub(crate) fn start(plan: &Plan, work: &Arc<Work>, clock: Clock) -> Result<Self, String> {
        let (batches, records) = sync_channel(BATCHES_MAX);
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut traffic = Self { stop: stop.clone(), sent: sent.clone(), threads: Vec::new(), records };
        for thread in 0..plan.threads {
            let generator = generator::Generator {
                plan: plan.clone(),
                thread,
                work: work.clone(),
                clock,
                stop: stop.clone(),
                sent: sent.clone(),
                batches: batches.clone(),
            };
            let name = format!("generator-{thread}");
            let handle = std::thread::Builder::new().name(name).spawn(move || generator.run());
            traffic.threads.push(handle.map_err(|e| e.to_string())?);
        }
        Ok(traffic)
    }

    /// Records of requests that have ended, as they come; an error once all generators have ended.
    pub(crate) fn records(&self) -> &Receiver<Vec<Record>> {
        &self.records
    }

    /// Lets no further request become due. What was sent is still answered.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether no generator sends any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// How many requests were sent, once all generators have ended.
    ///
    /// # Errors
    /// What ended a generator early.
    pub(crate) fn end(mut self) -> Result<u64, String> {
        self.stop();
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| "a generator panicked".to_owned())??;
        }
        Ok(self.sent.load(Ordering::Relaxed))
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop();
    }
}
