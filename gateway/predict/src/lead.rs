//! Runs on the threads of requests, of versions whose runs are so short that a hop to another thread and back would
//! cost more.
//!
//! The first request that comes to an empty line has the lead. It gives way once, so that requests that are ready on the
//! same thread can join, takes out those that fit, and runs them together. Whoever it does not serve is the workers'.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pointsman_core::Session;

use crate::crew::Crew;
use crate::line::Line;
use crate::run::{Ended, Site, run};
use crate::version::Version;

/// How long one lead may go on: nothing else happens on the thread meanwhile.
const LEAD_MAX: Duration = Duration::from_micros(100);
/// A run that takes longer than this was not short: a hundred times what was measured.
const LONG: Duration = Duration::from_millis(10);
/// So many long runs show that inputs decide how long one takes: then they are the workers'.
const LONG_RUNS_MAX: u32 = 3;

/// The session for runs on the threads of requests. One is enough: one lead is taken at a time.
pub(crate) struct Inline {
    /// Taken by the worker that frees it. Nobody ever waits for the lock.
    session: Mutex<Option<Box<dyn Session>>>,
    /// It did not panic, and its runs are short.
    is_able: AtomicBool,
    long_runs: AtomicU32,
    crew: Weak<Crew>,
}

impl Inline {
    pub(crate) fn new(session: Box<dyn Session>, crew: Weak<Crew>) -> Arc<Self> {
        Arc::new(Self {
            session: Mutex::new(Some(session)),
            is_able: AtomicBool::new(true),
            long_runs: AtomicU32::new(0),
            crew,
        })
    }

    /// Whether it can be run.
    pub(crate) fn is_able(&self) -> bool {
        self.is_able.load(Ordering::Relaxed)
    }

    /// Gives the session to the worker that frees it.
    pub(crate) fn take(&self) -> Option<Box<dyn Session>> {
        self.session.lock().take()
    }

    /// Notes how long a run took.
    fn took(&self, time: Duration, crew: &Crew) {
        if time > LONG && self.long_runs.fetch_add(1, Ordering::Relaxed) + 1 == LONG_RUNS_MAX {
            self.is_able.store(false, Ordering::Relaxed);
            crew.runs_long(time);
        }
    }
}

impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inline").finish_non_exhaustive()
    }
}

/// The lead of a line: the duty to have the jobs run that are left to it. Dropped, it leaves them to the workers.
#[derive(Debug)]
pub(crate) struct Lead {
    line: Arc<Line>,
    inline: Arc<Inline>,
    rows_max: u64,
}

/// Who polls the future of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// A task, which goes on whatever its caller does.
    Task,
    /// Whoever reads a stream of answers: it stops where its client does not read.
    Reader,
}

impl Lead {
    pub(crate) fn new(line: &Arc<Line>, inline: &Arc<Inline>, rows_max: u64) -> Self {
        Self { line: line.clone(), inline: inline.clone(), rows_max }
    }

    /// Takes the lead. Whoever may stop polling has it taken by a task, which holds `version` meanwhile, so that its
    /// workers stay. A task for everybody would wake another thread each time, which is ready to take it over.
    pub(crate) async fn take(self, driver: Driver, version: &Arc<Version>) {
        match driver {
            Driver::Task => {
                tokio::task::yield_now().await;
                self.run();
            }
            Driver::Reader => {
                let version = version.clone();
                tokio::spawn(async move {
                    tokio::task::yield_now().await;
                    self.run();
                    drop(version);
                });
            }
        }
    }

    /// Runs the jobs that stand first in the line, and those that come meanwhile, for a while.
    fn run(self) {
        let Some(crew) = self.inline.crew.upgrade() else { return };
        let Some(mut session) = self.inline.session.try_lock().filter(|_| self.inline.is_able()) else {
            return;
        };
        let Some(session) = session.as_mut() else { return };
        let site = Site { slot: None, record: crew.record(), run_times: crew.run_times() };
        let mut jobs = Vec::new();
        let from = Instant::now();
        let mut until = from;
        loop {
            self.line.take_short(self.rows_max, &mut jobs);
            if jobs.is_empty() {
                return;
            }
            let ended = run(session.as_mut(), &mut jobs, site);
            if !jobs.is_empty() {
                self.line.put_back(&mut jobs);
            }
            if ended == Ended::Panicked {
                self.inline.is_able.store(false, Ordering::Relaxed);
                crew.panicked();
                return;
            }
            let now = Instant::now();
            self.inline.took(now - until, &crew);
            until = now;
            if now - from > LEAD_MAX || !self.inline.is_able() {
                return;
            }
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.line.end_lead();
    }
}
