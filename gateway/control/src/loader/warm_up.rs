//! First runs of a version's sessions, so that no caller waits for them.

use std::time::{Duration, Instant};

use pointsman_core::{Batching, Tensor, WarmUp, WarmUpInputs};

use super::batching::ROWS_MAX;
use super::fault::{Gate, LoadFault};
use super::rows::Row;
use super::runner::{RunFault, Runner};
use super::samples::Samples;

/// How long the runs of several rows may take in all; every session runs once whatever it takes.
const BUDGET: Duration = Duration::from_secs(2);

/// What the sessions of a version are warmed with.
pub(super) struct Plan {
    inputs: WarmUpInputs,
    /// A request; nothing where none can be made.
    first: Option<Vec<Option<Tensor>>>,
    /// Requests of several rows, with their number.
    joined: Vec<(usize, Row)>,
    outputs: Vec<usize>,
    from: Instant,
}

/// The numbers of rows that a batched version is warmed with, beside one: 2, 4, 8 and so on.
fn sizes(rows_max: usize) -> impl Iterator<Item = usize> {
    let size_max = rows_max.min(ROWS_MAX);
    std::iter::successors(Some(2_usize), |size| size.checked_mul(2)).take_while(move |&size| size <= size_max)
}

impl Plan {
    /// With the first request first, and where requests may be run together with rows in the sizes up to
    /// `rows_max`.
    pub(super) fn new(samples: &Samples, batching: &Batching, rows_max: usize, outputs: usize) -> Self {
        let of = |size: usize| Some((size, samples.joined(size)?));
        let sizes = sizes(if batching.is_batched() { rows_max } else { 0 });
        let joined = sizes.filter_map(of).collect();
        let (inputs, first) = (samples.inputs, samples.first.clone());
        Self { inputs, first, joined, outputs: (0..outputs).collect(), from: Instant::now() }
    }

    /// Requests of several rows, with their number.
    pub(super) fn joined(&self) -> impl Iterator<Item = (u64, &Row)> {
        self.joined.iter().map(|(rows, joined)| (*rows as u64, joined))
    }

    /// All outputs.
    pub(super) fn outputs(&self) -> &[usize] {
        &self.outputs
    }

    /// Warms one more session. Gives the reason where not even the first run succeeds.
    ///
    /// # Errors
    /// [`LoadFault::TooLong`] where a run does not end.
    pub(super) fn warm(&self, runner: &mut Runner, done: &mut WarmUp) -> Result<Option<String>, LoadFault> {
        let Some(first) = &self.first else { return Ok(None) };
        if let Some(reason) = self.run(runner, first)? {
            // Zeros need not be an input that the model takes; only the golden cases decide.
            return Ok(Some(format!("a run ({}) failed: {reason}", self.inputs.name())));
        }
        done.inputs = self.inputs;
        done.sessions += 1;
        done.rows_max = done.rows_max.max(1);
        for (rows, joined) in &self.joined {
            if self.from.elapsed() < BUDGET && self.run(runner, joined)?.is_none() {
                done.rows_max = done.rows_max.max(*rows);
            }
        }
        Ok(None)
    }

    /// Runs once; gives what the engine says where that fails.
    fn run(&self, runner: &mut Runner, tensors: &[Option<Tensor>]) -> Result<Option<String>, LoadFault> {
        match runner.run(tensors, &self.outputs) {
            Ok(_) => Ok(None),
            Err(RunFault::Failed(reason)) => Ok(Some(reason)),
            Err(RunFault::TooLong(limit)) => {
                let what = format!("its first run ({})", self.inputs.name());
                Err(LoadFault::TooLong { gate: Gate::WarmUp, what, limit })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_double_up_to_the_limit() {
        let of = |rows_max| sizes(rows_max).collect::<Vec<_>>();
        assert_eq!(of(0), [0; 0]);
        assert_eq!(of(1), [0; 0]);
        assert_eq!(of(7), [2, 4]);
        assert_eq!(of(8), [2, 4, 8]);
        assert_eq!(of(usize::MAX), [2, 4, 8, 16]);
    }
}
