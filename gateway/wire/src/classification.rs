//! The classification extension: the classes of highest score, in place of all scores.

use std::cmp::Ordering;
use std::fmt::Display;

use bytemuck::Pod;
use half::{bf16, f16};
use pointsman_core::{Datatype, InputMismatch, OutputTensor, Shape, StringTensorBuilder, Tensor};

/// Names the `n` classes of highest score: a BYTES tensor of `score:index` or `score:index:label`,
/// of shape `[batch, min(n,k)]`, or `[min(n,k)]` where the output has one dimension.
///
/// The first dimension of several is the batch, and what follows it is one list of scores. Equal
/// scores keep the order of their indices; NaN is the least of all.
pub(crate) fn classify(output: &OutputTensor, n: usize) -> Result<Tensor, InputMismatch> {
    let refused = |reason| InputMismatch::Classification { name: output.name.clone(), reason };
    let tensor = &output.tensor;
    let Some(rows) = Rows::of(tensor.shape()) else {
        return Err(refused("it has no dimension along which there are classes"));
    };
    let lines = match tensor.datatype() {
        Datatype::Uint8 => ranked::<u8, _>(tensor, rows, n, |score| score),
        Datatype::Uint16 => ranked::<u16, _>(tensor, rows, n, |score| score),
        Datatype::Uint32 => ranked::<u32, _>(tensor, rows, n, |score| score),
        Datatype::Uint64 => ranked::<u64, _>(tensor, rows, n, |score| score),
        Datatype::Int8 => ranked::<i8, _>(tensor, rows, n, |score| score),
        Datatype::Int16 => ranked::<i16, _>(tensor, rows, n, |score| score),
        Datatype::Int32 => ranked::<i32, _>(tensor, rows, n, |score| score),
        Datatype::Int64 => ranked::<i64, _>(tensor, rows, n, |score| score),
        Datatype::Fp16 => ranked::<f16, _>(tensor, rows, n, |score| fixed(score.to_f64())),
        Datatype::Bf16 => ranked::<bf16, _>(tensor, rows, n, |score| fixed(score.to_f64())),
        Datatype::Fp32 => ranked::<f32, _>(tensor, rows, n, |score| fixed(score.into())),
        Datatype::Fp64 => ranked::<f64, _>(tensor, rows, n, fixed),
        Datatype::Bool => return Err(refused("its elements are no scores but BOOL")),
        Datatype::Bytes => return Err(refused("its elements are no scores but BYTES")),
    };
    let mut builder = StringTensorBuilder::with_capacity(lines.len(), lines.len() * LINE_BYTES);
    for (class, score) in lines {
        let mut line = format!("{score}:{class}");
        if let Some(label) = output.labels.as_ref().and_then(|labels| labels.get(class)) {
            line.push(':');
            line.push_str(label);
        }
        builder.push(line.as_bytes()).map_err(|_| refused("a label of it is too long"))?;
    }
    let shape = rows.shape(tensor.shape(), n).ok_or_else(|| refused("its shape is beyond the limits"))?;
    Tensor::new(Datatype::Bytes, shape, builder.finish())
        .map_err(|_| refused("its shape is beyond the limits"))
}

/// A guess at the length of one line, to have room for it.
const LINE_BYTES: usize = 24;

/// How the elements of a tensor fall into lists of scores.
#[derive(Clone, Copy, Debug)]
struct Rows {
    count: usize,
    classes: usize,
}

impl Rows {
    fn of(shape: &Shape) -> Option<Self> {
        match shape.dims() {
            [] => None,
            [classes] => Some(Self { count: 1, classes: usize::try_from(*classes).ok()? }),
            [count, rest @ ..] => {
                Some(Self { count: usize::try_from(*count).ok()?, classes: Shape::new(rest)?.elements()? })
            }
        }
    }

    fn shape(self, of: &Shape, n: usize) -> Option<Shape> {
        let named = u64::try_from(self.classes.min(n)).ok()?;
        match of.dims() {
            [_] => Shape::new(&[named]),
            _ => Shape::new(&[u64::try_from(self.count).ok()?, named]),
        }
    }
}

/// For each row the indices of its `n` highest scores, highest first, with the score as it is printed.
fn ranked<T, D>(tensor: &Tensor, rows: Rows, n: usize, print: impl Fn(T) -> D) -> Vec<(usize, String)>
where
    T: Pod + PartialOrd,
    D: Display,
{
    let n = n.min(rows.classes);
    if n == 0 {
        return Vec::new();
    }
    // Every caller names the datatype's own width, so there always are values.
    let values = tensor.values::<T>().unwrap_or_default();
    let mut lines = Vec::with_capacity(rows.count.saturating_mul(n));
    let mut classes: Vec<usize> = Vec::with_capacity(rows.classes);
    for row in values.chunks_exact(rows.classes) {
        let by_score = |a: &usize, b: &usize| descending(row[*a], row[*b]).then(a.cmp(b));
        classes.clear();
        classes.extend(0..row.len());
        if n < classes.len() {
            classes.select_nth_unstable_by(n, by_score);
            classes.truncate(n);
        }
        classes.sort_unstable_by(by_score);
        lines.extend(classes.iter().map(|&class| (class, print(row[class]).to_string())));
    }
    lines
}

/// The higher score first, NaN behind every number.
#[allow(clippy::eq_op)] // what is not itself is a NaN, for every type of score
fn descending<T: PartialOrd>(a: T, b: T) -> Ordering {
    b.partial_cmp(&a).unwrap_or_else(|| (a != a).cmp(&(b != b)))
}

/// As `%f` prints it: six decimals, and `nan` in lower case.
fn fixed(score: f64) -> String {
    if score.is_nan() { "nan".to_owned() } else { format!("{score:.6}") }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn output<T: Pod + Send + Sync>(datatype: Datatype, dims: &[u64], values: Vec<T>) -> OutputTensor {
        let shape = Shape::new(dims).expect("small");
        let tensor = Tensor::from_vec(datatype, shape, values).expect("fits");
        OutputTensor { name: "y".into(), tensor, labels: None }
    }

    fn lines(output: &OutputTensor, n: usize) -> (Vec<u64>, Vec<String>) {
        let tensor = classify(output, n).expect("scores");
        let text = |element: &[u8]| String::from_utf8(element.to_vec()).expect("text");
        (tensor.shape().dims().to_vec(), tensor.strings().expect("BYTES").map(text).collect())
    }

    #[test]
    fn the_highest_scores_of_each_row() {
        let y = output(Datatype::Fp32, &[2, 3], vec![0.1_f32, 0.7, 0.2, 3.0, -1.0, 2.5]);
        let (shape, found) = lines(&y, 2);
        assert_eq!(shape, [2, 2]);
        assert_eq!(found, ["0.700000:1", "0.200000:2", "3.000000:0", "2.500000:2"]);
    }

    #[test]
    fn no_more_classes_than_there_are() {
        let y = output(Datatype::Fp64, &[2], vec![1.0, 2.0]);
        assert_eq!(lines(&y, 9), (vec![2], vec!["2.000000:1".into(), "1.000000:0".into()]));
        let y = output(Datatype::Fp64, &[3, 0], Vec::<f64>::new());
        assert_eq!(lines(&y, 2), (vec![3, 0], vec![]));
        let y = output(Datatype::Fp64, &[0, 3], Vec::<f64>::new());
        assert_eq!(lines(&y, 2), (vec![0, 2], vec![]));
    }

    #[test]
    fn labels_are_appended_where_there_are_some() {
        let mut y = output(Datatype::Fp32, &[1, 3], vec![1.0_f32, 3.0, 2.0]);
        y.labels = Some(Arc::from(["cat".to_owned(), "dog".to_owned()]));
        assert_eq!(lines(&y, 3).1, ["3.000000:1:dog", "2.000000:2", "1.000000:0:cat"]);
    }

    #[test]
    fn nan_is_last_and_ties_keep_their_order() {
        let values = vec![f32::NAN, 1.0, f32::NEG_INFINITY, 1.0, f32::INFINITY, f32::NAN];
        let y = output(Datatype::Fp32, &[6], values);
        let expected = ["inf:4", "1.000000:1", "1.000000:3", "-inf:2", "nan:0", "nan:5"];
        assert_eq!(lines(&y, 6).1, expected);
        assert_eq!(lines(&y, 3).1, expected[..3]);
        assert_eq!(lines(&y, 5).1, expected[..5]);
    }

    #[test]
    fn whole_numbers_keep_every_digit() {
        let y = output(Datatype::Int64, &[3], vec![i64::MIN, i64::MAX - 1, i64::MAX]);
        assert_eq!(
            lines(&y, 3).1,
            ["9223372036854775807:2", "9223372036854775806:1", "-9223372036854775808:0"]
        );
        let y = output(Datatype::Uint64, &[1], vec![u64::MAX]);
        assert_eq!(lines(&y, 1).1, ["18446744073709551615:0"]);
        let y = output(Datatype::Uint8, &[2], vec![7_u8, 200]);
        assert_eq!(lines(&y, 1).1, ["200:1"]);
    }

    #[test]
    fn half_floats_and_higher_ranks() {
        let y = output(Datatype::Fp16, &[1, 2, 2], [1.0, 0.5, 2.0, 0.25].map(f16::from_f32).to_vec());
        assert_eq!(lines(&y, 2), (vec![1, 2], vec!["2.000000:2".into(), "1.000000:0".into()]));
        let y = output(Datatype::Bf16, &[2], [1.0, 1.5].map(bf16::from_f32).to_vec());
        assert_eq!(lines(&y, 1).1, ["1.500000:1"]);
    }

    #[test]
    fn what_has_no_scores_is_refused() {
        let scalar = output(Datatype::Fp32, &[], vec![1.0_f32]);
        let flags = output(Datatype::Bool, &[1], vec![1_u8]);
        let text = output(Datatype::Bytes, &[1], vec![0_u8; 4]);
        for (output, reason) in [(scalar, "no dimension"), (flags, "BOOL"), (text, "BYTES")] {
            let said = classify(&output, 1).unwrap_err().describe("m");
            assert!(said.contains("output 'y' of model 'm'") && said.contains(reason), "{said}");
        }
    }
}
