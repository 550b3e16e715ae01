//! Rows alone and together: each way in which a model is no model of independent rows is found.

use pointsman_core::{Batching, BatchingPolicy, RunError, Signature};
use pointsman_registry::{GoldenCase, Tolerance};

use super::super::batching::{Rules, check};
use super::super::runner::Runner;
use super::{PATIENCE, Scripted, input, spec, tensor};

/// A golden case of these rows; what is expected does not count here.
fn case(rows: &[[f32; 2]]) -> GoldenCase {
    let inputs = input(&[rows.len() as u64, 2], rows.as_flattened());
    GoldenCase { note: String::new(), inputs, outputs: Vec::new() }
}

const AUTO: Rules<'static> =
    Rules { policy: BatchingPolicy::Auto, rows_max: 16, rtol: 1e-4, atol: 1e-5, cases: &[] };
const ALLOW: Rules<'static> = Rules { policy: BatchingPolicy::Allow, ..AUTO };

fn found(model: Scripted, rules: &Rules<'_>) -> Batching {
    let signature = model.signature.clone();
    let mut runner = Runner::start(Box::new(model), PATIENCE).expect("a thread");
    check(&mut runner, &signature, rules).expect("runs that end").batching
}

fn found_with(model: Scripted, cases: &[GoldenCase]) -> Batching {
    found(model, &Rules { cases, ..AUTO })
}

fn rows(count: usize) -> Vec<GoldenCase> {
    let rows: Vec<[f32; 2]> = (0..count).map(|n| [n as f32, 1.0]).collect();
    vec![case(&rows)]
}

#[test]
fn independent_rows_are_batched_and_16_of_them_are_enough() {
    for (count, checked) in [(2, 2), (3, 3), (16, 16), (40, 16)] {
        assert_eq!(
            found_with(Scripted::sum(), &rows(count)),
            Batching::Checked { rows: checked, worst: 0.0 },
            "{count}"
        );
    }
    // Rows of several cases count together, the same ones once.
    let cases = [case(&[[1.0, 2.0]]), case(&[[1.0, 2.0], [3.0, 4.0]])];
    assert_eq!(found_with(Scripted::sum(), &cases), Batching::Checked { rows: 2, worst: 0.0 });
}

#[test]
fn rows_that_see_each_other_are_not_batched() {
    // As rows that attend to each other: each gets the mean of all.
    let mean = Scripted::new(|x, rows| {
        let mean = x.iter().sum::<f32>() / rows as f32;
        Ok(vec![tensor(&[rows], vec![mean; rows as usize])])
    });
    let Batching::Disagrees { what } = found_with(mean, &rows(3)) else { panic!("not found") };
    assert!(
        what.starts_with("row 0, alone and with 2 other(s), output 'y': element 0: expected 1"),
        "{what}"
    );
    // As a dynamic quantisation: the largest value is the scale of all.
    let quantised = Scripted::new(|x, rows| {
        let scale = x.iter().fold(0.0_f32, |a, b| a.max(b.abs())) / 127.0;
        Ok(vec![tensor(&[rows], x.chunks(2).map(|row| (row[0] / scale).round() * scale).collect())])
    });
    let cases = [case(&[[1.0, 0.01], [0.013, 0.0]])];
    assert!(matches!(found_with(quantised.clone(), &cases), Batching::Disagrees { .. }));
    // The owner may say that this is near enough.
    let near = Rules { cases: &cases, atol: 0.01, ..ALLOW };
    let Batching::Checked { rows: 2, worst } = found(quantised, &near) else { panic!("not allowed") };
    assert!(worst > 1e-4 && worst < 0.01, "{worst}");
}

#[test]
fn rows_that_only_see_the_one_before_are_found() {
    let shifted = Scripted::new(|x, rows| {
        let before = |row: usize| if row < 1 { 0.0 } else { x[2 * (row - 1)] };
        Ok(vec![tensor(&[rows], (0..rows as usize).map(before).collect())])
    });
    assert!(matches!(found_with(shifted, &rows(2)), Batching::Disagrees { .. }));
    // Only in the middle of three, where the order alone does not show it.
    let middle = Scripted::new(|x, rows| {
        let extra = if rows == 3 { 1.0 } else { 0.0 };
        Ok(vec![tensor(
            &[rows],
            x.chunks(2).enumerate().map(|(n, row)| row[0] + if n == 1 { extra } else { 0.0 }).collect(),
        )])
    });
    assert!(matches!(found_with(middle, &rows(3)), Batching::Disagrees { .. }));
}

#[test]
fn outputs_without_a_first_dimension_of_rows_are_named() {
    let unfit = |model: Scripted| match found_with(model, &rows(3)) {
        Batching::Unfit { what } => what,
        other => panic!("{other}"),
    };
    let scalar = Scripted::new(|x, _| Ok(vec![tensor(&[], vec![x[0]])]));
    assert!(unfit(scalar).starts_with("output 'y' has the shape [] for 1 row(s)"));
    // The batch lies in dimension 1: for one row that looks right.
    let second =
        Scripted::new(|x, rows| Ok(vec![tensor(&[1, rows], x.iter().step_by(2).copied().collect())]));
    assert!(unfit(second).starts_with("output 'y' has the shape [1,3] for 3 row(s)"));
    // As many as there are classes, whatever the rows: three rows together look right.
    let classes = Scripted::new(|_, _| Ok(vec![tensor(&[3], vec![0.0; 3])]));
    assert!(unfit(classes).starts_with("output 'y' has the shape [3] for 1 row(s)"));
}

#[test]
fn inputs_without_a_first_dimension_of_rows_are_named() {
    let mut fixed = Scripted::sum();
    fixed.signature = Signature { inputs: vec![spec("x", &[Some(3), Some(2)])], ..fixed.signature };
    let what = "the first dimension of input 'x' is always 3".to_owned();
    assert_eq!(found_with(fixed.clone(), &rows(3)), Batching::Unfit { what: what.clone() });
    // No card can allow that.
    assert_eq!(found(fixed, &ALLOW), Batching::Unfit { what });
}

#[test]
fn without_two_different_rows_nothing_is_known() {
    let Batching::Unknown { reason } = found_with(Scripted::sum(), &[]) else { panic!("known") };
    assert_eq!(reason, "it has no golden cases to take rows from (golden.json)");
    let cases = [case(&[[1.0, 2.0], [1.0, 2.0]])];
    let Batching::Unknown { reason } = found_with(Scripted::sum(), &cases) else { panic!("known") };
    assert!(reason.starts_with("its golden cases have 1 different row(s)"), "{reason}");
    let refused = Scripted::new(|_, rows| match rows {
        1 => Ok(vec![tensor(&[1], vec![0.0])]),
        _ => Err(RunError::Rejected("one at a time".into())),
    });
    let Batching::Unknown { reason } = found_with(refused, &rows(3)) else { panic!("known") };
    assert!(reason.contains("3 rows together cannot be run") && reason.contains("one at a time"), "{reason}");
}

#[test]
fn a_card_can_forbid_it_and_allow_what_cannot_be_checked() {
    let cases = rows(3);
    let forbid = Rules { policy: BatchingPolicy::Forbid, cases: &cases, ..AUTO };
    assert_eq!(found(Scripted::sum(), &forbid), Batching::Forbidden);
    assert_eq!(found(Scripted::sum(), &Rules { rows_max: 1, cases: &cases, ..AUTO }), Batching::Forbidden);
    assert!(matches!(found(Scripted::sum(), &ALLOW), Batching::Allowed { .. }));
    assert_eq!(
        found(Scripted::sum(), &Rules { cases: &cases, ..ALLOW }),
        Batching::Checked { rows: 3, worst: 0.0 }
    );
    // What it allows must still have rows to give back.
    let scalar = Scripted::new(|_, _| Ok(vec![tensor(&[1], vec![0.0])]));
    assert!(matches!(found(scalar, &ALLOW), Batching::Unfit { .. }));
    // What is there to check is checked, by its own tolerance.
    let wrong = Scripted::new(|_, rows| Ok(vec![tensor(&[rows], vec![rows as f32; rows as usize])]));
    assert!(matches!(found(wrong, &Rules { cases: &cases, ..ALLOW }), Batching::Disagrees { .. }));
}

#[test]
fn a_card_has_its_tolerance_from_golden_cases_where_it_says_none() {
    let settings = pointsman_registry::Settings { batch_atol: Tolerance::new(0.5), ..Default::default() };
    let golden = pointsman_registry::GoldenCases { rtol: 0.1, atol: 0.2, cases: rows(1) };
    let rules = Rules::new(&settings, Some(&golden));
    assert_eq!((rules.rtol, rules.atol, rules.rows_max), (0.1, 0.5, 16));
    let rules =
        Rules::new(&pointsman_registry::Settings { max_batch_size: Some(4), ..Default::default() }, None);
    assert_eq!((rules.rtol, rules.atol, rules.rows_max), (0.0, 0.0, 4));
}
