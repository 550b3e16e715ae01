//! The threads that own sessions and run them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_core::{RunError, Session};

use crate::cores::Share;
use crate::crew::{Crew, free};
use crate::line::{Jobs, Unable};
use crate::queue::{Job, RunSlot, Unanswered};
use crate::run::{Ended, Site, run};

/// How long a worker waits, the first time and at most, before it asks again for a session that it
/// did not get. The time doubles in between.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A worker, on its thread. What it holds is let go in this order.
pub(crate) struct Worker {
    jobs: Jobs,
    runs: Arc<Vec<RunSlot>>,
    index: usize,
    share: Arc<Share>,
    /// Those that one run takes.
    cores: usize,
    crew: Arc<Crew>,
    /// The core that it stays on.
    post: Option<usize>,
}

impl Worker {
    /// Worker `index` of the crew, whose runs take so many `cores` of the model's share.
    pub(crate) fn new(
        jobs: Jobs,
        runs: Arc<Vec<RunSlot>>,
        index: usize,
        (share, cores): (Arc<Share>, usize),
        crew: Arc<Crew>,
    ) -> Self {
        Self { jobs, runs, index, share, cores, crew, post: None }
    }

    /// Works until the queue is closed and empty, then frees the session, here.
    pub(crate) fn work(mut self, mut session: Box<dyn Session>) {
        let mut jobs = Vec::new();
        while let Some(turn) = self.jobs.next(&self.share, self.cores, &mut jobs) {
            self.post = self.share.posts().take(self.post, turn.core());
            let (record, run_times) = (self.crew.record(), self.crew.run_times());
            let site = Site { slot: Some(&self.runs[self.index]), record, run_times };
            let ended = run(session.as_mut(), &mut jobs, site);
            drop(turn);
            let panicked = ended == Ended::Panicked;
            if panicked {
                self.jobs.set_able(false);
            }
            if !jobs.is_empty() {
                self.jobs.put_back(&mut jobs);
            }
            if !panicked {
                continue;
            }
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
    let reply = Err(Unanswered::Run(RunError::Failed(format!("no worker has a session: {reason}"))));
    // Nobody takes the reply where the ticket was dropped meanwhile.
    let _ = job.reply.send(reply);
}
