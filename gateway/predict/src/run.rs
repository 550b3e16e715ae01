//! One run, of one job or of several together, from the jobs to their answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use pointsman_core::{RunError, RunInputs, RunOutputs, Session, StageTimes, Tensor};

use crate::limits::RunTimes;
use crate::parts::in_parts;
use crate::queue::{Job, RunSlot, Unanswered};
use crate::record::Record;
use crate::rows::{self, Cut};

/// How runs ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All jobs are answered.
    Done,
    /// The run of several jobs failed: those that are left are to be run one by one, so that none of them suffers for
    /// another.
    Apart,
    /// The session panicked, and may be in any state. Jobs that are left are to be run one by one by another.
    Panicked,
}

/// Where runs happen: what is told of each.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    /// By which a run can be ended early; nothing where runs are too short for that.
    pub(crate) slot: Option<&'a RunSlot>,
    pub(crate) record: &'a Record,
    /// How long runs take, so that none is begun that cannot end in time.
    pub(crate) run_times: &'a RunTimes,
}

/// Runs jobs together, and answers them; those that have expired, or for which nobody waits, are dropped unrun. What is
/// left in `jobs` is not answered.
pub(crate) fn run(session: &mut dyn Session, jobs: &mut Vec<Job>, site: Site<'_>) -> Ended {
    let taken_up_at = Instant::now();
    let late = |job: &mut Job| {
        job.deadline.is_some_and(|deadline| deadline <= taken_up_at + site.run_times.least(job.rows))
    };
    for job in jobs.extract_if(.., late) {
        // Nobody takes the reply where the ticket was dropped meanwhile.
        let _ = job.reply.send(Err(Unanswered::Late));
    }
    let ended = match jobs.len() {
        0 => Ended::Done,
        1 => alone(session, jobs, site, taken_up_at),
        _ => together(session, jobs, site, taken_up_at),
    };
    jobs.iter_mut().for_each(|job| job.joins = false);
    ended
}

/// Runs several jobs as one.
fn together(session: &mut dyn Session, jobs: &mut Vec<Job>, site: Site<'_>, taken_up_at: Instant) -> Ended {
    site.begin(jobs);
    let parts: Vec<&[Option<Tensor>]> = jobs.iter().map(|job| job.inputs.as_slice()).collect();
    let Some((first, joined)) = jobs.first().zip(rows::join(&parts)) else {
        site.end();
        return if jobs.is_empty() { Ended::Done } else { Ended::Apart };
    };
    let inputs = RunInputs { tensors: &joined, outputs: &first.outputs };
    let started_at = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| session.run(inputs)));
    let ended_at = Instant::now();
    site.end();
    let outputs = match result {
        Ok(Ok(outputs)) => outputs,
        Ok(Err(_)) => return Ended::Apart,
        Err(_) => return Ended::Panicked,
    };
    let rows = jobs.iter().map(|job| job.rows).sum();
    let Some(answers) = split(jobs, &outputs, rows) else { return Ended::Apart };
    #[cfg(debug_assertions)]
    let answers = crate::fault::swapped(answers);
    site.record.ran(rows, ended_at - started_at);
    let batch_requests = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
    for (job, outputs) in jobs.drain(..).zip(answers) {
        let times = StageTimes {
            queue: taken_up_at - job.queued_at,
            batch: started_at - taken_up_at,
            run: ended_at - started_at,
            batch_requests,
            cached: false,
        };
        // Nobody takes the reply where the ticket was dropped meanwhile.
        let _ = job.reply.send(Ok((outputs, times)));
    }
    Ended::Done
}

/// The outputs of each job; nothing where there are not as many rows as went in.
fn split(jobs: &[Job], outputs: &[Tensor], rows: u64) -> Option<Vec<RunOutputs>> {
    if outputs.iter().any(|output| output.shape().dims().first() != Some(&rows)) {
        return None;
    }
    let mut cuts = outputs.iter().map(Cut::new).collect::<Option<Vec<_>>>()?;
    jobs.iter().map(|job| cuts.iter_mut().map(|cut| cut.take(job.rows)).collect()).collect()
}

/// Runs one job by itself.
fn alone(session: &mut dyn Session, job: &mut Vec<Job>, site: Site<'_>, taken_up_at: Instant) -> Ended {
    site.begin(job);
    let Some(job) = job.pop() else {
        site.end();
        return Ended::Done;
    };
    let started_at = Instant::now();
    // A panic in a runtime must not take the worker, and with it the version, away.
    let result = catch_unwind(AssertUnwindSafe(|| match job.part_rows {
        Some(part_rows) => in_parts(session, &job, part_rows, site.record),
        None => whole(session, &job, site.record),
    }));
    let ended_at = Instant::now();
    site.end();
    let times = StageTimes {
        queue: taken_up_at - job.queued_at,
        batch: started_at - taken_up_at,
        run: ended_at - started_at,
        batch_requests: 1,
        cached: false,
    };
    let (reply, ended) = match result {
        Ok(outputs) => (outputs.map(|outputs| (outputs, times)), Ended::Done),
        Err(_) => (Err(Unanswered::Run(RunError::Failed("the session panicked".into()))), Ended::Panicked),
    };
    // Nobody takes the reply where the ticket was dropped meanwhile.
    let _ = job.reply.send(reply);
    ended
}

/// Runs all rows of a job at once.
pub(crate) fn whole(session: &mut dyn Session, job: &Job, record: &Record) -> Result<RunOutputs, Unanswered> {
    let started_at = Instant::now();
    let outputs = session.run(RunInputs { tensors: &job.inputs, outputs: &job.outputs });
    let outputs = outputs.map_err(Unanswered::Run)?;
    record.ran(job.rows, started_at.elapsed());
    Ok(outputs)
}

impl Site<'_> {
    /// Drops jobs for which nobody waits any more, and lets the run of the others be ended.
    fn begin(&self, jobs: &mut Vec<Job>) {
        match self.slot {
            Some(slot) => slot.begin(jobs),
            None => jobs.retain(|job| !job.reply.is_closed()),
        }
    }

    fn end(&self) {
        if let Some(slot) = self.slot {
            slot.end();
        }
    }
}
