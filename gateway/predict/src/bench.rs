//! Private parts of the data path, so that `benches/parts.rs` can time each by itself. Not for anybody else.

use std::sync::Arc;
use std::time::Instant;

use pointsman_core::{ModelName, Tensor};

use crate::batch::{self, Candidate, Choice};
use crate::cache::digest;
use crate::cores::{Cores, Share};
use crate::limits::RunLimits;
use crate::line::Jobs;
use crate::queue::{Job, Queue, Task, Ticket};

/// The digest by which the response cache finds answers.
#[must_use]
pub fn digest(inputs: &[Option<Tensor>], outputs: &[usize]) -> u128 {
    digest::digest(inputs, outputs)
}

/// How many of these jobs, which came now and have a deadline each, are run together.
#[must_use]
pub fn choose(rows: &[u64], deadline: Instant, limits: &RunLimits) -> usize {
    let queued_at = Instant::now();
    let candidate = |&rows: &u64| Candidate { rows, fits: true, deadline: Some(deadline), queued_at };
    let candidates = rows.iter().map(candidate);
    match batch::choose(candidates, limits, limits.batch_rows_max, usize::MAX, queued_at) {
        Choice::Run(count) => count,
        Choice::Nothing | Choice::Wait(_) => 0,
    }
}

/// A queue with the end of its only worker, and nobody at it but who calls.
pub struct Line {
    queue: Queue,
    worker: Jobs,
    share: Arc<Share>,
    taken: Vec<Job>,
}

/// The place of a request. Dropped before the request was taken, it gives the place up.
pub struct Place {
    _ticket: Ticket,
}

impl Line {
    /// An empty queue of so many places.
    #[must_use]
    pub fn new(places: usize, limits: RunLimits, model: &ModelName) -> Self {
        let queue = Queue::new(places, limits, Vec::new(), None);
        let worker = queue.jobs();
        Self { queue, worker, share: Cores::new(1).share(model), taken: Vec::new() }
    }

    /// Has a request join; nothing where all places are taken.
    #[must_use]
    pub fn join(&self, inputs: Vec<Option<Tensor>>) -> Option<Place> {
        let (outputs, queued_at) = (vec![0], Instant::now());
        let task = Task { inputs, is_plain: true, outputs, level: 1, deadline: None, queued_at };
        self.queue.submit(task).ok().map(|(ticket, _)| Place { _ticket: ticket })
    }

    /// Takes out whom a worker would run next, and drops them; gives how many. Waits where nobody is there.
    pub fn take(&mut self) -> usize {
        let turn = self.worker.next(&self.share, 1, &mut self.taken);
        drop(turn);
        self.taken.drain(..).count()
    }
}
