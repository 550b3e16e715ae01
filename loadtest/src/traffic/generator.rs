//! One thread that sends its share of the traffic.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, SyncSender};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, LocalSet, spawn_local, yield_now};
use tokio::time::timeout;

use super::{Caller, Drive, Lane, Turn};
use crate::clock::Clock;
use crate::schedule::{Pattern, Schedule};
use crate::timer::Timer;

/// Records that are handed on together.
const BATCH: usize = 256;

/// How often records are handed on where there are few.
const HAND_ON: Duration = Duration::from_millis(50);

/// Requests that are sent in one go where the generator is behind, before others get their turn.
const BURST: usize = 16;

/// A thread that sends.
pub(super) struct Generator<C: Caller> {
    pub(super) lanes: Arc<[Lane<C>]>,
    pub(super) drive: Drive,
    pub(super) thread: usize,
    pub(super) clock: Clock,
    pub(super) stop: Arc<AtomicBool>,
    /// By lane.
    pub(super) sent: Arc<[AtomicU64]>,
    pub(super) batches: SyncSender<Vec<C::Record>>,
}

impl<C: Caller> Generator<C> {
    /// Opens the connections, says so, waits for the start, sends until the end, and waits for the answers.
    ///
    /// # Errors
    /// Where a connection cannot be made, or nobody takes the records.
    pub(super) fn run(
        self,
        opened: Sender<()>,
        mut start: watch::Receiver<Option<Duration>>,
    ) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| e.to_string())?;
        LocalSet::new().block_on(&runtime, async {
            let mut connections = Vec::new();
            for lane in &*self.lanes {
                connections.push(Rc::new(lane.caller.connect(self.clock).await?));
            }
            let _ = opened.send(());
            drop(opened);
            let Ok(start) = start.wait_for(Option::is_some).await.map(|start| *start) else {
                // Another thread could not open its own, and says why.
                return Ok(());
            };
            let (this, start) = (Rc::new(self), start.unwrap_or_default());
            let mut lanes = JoinSet::new();
            for (lane, connections) in connections.into_iter().enumerate() {
                let this = this.clone();
                lanes.spawn_local(async move { this.send(lane, connections, start).await });
            }
            while let Some(lane) = lanes.join_next().await {
                lane.map_err(|_| "a lane panicked".to_owned())??;
            }
            Ok(())
        })
    }

    async fn send(
        &self,
        index: usize,
        connections: Rc<C::Connections>,
        start: Duration,
    ) -> Result<(), String> {
        let (lane, clock) = (&self.lanes[index], self.clock);
        let closed = matches!(lane.pattern, Pattern::Closed);
        let end = self.drive.until.map(|until| start + until);
        let over = |due: Duration| end.is_some_and(|end| due >= end);
        let records = Rc::new(RefCell::new(Vec::with_capacity(BATCH)));
        let places = Arc::new(Semaphore::new(lane.in_flight_max));
        let mut timer = Timer::new().map_err(|e| e.to_string())?;
        let (mut handed_on, mut in_burst) = (clock.now(), 0);
        // Lanes with the same seed would send at the same moments.
        let seed = self.drive.seed.wrapping_add((index * self.drive.threads) as u64);
        let schedule = Schedule::of_thread(&lane.pattern, self.thread, self.drive.threads, seed);
        'due: for (number, offset) in schedule.enumerate() {
            let due = start + offset;
            if over(due) {
                break;
            }
            in_burst += 1;
            while let Some(ahead) = due.checked_sub(clock.now()).filter(|ahead| !ahead.is_zero()) {
                if self.is_stopped() {
                    break 'due;
                }
                // In parts, so that neither a stop nor the records of what was answered wait for long.
                timer.wait(ahead.min(HAND_ON)).await.map_err(|e| e.to_string())?;
                in_burst = 0;
                handed_on = self.hand_on_after(HAND_ON, handed_on, &records)?;
            }
            if in_burst >= BURST {
                yield_now().await;
                in_burst = 0;
            }
            if self.is_stopped() {
                break;
            }
            let wait = if records.borrow().len() >= BATCH { Duration::ZERO } else { HAND_ON };
            handed_on = self.hand_on_after(wait, handed_on, &records)?;
            // Beyond the limit an open loop waits, which the records show as its lag; a closed one sends its next.
            let place = places.clone().acquire_owned().await.map_err(|e| e.to_string())?;
            let fired = clock.now();
            let turn = Turn { number, due: if closed { fired } else { due }, fired };
            if over(turn.due) {
                break;
            }
            let (caller, connections, records) = (lane.caller.clone(), connections.clone(), records.clone());
            self.sent[index].fetch_add(1, Ordering::Relaxed);
            spawn_local(async move {
                let record = caller.call(&connections, turn).await;
                records.borrow_mut().push(record);
                drop(place);
            });
        }
        let all = u32::try_from(lane.in_flight_max).unwrap_or(u32::MAX);
        // A request waits for a connection, then for its answer; those left over after that have no record.
        let _ = timeout(lane.timeout * 3, places.acquire_many(all)).await;
        self.hand_on(&records)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Hands on what there is where the last time is that long ago, and gives the last time.
    fn hand_on_after(
        &self,
        wait: Duration,
        last: Duration,
        records: &RefCell<Vec<C::Record>>,
    ) -> Result<Duration, String> {
        let now = self.clock.now();
        if now < last + wait {
            return Ok(last);
        }
        self.hand_on(records)?;
        Ok(now)
    }

    fn hand_on(&self, records: &RefCell<Vec<C::Record>>) -> Result<(), String> {
        let batch = records.replace(Vec::with_capacity(BATCH));
        let sent = if batch.is_empty() { Ok(()) } else { self.batches.send(batch) };
        sent.map_err(|_| "nobody counts the records".to_owned())
    }
}
