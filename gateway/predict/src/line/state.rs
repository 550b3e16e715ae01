//! Who stands in line, in which order, and who is to be taken out. Looked at under the line's lock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{JoinError, Place};
use crate::batch::{Candidate, Choice, choose};
use crate::congestion::Congestion;
use crate::limits::RunLimits;
use crate::queue::Job;

/// The most jobs that are left to the one who leads. It takes out a handful at a time.
pub(super) const LEFT_MAX: usize = 64;
/// How long jobs are left to it. Its thread may be held up by other requests; from then on whoever joins wakes a
/// worker.
pub(super) const LEAD_WAIT_MAX: Duration = Duration::from_micros(500);

#[derive(Debug)]
pub(super) struct State {
    /// In the order of their places: by priority, then as they came.
    jobs: VecDeque<Job>,
    pub(super) next_id: u64,
    /// Since when somebody who joined is about to take jobs out: they are left to it, for a while.
    pub(super) led_since: Option<Instant>,
    /// Nobody joins any more; who waits is served.
    pub(super) closed: bool,
    pub(super) workers: usize,
    /// Those of them that have a session.
    pub(super) able: usize,
    /// Those of these that wait for jobs, or for their turn.
    pub(super) idle: usize,
    places: usize,
    limits: RunLimits,
    congestion: Congestion,
    /// The most jobs that are left to the one who leads.
    left_max: usize,
}

impl State {
    pub(super) fn new(places: usize, limits: RunLimits, workers: usize) -> Self {
        let congestion = Congestion::new(&limits, places, workers);
        // Where there is hardly room for those who wait, nobody waits for a lead.
        let left_max = LEFT_MAX.min(congestion.limit() / 2);
        Self {
            jobs: VecDeque::new(),
            next_id: 0,
            led_since: None,
            closed: false,
            workers: 0,
            able: 0,
            idle: 0,
            places,
            limits,
            congestion,
            left_max,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The most jobs that may wait at the moment.
    pub(super) fn limit(&self) -> usize {
        self.congestion.limit()
    }

    /// Whether there is a place for a job of this priority: a free one, or that of the last job, if it comes behind.
    pub(super) fn check(&mut self, level: u32) -> Result<(), JoinError> {
        if self.workers == 0 {
            return Err(JoinError::Closed);
        }
        let limit = self.congestion.limit();
        if self.jobs.len() < limit || self.jobs.back().is_some_and(|last| last.place.level > level) {
            return Ok(());
        }
        match self.congestion.target() {
            Some(target) if limit < self.places => {
                self.congestion.refused();
                Err(JoinError::Long { limit, target })
            }
            _ => Err(JoinError::Full),
        }
    }

    /// Takes the last job out where there is no place left.
    pub(super) fn make_room(&mut self) -> Option<Job> {
        if self.jobs.len() < self.congestion.limit() {
            return None;
        }
        self.congestion.refused();
        self.jobs.pop_back()
    }

    /// Puts a job where it belongs: nearly always at the end.
    pub(super) fn insert(&mut self, job: Job) {
        let key = |place: Place| (place.level, place.id);
        let at = match self.jobs.back() {
            Some(last) if key(last.place) > key(job.place) => {
                self.jobs.partition_point(|waiting| key(waiting.place) < key(job.place))
            }
            _ => self.jobs.len(),
        };
        self.jobs.insert(at, job);
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Job> {
        let found =
            self.jobs.binary_search_by_key(&(place.level, place.id), |job| (job.place.level, job.place.id));
        self.jobs.remove(found.ok()?)
    }

    pub(super) fn pop(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    pub(super) fn clear(&mut self) -> VecDeque<Job> {
        std::mem::take(&mut self.jobs)
    }

    /// Whether whoever joins now can lead.
    pub(super) fn is_leadable(&self) -> bool {
        self.led_since.is_none() && self.jobs.is_empty() && self.left_max > 0
    }

    /// Whether workers leave the next jobs to the one who leads.
    pub(super) fn is_left(&self, now: Instant) -> bool {
        self.led_since.is_some_and(|since| now.saturating_duration_since(since) < LEAD_WAIT_MAX)
            && self.jobs.len() <= self.left_max
            && self.jobs.front().is_some_and(|job| job.is_short)
    }

    /// Whether there is a job that a worker may take.
    pub(super) fn has_job(&self, now: impl FnOnce() -> Instant) -> bool {
        !(self.jobs.is_empty() || self.led_since.is_some() && self.is_left(now()))
    }

    /// What a worker does next, where `free` cores would be left for others.
    pub(super) fn choose(&self, free: impl FnOnce() -> usize) -> Choice {
        if self.jobs.is_empty() {
            return Choice::Nothing;
        }
        let now = Instant::now();
        if self.led_since.is_some() && self.is_left(now) {
            return Choice::Nothing;
        }
        let count_max = match self.idle {
            // A delay asks for as many together as can be.
            0 | 1 => usize::MAX,
            _ if !self.limits.batch_delay.is_zero() => usize::MAX,
            idle => self.jobs.len().div_ceil(idle.min(1 + free())),
        };
        self.choose_of(self.limits.batch_rows_max, count_max, now)
    }

    fn choose_of(&self, rows_max: u64, count_max: usize, now: Instant) -> Choice {
        let Some(first) = self.jobs.front() else { return Choice::Nothing };
        let candidate = |(at, job): (usize, &Job)| Candidate {
            rows: job.rows,
            fits: if at == 0 { first.joins } else { first.fits(job) },
            deadline: job.deadline,
            queued_at: job.queued_at,
        };
        choose(self.jobs.iter().enumerate().map(candidate), &self.limits, rows_max, count_max, now)
    }

    /// Takes those jobs out that stand first.
    pub(super) fn take(&mut self, count: usize, jobs: &mut Vec<Job>) {
        let line = self.jobs.len();
        jobs.extend(self.jobs.drain(..count.min(line)));
        if let Some(first) = jobs.first() {
            self.note_wait(first, line, Instant::now());
        }
    }

    /// Notes how long a job waited that is taken out of a line of so many.
    pub(super) fn note_wait(&mut self, job: &Job, line: usize, now: Instant) {
        self.congestion.waited(now.saturating_duration_since(job.queued_at), line, now);
    }

    /// Takes the next jobs out for the one who leads, where they are short.
    pub(super) fn take_short(&mut self, rows_max: u64, jobs: &mut Vec<Job>) {
        if !self.jobs.front().is_some_and(|job| job.is_short) {
            return;
        }
        if let Choice::Run(count) = self.choose_of(rows_max, usize::MAX, Instant::now()) {
            self.take(count, jobs);
        }
    }
}
