//! Requests that a version is run with before anybody has asked it.

use pointsman_core::{Batching, Signature, WarmUpInputs};
use pointsman_predict::rows;
use pointsman_registry::GoldenCases;

use super::rows::{Row, join};
use super::zeros::zeros;

/// What the sessions of a version can be run with.
pub(super) struct Samples {
    /// What it is made of.
    pub(super) inputs: WarmUpInputs,
    /// A whole request; nothing where none can be made.
    pub(super) first: Option<Row>,
    /// Single rows, as different as there are.
    pub(super) rows: Vec<Row>,
}

impl Samples {
    /// The first golden case, or zeros where there is none, beside the `rows` that the check of batching found.
    pub(super) fn new(mut rows: Vec<Row>, golden: Option<&GoldenCases>, signature: &Signature) -> Self {
        let case = golden.and_then(|golden| golden.cases.first());
        let golden = case.and_then(|case| signature.check(case.inputs.clone()).ok());
        let inputs = if golden.is_some() { WarmUpInputs::Golden } else { WarmUpInputs::Zeros };
        let first = golden.or_else(|| zeros(signature));
        if rows.is_empty() {
            rows.extend(first.clone().filter(|_| inputs == WarmUpInputs::Zeros));
        }
        Self { inputs, first, rows }
    }

    /// One row, so that versions with other golden cases can be compared; the first request where none was found.
    pub(super) fn one(&self) -> Option<&Row> {
        self.rows.first().or(self.first.as_ref())
    }

    /// A request of so many rows, of all that there are in turn; nothing where none is known.
    pub(super) fn joined(&self, count: usize) -> Option<Row> {
        join(&self.rows.iter().cycle().take(count).collect::<Vec<_>>())
    }

    /// Requests of these numbers of rows, up to `rows_max`, with their numbers. Where rows may not be run together,
    /// or are not known, it is the smallest request there is, alone.
    pub(super) fn of(&self, numbers: &[u64], batching: &Batching, rows_max: u64) -> Vec<(u64, Row)> {
        let joined = |number: &u64| Some((*number, self.joined(usize::try_from(*number).ok()?)?));
        let numbers = numbers.iter().filter(|number| batching.is_batched() && **number <= rows_max);
        let requests: Vec<_> = numbers.filter_map(joined).collect();
        if !requests.is_empty() {
            return requests;
        }
        self.one().map(|one| (rows::shared(one).unwrap_or(1), one.clone())).into_iter().collect()
    }
}
