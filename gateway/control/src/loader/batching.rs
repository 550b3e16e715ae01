//! Whether requests may be run together: different real rows are run alone and together, and the answers
//! compared. That a first dimension has a name, or any size, says nothing: rows that attend to each other, or
//! share the scale of a quantisation, have one too.

use std::time::{Duration, Instant};

use pointsman_core::{Batching, BatchingPolicy, Signature, Tensor};
use pointsman_registry::{GoldenCase, GoldenCases, Settings, compare, distance};

use super::fault::{Gate, LoadFault};
use super::rows::{Row, alike, cut, join, joinable, rows_of};
use super::runner::{RunFault, Runner};
use super::zeros::zeros;

/// The most rows that are run together.
pub(super) const ROWS_MAX: usize = 16;
/// How long the runs of rows alone may take in all. What is slower is not worth joining, and a load has
/// to end.
const ALONE_MAX: Duration = Duration::from_secs(10);

/// What is known about a version's rows before they are run.
pub(super) struct Rules<'a> {
    pub(super) policy: BatchingPolicy,
    /// The most rows that may be run together.
    pub(super) rows_max: usize,
    pub(super) rtol: f64,
    pub(super) atol: f64,
    pub(super) cases: &'a [GoldenCase],
}

impl<'a> Rules<'a> {
    /// What card, configuration and golden cases say together. A card that allows batching may have its own
    /// tolerances.
    pub(super) fn new(settings: &Settings, golden: Option<&'a GoldenCases>) -> Self {
        let tolerance =
            |card: Option<pointsman_registry::Tolerance>, golden: f64| card.map_or(golden, |t| t.get());
        // What is never compared with training has no tolerance; then rows have to agree exactly.
        let (rtol, atol) = golden.map_or((0.0, 0.0), |golden| (golden.rtol, golden.atol));
        Self {
            policy: settings.batching,
            rows_max: settings.max_batch_size.unwrap_or(ROWS_MAX).min(ROWS_MAX),
            rtol: tolerance(settings.batch_rtol, rtol),
            atol: tolerance(settings.batch_atol, atol),
            cases: golden.map_or(&[], |golden| &golden.cases),
        }
    }
}

/// What the check found, with the rows that it found it by: those to warm with.
pub(super) struct Found {
    pub(super) batching: Batching,
    pub(super) rows: Vec<Row>,
}

/// Why the check stops before its end.
enum Stop {
    /// With a finding.
    Found(Batching),
    /// With a fault of the version.
    Fault(LoadFault),
}

/// Runs rows alone and together, and says whether requests may be.
///
/// # Errors
/// [`LoadFault::TooLong`] where a run does not end.
pub(super) fn check(
    runner: &mut Runner,
    signature: &Signature,
    rules: &Rules<'_>,
) -> Result<Found, LoadFault> {
    let rows = different_rows(signature, rules.cases);
    let found = |batching, rows| Ok(Found { batching, rows });
    if rules.policy == BatchingPolicy::Forbid || rules.rows_max < 2 {
        return found(Batching::Forbidden, rows.unwrap_or_default());
    }
    let rows = match joinable(signature).and(rows) {
        Ok(rows) => rows,
        Err(what) => return found(Batching::Unfit { what }, Vec::new()),
    };
    let mut bench = Bench { runner, signature, outputs: (0..signature.outputs.len()).collect() };
    let batching = match (rows.as_slice(), rules.policy) {
        ([_, _, ..], _) => bench.compare(&rows[..rows.len().min(rules.rows_max)], rules),
        (few, BatchingPolicy::Allow) => bench.shapes(few.first(), lacking(rules.cases, few.len())),
        (few, _) => Ok(Batching::Unknown { reason: lacking(rules.cases, few.len()) }),
    };
    match batching {
        Ok(batching) | Err(Stop::Found(batching)) => found(batching, rows),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

/// Rows of the golden cases that differ from each other and can be parts of one request.
///
/// # Errors
/// Which inputs of a case do not have the same number of rows.
fn different_rows(signature: &Signature, cases: &[GoldenCase]) -> Result<Vec<Row>, String> {
    let mut different: Vec<Row> = Vec::new();
    for case in cases {
        // A case that does not fit the signature is the golden check's to refuse.
        let Ok(inputs) = signature.check(case.inputs.clone()) else { continue };
        for row in rows_of(signature, &inputs)? {
            if different.len() == ROWS_MAX {
                return Ok(different);
            }
            if different.first().is_none_or(|first| alike(first, &row)) && !different.contains(&row) {
                different.push(row);
            }
        }
    }
    Ok(different)
}

/// Why so few rows are not enough.
fn lacking(cases: &[GoldenCase], rows: usize) -> String {
    if cases.is_empty() {
        return "it has no golden cases to take rows from (golden.json)".into();
    }
    format!("its golden cases have {rows} different row(s) of one shape, and it takes 2 (golden.json)")
}

/// The orders in which rows are run together: as they are, in reverse, and the ends without what lay between,
/// so that every row changes place and neighbours.
fn orders(rows: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![(0..rows).collect::<Vec<_>>(), (0..rows).rev().collect()];
    if rows > 2 {
        orders.push(vec![0, rows - 1]);
    }
    orders
}

struct Bench<'a> {
    runner: &'a mut Runner,
    signature: &'a Signature,
    outputs: Vec<usize>,
}

impl Bench<'_> {
    fn compare(&mut self, rows: &[Row], rules: &Rules<'_>) -> Result<Batching, Stop> {
        let mut alone = Vec::with_capacity(rows.len());
        let from = Instant::now();
        for (at, row) in rows.iter().enumerate() {
            let ran = self.run(row, 1, || format!("row {at} of the golden cases alone"))?;
            alone.push(ran);
            if from.elapsed() > ALONE_MAX {
                let reason = format!("{} runs took longer than {ALONE_MAX:?}", at + 1);
                return Err(Stop::Found(Batching::Unknown { reason }));
            }
        }
        let mut worst = 0.0;
        for order in orders(rows.len()) {
            let together: Vec<&Row> = order.iter().map(|&row| &rows[row]).collect();
            let count = together.len();
            let Some(joined) = join(&together) else {
                let what = "its rows cannot be put together".to_owned();
                return Err(Stop::Found(Batching::Unfit { what }));
            };
            let answers = self.run(&joined, count as u64, || format!("{count} rows together"))?;
            let difference = differ(self.signature, &answers, &order, &alone, rules, &mut worst);
            if let Some(what) = difference {
                return Ok(Batching::Disagrees { what });
            }
        }
        Ok(Batching::Checked { rows: rows.len(), worst })
    }

    /// Only looks whether as many rows come out as go in: a row beside itself shows no more.
    fn shapes(&mut self, row: Option<&Row>, unchecked: String) -> Result<Batching, Stop> {
        let Some(row) = row.cloned().or_else(|| zeros(self.signature)) else {
            return Ok(Batching::Allowed { unchecked });
        };
        for count in [1, 2] {
            let together = vec![&row; count];
            let ran = join(&together)
                .map(|joined| self.run(&joined, count as u64, || format!("{count} row(s) together")));
            match ran {
                // Zeros need not be an input that the model takes.
                None | Some(Err(Stop::Found(Batching::Unknown { .. }))) => break,
                Some(ran) => drop(ran?),
            }
        }
        Ok(Batching::Allowed { unchecked })
    }

    /// Runs some rows and holds every output to have as many.
    fn run(&mut self, rows: &Row, count: u64, what: impl Fn() -> String) -> Result<Vec<Tensor>, Stop> {
        let ran = match self.runner.run(rows, &self.outputs) {
            Ok(ran) => ran,
            Err(RunFault::Failed(reason)) => {
                let reason = format!("{} cannot be run: {reason}", what());
                return Err(Stop::Found(Batching::Unknown { reason }));
            }
            Err(RunFault::TooLong(limit)) => {
                return Err(Stop::Fault(LoadFault::TooLong { gate: Gate::Batching, what: what(), limit }));
            }
        };
        for (spec, output) in self.signature.outputs.iter().zip(&ran.outputs) {
            if output.shape().dims().first() != Some(&count) {
                let what = format!(
                    "output '{}' has the shape {} for {count} row(s): its first dimension is not that of rows",
                    spec.name,
                    output.shape()
                );
                return Err(Stop::Found(Batching::Unfit { what }));
            }
        }
        Ok(ran.outputs)
    }
}

/// The first answer that is another one together than alone.
fn differ(
    signature: &Signature,
    together: &[Tensor],
    order: &[usize],
    alone: &[Vec<Tensor>],
    rules: &Rules<'_>,
    worst: &mut f64,
) -> Option<String> {
    for (output, spec) in signature.outputs.iter().enumerate() {
        for (at, &row) in order.iter().enumerate() {
            let expected = &alone[row][output];
            let got = cut(&together[output], at as u64);
            let difference = match &got {
                None => "it has no row at this place".to_owned(),
                Some(got) => match compare(expected, got, rules.rtol, rules.atol) {
                    Ok(()) => {
                        *worst = worst.max(distance(expected, got));
                        continue;
                    }
                    Err(difference) => difference.to_string(),
                },
            };
            let count = order.len();
            return Some(format!(
                "row {row}, alone and with {} other(s), output '{}': {difference}",
                count - 1,
                spec.name
            ));
        }
    }
    None
}
