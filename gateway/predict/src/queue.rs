//! The queue before a version's workers, and the ticket for a place in it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use parking_lot::Mutex;
use pointsman_core::{Interrupt, RunError, RunOutputs, StageTimes, Tensor};
use tokio::sync::oneshot;

use crate::line::{Jobs, JoinError, Line};

/// What a worker answers.
pub(crate) type Reply = Result<(RunOutputs, StageTimes), RunError>;

/// One request in the queue.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) inputs: Vec<Option<Tensor>>,
    pub(crate) outputs: Vec<usize>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) queued_at: Instant,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// The sending side, held by the version. Dropped, it closes the line.
#[derive(Debug)]
pub(crate) struct Queue {
    line: Arc<Line>,
    runs: Arc<Vec<RunSlot>>,
}

/// What one worker runs at the moment, so that a ticket can end the run of its own job.
pub(crate) struct RunSlot {
    current: Mutex<Current>,
}

struct Current {
    job: Option<u64>,
    interrupted: bool,
    interrupt: Arc<dyn Interrupt>,
}

impl std::fmt::Debug for RunSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunSlot").field("job", &self.current.lock().job).finish_non_exhaustive()
    }
}

impl RunSlot {
    /// Marks the job as running, unless nobody waits for it any more.
    pub(crate) fn begin(&self, job: &Job) -> bool {
        let mut current = self.current.lock();
        // Looked at under the lock: a ticket closes its side first and takes the lock second, so it
        // either sees this job here or is seen here.
        if job.reply.is_closed() {
            return false;
        }
        current.job = Some(job.id);
        true
    }

    /// Marks the worker as idle and makes its session runnable again.
    pub(crate) fn end(&self) {
        let mut current = self.current.lock();
        current.job = None;
        if std::mem::take(&mut current.interrupted) {
            current.interrupt.reset();
        }
    }

    /// Follows the worker to another session. None of its jobs runs at the moment.
    pub(crate) fn renew(&self, interrupt: Arc<dyn Interrupt>) {
        let old = std::mem::replace(&mut self.current.lock().interrupt, interrupt);
        drop(old);
    }

    fn interrupt(&self, job: u64) {
        let mut current = self.current.lock();
        if current.job == Some(job) {
            current.interrupted = true;
            current.interrupt.terminate();
        }
    }
}

impl Queue {
    /// Creates a queue of `queue_max` places for workers with these interrupts.
    pub(crate) fn new(queue_max: usize, interrupts: Vec<Arc<dyn Interrupt>>) -> Self {
        let idle = |interrupt| Current { job: None, interrupted: false, interrupt };
        let slot = |interrupt| RunSlot { current: Mutex::new(idle(interrupt)) };
        let runs = Arc::new(interrupts.into_iter().map(slot).collect());
        Self { line: Line::new(queue_max), runs }
    }

    /// An end for one more worker.
    pub(crate) fn jobs(&self) -> Jobs {
        self.line.jobs()
    }

    pub(crate) fn runs(&self) -> &Arc<Vec<RunSlot>> {
        &self.runs
    }

    /// How many jobs wait.
    pub(crate) fn depth(&self) -> usize {
        self.line.len()
    }

    /// Takes a place, without waiting.
    pub(crate) fn submit(
        &self,
        inputs: Vec<Option<Tensor>>,
        outputs: Vec<usize>,
        deadline: Option<Instant>,
        queued_at: Instant,
    ) -> Result<Ticket, JoinError> {
        let (reply, receiver) = oneshot::channel();
        let id = self.line.join(|id| Job { id, inputs, outputs, deadline, queued_at, reply })?;
        let (line, runs) = (self.line.clone(), self.runs.clone());
        Ok(Ticket { id, receiver, line, runs, answered: false })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.line.close();
    }
}

/// The right to one answer. Dropped before that, it takes the job back: a queued one leaves the line
/// and is never run, a running one is interrupted.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: u64,
    receiver: oneshot::Receiver<Reply>,
    line: Arc<Line>,
    runs: Arc<Vec<RunSlot>>,
    answered: bool,
}

/// The worker went away without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkerGone;

impl Future for Ticket {
    type Output = Result<Reply, WorkerGone>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = Pin::new(&mut self.receiver).poll(context);
        self.answered = reply.is_ready();
        reply.map_err(|_| WorkerGone)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        self.receiver.close();
        self.line.leave(self.id);
        for run in self.runs.iter() {
            run.interrupt(self.id);
        }
    }
}
