//! What one request says of each metric.

use std::time::Duration;

use pointsman_core::{Blame, Code, Elements, OutputTensor, Tensor};
use pointsman_stats::NUMBER_MAX;

use super::setup::{OUTPUT_METRICS_MAX, OutputMetric, Place};
use crate::scores::highest;

/// The metrics that every experiment has, in the order of their columns.
pub(super) const COMMON: [&str; 4] = ["errors", "invalid", "cancelled", "latency"];
/// The column of the first.
pub(super) const ERRORS: usize = 0;
/// The column of the last.
pub(super) const LATENCY: usize = 3;
/// The most columns.
pub(super) const COLUMNS_MAX: usize = COMMON.len() + OUTPUT_METRICS_MAX;
/// The most elements of one output that a metric looks at: rows behind them do not count.
pub(super) const ELEMENTS_MAX: usize = 65_536;
/// From which score on a row of one column decides for class 1.
const THRESHOLD: f64 = 0.5;

/// Sums of one request by column: how much there was (requests or rows), and how much of it counts.
pub(super) type Values = [(f64, f64); COLUMNS_MAX];

/// Whether a request that ended so says something of the version and the gateway; nothing where its caller alone is to
/// blame, as whatever arm it had, it would have ended so.
pub(super) fn is_failure(code: Code) -> Option<bool> {
    match code.blame() {
        Blame::Version | Blame::Load | Blame::Gateway => Some(true),
        Blame::Left => Some(false),
        Blame::Caller => None,
    }
}

/// What a request says; nothing where its caller alone is to blame for its end.
pub(super) fn measure(
    metrics: &[OutputMetric],
    outputs: Result<&[OutputTensor], Code>,
    total: Duration,
) -> Option<Values> {
    let mut values = [(0.0, 0.0); COLUMNS_MAX];
    let share = |is: bool| (1.0, f64::from(u8::from(is)));
    let outputs = match outputs {
        Ok(outputs) => outputs,
        Err(code) => {
            values[ERRORS] = share(is_failure(code)?);
            values[2] = share(code == Code::Cancelled);
            return Some(values);
        }
    };
    let is_finite =
        |output: &OutputTensor| Elements::of(&output.tensor).is_none_or(|elements| elements.are_finite());
    values[ERRORS] = share(false);
    values[1] = share(!outputs.iter().all(is_finite));
    values[2] = share(false);
    values[LATENCY] = (1.0, total.as_secs_f64());
    for (metric, value) in metrics.iter().zip(&mut values[COMMON.len()..]) {
        if let Some(output) = outputs.iter().find(|output| *output.name == *metric.output) {
            *value = sums(&output.tensor, metric.place);
        }
    }
    Some(values)
}

/// How many rows of a tensor say something, and the sum of what they say.
fn sums(tensor: &Tensor, place: Place) -> (f64, f64) {
    let found = |value: Option<f64>, sums: &mut (f64, f64)| {
        if let Some(value) = value.filter(|value| value.abs() <= NUMBER_MAX) {
            sums.0 += 1.0;
            sums.1 += value;
        }
    };
    let mut all = (0.0, 0.0);
    if let (Some(texts), Place::Class(class)) = (tensor.strings(), place) {
        let is =
            |text: &[u8]| std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) == Some(class);
        texts.take(ELEMENTS_MAX).for_each(|text| found(Some(f64::from(u8::from(is(text)))), &mut all));
        return all;
    }
    let Some(elements) = Elements::of(tensor) else { return all };
    let count = tensor.elements().min(ELEMENTS_MAX);
    // A row is what the first dimension counts.
    let rows = tensor.shape().dims().first().map_or(1, |rows| usize::try_from(*rows).unwrap_or(0)).max(1);
    let width = (tensor.elements() / rows).max(1);
    match place {
        Place::Index(index) => {
            let index = index as usize;
            if index < width {
                (index..count).step_by(width).for_each(|at| found(Some(elements.get(at)), &mut all));
            }
        }
        Place::Class(class) if !elements.are_floats() => {
            let is = |at| f64::from(u8::from(elements.whole(at) == Some(i128::from(class))));
            (0..count).for_each(|at| found(Some(is(at)), &mut all));
        }
        // Nothing is known of labels as a request ends.
        Place::Wrong | Place::Off => {}
        Place::Class(class) => {
            for start in (0..count).step_by(width).filter(|start| start + width <= count) {
                let scores = (start..start + width).map(|at| elements.get(at));
                let decided = match width {
                    1 => scores.take(1).next().filter(|x| !x.is_nan()).map(|x| usize::from(x >= THRESHOLD)),
                    _ => highest(scores),
                };
                found(decided.map(|decided| f64::from(u8::from(decided == class as usize))), &mut all);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use pointsman_core::{Datatype, Shape, StringTensorBuilder};

    use super::*;

    fn floats(dims: &[u64], values: &[f32]) -> Tensor {
        Tensor::from_vec(Datatype::Fp32, Shape::new(dims).expect("small"), values.to_vec()).expect("fits")
    }

    #[test]
    fn elements_are_summed_row_by_row() {
        let tensor = floats(&[2, 3], &[0.1, 0.2, 0.7, 0.5, 0.25, 0.25]);
        let (rows, sum) = sums(&tensor, Place::Index(1));
        assert!(rows == 2.0 && (sum - 0.45).abs() < 1e-6);
        assert_eq!(sums(&tensor, Place::Index(3)), (0.0, 0.0));
        assert_eq!(sums(&tensor, Place::Class(2)), (2.0, 1.0));
        assert_eq!(sums(&tensor, Place::Class(0)), (2.0, 1.0));
        let holes = floats(&[3, 1], &[f32::NAN, 0.5, 0.4]);
        assert_eq!(sums(&holes, Place::Class(1)), (2.0, 1.0));
        assert_eq!(sums(&holes, Place::Index(0)).0, 2.0);
        assert_eq!(sums(&floats(&[0, 3], &[]), Place::Class(1)), (0.0, 0.0));
        assert_eq!(sums(&floats(&[], &[2.0]), Place::Index(0)), (1.0, 2.0));
    }

    #[test]
    fn labels_are_numbers_or_their_digits() {
        let shape = || Shape::new(&[3]).expect("small");
        let numbers = Tensor::from_vec(Datatype::Int64, shape(), vec![2_i64, 1, -2]).expect("fits");
        assert_eq!(sums(&numbers, Place::Class(2)), (3.0, 1.0));
        assert_eq!(sums(&numbers, Place::Index(0)), (3.0, 1.0));
        let mut texts = StringTensorBuilder::default();
        [&b"2"[..], b"two", b"\xff"].iter().for_each(|text| texts.push(text).expect("short"));
        let texts = Tensor::new(Datatype::Bytes, shape(), texts.finish()).expect("three");
        assert_eq!(sums(&texts, Place::Class(2)), (3.0, 1.0));
        assert_eq!(sums(&texts, Place::Index(0)), (0.0, 0.0));
    }

    #[test]
    fn no_more_elements_are_looked_at_than_may_be() {
        let many = floats(&[ELEMENTS_MAX as u64 + 2, 1], &vec![1.0; ELEMENTS_MAX + 2]);
        assert_eq!(sums(&many, Place::Index(0)), (ELEMENTS_MAX as f64, ELEMENTS_MAX as f64));
        assert_eq!(sums(&many, Place::Class(1)).0, ELEMENTS_MAX as f64);
    }

    #[test]
    fn how_a_request_ended_is_counted_once() {
        fn ended(outputs: Result<&[OutputTensor], Code>) -> Option<Vec<(f64, f64)>> {
            Some(measure(&[], outputs, Duration::from_millis(2))?[..4].to_vec())
        }
        let zero = (0.0, 0.0);
        assert_eq!(ended(Err(Code::SessionFailed)), Some(vec![(1.0, 1.0), zero, (1.0, 0.0), zero]));
        assert_eq!(ended(Err(Code::Cancelled)), Some(vec![(1.0, 0.0), zero, (1.0, 1.0), zero]));
        assert_eq!(ended(Err(Code::BadRequest)), None);
        let output = |value| OutputTensor { name: "p".into(), tensor: floats(&[1], &[value]), labels: None };
        assert_eq!(ended(Ok(&[output(1.0)])), Some(vec![(1.0, 0.0), (1.0, 0.0), (1.0, 0.0), (1.0, 0.002)]));
        assert_eq!(ended(Ok(&[output(f32::NAN)])).expect("counted")[1], (1.0, 1.0));
    }
}
