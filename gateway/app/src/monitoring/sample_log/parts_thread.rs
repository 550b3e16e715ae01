//! The thread that makes parts of spool files, keeps the log within its bounds, and deletes rows.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime};

use pointsman_observe::sample_log::{Deleted, Store, Subject};
use pointsman_predict::priority;

use super::Shared;

/// How often it looks at the disk, and tries again what failed.
const LOOK: Duration = Duration::from_millis(500);
/// How often it looks through all parts, where none was made.
const SWEEP: Duration = Duration::from_secs(10);
/// How often the same is said in the gateway's log.
const TELL: Duration = Duration::from_secs(60);

/// What it is asked to do.
pub(super) enum Order {
    /// Make a part of a spool file.
    Make(PathBuf),
    /// Delete rows from all parts.
    Delete(Subject, Sender<Result<Deleted, String>>),
    /// End.
    Stop,
}

/// The thread of parts.
pub(super) struct PartsThread {
    shared: Arc<Shared>,
    store: Store,
    orders: Receiver<Order>,
    backlog: VecDeque<PathBuf>,
    told: Option<(String, Instant)>,
    /// When anything failed last.
    failed_at: Option<Instant>,
}

impl PartsThread {
    pub(super) fn new(shared: Arc<Shared>, store: Store, orders: Receiver<Order>) -> Self {
        Self { shared, store, orders, backlog: VecDeque::new(), told: None, failed_at: None }
    }

    /// Works until it is told to end.
    pub(super) fn work(mut self) {
        priority::stand_back(self.shared.settings.niceness);
        let mut swept_at = None;
        let mut looked_at = Instant::now();
        self.sweep();
        loop {
            match self.orders.recv_timeout(LOOK) {
                Ok(Order::Make(path)) => self.backlog.push_back(path),
                Ok(Order::Delete(subject, answer)) => {
                    // Whoever asked may have given up.
                    let _ = answer.send(self.delete(&subject));
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.make_parts();
                    return;
                }
            }
            let made = self.make_parts();
            let is_due = swept_at.is_none_or(|at: Instant| at.elapsed() >= SWEEP);
            if made || is_due || (looked_at.elapsed() >= LOOK && self.is_short_changed()) {
                swept_at = Some(Instant::now());
                self.sweep();
            }
            if looked_at.elapsed() >= LOOK {
                looked_at = Instant::now();
            }
            let mut state = self.shared.state.lock();
            state.backlog = self.backlog.len();
            state.spool_bytes = self.store.spool_bytes();
            // What failed and did not again since it was tried again is over.
            if self.failed_at.is_some_and(|at| at.elapsed() > SWEEP) && self.backlog.is_empty() {
                self.failed_at = None;
                state.parts = None;
            }
        }
    }

    /// Makes parts of what there is, as far as that goes. Whether any was made.
    fn make_parts(&mut self) -> bool {
        let mut made = false;
        while let Some(path) = self.backlog.front() {
            match self.store.make_part(path) {
                Ok(part) => {
                    self.shared.state.lock().parts_made += u64::from(part.is_some());
                    made = true;
                }
                Err(error) => {
                    let problem = format!("{} is not made a part: {error}", path.display());
                    self.tell(problem);
                    if path_is_there(self.backlog.front()) {
                        return made;
                    }
                }
            }
            self.backlog.pop_front();
        }
        made
    }

    fn sweep(&mut self) {
        let is_short = self.is_short();
        match self.store.sweep(SystemTime::now(), is_short) {
            Ok(swept) => {
                if swept.deleted > 0 {
                    tracing::info!(
                        parts = swept.deleted,
                        "parts of the sample log were deleted: too old, or too much"
                    );
                }
                let mut state = self.shared.state.lock();
                state.swept = swept;
                state.is_short = is_short;
            }
            Err(error) => self.tell(format!("{}: {error}", self.shared.directory.display())),
        }
    }

    fn delete(&mut self, subject: &Subject) -> Result<Deleted, String> {
        self.make_parts();
        if !self.backlog.is_empty() {
            return Err(format!(
                "{} spool files cannot be made parts yet, and may have such rows",
                self.backlog.len()
            ));
        }
        self.store.delete(subject).map_err(|error| error.to_string())
    }

    /// Whether less is free on the disk than is to stay free.
    fn is_short(&self) -> bool {
        // A directory that is not there yet is looked at where it will be.
        let there = self.shared.directory.ancestors().find(|path| path.exists());
        let free = there.and_then(|path| rustix::fs::statvfs(path).ok());
        free.is_some_and(|free| {
            free.f_bavail.saturating_mul(free.f_frsize) < self.shared.settings.disk_reserve
        })
    }

    fn is_short_changed(&self) -> bool {
        self.is_short() != self.shared.state.lock().is_short
    }

    fn tell(&mut self, problem: String) {
        self.failed_at = Some(Instant::now());
        self.shared.state.lock().parts = Some(problem.clone());
        let is_new = self.told.as_ref().is_none_or(|(told, at)| *told != problem || at.elapsed() >= TELL);
        if is_new {
            tracing::warn!("parts of the sample log cannot be made or looked through: {problem}");
            self.told = Some((problem, Instant::now()));
        }
    }
}

fn path_is_there(path: Option<&PathBuf>) -> bool {
    path.is_some_and(|path| path.exists())
}
