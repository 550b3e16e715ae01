//! The line of jobs before the workers: bounded, first come, first served within a priority, and whoever gives up
//! leaves it at once, wherever it stands.
//!
//! Jobs that stand one behind the other and fit are taken out together ([`crate::batch`]). Where the version's runs
//! are short enough for a request's own thread, the first to come leads ([`crate::lead`]): it takes out whoever came
//! meanwhile, and no worker is woken.

mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;
use parking_lot::{Condvar, Mutex, MutexGuard};

use self::state::State;
use crate::batch::Choice;
use crate::cores::{Share, Turn};
use crate::limits::RunLimits;
use crate::queue::Job;

/// The line, shared by those who join it and the workers who serve it.
#[derive(Debug)]
pub(crate) struct Line {
    state: Mutex<State>,
    /// Wakes workers that have a session.
    came: Condvar,
    /// Wakes workers that have none.
    came_for_unable: Condvar,
}

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The priority: 1 comes first.
    pub(crate) level: u32,
    /// Ascending as jobs come.
    pub(crate) id: u64,
}

/// A job has joined.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) place: Place,
    /// Whether it is now up to this one to take jobs out.
    pub(crate) leads: bool,
    /// A job of lower priority whose place this one has got.
    pub(crate) shed: Option<Job>,
}

/// Why a job did not get a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinError {
    /// All places are taken.
    Full,
    /// So many wait as are served in time.
    Long {
        /// How many.
        limit: usize,
        /// What in time is.
        target: Duration,
    },
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
    /// An empty line of at least one place, for so many workers.
    pub(crate) fn new(places: usize, limits: RunLimits, workers: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(places.max(1), limits, workers)),
            came: Condvar::new(),
            came_for_unable: Condvar::new(),
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
        self.state.lock().len()
    }

    /// The most that may wait at the moment.
    pub(crate) fn limit(&self) -> usize {
        self.state.lock().limit()
    }

    /// Whether a job of this priority would get a place at the moment, and why not.
    pub(crate) fn check(&self, level: u32) -> Result<(), JoinError> {
        self.state.lock().check(level)
    }

    /// Takes a place, without waiting; the job is made with the place that it has here.
    pub(crate) fn join(&self, level: u32, job: impl FnOnce(Place) -> Job) -> Result<Joined, JoinError> {
        let mut state = self.state.lock();
        state.check(level)?;
        let shed = state.make_room();
        let place = Place { level, id: state.next_id };
        state.next_id += 1;
        let job = job(place);
        let leads = job.is_short && state.is_leadable();
        if leads {
            state.led_since = Some(job.queued_at);
        }
        let (is_short, now) = (job.is_short, job.queued_at);
        state.insert(job);
        let is_left = is_short && state.is_left(now);
        let able = state.able > 0;
        drop(state);
        if !is_left {
            self.wake(able);
        }
        Ok(Joined { place, leads, shed })
    }

    /// Takes the next jobs out for the one who leads: those that are short.
    pub(crate) fn take_short(&self, rows_max: u64, jobs: &mut Vec<Job>) {
        let mut state = self.state.lock();
        state.take_short(rows_max, jobs);
        self.pass_on(state);
    }

    /// Wakes a worker for what is left over, where it is not left to anybody.
    fn pass_on(&self, state: MutexGuard<'_, State>) {
        let over = state.has_job(Instant::now);
        let able = state.able > 0;
        drop(state);
        if over {
            self.wake(able);
        }
    }

    /// Ends the lead. What is left over is the workers'.
    pub(crate) fn end_lead(&self) {
        let mut state = self.state.lock();
        state.led_since = None;
        self.pass_on(state);
    }

    /// Puts jobs back that were taken out and not run.
    pub(crate) fn put_back(&self, jobs: &mut Vec<Job>) {
        let mut state = self.state.lock();
        jobs.drain(..).for_each(|job| state.insert(job));
        let able = state.able > 0;
        drop(state);
        self.wake(able);
    }

    /// Wakes one worker: one that has a session, where any has.
    fn wake(&self, able: bool) {
        if able { &self.came } else { &self.came_for_unable }.notify_one();
    }

    /// Gives the place of a job up, if it still waits.
    pub(crate) fn leave(&self, place: Place) {
        let left = self.state.lock().remove(place);
        // Its tensors are freed when nobody waits for the lock.
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
    /// Waits for the next jobs, and for the turn to run them; nothing once the line is closed and empty. The jobs
    /// stand in line until both are there.
    ///
    /// Under load the next job is microseconds away, and to sleep and be woken costs more than that:
    /// so a worker first gives way a few times, and sleeps only then.
    pub(crate) fn next(&self, share: &Arc<Share>, cores: usize, jobs: &mut Vec<Job>) -> Option<Turn> {
        let backoff = Backoff::new();
        let mut state = self.line.state.lock();
        state.idle += 1;
        let mut turn: Option<Turn> = None;
        loop {
            // Others who have nothing to do take their part, where there are cores for them.
            let choice = state.choose(|| share.free().saturating_sub(usize::from(turn.is_none())));
            match choice {
                Choice::Run(count) => match turn.take().or_else(|| share.try_turn(cores)) {
                    Some(turn) => {
                        state.idle -= 1;
                        state.take(count, jobs);
                        self.line.pass_on(state);
                        return Some(turn);
                    }
                    None => turn = MutexGuard::unlocked(&mut state, || Some(share.turn(cores))),
                },
                Choice::Wait(until) => {
                    turn = None;
                    let _ = self.line.came.wait_until(&mut state, until);
                }
                Choice::Nothing if state.closed && state.is_empty() => {
                    state.idle -= 1;
                    return None;
                }
                Choice::Nothing => {
                    turn = None;
                    if backoff.is_completed() {
                        self.line.came.wait(&mut state);
                    } else {
                        MutexGuard::unlocked(&mut state, || backoff.snooze());
                    }
                }
            }
        }
    }

    /// Puts jobs back that were taken out and not run.
    pub(crate) fn put_back(&self, jobs: &mut Vec<Job>) {
        self.line.put_back(jobs);
    }

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
                && state.has_job(Instant::now)
                && let Some(job) = state.pop()
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
        let waiting = if state.workers == 0 { state.clear() } else { Default::default() };
        drop(state);
        drop(waiting);
    }
}
