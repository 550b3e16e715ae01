//! What an answer says of each of its rows: a class with the scores of all classes, or a number. It is what labels are
//! held against.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::classes::{CLASSES_MAX, Classes, SUM_TOLERANCE};
use crate::elements::Elements;
use crate::request::OutputTensor;
use crate::signature::{Dim, Signature, TensorSpec};
use crate::tensor::Datatype;

/// How the answers of a version are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answers {
    /// It says classes.
    Classes {
        /// Which class.
        class: ClassOf,
        /// The output with a probability for each class, and how many those are.
        scores: Option<(Arc<str>, usize)>,
        /// The names of the classes, in their order, where the card has them.
        names: Option<Arc<[String]>>,
    },
    /// It says numbers, in this output.
    Numbers(Arc<str>),
}

/// Where the class of a row is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassOf {
    /// By an output of classes, or by the highest of its scores.
    Output(Classes),
    /// By the only score of this output, from a half on.
    Score(Arc<str>),
}

/// What an answer says of one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A class.
    Class {
        /// Its place among the classes.
        class: u32,
        /// The probability of each class; of two that of the second alone. Empty where the answer has none.
        #[serde(default, skip_serializing_if = "<[f64]>::is_empty")]
        scores: Box<[f64]>,
    },
    /// A number.
    Number(f64),
}

fn is_float(spec: &TensorSpec) -> bool {
    matches!(spec.datatype, Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64)
}

/// How many numbers a row of an output has; nothing where that is open.
fn width(spec: &TensorSpec) -> Option<usize> {
    match spec.shape.as_deref()? {
        [] | [_] => Some(1),
        [_, Dim::Fixed(width)] => usize::try_from(*width).ok(),
        [_, Dim::Dynamic(_)] => spec.labels.as_ref().map(|labels| labels.len()),
        _ => None,
    }
}

impl Answers {
    /// Those of a version with this signature; nothing where no output says anything that a label could be held against.
    #[must_use]
    pub fn of(signature: &Signature) -> Option<Self> {
        let outputs = &signature.outputs;
        let names = outputs.iter().find_map(|spec| spec.labels.clone());
        let of_two = names.as_ref().is_some_and(|names| names.len() == 2);
        let single = |spec: &&TensorSpec| is_float(spec) && width(spec) == Some(1);
        let only_score = outputs.iter().find(single).filter(|spec| of_two && spec.labels.is_some());
        if let Some(spec) =
            only_score.filter(|_| !outputs.iter().any(|spec| !is_float(spec) && spec.labels.is_some()))
        {
            let class = ClassOf::Score(spec.name.clone());
            return Some(Self::Classes { class, scores: Some((spec.name.clone(), 1)), names });
        }
        if let Some(classes) = Classes::of(signature) {
            let count = classes.count();
            let score = |spec: &&TensorSpec| {
                is_float(spec)
                    && width(spec).is_some_and(|width| {
                        (2..=CLASSES_MAX).contains(&width) && (count == 0 || width == count)
                    })
            };
            let scores = outputs.iter().find(score);
            let scores = scores.and_then(|spec| Some((spec.name.clone(), width(spec)?)));
            return Some(Self::Classes { class: ClassOf::Output(classes), scores, names });
        }
        outputs.iter().find(single).map(|spec| Self::Numbers(spec.name.clone()))
    }

    /// How many classes there are; nothing where answers are numbers, or that is not known.
    #[must_use]
    pub fn classes(&self) -> Option<usize> {
        match self {
            Self::Classes { scores: Some((_, 1)), .. } => Some(2),
            Self::Classes { scores: Some((_, count)), .. } => Some(*count),
            Self::Classes { class: ClassOf::Output(classes), .. } => Some(classes.count()),
            Self::Classes { .. } | Self::Numbers(_) => None,
        }
    }

    /// The names of the outputs that say it.
    pub fn outputs(&self) -> impl Iterator<Item = &Arc<str>> {
        let (first, scores) = match self {
            Self::Numbers(output) => (output, None),
            Self::Classes { class: ClassOf::Output(classes), scores, .. } => {
                (classes.output(), scores.as_ref())
            }
            Self::Classes { class: ClassOf::Score(output), .. } => (output, None),
        };
        std::iter::once(first).chain(scores.map(|(output, _)| output).filter(move |output| *output != first))
    }

    /// The names of the classes.
    #[must_use]
    pub fn names(&self) -> Option<&Arc<[String]>> {
        match self {
            Self::Classes { names, .. } => names.as_ref(),
            Self::Numbers(_) => None,
        }
    }

    /// How many scores are kept of a row.
    pub(crate) fn scores(&self) -> usize {
        match self {
            Self::Classes { scores: Some((_, 2)), .. } => 1,
            Self::Classes { scores: Some((_, width)), .. } => *width,
            Self::Classes { scores: None, .. } | Self::Numbers(_) => 0,
        }
    }

    /// Reads a row of an answer; nothing where it says nothing, or no number.
    #[must_use]
    pub fn read(&self, outputs: &[OutputTensor], row: usize) -> Option<Answer> {
        let mut scores = Vec::new();
        let said = self.read_row(outputs, row, &mut scores)?;
        Some(match self {
            Self::Numbers(_) => Answer::Number(said),
            Self::Classes { .. } => Answer::Class { class: said as u32, scores: scores.into() },
        })
    }

    /// The class or the number of a row; its scores are appended where they are probabilities.
    pub(crate) fn read_row(&self, outputs: &[OutputTensor], row: usize, into: &mut Vec<f64>) -> Option<f64> {
        let find = |name: &Arc<str>| {
            let output = outputs.iter().find(|output| output.name == *name)?;
            Elements::of(&output.tensor).filter(Elements::are_floats)
        };
        match self {
            Self::Numbers(output) => Some(find(output)?.get(row)).filter(|number| number.is_finite()),
            Self::Classes { class, scores, .. } => {
                let from = into.len();
                if let Some((output, width)) = scores
                    && let (Some(elements), Some(first)) = (find(output), row.checked_mul(*width))
                {
                    push_probabilities(&elements, first, *width, into);
                }
                let class = match class {
                    ClassOf::Output(classes) => classes.predicted(outputs, row)?,
                    ClassOf::Score(_) => usize::from(*into.get(from)? >= 0.5),
                };
                // Those beyond the most count as the last.
                Some(class.min(CLASSES_MAX - 1) as f64)
            }
        }
    }
}

/// Adds the scores of a row, where they are probabilities: of two classes that of the second one.
fn push_probabilities(elements: &Elements<'_>, first: usize, width: usize, into: &mut Vec<f64>) {
    let scores = || (first..first + width).map(|at| elements.get(at));
    let are_in_range = scores().all(|score| (0.0..=1.0).contains(&score));
    let sums_to_one = (scores().sum::<f64>() - 1.0).abs() <= SUM_TOLERANCE;
    if are_in_range && (sums_to_one || width == 1) {
        into.extend(scores().skip(usize::from(width == 2)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;
    use crate::tensor::Tensor;

    fn spec(name: &str, datatype: Datatype, width: Option<u64>, labels: Option<&[&str]>) -> TensorSpec {
        let labels = labels.map(|labels| labels.iter().map(|label| (*label).to_owned()).collect());
        let shape = std::iter::once(Dim::Dynamic(None)).chain(width.map(Dim::Fixed)).collect();
        TensorSpec { name: name.into(), datatype, shape: Some(shape), optional: false, labels }
    }

    fn signature(outputs: Vec<TensorSpec>) -> Signature {
        Signature { inputs: Vec::new(), outputs }
    }

    fn output<T: bytemuck::Pod + Send + Sync>(
        name: &str,
        datatype: Datatype,
        shape: &[u64],
        values: Vec<T>,
    ) -> OutputTensor {
        let tensor = Tensor::from_vec(datatype, Shape::new(shape).expect("small"), values).expect("fits");
        OutputTensor { name: name.into(), tensor, labels: None }
    }

    fn class(class: u32, scores: &[f64]) -> Answer {
        Answer::Class { class, scores: scores.into() }
    }

    #[test]
    fn classes_and_probabilities_are_read_row_by_row() {
        let outputs = |names: Option<&[&str]>| {
            vec![spec("label", Datatype::Int64, None, names), spec("p", Datatype::Fp64, Some(2), None)]
        };
        let given = [
            output("label", Datatype::Int64, &[2], vec![0_i64, 1]),
            output("p", Datatype::Fp64, &[2, 2], vec![0.9, 0.1, 0.4, 0.6]),
        ];
        for names in [None, Some(&["no", "yes"][..])] {
            let answers = Answers::of(&signature(outputs(names))).expect("classes");
            assert_eq!(answers.read(&given, 0), Some(class(0, &[0.1])));
            assert_eq!(answers.read(&given, 1), Some(class(1, &[0.6])));
            assert_eq!((answers.read(&given, 2), answers.classes()), (None, Some(2)));
            assert_eq!(answers.names().map(|names| names.len()), names.map(<[&str]>::len));
        }
    }

    #[test]
    fn of_many_classes_all_probabilities_are_kept_and_other_scores_are_not() {
        let answers =
            Answers::of(&signature(vec![spec("p", Datatype::Fp64, Some(3), Some(&["a", "b", "c"]))]));
        let answers = answers.expect("classes");
        let read = |row: Vec<f64>| answers.read(&[output("p", Datatype::Fp64, &[1, 3], row)], 0);
        assert_eq!(read(vec![0.25, 0.5, 0.25]), Some(class(1, &[0.25, 0.5, 0.25])));
        assert_eq!(read(vec![1.0, 2.0, 3.0]), Some(class(2, &[])));
        assert_eq!(read(vec![f64::NAN, 2.0, 3.0]), None);
    }

    #[test]
    fn one_score_decides_between_two_classes_and_is_a_number_without_names() {
        let score = |labels| signature(vec![spec("s", Datatype::Fp64, Some(1), labels)]);
        let given = [output("s", Datatype::Fp64, &[2, 1], vec![0.7, 0.2])];
        let answers = Answers::of(&score(Some(&["no", "yes"]))).expect("classes");
        assert_eq!(answers.read(&given, 0), Some(class(1, &[0.7])));
        assert_eq!((answers.read(&given, 1), answers.classes()), (Some(class(0, &[0.2])), Some(2)));
        let numbers = Answers::of(&score(None)).expect("numbers");
        assert_eq!(numbers.read(&given, 1), Some(Answer::Number(0.2)));
        assert_eq!((numbers.read(&given, 2), numbers.classes()), (None, None));
        assert_eq!(Answers::of(&signature(vec![spec("t", Datatype::Bytes, None, None)])), None);
    }
}
