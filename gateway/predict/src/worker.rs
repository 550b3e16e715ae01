//! The threads that own sessions and run them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use pointsman_core::{RunError, RunInputs, Session, StageTimes};

use crate::line::Jobs;
use crate::queue::{Job, RunSlot};

/// Works until the queue is closed and empty, then frees the session, here.
pub(crate) fn work(mut session: Box<dyn Session>, jobs: &Jobs, runs: &Arc<Vec<RunSlot>>, worker: usize) {
    while let Some(job) = jobs.next() {
        run(session.as_mut(), job, &runs[worker]);
    }
}

/// Runs one job, unless nobody waits for it.
fn run(session: &mut dyn Session, job: Job, slot: &RunSlot) {
    let taken_up_at = Instant::now();
    let expired = job.deadline.is_some_and(|deadline| deadline <= taken_up_at);
    if expired || !slot.begin(&job) {
        return;
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
    let reply = match result {
        Ok(Ok(outputs)) => Ok((outputs, times)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(RunError::Failed("the session panicked".into())),
    };
    // Nobody takes the reply where the ticket was dropped meanwhile.
    let _ = job.reply.send(reply);
}
