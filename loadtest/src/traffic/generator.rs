//! One thread that sends its share of the traffic.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::timeout;

use super::sender::{Sender, Sent};
use super::{Plan, Record, Work};
use crate::clock::Clock;
use crate::schedule::Schedule;
use crate::timer::Timer;

/// Records that are handed on together.
const BATCH: usize = 256;

/// How often records are handed on where there are few.
const HAND_ON: Duration = Duration::from_millis(50);

/// Requests that are sent in one go where the generator is behind, before others get their turn.
const BURST: usize = 16;

/// A thread of the open loop.
pub(super) struct Generator {
    pub(super) plan: Plan,
    pub(super) thread: usize,
    pub(super) work: Arc<Work>,
    pub(super) clock: Clock,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) sent: Arc<AtomicU64>,
    pub(super) batches: SyncSender<Vec<Record>>,
}

impl Generator {
    /// Sends until it is stopped, and waits for the answers.
    ///
    /// # Errors
    /// Where the first connections cannot be made, or nobody takes the records.
    pub(super) fn run(self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| e.to_string())?;
        LocalSet::new().block_on(&runtime, self.generate())
    }

    async fn generate(self) -> Result<(), String> {
        let Self { plan, work, clock, .. } = &self;
        let sender = Rc::new(Sender::open(plan, *clock).await?);
        let records = Rc::new(RefCell::new(Vec::with_capacity(BATCH)));
        let places = Arc::new(Semaphore::new(plan.in_flight_max));
        let mut timer = Timer::new().map_err(|e| e.to_string())?;
        let (mut handed_on, mut in_burst) = (clock.now(), 0);
        let (start, rate) = (clock.now(), plan.rate);
        let schedule = Schedule::of_thread(plan.arrivals, rate, self.thread, plan.threads, plan.seed);
        for (number, offset) in schedule.enumerate() {
            let due = start + offset;
            in_burst += 1;
            while let Some(ahead) = due.checked_sub(clock.now()).filter(|ahead| !ahead.is_zero()) {
                timer.wait(ahead).await.map_err(|e| e.to_string())?;
                in_burst = 0;
            }
            if in_burst >= BURST {
                yield_now().await;
                in_burst = 0;
            }
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            if records.borrow().len() >= BATCH || clock.now() > handed_on + HAND_ON {
                self.hand_on(&records)?;
                handed_on = clock.now();
            }
            // Beyond the limit the generator waits, which the records show as its lag.
            let place = places.clone().acquire_owned().await.map_err(|e| e.to_string())?;
            let fired = clock.now();
            let protocol = plan.protocols[number % plan.protocols.len()];
            let input = number / plan.protocols.len() % work.requests.len();
            let (sender, records, work, clock) = (sender.clone(), records.clone(), work.clone(), *clock);
            self.sent.fetch_add(1, Ordering::Relaxed);
            spawn_local(async move {
                let Sent { at, verdict } = sender.send(&work, protocol, input, number).await;
                let ended = clock.now();
                records.borrow_mut().push(Record { protocol, input, due, fired, sent: at, ended, verdict });
                drop(place);
            });
        }
        let all = u32::try_from(plan.in_flight_max).unwrap_or(u32::MAX);
        // A request waits for a connection, then for its answer; those left over after that have no record.
        let _ = timeout(plan.timeout * 3, places.acquire_many(all)).await;
        self.hand_on(&records)
    }

    fn hand_on(&self, records: &RefCell<Vec<Record>>) -> Result<(), String> {
        let batch = records.replace(Vec::with_capacity(BATCH));
        let sent = if batch.is_empty() { Ok(()) } else { self.batches.send(batch) };
        sent.map_err(|_| "nobody counts the records".to_owned())
    }
}
