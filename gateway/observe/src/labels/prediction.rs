//! A prediction as labels are joined with it, and the pair of both.

use std::sync::Arc;

use pointsman_core::{Answer, AnswerRows, RequestId};
use pointsman_stats::Inclusion;
use serde::{Deserialize, Serialize};

use super::said::Value;

/// What all predictions of one version have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// The model.
    pub model: Arc<str>,
    /// The version.
    pub version: u64,
    /// Whether it answered beside the version whose answer the caller was given.
    pub is_shadow: bool,
    /// The names of its classes, where the card has them.
    pub names: Option<Arc<[String]>>,
    /// How many classes it has; nothing where it gives numbers.
    pub classes: Option<usize>,
    /// By what its examples are told apart.
    pub slices: Arc<[Arc<str>]>,
}

/// What was drawn for the unit of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The experiment or rollout.
    pub experiment: Arc<str>,
    /// Tells the unit from others.
    pub unit: u64,
    /// With what probability a unit gets this arm, in ten-thousandths.
    pub weight: u16,
    /// Whether each request is a unit of its own.
    pub is_request: bool,
}

/// An answered request.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The gateway's id of the request.
    pub id: RequestId,
    /// When it is from, in milliseconds since 1970.
    pub at_ms: u64,
    /// Of what version.
    pub source: Arc<Source>,
    /// The arm.
    pub arm: Arc<str>,
    /// What was drawn; nothing where nothing was.
    pub drawn: Option<Drawn>,
    /// How many rows the request had.
    pub rows_had: u32,
    /// What was answered to those that are kept: the first ones.
    pub answers: AnswerRows,
    /// The values by which these are told apart, row by row, of each in the order of [`Source::slices`].
    pub slices: Arc<[Arc<str>]>,
}

/// What turned out to be so.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// The class of this place.
    Class(u32),
    /// This number.
    Number(f64),
}

/// A prediction with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// The gateway's id of the request.
    pub id: RequestId,
    /// The row.
    pub row: u32,
    /// When the prediction is from, in milliseconds since 1970.
    pub at_ms: u64,
    /// When the label is from.
    pub label_at_ms: u64,
    /// With what probability the prediction was kept.
    pub included: Inclusion,
    /// Whether the prediction is from the sample log, and not from memory.
    pub from_log: bool,
    /// Of what version.
    pub source: Arc<Source>,
    /// The arm.
    pub arm: Arc<str>,
    /// What was answered.
    pub answer: Answer,
    /// What was so.
    pub label: Label,
    /// The values by which it is told apart.
    pub slices: Box<[Arc<str>]>,
}

impl Source {
    /// A label in the terms of this version; nothing where it is none of its classes, or no number.
    #[must_use]
    pub fn label(&self, value: &Value) -> Option<Label> {
        let Some(classes) = self.classes else {
            return match value {
                Value::Number(number) => Some(Label::Number(*number)),
                Value::Text(text) => text.parse().ok().filter(|n: &f64| n.is_finite()).map(Label::Number),
            };
        };
        let by_name = |text: &str| self.names.as_ref()?.iter().position(|name| name == text);
        let by_place = |number: f64| {
            let is_place = number.fract() == 0.0 && number >= 0.0 && number < classes as f64;
            is_place.then_some(number as usize)
        };
        let place = match value {
            Value::Text(text) => by_name(text).or_else(|| by_place(text.parse().ok()?)),
            // Names may be numbers: these come first, as they are what a person sees.
            Value::Number(number) => by_name(&number.to_string()).or_else(|| by_place(*number)),
        };
        place.map(|place| Label::Class(u32::try_from(place).unwrap_or(u32::MAX)))
    }

    /// What a label for this version may be, for those who said something else.
    #[must_use]
    pub fn expected(&self) -> String {
        match (&self.names, self.classes) {
            (_, None) => "a number".into(),
            (Some(names), _) => {
                let shown: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
                format!(
                    "one of {}{}, or its place from 0",
                    shown.join(", "),
                    if names.len() > 8 { ", ..." } else { "" }
                )
            }
            (None, Some(classes)) => format!("the place of a class, from 0 to {}", classes.saturating_sub(1)),
        }
    }
}

impl Prediction {
    /// Bytes that it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let slices = self.slices.iter().map(|slice| 32 + slice.len()).sum::<usize>();
        size_of::<Self>() + self.answers.bytes() + slices
    }

    /// The values by which a row is told apart.
    fn slices_of(&self, row: usize) -> &[Arc<str>] {
        let width = self.source.slices.len();
        self.slices.get(row * width..(row + 1) * width).unwrap_or_default()
    }

    /// The pair of a row with its label; nothing where its answer could not be read.
    #[must_use]
    pub fn joined(&self, row: u32, label: Label, label_at_ms: u64, included: Inclusion) -> Option<Joined> {
        let answer = self.answers.get(row as usize)?.into();
        Some(Joined {
            id: self.id,
            row,
            at_ms: self.at_ms,
            label_at_ms,
            included,
            from_log: false,
            source: self.source.clone(),
            arm: self.arm.clone(),
            answer,
            label,
            slices: self.slices_of(row as usize).into(),
        })
    }
}

impl Joined {
    /// Of numbers: by how much the answer is above the label.
    #[must_use]
    pub fn off(&self) -> Option<f64> {
        match (&self.answer, self.label) {
            (Answer::Number(answer), Label::Number(label)) => Some(answer - label),
            _ => None,
        }
    }

    /// Whether the answer was another than the label; nothing of numbers.
    #[must_use]
    pub fn is_wrong(&self) -> Option<bool> {
        match (&self.answer, self.label) {
            (Answer::Class { class, .. }, Label::Class(label)) => Some(*class != label),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(names: Option<&[&str]>, classes: Option<usize>) -> Source {
        Source {
            model: "m".into(),
            version: 1,
            is_shadow: false,
            names: names.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
            classes,
            slices: Arc::new([]),
        }
    }

    #[test]
    fn labels_are_names_places_or_numbers() {
        let (text, number) = (|text: &str| Value::Text(text.into()), Value::Number);
        let named = source(Some(&["on_time", "late"]), Some(2));
        assert_eq!(named.label(&text("late")), Some(Label::Class(1)));
        assert_eq!(named.label(&number(1.0)), Some(Label::Class(1)));
        assert_eq!(named.label(&text("0")), Some(Label::Class(0)));
        for none in [text("later"), number(2.0), number(0.5), number(-1.0)] {
            assert_eq!(named.label(&none), None, "{none:?}");
        }
        // Digits that are named are what they are named.
        let digits = source(Some(&["1", "0"]), Some(2));
        assert_eq!(digits.label(&number(1.0)), Some(Label::Class(0)));
        let numbers = source(None, None);
        assert_eq!(
            (numbers.label(&number(0.5)), numbers.label(&text("2.5"))),
            (Some(Label::Number(0.5)), Some(Label::Number(2.5)))
        );
        assert_eq!((numbers.label(&text("inf")), numbers.label(&text("late"))), (None, None));
        assert_eq!(named.expected(), "one of on_time, late, or its place from 0");
    }
}
