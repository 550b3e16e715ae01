//! The line of jobs before the workers: bounded, first come, first served, and whoever gives up
//! leaves it at once, wherever it stands.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_utils::Backoff;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::queue::Job;

/// The line, shared by those who join it and the workers who serve it.
#[derive(Debug)]
pub(crate) struct Line {
    state: Mutex<State>,
    /// Wakes workers that have a session.
    came: Condvar,
    /// Wakes workers that have none.
    came_for_unable: Condvar,
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
    /// Those of them that have a session.
    able: usize,
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
    able: bool,
}

/// What a worker without a session waits for.
#[derive(Debug)]
pub(crate) enum Unable {
    /// No worker has a session: somebody has to tell this job's caller.
    Job(Job),
    /// The time is over.
    TimeUp,
    /// Nobody joins the line any more, and whoever waits is served by others.
    Closed,
}

impl Line {
    /// An empty line of at least one place.
    pub(crate) fn new(places: usize) -> Arc<Self> {
        let state = State { jobs: VecDeque::new(), next_id: 0, closed: false, workers: 0, able: 0 };
        Arc::new(Self {
            state: Mutex::new(state),
            came: Condvar::new(),
            came_for_unable: Condvar::new(),
            places: places.max(1),
        })
    }

    /// An end for one more worker, who has a session.
    pub(crate) fn jobs(self: &Arc<Self>) -> Jobs {
        let mut state = self.state.lock();
        state.workers += 1;
        state.able += 1;
        Jobs { line: self.clone(), able: true }
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
        let able = state.able > 0;
        drop(state);
        if able { &self.came } else { &self.came_for_unable }.notify_one();
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
        self.came_for_unable.notify_all();
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

impl Jobs {
    /// The worker has lost its session, or has one again.
    pub(crate) fn set_able(&mut self, able: bool) {
        let mut state = self.line.state.lock();
        state.able = state.able + usize::from(able) - usize::from(self.able);
        self.able = able;
        let nobody = state.able == 0;
        drop(state);
        if nobody {
            self.line.came_for_unable.notify_all();
        }
    }

    /// Waits without a session until `until`. Jobs come here only while no worker has one.
    pub(crate) fn next_unable(&self, until: Instant) -> Unable {
        let mut state = self.line.state.lock();
        loop {
            if state.able == 0
                && let Some(job) = state.jobs.pop_front()
            {
                return Unable::Job(job);
            }
            if state.closed {
                return Unable::Closed;
            }
            if self.line.came_for_unable.wait_until(&mut state, until).timed_out() {
                return Unable::TimeUp;
            }
        }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        let mut state = self.line.state.lock();
        state.able -= usize::from(self.able);
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

    #[test]
    fn jobs_go_to_the_unable_only_where_nobody_is_able() {
        let line = Line::new(4);
        let (mut one, mut other) = (line.jobs(), line.jobs());
        one.set_able(false);
        let first = line.join(job).unwrap();
        assert!(matches!(one.next_unable(Instant::now()), Unable::TimeUp));
        other.set_able(false);
        assert!(matches!(one.next_unable(Instant::now()), Unable::Job(job) if job.id == first));
        let second = line.join(job).unwrap();
        other.set_able(true);
        assert!(matches!(one.next_unable(Instant::now()), Unable::TimeUp));
        line.close();
        assert!(matches!(one.next_unable(Instant::now()), Unable::Closed));
        assert_eq!(other.next().map(|job| job.id), Some(second));
    }

    #[test]
    fn a_line_that_closes_is_served_by_the_unable_where_nobody_else_is_left() {
        let line = Line::new(4);
        let mut only = line.jobs();
        only.set_able(false);
        let id = line.join(job).unwrap();
        line.close();
        assert!(matches!(only.next_unable(Instant::now()), Unable::Job(job) if job.id == id));
        assert!(matches!(only.next_unable(Instant::now()), Unable::Closed));
    }
}
