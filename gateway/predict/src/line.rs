//! The line of jobs before the workers: bounded, first come, first served, and whoever gives up
//! leaves it at once, wherever it stands.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_utils::Backoff;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::queue::Job;

/// The line, shared by those who join it and the workers who serve it.
#[derive(Debug)]
pub(crate) struct Line {
    state: Mutex<State>,
    came: Condvar,
    places: usize,
}

#[derive(Debug)]
struct State {
    /// In the order of their ids.
    jobs: VecDeque<Job>,
    next_id: u64,
    /// Nobody joins any more; who waits is served.
    closed: bool,
    workers: usize,
}

/// Why a job did not get a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinError {
    /// All places are taken.
    Full,
    /// The workers are gone.
    Closed,
}

/// A worker's end of the line. When the last one is gone, nobody waits there in vain.
#[derive(Debug)]
pub(crate) struct Jobs {
    line: Arc<Line>,
}

impl Line {
    /// An empty line of at least one place.
    pub(crate) fn new(places: usize) -> Arc<Self> {
        let state = State { jobs: VecDeque::new(), next_id: 0, closed: false, workers: 0 };
        Arc::new(Self { state: Mutex::new(state), came: Condvar::new(), places: places.max(1) })
    }

    /// An end for one more worker.
    pub(crate) fn jobs(self: &Arc<Self>) -> Jobs {
        self.state.lock().workers += 1;
        Jobs { line: self.clone() }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().jobs.len()
    }

    /// Takes a place, without waiting; the job is made with the id that it has here.
    pub(crate) fn join(&self, job: impl FnOnce(u64) -> Job) -> Result<u64, JoinError> {
        let mut state = self.state.lock();
        if state.workers == 0 {
            return Err(JoinError::Closed);
        }
        if state.jobs.len() >= self.places {
            return Err(JoinError::Full);
        }
        let id = state.next_id;
        state.next_id += 1;
        state.jobs.push_back(job(id));
        drop(state);
        self.came.notify_one();
        Ok(id)
    }

    /// Gives the place of a job up, if it still waits.
    pub(crate) fn leave(&self, id: u64) {
        let mut state = self.state.lock();
        let left = state.jobs.binary_search_by_key(&id, |job| job.id).ok();
        let left = left.and_then(|at| state.jobs.remove(at));
        // Its tensors are freed when nobody waits for the lock.
        drop(state);
        drop(left);
    }

    /// Lets nobody join any more.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.came.notify_all();
    }
}

impl Jobs {
    /// Waits for the next job; nothing once the line is closed and empty.
    ///
    /// Under load the next job is microseconds away, and to sleep and be woken costs more than that:
    /// so a worker first gives way a few times, and sleeps only then.
    pub(crate) fn next(&self) -> Option<Job> {
        let backoff = Backoff::new();
        let mut state = self.line.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            if backoff.is_completed() {
                self.line.came.wait(&mut state);
            } else {
                MutexGuard::unlocked(&mut state, || backoff.snooze());
            }
        }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        let mut state = self.line.state.lock();
        state.workers -= 1;
        let waiting = if state.workers == 0 { std::mem::take(&mut state.jobs) } else { VecDeque::new() };
        drop(state);
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::sync::oneshot;

    use super::*;

    fn job(id: u64) -> Job {
        let (reply, _) = oneshot::channel();
        Job { id, inputs: Vec::new(), outputs: Vec::new(), deadline: None, queued_at: Instant::now(), reply }
    }

    #[test]
    fn whoever_leaves_gives_its_place_to_another() {
        let line = Line::new(2);
        let jobs = line.jobs();
        let first = line.join(job).unwrap();
        let second = line.join(job).unwrap();
        assert_eq!(line.join(job), Err(JoinError::Full));
        line.leave(first);
        line.leave(first);
        assert_eq!(line.len(), 1);
        let third = line.join(job).unwrap();
        assert_eq!(jobs.next().map(|job| job.id), Some(second));
        line.leave(second);
        line.close();
        assert_eq!(jobs.next().map(|job| job.id), Some(third));
        assert!(jobs.next().is_none());
    }

    #[test]
    fn nobody_waits_for_workers_that_are_gone() {
        let line = Line::new(2);
        let (one, other) = (line.jobs(), line.jobs());
        drop(one);
        line.join(job).unwrap();
        drop(other);
        assert_eq!((line.len(), line.join(job)), (0, Err(JoinError::Closed)));
    }
}
