//! The deadline of a shadow's runs: a thread that ends those which do not end by themselves.
//!
//! Only threads of the shadow wait for its lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use pointsman_core::Interrupt;

/// What runs at the moment, and until when it may.
pub(crate) struct Watch {
    run_max: Duration,
    run: Mutex<Run>,
    changed: Condvar,
    /// A run is past its deadline and has not ended.
    stuck: AtomicBool,
}

#[derive(Default)]
struct Run {
    begun: Option<(Instant, Arc<dyn Interrupt>)>,
    interrupted: bool,
    /// The watching thread waits for a run.
    idle: bool,
    closed: bool,
}

impl Run {
    fn close(&mut self) {
        self.closed = true;
        if let Some((_, interrupt)) = &self.begun {
            self.interrupted = true;
            interrupt.terminate();
        }
    }
}

impl Watch {
    pub(crate) fn new(run_max: Duration) -> Self {
        Self { run_max, run: Mutex::default(), changed: Condvar::new(), stuck: AtomicBool::default() }
    }

    /// Whether a run is past its deadline and has not ended.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// A run begins, which is ended by this.
    pub(crate) fn begin(&self, interrupt: Arc<dyn Interrupt>) {
        let mut run = self.run.lock();
        run.begun = Some((Instant::now(), interrupt));
        // While it waits for the deadline of an earlier one it looks at this one soon enough.
        if run.idle {
            self.changed.notify_one();
        }
    }

    /// The run has ended, and its session can run again. Whether that was past its deadline.
    pub(crate) fn end(&self) -> bool {
        let mut run = self.run.lock();
        let late = run.begun.take().is_some_and(|(begun, interrupt)| {
            if run.interrupted {
                interrupt.reset();
            }
            begun.elapsed() > self.run_max
        });
        self.stuck.store(false, Ordering::Relaxed);
        std::mem::take(&mut run.interrupted) || late
    }

    /// There will be no more runs; one that is under way is ended.
    pub(crate) fn close(&self) {
        self.run.lock().close();
        self.changed.notify_one();
    }

    /// The same, unless a thread of the shadow has the lock, which may be held up: then a run that is under way is ended
    /// at its deadline. Never waits.
    pub(crate) fn try_close(&self) {
        if let Some(mut run) = self.run.try_lock() {
            run.close();
            self.changed.notify_one();
        }
    }

    /// Watches until it is closed.
    pub(crate) fn watch(&self) {
        let mut run = self.run.lock();
        while !run.closed {
            let due = run.begun.as_ref().filter(|_| !run.interrupted).map(|(begun, _)| *begun + self.run_max);
            match due {
                None => {
                    run.idle = true;
                    self.changed.wait(&mut run);
                    run.idle = false;
                }
                Some(due) if due <= Instant::now() => {
                    run.interrupted = true;
                    self.stuck.store(true, Ordering::Relaxed);
                    if let Some((_, interrupt)) = &run.begun {
                        interrupt.terminate();
                    }
                }
                Some(due) => {
                    self.changed.wait_until(&mut run, due);
                }
            }
        }
    }
}
