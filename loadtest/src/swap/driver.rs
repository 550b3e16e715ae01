//! The thread that warms the gateway up, swaps, and weighs it before and after.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::course::Course;
use super::operator::Operator;
use crate::latency::Latencies;
use crate::process::Usage;

/// How long the gateway has to give memory back before it is weighed.
const REST: Duration = Duration::from_secs(2);

/// How often it is weighed, and how long that takes in all. The median counts.
const WEIGHINGS: u32 = 21;
const WEIGHING: Duration = Duration::from_secs(1);

/// Swaps that may fail one after the other before the rest is given up.
const FAILED_IN_A_ROW_MAX: u32 = 5;

/// Messages about failed swaps that are kept.
const MESSAGES_MAX: usize = 5;

/// What is to be done.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) operator: Operator,
    pub(super) course: Arc<Course>,
    /// The gateway's process.
    pub(super) process: u32,
    /// Swaps that count.
    pub(super) swaps: u64,
    /// Time from one swap to the next.
    pub(super) interval: Duration,
    /// Traffic before the first swap.
    pub(super) warm_up: Duration,
    /// Swaps that counted and landed, for the one who watches.
    pub(super) done: Arc<AtomicU64>,
    /// Set where it is to end early.
    pub(super) cancelled: Arc<AtomicBool>,
}

/// What was done.
#[derive(Debug)]
pub(super) struct Driven {
    /// The gateway before the first swap that counts, and after the last.
    pub(super) before: Usage,
    pub(super) after: Usage,
    /// From call to final answer, of the swaps that landed.
    pub(super) windows: Latencies,
    /// Swaps that failed, those of the warm-up too.
    pub(super) failed: u64,
    /// What some of them said.
    pub(super) messages: Vec<String>,
    /// Whether it was given up early.
    pub(super) given_up: bool,
}

impl Driver {
    /// Runs to the end, or until it is cancelled.
    ///
    /// # Errors
    /// Where the gateway cannot be weighed: it is gone.
    pub(super) fn run(mut self) -> Result<Driven, String> {
        let unknown = Usage { resident_bytes: 0, threads: 0, files: 0 };
        let mut driven = Driven {
            before: unknown,
            after: unknown,
            windows: Latencies::new()?,
            failed: 0,
            messages: Vec::new(),
            given_up: false,
        };
        self.pause_until(Instant::now() + self.warm_up);
        // A first cycle, in which each version is loaded once.
        let cycle = if self.swaps > 0 { self.operator.sources() } else { 0 };
        self.swap_evenly(cycle, &mut driven)?;
        driven.windows = Latencies::new()?;
        self.done.store(0, Ordering::Relaxed);
        driven.before = self.weigh()?;
        self.course.measure();
        self.swap_evenly(self.swaps, &mut driven)?;
        driven.after = self.weigh()?;
        Ok(driven)
    }

    fn swap_evenly(&mut self, swaps: u64, driven: &mut Driven) -> Result<(), String> {
        let start = Instant::now();
        let mut failed_in_a_row = 0;
        for swap in 0..swaps {
            // In the middle of its share of the time.
            self.pause_until(start + self.interval.mul_f64(swap as f64 + 0.5));
            if driven.given_up || self.is_cancelled() {
                return Ok(());
            }
            let from = Instant::now();
            self.course.begin(self.operator.next());
            let landed = self.operator.swap();
            self.course.end(landed.is_ok());
            if landed.is_ok() {
                driven.windows.record(from.elapsed());
                self.done.fetch_add(1, Ordering::Relaxed);
                failed_in_a_row = 0;
            }
            if let Err(message) = landed.and_then(|()| self.operator.tidy()) {
                driven.failed += 1;
                failed_in_a_row += 1;
                driven.given_up = failed_in_a_row >= FAILED_IN_A_ROW_MAX;
                if driven.messages.len() < MESSAGES_MAX {
                    driven.messages.push(message);
                }
            }
        }
        self.pause_until(start + self.interval.mul_f64(swaps as f64));
        Ok(())
    }

    /// What the gateway holds, at rest from swaps and under the same traffic as ever.
    fn weigh(&self) -> Result<Usage, String> {
        self.pause_until(Instant::now() + REST);
        let mut weighed = Vec::new();
        for _ in 0..WEIGHINGS {
            weighed.push(Usage::of(self.process)?);
            self.pause_until(Instant::now() + WEIGHING / WEIGHINGS);
        }
        weighed.sort_by_key(|usage| usage.resident_bytes);
        Ok(weighed[weighed.len() / 2])
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn pause_until(&self, moment: Instant) {
        while let Some(left) = moment.checked_duration_since(Instant::now())
            && !left.is_zero()
            && !self.is_cancelled()
        {
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}
