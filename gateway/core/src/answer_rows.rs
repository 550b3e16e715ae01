//! What an answer says of its rows, in one piece of memory: it is kept for every request, as its labels come later.

use crate::answers::{Answer, Answers};
use crate::request::OutputTensor;

/// What an answer says of one row, where it is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnswerRef<'a> {
    /// A class, and the scores of [`Answer::Class`].
    Class {
        /// Its place among the classes.
        class: u32,
        /// The probability of each class; of two that of the second alone. Empty where the answer has none.
        scores: &'a [f64],
    },
    /// A number.
    Number(f64),
}

/// What an answer says of its first rows.
#[derive(Clone, Debug)]
pub struct AnswerRows {
    are_classes: bool,
    /// Numbers of each row: its class or number, NaN where it says nothing, and behind it the scores, NaN where it has none.
    width: usize,
    values: Box<[f64]>,
}

impl Answer {
    /// The same, where it is kept.
    #[must_use]
    pub fn view(&self) -> AnswerRef<'_> {
        match self {
            Self::Class { class, scores } => AnswerRef::Class { class: *class, scores },
            Self::Number(number) => AnswerRef::Number(*number),
        }
    }
}

impl From<AnswerRef<'_>> for Answer {
    fn from(answer: AnswerRef<'_>) -> Self {
        match answer {
            AnswerRef::Class { class, scores } => Self::Class { class, scores: scores.into() },
            AnswerRef::Number(number) => Self::Number(number),
        }
    }
}

impl AnswerRows {
    /// Those of the first `rows` rows of an answer.
    #[must_use]
    pub fn read(answers: &Answers, outputs: &[OutputTensor], rows: usize) -> Self {
        let width = 1 + answers.scores();
        let mut values = Vec::with_capacity(rows * width);
        for row in 0..rows {
            let at = values.len();
            values.push(f64::NAN);
            match answers.read_row(outputs, row, &mut values) {
                Some(said) => values[at] = said,
                None => values.truncate(at + 1),
            }
            values.resize(at + width, f64::NAN);
        }
        let are_classes = matches!(answers, Answers::Classes { .. });
        Self { are_classes, width, values: values.into() }
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Keeps the first rows alone.
    pub fn truncate(&mut self, rows: usize) {
        if rows < self.len() {
            self.values = self.values[..rows * self.width].into();
        }
    }

    /// What is said of a row; nothing where that is nothing, or there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<AnswerRef<'_>> {
        self.values.chunks_exact(self.width).nth(row).and_then(|row| self.view(row))
    }

    /// What is said of each row.
    pub fn iter(&self) -> impl Iterator<Item = Option<AnswerRef<'_>>> {
        self.values.chunks_exact(self.width).map(|row| self.view(row))
    }

    fn view<'a>(&self, row: &'a [f64]) -> Option<AnswerRef<'a>> {
        let (said, scores) = row.split_first().filter(|(said, _)| !said.is_nan())?;
        if !self.are_classes {
            return Some(AnswerRef::Number(*said));
        }
        let scores = if scores.first().is_some_and(|score| score.is_nan()) { &[] } else { scores };
        Some(AnswerRef::Class { class: *said as u32, scores })
    }

    /// Bytes that it takes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.values)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::shape::Shape;
    use crate::signature::{Dim, Signature, TensorSpec};
    use crate::tensor::{Datatype, Tensor};

    fn answers(width: u64, names: Option<&[&str]>) -> Answers {
        let labels = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let shape = Some(vec![Dim::Dynamic(None), Dim::Fixed(width)]);
        let spec = TensorSpec { name: "p".into(), datatype: Datatype::Fp64, shape, optional: false, labels };
        Answers::of(&Signature { inputs: Vec::new(), outputs: vec![spec] }).expect("an answer")
    }

    fn outputs(rows: &[&[f64]]) -> Vec<OutputTensor> {
        let shape = Shape::new(&[rows.len() as u64, rows[0].len() as u64]).expect("small");
        let tensor = Tensor::from_vec(Datatype::Fp64, shape, rows.concat()).expect("fits");
        vec![OutputTensor { name: Arc::from("p"), tensor, labels: None }]
    }

    #[test]
    fn rows_say_what_the_answer_says_of_each() {
        let cases: [(Answers, Vec<OutputTensor>); 4] = [
            (
                answers(3, Some(&["a", "b", "c"])),
                outputs(&[&[0.2, 0.5, 0.3], &[1.0, 2.0, 3.0], &[f64::NAN; 3], &[1.0, 0.0, 0.0]]),
            ),
            (answers(2, None), outputs(&[&[0.9, 0.1], &[0.4, 0.6], &[0.4, 0.7]])),
            (answers(1, Some(&["no", "yes"])), outputs(&[&[0.7], &[0.2], &[7.0]])),
            (answers(1, None), outputs(&[&[0.7], &[f64::INFINITY], &[-3.0]])),
        ];
        for (answers, outputs) in &cases {
            let had = outputs[0].tensor.shape().dims()[0] as usize;
            // One row more than there is, of which nothing is said.
            let mut rows = AnswerRows::read(answers, outputs, had + 1);
            let read: Vec<Option<Answer>> = (0..=had).map(|row| answers.read(outputs, row)).collect();
            assert!(read.iter().any(Option::is_some) && read[had].is_none(), "{read:?}");
            assert_eq!(rows.iter().map(|row| row.map(Answer::from)).collect::<Vec<_>>(), read);
            for (row, read) in read.iter().enumerate() {
                assert_eq!(rows.get(row), read.as_ref().map(Answer::view), "row {row}");
            }
            assert_eq!((rows.len(), rows.get(had + 1)), (had + 1, None));
            rows.truncate(1);
            assert_eq!((rows.len(), rows.get(0), rows.get(1)), (1, read[0].as_ref().map(Answer::view), None));
        }
    }
}
