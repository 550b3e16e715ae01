//! The values that there may be.

use std::collections::HashSet;

use crate::column::ColumnKind;

/// Up to so many texts are compared one after the other, which takes less than to hash one.
const COMPARED_MAX: usize = 8;

/// Numbers, ascending.
#[derive(Debug)]
pub(super) struct NumberDomain(Box<[f64]>);

/// Texts.
#[derive(Debug)]
pub(super) enum TextDomain {
    Few(Box<[Box<[u8]>]>),
    Many(HashSet<Box<[u8]>>),
}

impl NumberDomain {
    /// Reads the values of a column of this kind; nothing where one of them is none.
    pub(super) fn read(kind: ColumnKind, values: &[String]) -> Option<Self> {
        let number = |text: &String| match kind {
            ColumnKind::Bool => text.parse::<bool>().ok().map(f64::from),
            ColumnKind::Float | ColumnKind::Int => {
                text.parse().ok().filter(|number: &f64| number.is_finite())
            }
            ColumnKind::String => None,
        };
        // There are two zeros, and they are equal.
        let mut numbers =
            values.iter().map(|text| Some(number(text)? + 0.0)).collect::<Option<Vec<f64>>>()?;
        numbers.sort_by(f64::total_cmp);
        Some(Self(numbers.into()))
    }

    pub(super) fn has(&self, value: f64) -> bool {
        let value = value + 0.0;
        self.0.binary_search_by(|known| known.total_cmp(&value)).is_ok()
    }
}

impl TextDomain {
    pub(super) fn new(values: &[String]) -> Self {
        let texts = values.iter().map(|text| Box::from(text.as_bytes()));
        if values.len() <= COMPARED_MAX { Self::Few(texts.collect()) } else { Self::Many(texts.collect()) }
    }

    pub(super) fn has(&self, value: &[u8]) -> bool {
        match self {
            Self::Few(texts) => texts.iter().any(|text| **text == *value),
            Self::Many(texts) => texts.contains(value),
        }
    }
}
