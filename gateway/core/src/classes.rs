//! Which class an answer predicts.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::elements::Elements;
use crate::request::OutputTensor;
use crate::signature::{Dim, Signature, TensorSpec};
use crate::tensor::Datatype;

/// The most classes that are told from each other; those beyond count as the last.
pub const CLASSES_MAX: usize = 64;

/// How far the scores of a row may sum from 1 to be those of classes.
pub(crate) const SUM_TOLERANCE: f64 = 1e-3;

/// The output that says which class is predicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    output: Arc<str>,
    labels: Option<Arc<[String]>>,
    /// Scores of a row.
    scores: usize,
}

impl Classes {
    /// That of a model whose card names its classes, or one of whose outputs has a score for each: nothing for others.
    #[must_use]
    pub fn of(signature: &Signature) -> Option<Self> {
        let is_float = |spec: &&TensorSpec| {
            matches!(spec.datatype, Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64)
        };
        let outputs = &signature.outputs;
        if let Some(spec) = outputs.iter().find(|spec| spec.labels.is_some()) {
            let labels = spec.labels.clone();
            let scores = labels.as_ref().map_or(0, |labels| labels.len());
            return Some(Self { output: spec.name.clone(), labels, scores });
        }
        outputs.iter().filter(is_float).find_map(|spec| {
            let Some(Dim::Fixed(last)) = spec.shape.as_ref()?.last() else { return None };
            let scores = usize::try_from(*last).ok().filter(|scores| (2..=CLASSES_MAX).contains(scores))?;
            Some(Self { output: spec.name.clone(), labels: None, scores })
        })
    }

    /// The name of the output.
    #[must_use]
    pub fn output(&self) -> &Arc<str> {
        &self.output
    }

    /// How many are told from each other: those beyond the most count as the last.
    #[must_use]
    pub fn count(&self) -> usize {
        self.scores.min(CLASSES_MAX)
    }

    /// The names of the classes, in their order, where the card has them.
    #[must_use]
    pub fn names(&self) -> Option<&Arc<[String]>> {
        self.labels.as_ref()
    }

    /// The class of a row of an answer; nothing where it says none.
    #[must_use]
    pub fn predicted(&self, outputs: &[OutputTensor], row: usize) -> Option<usize> {
        let tensor = &outputs.iter().find(|output| output.name == self.output)?.tensor;
        if let Some(mut strings) = tensor.strings() {
            let found = strings.nth(row)?;
            return self.labels.as_ref()?.iter().position(|label| label.as_bytes() == found);
        }
        let elements = Elements::of(tensor)?;
        if !elements.are_floats() {
            return elements.whole(row).and_then(|class| usize::try_from(class).ok());
        }
        let first = row.checked_mul(self.scores)?;
        let last = first.checked_add(self.scores)?.min(tensor.elements());
        let row: Vec<f64> = (first..last).map(|index| elements.get(index)).collect();
        let sum: f64 = row.iter().sum();
        // A distribution where nobody says so; scores of any kind where the card names the classes.
        let are_scores = self.labels.is_some()
            || ((sum - 1.0).abs() <= SUM_TOLERANCE && row.iter().all(|score| *score >= 0.0));
        let largest = row.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
        largest.map(|(class, _)| class).filter(|_| are_scores && !sum.is_nan())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;
    use crate::strings::StringTensorBuilder;
    use crate::tensor::Tensor;

    fn spec(datatype: Datatype, last: u64, labels: Option<&[&str]>) -> Signature {
        let labels = labels.map(|labels| labels.iter().map(|label| (*label).to_owned()).collect());
        let shape = Some(vec![Dim::Dynamic(None), Dim::Fixed(last)]);
        let output = TensorSpec { name: "y".into(), datatype, shape, optional: false, labels };
        Signature { inputs: Vec::new(), outputs: vec![output] }
    }

    fn answer(tensor: Tensor) -> Vec<OutputTensor> {
        vec![OutputTensor { name: "y".into(), tensor, labels: None }]
    }

    fn floats(values: &[f32]) -> Vec<OutputTensor> {
        let shape = Shape::new(&[1, values.len() as u64]).expect("small");
        answer(Tensor::from_vec(Datatype::Fp32, shape, values.to_vec()).expect("fits"))
    }

    #[test]
    fn scores_numbers_and_names_are_classes() {
        let scores = Classes::of(&spec(Datatype::Fp32, 3, None)).expect("three scores");
        assert_eq!((scores.count(), scores.predicted(&floats(&[0.1, 0.7, 0.2]), 0)), (3, Some(1)));
        for none in [[1.0, 2.0, 3.0], [0.6, -0.1, 0.5], [f32::NAN; 3]] {
            assert_eq!(scores.predicted(&floats(&none), 0), None);
        }
        let named = Classes::of(&spec(Datatype::Fp32, 2, Some(&["no", "yes"]))).expect("two names");
        assert_eq!((named.count(), named.predicted(&floats(&[-3.0, 4.0]), 0)), (2, Some(1)), "logits");
        let whole = Tensor::from_vec(Datatype::Int64, Shape::new(&[1]).expect("small"), vec![1_i64]);
        assert_eq!(named.predicted(&answer(whole.expect("fits")), 0), Some(1));
        let mut text = StringTensorBuilder::default();
        text.push(b"yes").expect("short");
        let text = Tensor::new(Datatype::Bytes, Shape::new(&[1]).expect("small"), text.finish());
        assert_eq!(named.predicted(&answer(text.expect("fits")), 0), Some(1));
    }

    #[test]
    fn of_many_classes_all_scores_are_looked_at() {
        let names: Vec<String> = (0..1000).map(|class| class.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let many = Classes::of(&spec(Datatype::Fp32, 1000, Some(&names))).expect("names");
        let mut scores = vec![0.0; 1000];
        scores[700] = 1.0;
        assert_eq!((many.count(), many.predicted(&floats(&scores), 0)), (CLASSES_MAX, Some(700)));
    }

    #[test]
    fn models_without_classes_have_none() {
        assert_eq!(Classes::of(&spec(Datatype::Fp32, 1, None)), None);
        assert_eq!(Classes::of(&spec(Datatype::Fp32, 1 << 40, None)), None);
        assert_eq!(Classes::of(&spec(Datatype::Int64, 3, None)), None);
        let scores = Classes::of(&spec(Datatype::Fp32, 3, None)).expect("three scores");
        assert_eq!(scores.predicted(&[], 0), None);
    }
}
