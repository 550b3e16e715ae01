//! The line of jobs before the workers: bounded, first come, first served, and whoever gives up
//! leaves it at once, wherever it stands.
//!
//! Jobs that stand one behind the other and fit are taken out together. Where the version's runs are short enough
//! for a request's own thread, the first to come leads ([`crate::lead`]): it takes out whoever came meanwhile, and
//! no worker is woken.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    /// The most jobs that are left to the one who leads.
    left_max: usize,
}

#[derive(Debug)]
struct State {
    /// In the order of their ids.
    jobs: VecDeque<Job>,
    next_id: u64,
    /// Since when somebody who joined is about to take jobs out: they are left to it, for a while.
    led_since: Option<Instant>,
    /// Nobody joins any more; who waits is served.
    closed: bool,
    workers: usize,
    /// Those of them that have a session.
    able: usize,
    /// Those of these that wait for jobs.
    idle: usize,
}

/// The most jobs that are left to the one who leads. It takes out a handful at a time.
const LEFT_MAX: usize = 64;
/// How long jobs are left to it. Its thread may be held up by other requests; from then on whoever joins wakes a
/// worker.
const LEAD_WAIT_MAX: Duration = Duration::from_micros(500);

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) id: u64,
    /// Whether it is now up to this one to take jobs out.
    pub(crate) leads: bool,
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
        let jobs = VecDeque::new();
        let state = State { jobs, next_id: 0, led_since: None, closed: false, workers: 0, able: 0, idle: 0 };
        let places = places.max(1);
        Arc::new(Self {
            state: Mutex::new(state),
            came: Condvar::new(),
            came_for_unable: Condvar::new(),
            places,
            // Where there is hardly room for those who wait, nobody waits for a lead.
            left_max: LEFT_MAX.min(places / 2),
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
    pub(crate) fn join(&self, job: impl FnOnce(u64) -> Job) -> Result<Joined, JoinError> {
        let mut state = self.state.lock();
        if state.workers == 0 {
            return Err(JoinError::Closed);
        }
        if state.jobs.len() >= self.places {
            return Err(JoinError::Full);
        }
        let id = state.next_id;
        state.next_id += 1;
        let job = job(id);
        let leads = job.is_short && state.led_since.is_none() && state.jobs.is_empty() && self.left_max > 0;
        if leads {
            state.led_since = Some(job.queued_at);
        }
        let (is_short, now) = (job.is_short, job.queued_at);
        state.jobs.push_back(job);
        let is_left = is_short && state.is_left(self.left_max, now);
        let able = state.able > 0;
        drop(state);
        if !is_left {
            self.wake(able);
        }
        Ok(Joined { id, leads })
    }

    /// Takes the next jobs out for the one who leads: those that are short.
    pub(crate) fn take_short(&self, rows_max: u64, jobs: &mut Vec<Job>) {
        let mut state = self.state.lock();
        if state.jobs.front().is_some_and(|job| job.is_short) {
            state.take(rows_max, usize::MAX, jobs);
        }
        self.pass_on(state);
    }

    /// Wakes a worker for what is left over, where it is not left to anybody.
    fn pass_on(&self, state: MutexGuard<'_, State>) {
        let over = !state.jobs.is_empty()
            && (state.led_since.is_none() || !state.is_left(self.left_max, Instant::now()));
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
        for job in jobs.drain(..) {
            let place = state.jobs.partition_point(|waiting| waiting.id < job.id);
            state.jobs.insert(place, job);
        }
        let able = state.able > 0;
        drop(state);
        self.wake(able);
    }

    /// Wakes one worker: one that has a session, where any has.
    fn wake(&self, able: bool) {
        if able { &self.came } else { &self.came_for_unable }.notify_one();
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

impl State {
    /// Takes the first job out, and those behind it that can be run with it: `count_max` jobs, of `rows_max` rows in
    /// all.
    fn take(&mut self, rows_max: u64, count_max: usize, jobs: &mut Vec<Job>) {
        let Some(first) = self.jobs.pop_front() else { return };
        let mut rows = first.rows;
        jobs.push(first);
        while let Some(next) = self.jobs.front()
            && jobs.len() < count_max
            && jobs[0].fits(next)
            && let Some(sum) = rows.checked_add(next.rows).filter(|sum| *sum <= rows_max)
        {
            rows = sum;
            jobs.extend(self.jobs.pop_front());
        }
    }

    /// Whether workers leave the next jobs to the one who leads.
    fn is_left(&self, left_max: usize, now: Instant) -> bool {
        self.led_since.is_some_and(|since| now.saturating_duration_since(since) < LEAD_WAIT_MAX)
            && self.jobs.len() <= left_max
            && self.jobs.front().is_some_and(|job| job.is_short)
    }

    /// Whether there is a job that a worker may take.
    fn has_job(&self, left_max: usize) -> bool {
        let is_left = || self.led_since.is_some() && self.is_left(left_max, Instant::now());
        !self.jobs.is_empty() && !is_left()
    }
}

impl Jobs {
    /// Waits for the next jobs, of `rows_max` rows in all; says no once the line is closed and empty.
    ///
    /// Under load the next job is microseconds away, and to sleep and be woken costs more than that:
    /// so a worker first gives way a few times, and sleeps only then.
    pub(crate) fn next(&self, rows_max: u64, jobs: &mut Vec<Job>) -> bool {
        let backoff = Backoff::new();
        let mut state = self.line.state.lock();
        state.idle += 1;
        loop {
            if state.has_job(self.line.left_max) {
                // Others who have nothing to do take their share.
                let share = state.jobs.len().div_ceil(state.idle);
                state.idle -= 1;
                state.take(rows_max, share, jobs);
                self.line.pass_on(state);
                return true;
            }
            if state.closed && state.jobs.is_empty() {
                state.idle -= 1;
                return false;
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
                && state.has_job(self.line.left_max)
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
        job_of(id, 1, false)
    }

    /// A job of so many rows, which fits any other.
    fn job_of(id: u64, rows: u64, is_short: bool) -> Job {
        let (reply, _) = oneshot::channel();
        let (inputs, outputs, queued_at) = (Vec::new(), Vec::new(), Instant::now());
        Job { id, inputs, outputs, rows, joins: true, is_short, deadline: None, queued_at, reply }
    }

    fn taken(jobs: &Jobs, rows_max: u64) -> Option<Vec<u64>> {
        let mut taken = Vec::new();
        jobs.next(rows_max, &mut taken).then(|| taken.iter().map(|job| job.id).collect())
    }

    #[test]
    fn whoever_leaves_gives_its_place_to_another() {
        let line = Line::new(2);
        let jobs = line.jobs();
        let first = line.join(job).unwrap().id;
        let second = line.join(job).unwrap().id;
        assert_eq!(line.join(job), Err(JoinError::Full));
        line.leave(first);
        line.leave(first);
        assert_eq!(line.len(), 1);
        let third = line.join(job).unwrap().id;
        assert_eq!(taken(&jobs, 1), Some(vec![second]));
        line.leave(second);
        line.close();
        assert_eq!(taken(&jobs, 1), Some(vec![third]));
        assert_eq!(taken(&jobs, 1), None);
    }

    #[test]
    fn those_behind_the_first_come_along_while_they_fit() {
        let line = Line::new(16);
        let jobs = line.jobs();
        for rows in [1, 2, 3, 9, 1, 1] {
            line.join(|id| job_of(id, rows, false)).unwrap();
        }
        line.join(|id| Job { joins: false, ..job_of(id, 1, false) }).unwrap();
        line.join(|id| job_of(id, 1, false)).unwrap();
        line.join(|id| Job { outputs: vec![0], ..job_of(id, 1, false) }).unwrap();
        line.close();
        let mut all = Vec::new();
        while let Some(taken) = taken(&jobs, 6) {
            all.push(taken);
        }
        // 9 rows are more than are run together: they were the caller's own wish, and go alone.
        assert_eq!(all, [vec![0, 1, 2], vec![3], vec![4, 5], vec![6], vec![7], vec![8]]);
    }

    #[test]
    fn short_jobs_are_left_to_the_first_who_came() {
        let line = Line::new(200);
        let jobs = line.jobs();
        let short = || line.join(|id| job_of(id, 1, true)).unwrap();
        let first = short();
        assert!(first.leads && !short().leads && !short().leads);
        let is_left = || line.state.lock().is_left(line.left_max, Instant::now());
        assert!(is_left());
        let mut led = Vec::new();
        line.take_short(2, &mut led);
        assert_eq!(led.iter().map(|job| job.id).collect::<Vec<_>>(), [0, 1]);
        line.put_back(&mut led);
        line.end_lead();
        assert!(!is_left(), "what is left over is the workers'");
        assert_eq!(taken(&jobs, 8), Some(vec![0, 1, 2]));
        // One that is long is not left to whoever leads, and nobody leads past it.
        assert!(line.join(|id| job_of(id, 1, true)).unwrap().leads);
        line.join(|id| Job { joins: false, ..job_of(id, 1, false) }).unwrap();
        line.take_short(8, &mut led);
        assert_eq!(led.drain(..).map(|job| job.id).collect::<Vec<_>>(), [3]);
        line.take_short(8, &mut led);
        assert!(led.is_empty());
        assert_eq!(taken(&jobs, 8), Some(vec![4]));
        // Past the limit the workers help.
        for _ in 0..=LEFT_MAX {
            line.join(|id| job_of(id, 1, true)).unwrap();
        }
        assert!(!is_left());
        assert_eq!(taken(&jobs, 1), Some(vec![5]));
    }

    #[test]
    fn nobody_is_left_to_a_lead_that_is_held_up_or_where_there_is_hardly_room() {
        let line = Line::new(4);
        let jobs = line.jobs();
        assert!(line.join(|id| job_of(id, 1, true)).unwrap().leads);
        let now = Instant::now();
        assert!(line.state.lock().is_left(line.left_max, now));
        assert!(!line.state.lock().is_left(line.left_max, now + LEAD_WAIT_MAX));
        for _ in 0..2 {
            line.join(|id| job_of(id, 1, true)).unwrap();
        }
        assert!(!line.state.lock().is_left(line.left_max, now), "half of the places are taken");
        assert_eq!(taken(&jobs, 8), Some(vec![0, 1, 2]));
        let small = Line::new(1);
        let _jobs = small.jobs();
        assert!(!small.join(|id| job_of(id, 1, true)).unwrap().leads);
    }

    #[test]
    fn rows_beyond_counting_are_run_alone() {
        let line = Line::new(8);
        let jobs = line.jobs();
        for rows in [1, u64::MAX, u64::MAX, 1] {
            line.join(|id| job_of(id, rows, false)).unwrap();
        }
        line.close();
        let all: Vec<_> = std::iter::from_fn(|| taken(&jobs, u64::MAX)).collect();
        assert_eq!(all, [vec![0], vec![1], vec![2], vec![3]]);
    }

    #[test]
    fn workers_who_have_nothing_to_do_take_their_share() {
        let line = Line::new(16);
        let (one, other) = (line.jobs(), line.jobs());
        for _ in 0..7 {
            line.join(job).unwrap();
        }
        line.state.lock().idle = 1; // the other one waits
        assert_eq!(taken(&one, 16), Some(vec![0, 1, 2, 3]));
        line.state.lock().idle = 0;
        assert_eq!(taken(&other, 16), Some(vec![4, 5, 6]));
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
        let first = line.join(job).unwrap().id;
        assert!(matches!(one.next_unable(Instant::now()), Unable::TimeUp));
        other.set_able(false);
        assert!(matches!(one.next_unable(Instant::now()), Unable::Job(job) if job.id == first));
        let second = line.join(job).unwrap().id;
        other.set_able(true);
        assert!(matches!(one.next_unable(Instant::now()), Unable::TimeUp));
        line.close();
        assert!(matches!(one.next_unable(Instant::now()), Unable::Closed));
        assert_eq!(taken(&other, 1), Some(vec![second]));
    }

    #[test]
    fn a_line_that_closes_is_served_by_the_unable_where_nobody_else_is_left() {
        let line = Line::new(4);
        let mut only = line.jobs();
        only.set_able(false);
        let id = line.join(job).unwrap().id;
        line.close();
        assert!(matches!(only.next_unable(Instant::now()), Unable::Job(job) if job.id == id));
        assert!(matches!(only.next_unable(Instant::now()), Unable::Closed));
    }
}
