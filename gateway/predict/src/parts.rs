//! Requests of more rows than are run at once: cut, run part by part, and put together again.
//!
//! All parts are run by the same session, one after the other, so that a request never sees two versions. Between them
//! it is seen whether anybody still waits.

use std::num::NonZero;
use std::time::Instant;

use pointsman_core::{RunError, RunInputs, RunOutputs, Session, Tensor};

use crate::queue::{Job, Unanswered};
use crate::record::Record;
use crate::rows::{self, Cut};
use crate::run::whole;

/// Runs a job in parts of at most `part_rows` rows. Where the version does not give as many rows as it gets, all are
/// run at once.
pub(crate) fn in_parts(
    session: &mut dyn Session,
    job: &Job,
    part_rows: NonZero<u64>,
    record: &Record,
) -> Result<RunOutputs, Unanswered> {
    let cuts =
        job.inputs.iter().map(|input| input.as_ref().map_or(Some(None), |tensor| Cut::new(tensor).map(Some)));
    let Some(mut cuts) = cuts.collect::<Option<Vec<_>>>() else { return whole(session, job, record) };
    let mut answers: Vec<Vec<Option<Tensor>>> = Vec::new();
    let mut from = 0;
    while from < job.rows {
        if job.reply.is_closed() {
            return Err(Unanswered::Run(RunError::Interrupted));
        }
        let started_at = Instant::now();
        if job.deadline.is_some_and(|deadline| deadline <= started_at) {
            return Err(Unanswered::Late);
        }
        let rows = part_rows.get().min(job.rows - from);
        let part = cuts.iter_mut().map(|cut| match cut {
            Some(cut) => cut.take(rows).map(Some),
            None => Some(None),
        });
        let Some(part) = part.collect::<Option<Vec<_>>>() else { return whole(session, job, record) };
        let outputs = session.run(RunInputs { tensors: &part, outputs: &job.outputs });
        let outputs = outputs.map_err(Unanswered::Run)?;
        record.ran(rows, started_at.elapsed());
        if outputs.iter().any(|output| output.shape().dims().first() != Some(&rows)) {
            return whole(session, job, record);
        }
        answers.push(outputs.into_iter().map(Some).collect());
        from += rows;
    }
    let answers: Vec<&[Option<Tensor>]> = answers.iter().map(Vec::as_slice).collect();
    match rows::join(&answers) {
        Some(outputs) => Ok(outputs.into_iter().flatten().collect()),
        None => whole(session, job, record),
    }
}
