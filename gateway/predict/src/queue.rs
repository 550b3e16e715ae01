//! The queue before a version's workers, and the ticket for a place in it.

use std::future::Future;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use parking_lot::Mutex;
use pointsman_core::{Interrupt, RunError, RunOutputs, StageTimes, Tensor};
use tokio::sync::oneshot;

use crate::lead::{Inline, Lead};
use crate::limits::RunLimits;
use crate::line::{Jobs, JoinError, Joined, Line, Place};
use crate::rows;

/// What a worker answers.
pub(crate) type Reply = Result<(RunOutputs, StageTimes), Unanswered>;

/// Why a job has no outputs.
#[derive(Clone, Debug)]
pub(crate) enum Unanswered {
    /// Its run failed.
    Run(RunError),
    /// It could not have ended before its deadline.
    Late,
    /// One of higher priority got its place in the line.
    Shed,
}

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) inputs: Vec<Option<Tensor>>,
    /// No optional input is given.
    pub(crate) is_plain: bool,
    pub(crate) outputs: Vec<usize>,
    /// The priority: 1 comes first.
    pub(crate) level: u32,
    pub(crate) deadline: Option<Instant>,
    pub(crate) queued_at: Instant,
}

/// One request in the queue.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) place: Place,
    pub(crate) inputs: Vec<Option<Tensor>>,
    pub(crate) outputs: Vec<usize>,
    /// Rows of its inputs.
    pub(crate) rows: u64,
    /// Whether it may be run together with others.
    pub(crate) joins: bool,
    /// The most rows of it that are run at once, where it has more.
    pub(crate) part_rows: Option<NonZero<u64>>,
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
        current.jobs.extend(jobs.iter().map(|job| job.place.id));
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
        let line = Line::new(queue_max, limits.clone(), interrupts.len());
        let runs = Arc::new(interrupts.into_iter().map(slot).collect());
        Self { line, runs, limits, inline }
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

    /// The most jobs that may wait at the moment.
    pub(crate) fn limit(&self) -> usize {
        self.line.limit()
    }

    /// Whether a job would get a place at the moment. Where priorities differ, one may that is not there yet.
    pub(crate) fn check(&self) -> Result<(), JoinError> {
        self.line.check(if self.limits.priorities.levels > 1 { 0 } else { 1 })
    }

    /// Takes a place, without waiting. With it may come the lead: then it is up to the caller to have the job run.
    pub(crate) fn submit(&self, task: Task) -> Result<(Ticket, Option<Lead>), JoinError> {
        let Task { inputs, is_plain, outputs, level, deadline, queued_at } = task;
        let (reply, receiver) = oneshot::channel();
        let shared = rows::shared(&inputs).filter(|_| is_plain);
        let RunLimits { batch_rows_max, part_rows_max, inline_rows_max, .. } = self.limits;
        let joins = batch_rows_max > 1 && shared.is_some_and(|rows| (1..batch_rows_max).contains(&rows));
        let part_rows =
            part_rows_max.and_then(NonZero::new).filter(|max| shared.is_some_and(|rows| rows > max.get()));
        let inline = self.inline.as_ref().filter(|inline| inline.is_able());
        let is_short = inline.is_some() && shared.is_some_and(|rows| rows <= inline_rows_max);
        let rows = shared.unwrap_or(1);
        let job = |place| Job {
            place,
            inputs,
            outputs,
            rows,
            joins,
            part_rows,
            is_short,
            deadline,
            queued_at,
            reply,
        };
        let Joined { place, leads, shed } = self.line.join(level, job)?;
        if let Some(shed) = shed {
            // Nobody takes the reply where the ticket was dropped meanwhile.
            let _ = shed.reply.send(Err(Unanswered::Shed));
        }
        let lead = inline.filter(|_| leads).map(|inline| Lead::new(&self.line, inline, inline_rows_max));
        let (line, runs) = (self.line.clone(), self.runs.clone());
        Ok((Ticket { place, receiver, line, runs, answered: false }, lead))
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
    place: Place,
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
        self.line.leave(self.place);
        for run in self.runs.iter() {
            run.interrupt(self.place.id);
        }
    }
}
