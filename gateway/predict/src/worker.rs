//! The threads that own sessions and run them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_core::{RunError, RunInputs, Session, StageTimes};

use crate::crew::{Crew, free};
use crate::line::{Jobs, Unable};
use crate::queue::{Job, RunSlot};

/// How long a worker waits, the first time and at most, before it asks again for a session that it
/// did not get. The time doubles in between.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A worker, on its thread. What it holds is let go in this order.
pub(crate) struct Worker {
    jobs: Jobs,
    runs: Arc<Vec<RunSlot>>,
    index: usize,
    crew: Arc<Crew>,
}

/// The session panicked in the run. It may be in any state.
struct Panicked;

impl Worker {
    /// Worker `index` of the crew, who takes `jobs`.
    pub(crate) fn new(jobs: Jobs, runs: Arc<Vec<RunSlot>>, index: usize, crew: Arc<Crew>) -> Self {
        Self { jobs, runs, index, crew }
    }

    /// Works until the queue is closed and empty, then frees the session, here.
    pub(crate) fn work(mut self, mut session: Box<dyn Session>) {
        while let Some(job) = self.jobs.next() {
            if run(session.as_mut(), job, &self.runs[self.index]).is_ok() {
                continue;
            }
            self.jobs.set_able(false);
            self.crew.panicked();
            free(session);
            match self.replacement() {
                Some(replacement) => session = replacement,
                None => return,
            }
            self.jobs.set_able(true);
        }
        self.crew.retiring();
        free(session);
    }

    /// Asks for a session until there is one; nothing where the queue is closed meanwhile. The other
    /// workers go on. Where none of them has a session either, whoever waits is told so.
    fn replacement(&self) -> Option<Box<dyn Session>> {
        let mut pause = PAUSE_MIN;
        loop {
            let reason = match self.crew.session(&self.runs[self.index]) {
                Ok(session) => return Some(session),
                Err(reason) => reason,
            };
            self.crew.not_replaced(&reason);
            let until = Instant::now() + pause;
            loop {
                match self.jobs.next_unable(until) {
                    Unable::Job(job) => refuse(job, &reason),
                    Unable::TimeUp => break,
                    Unable::Closed => return None,
                }
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Answers a job that no session can run.
fn refuse(job: Job, reason: &str) {
    let reply = Err(RunError::Failed(format!("no worker has a session: {reason}")));
    // Nobody takes the reply where the ticket was dropped meanwhile.
    let _ = job.reply.send(reply);
}

/// Runs one job, unless nobody waits for it.
fn run(session: &mut dyn Session, job: Job, slot: &RunSlot) -> Result<(), Panicked> {
    let taken_up_at = Instant::now();
    let expired = job.deadline.is_some_and(|deadline| deadline <= taken_up_at);
    if expired || !slot.begin(&job) {
        return Ok(());
    }
    let inputs = RunInputs { tensors: &job.inputs, outputs: &job.outputs };
    let started_at = Instant::now();
    // A panic in a runtime must not take the worker, and with it the version, away.
    let result = catch_unwind(AssertUnwindSafe(|| session.run(inputs)));
    let ended_at = Instant::now();
    slot.end();
    let times = StageTimes {
        queue: taken_up_at - job.queued_at,
        batch: started_at - taken_up_at,
        run: ended_at - started_at,
        batch_requests: 1,
    };
    let (reply, ended) = match result {
        Ok(Ok(outputs)) => (Ok((outputs, times)), Ok(())),
        Ok(Err(error)) => (Err(error), Ok(())),
        Err(_) => (Err(RunError::Failed("the session panicked".into())), Err(Panicked)),
    };
    // Nobody takes the reply where the ticket was dropped meanwhile.
    let _ = job.reply.send(reply);
    ended
}
