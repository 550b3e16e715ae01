//! The classification extension: an output answered as its best classes,
//! `"<score>:<index>[:<label>]"` (Triton's `src/classification.cc`).

use std::cmp::Ordering;

use half::{bf16, f16};
use pointsman_core::{
    Datatype, InputMismatch, OutputTensor, PredictError, Shape, StringTensorBuilder, Tensor,
};

/// Turns an output `[batch, ...]` into BYTES `[batch, min(best, classes)]`, where all dimensions
/// behind the first together are the classes; an output of rank 0 or 1 has no batch.
///
/// # Errors
/// [`InputMismatch::Classification`] for BOOL and BYTES, which have no scores.
pub(super) fn classify(output: &OutputTensor, best: u64, model: &str) -> Result<Tensor, PredictError> {
    let refuse = |reason: &'static str| PredictError::InputMismatch {
        model: model.to_owned(),
        mismatch: InputMismatch::Classification { name: output.name.clone(), reason },
    };
    let scores = Scores::of(&output.tensor).ok_or_else(|| refuse("its datatype has no scores"))?;
    let dims = output.tensor.shape().dims();
    let rows = if dims.len() > 1 { dims[0] } else { 1 };
    let elements = output.tensor.elements();
    let classes = match usize::try_from(rows) {
        Ok(rows @ 1..) => elements / rows,
        _ => 0,
    };
    let kept = usize::try_from(best).unwrap_or(usize::MAX).min(classes);
    let mut strings = StringTensorBuilder::default();
    let mut order: Vec<usize> = Vec::with_capacity(classes);
    // An output without elements has no rows to walk, however many its shape declares.
    for start in (0..elements).step_by(classes.max(1)) {
        order.clear();
        order.extend(0..classes);
        // Stable, so equal scores stay in the order of the classes.
        order.sort_by(|&a, &b| scores.compare(start + b, start + a));
        for &class in order.iter().take(kept) {
            let mut text = scores.text(start + class);
            text.push(':');
            text.push_str(&class.to_string());
            if let Some(label) = output.labels.as_deref().and_then(|labels| labels.get(class)) {
                text.push(':');
                text.push_str(label);
            }
            strings.push(text.as_bytes()).map_err(|_| refuse("a label is too long"))?;
        }
    }
    let shape = if dims.len() > 1 { Shape::new(&[rows, kept as u64]) } else { Shape::new(&[kept as u64]) };
    let shape = shape.ok_or_else(|| refuse("its shape is too large"))?;
    Tensor::new(Datatype::Bytes, shape, strings.finish()).map_err(|_| refuse("its shape is too large"))
}

/// Scores that can be put in order and printed.
enum Scores<'a> {
    Float(Box<dyn Fn(usize) -> f64 + 'a>),
    Int(Box<dyn Fn(usize) -> i128 + 'a>),
}

impl<'a> Scores<'a> {
    fn of(tensor: &'a Tensor) -> Option<Self> {
        fn int<'a, T: bytemuck::Pod + Into<i128>>(tensor: &'a Tensor) -> Option<Scores<'a>> {
            let values = tensor.values::<T>()?;
            Some(Scores::Int(Box::new(|i| values[i].into())))
        }
        fn float<'a, T: bytemuck::Pod + Into<f64>>(tensor: &'a Tensor) -> Option<Scores<'a>> {
            let values = tensor.values::<T>()?;
            Some(Scores::Float(Box::new(|i| values[i].into())))
        }
        match tensor.datatype() {
            Datatype::Bool | Datatype::Bytes => None,
            Datatype::Uint8 => int::<u8>(tensor),
            Datatype::Uint16 => int::<u16>(tensor),
            Datatype::Uint32 => int::<u32>(tensor),
            Datatype::Uint64 => int::<u64>(tensor),
            Datatype::Int8 => int::<i8>(tensor),
            Datatype::Int16 => int::<i16>(tensor),
            Datatype::Int32 => int::<i32>(tensor),
            Datatype::Int64 => int::<i64>(tensor),
            Datatype::Fp16 => float::<f16>(tensor),
            Datatype::Bf16 => float::<bf16>(tensor),
            Datatype::Fp32 => float::<f32>(tensor),
            Datatype::Fp64 => float::<f64>(tensor),
        }
    }

    /// The order of two scores; NaN is below every number.
    fn compare(&self, a: usize, b: usize) -> Ordering {
        match self {
            Self::Int(score) => score(a).cmp(&score(b)),
            Self::Float(score) => {
                let (a, b) = (score(a), score(b));
                a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
            }
        }
    }

    /// The score as C's `%f` and `%d` print it.
    fn text(&self, index: usize) -> String {
        match self {
            Self::Int(score) => score(index).to_string(),
            Self::Float(score) if score(index).is_nan() => "nan".into(),
            Self::Float(score) => format!("{:.6}", score(index)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(tensor: Tensor, labels: &[&str], n: u64) -> (Vec<u64>, Vec<String>) {
        let labels = (!labels.is_empty()).then(|| labels.iter().map(ToString::to_string).collect());
        let output = OutputTensor { name: "y".into(), tensor, labels };
        let tensor = classify(&output, n, "m").expect("scores");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let strings = tensor.strings().expect("BYTES").map(text).collect();
        (tensor.shape().dims().to_vec(), strings)
    }

    fn fp32(dims: &[u64], values: Vec<f32>) -> Tensor {
        Tensor::from_vec(Datatype::Fp32, Shape::new(dims).expect("small"), values).expect("counted")
    }

    #[test]
    fn the_best_classes_come_first() {
        let (dims, strings) = best(fp32(&[2, 3], vec![0.1, 0.7, 0.2, 0.5, f32::NAN, 0.5]), &["a", "b"], 2);
        assert_eq!(dims, [2, 2]);
        assert_eq!(strings, ["0.700000:1:b", "0.200000:2", "0.500000:0:a", "0.500000:2"]);
        let (dims, strings) = best(fp32(&[3], vec![1.0, -2.0, f32::INFINITY]), &[], 9);
        assert_eq!(dims, [3]);
        assert_eq!(strings, ["inf:2", "1.000000:0", "-2.000000:1"]);
        let ints = Tensor::from_vec(Datatype::Uint64, Shape::new(&[1, 2]).expect("small"), vec![1, u64::MAX]);
        assert_eq!(best(ints.expect("counted"), &[], 1).1, ["18446744073709551615:1"]);
        assert_eq!(best(fp32(&[], vec![1.5]), &[], 3), (vec![1], vec!["1.500000:0".into()]));
    }

    #[test]
    fn nothing_to_classify() {
        assert_eq!(best(fp32(&[0, 3], vec![]), &[], 2).0, [0, 0]);
        assert_eq!(best(fp32(&[1 << 62, 0], vec![]), &[], 2), (vec![1 << 62, 0], vec![]));
        let tensor = Tensor::from_vec(Datatype::Bool, Shape::new(&[1]).expect("small"), vec![1_u8]);
        let output = OutputTensor { name: "y".into(), tensor: tensor.expect("counted"), labels: None };
        let error = classify(&output, 1, "m").unwrap_err().to_string();
        assert_eq!(error, "no classification of output 'y' of model 'm': its datatype has no scores");
    }
}
