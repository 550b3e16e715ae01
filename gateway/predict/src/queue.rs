//! The queue before a version's workers, and the ticket for a place in it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use parking_lot::Mutex;
use pointsman_core::{Interrupt, RunError, RunOutputs, StageTimes, Tensor};
use tokio::sync::oneshot;

use crate::lead::{Inline, Lead};
use crate::line::{Jobs, JoinError, Joined, Line};
use crate::rows;

/// What a worker answers.
pub(crate) type Reply = Result<(RunOutputs, StageTimes), RunError>;

/// One request in the queue.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) inputs: Vec<Option<Tensor>>,
    pub(crate) outputs: Vec<usize>,
    /// Rows of its inputs.
    pub(crate) rows: u64,
    /// Whether it may be run together with others.
    pub(crate) joins: bool,
    /// Whether its run is short enough for the thread of a request.
    pub(crate) is_short: bool,
    pub(crate) deadline: Option<Instant>,
    pub(crate) queued_at: Instant,
    pub(crate) reply: oneshot::Sender<Reply>,
}

impl Job {
    /// Whether another one can be run with it.
    pub(crate) fn fits(&self, other: &Self) -> bool {
        self.joins && other.joins && self.outputs == other.outputs && rows::fit(&self.inputs, &other.inputs)
    }
}

/// The sending side, held by the version. Dropped, it closes the line.
#[derive(Debug)]
pub(crate) struct Queue {
    line: Arc<Line>,
    runs: Arc<Vec<RunSlot>>,
    limits: RunLimits,
    /// Where runs are short enough for the threads of requests.
    inline: Option<Arc<Inline>>,
}

/// How many rows are run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// The most rows of several requests that are run together; 1 where each is run alone.
    pub batch_rows_max: u64,
    /// The most rows that are run on the thread of a request; 0 where none are.
    pub inline_rows_max: u64,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self { batch_rows_max: 1, inline_rows_max: 0 }
    }
}

/// What one worker runs at the moment, so that a ticket can end the run of its own job.
pub(crate) struct RunSlot {
    current: Mutex<Current>,
}

struct Current {
    /// The jobs of the run for which somebody still waits.
    jobs: Vec<u64>,
    interrupted: bool,
    interrupt: Arc<dyn Interrupt>,
}

impl std::fmt::Debug for RunSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunSlot").field("jobs", &self.current.lock().jobs).finish_non_exhaustive()
    }
}

impl RunSlot {
    /// Marks jobs as running, and drops those for which nobody waits any more.
    pub(crate) fn begin(&self, jobs: &mut Vec<Job>) {
        let mut current = self.current.lock();
        // Looked at under the lock: a ticket closes its side first and takes the lock second, so it
        // either sees its job here or is seen here.
        jobs.retain(|job| !job.reply.is_closed());
        current.jobs.clear();
        current.jobs.extend(jobs.iter().map(|job| job.id));
    }

    /// Marks the worker as idle and makes its session runnable again.
    pub(crate) fn end(&self) {
        let mut current = self.current.lock();
        current.jobs.clear();
        if std::mem::take(&mut current.interrupted) {
            current.interrupt.reset();
        }
    }

    /// Follows the worker to another session. None of its jobs runs at the moment.
    pub(crate) fn renew(&self, interrupt: Arc<dyn Interrupt>) {
        let old = std::mem::replace(&mut self.current.lock().interrupt, interrupt);
        drop(old);
    }

    /// Nobody waits for a job any more. The run ends once that is so of all its jobs.
    fn interrupt(&self, job: u64) {
        let mut current = self.current.lock();
        let Some(place) = current.jobs.iter().position(|running| *running == job) else { return };
        current.jobs.swap_remove(place);
        if current.jobs.is_empty() {
            current.interrupted = true;
            current.interrupt.terminate();
        }
    }
}

impl Queue {
    /// Creates a queue of `queue_max` places for workers with these interrupts.
    pub(crate) fn new(
        queue_max: usize,
        limits: RunLimits,
        interrupts: Vec<Arc<dyn Interrupt>>,
        inline: Option<Arc<Inline>>,
    ) -> Self {
        let idle = |interrupt| Current { jobs: Vec::new(), interrupted: false, interrupt };
        let slot = |interrupt| RunSlot { current: Mutex::new(idle(interrupt)) };
        let runs = Arc::new(interrupts.into_iter().map(slot).collect());
        Self { line: Line::new(queue_max), runs, limits, inline }
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

    /// Takes a place, without waiting. With it may come the lead: then it is up to the caller to have the job run.
    /// `is_plain` says that no optional input is given.
    pub(crate) fn submit(
        &self,
        inputs: Vec<Option<Tensor>>,
        is_plain: bool,
        outputs: Vec<usize>,
        deadline: Option<Instant>,
        queued_at: Instant,
    ) -> Result<(Ticket, Option<Lead>), JoinError> {
        let (reply, receiver) = oneshot::channel();
        let shared = rows::shared(&inputs).filter(|_| is_plain);
        let RunLimits { batch_rows_max, inline_rows_max } = self.limits;
        let joins = batch_rows_max > 1 && shared.is_some_and(|rows| (1..batch_rows_max).contains(&rows));
        let inline = self.inline.as_ref().filter(|inline| inline.is_able());
        let is_short = inline.is_some() && shared.is_some_and(|rows| rows <= inline_rows_max);
        let rows = shared.unwrap_or(1);
        let job = |id| Job { id, inputs, outputs, rows, joins, is_short, deadline, queued_at, reply };
        let Joined { id, leads } = self.line.join(job)?;
        let lead = inline.filter(|_| leads).map(|inline| Lead::new(&self.line, inline, inline_rows_max));
        let (line, runs) = (self.line.clone(), self.runs.clone());
        Ok((Ticket { id, receiver, line, runs, answered: false }, lead))
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
