//! What is kept of one column or tensor, and how its values come into a batch.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{Float64Builder, Int32Builder, StringBuilder};
use arrow_schema::DataType;
use pointsman_core::{Column, Datatype, Elements, OutputTensor, Tensor};
use serde_json::Value;

use super::redactor::{Redactor, bin, rounded};
use super::values::{Lists, Numbers};

/// A column of the log, with one value in each row.
#[derive(Clone, Debug)]
pub(super) struct KeptColumn {
    /// Its name in the log.
    pub(super) name: String,
    /// Where its values are.
    pub(super) source: Column,
    /// The name of its tensor.
    pub(super) tensor: Arc<str>,
    /// The datatype of the tensor.
    pub(super) datatype: Datatype,
    /// The place of the first value among the tensor's elements, and how far the next one is: 0 where all rows have the
    /// same.
    pub(super) first: usize,
    pub(super) stride: usize,
    /// What is written of them.
    pub(super) redactor: Redactor,
}

/// A tensor that is kept as a list in each row.
#[derive(Clone, Debug)]
pub(super) struct KeptTensor {
    /// Its name in the log.
    pub(super) name: String,
    /// Its place in the signature's inputs or outputs.
    pub(super) index: usize,
    /// Its name.
    pub(super) tensor: Arc<str>,
    /// The datatype.
    pub(super) datatype: Datatype,
    /// How many elements each row has, where that is known.
    pub(super) length: Option<i32>,
    /// What is written of each element of a row, where not all are written as they are.
    pub(super) elements: Option<Arc<[Element]>>,
}

/// What is written of one element of a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Element {
    /// It.
    Keep,
    /// Nothing.
    Drop,
    /// The nearest multiple of this.
    Round(f64),
}

/// Values of a [`KeptColumn`].
#[derive(Debug)]
pub(super) enum ColumnValues {
    Numbers(Numbers),
    Floats(Float64Builder),
    Bins(Int32Builder),
    Texts(StringBuilder),
}

impl KeptColumn {
    /// The type of the column in the log.
    pub(super) fn data_type(&self) -> DataType {
        match &self.redactor {
            Redactor::Number => Numbers::data_type(self.datatype).unwrap_or(DataType::Utf8),
            Redactor::Round(_) => DataType::Float64,
            Redactor::Bin(_) => DataType::Int32,
            _ => DataType::Utf8,
        }
    }

    /// No values yet.
    pub(super) fn values(&self) -> ColumnValues {
        match &self.redactor {
            Redactor::Number => match Numbers::of(self.datatype) {
                Some(numbers) => ColumnValues::Numbers(numbers),
                None => ColumnValues::Texts(StringBuilder::new()),
            },
            Redactor::Round(_) => ColumnValues::Floats(Float64Builder::new()),
            Redactor::Bin(_) => ColumnValues::Bins(Int32Builder::new()),
            _ => ColumnValues::Texts(StringBuilder::new()),
        }
    }

    /// The elements of a tensor that has its values, for a request of so many rows; nothing where it is of another datatype
    /// or shape, or of texts. Columns of the same tensor have the same.
    pub(super) fn elements<'a>(&self, tensor: &'a Tensor, rows: usize) -> Option<Elements<'a>> {
        let fits = match self.stride {
            0 => tensor.elements() == 1,
            stride => rows.checked_mul(stride) == Some(tensor.elements()),
        };
        Elements::of(tensor).filter(|_| fits && tensor.datatype() == self.datatype)
    }

    /// Adds the values of a request of so many rows from the [elements](KeptColumn::elements) of their tensor.
    pub(super) fn push_numbers(&self, to: &mut ColumnValues, elements: &Elements<'_>, rows: usize) {
        let places = || (0..rows).map(|row| self.first + row * self.stride);
        match (to, &self.redactor) {
            (ColumnValues::Numbers(to), _) => to.push(elements, self.first, self.stride, rows),
            (ColumnValues::Floats(to), Redactor::Round(step)) => {
                places().for_each(|place| to.append_value(rounded(elements.get(place), *step)));
            }
            (ColumnValues::Bins(to), Redactor::Bin(edges)) => {
                places().for_each(|place| to.append_option(bin(elements.get(place), edges)));
            }
            (ColumnValues::Texts(to), Redactor::Hash(key)) => {
                places().for_each(|place| to.append_value(Redactor::number_hash(key, elements, place)));
            }
            (to, _) => to.push_nulls(rows),
        }
    }

    /// Adds the texts of a request of so many rows, or as many nulls where there are none.
    pub(super) fn push_texts(&self, to: &mut ColumnValues, tensor: Option<&Tensor>, rows: usize) {
        let tensor = tensor.filter(|tensor| tensor.datatype() == self.datatype);
        let texts = tensor.and_then(|tensor| self.source.view(tensor, rows)?.texts());
        match (to, texts) {
            (ColumnValues::Texts(to), Some(texts)) => {
                texts.for_each(|bytes| self.redactor.text(bytes, |text| to.append_value(text)));
            }
            (to, _) => to.push_nulls(rows),
        }
    }

    /// What is written of one row of an output of another version; nothing where that is no number.
    fn shown(&self, tensor: &Tensor, row: usize, rows: usize) -> Option<Value> {
        let (elements, place) = (self.elements(tensor, rows)?, self.first + row * self.stride);
        match &self.redactor {
            Redactor::Number => Some(number(&elements, place)),
            Redactor::Round(step) => Some(rounded(elements.get(place), *step).into()),
            Redactor::Bin(edges) => Some(bin(elements.get(place), edges).into()),
            _ => None,
        }
    }
}

impl ColumnValues {
    pub(super) fn push_nulls(&mut self, count: usize) {
        match self {
            Self::Numbers(to) => to.push_nulls(count),
            Self::Floats(to) => to.append_nulls(count),
            Self::Bins(to) => to.append_nulls(count),
            Self::Texts(to) => to.append_nulls(count),
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Numbers(all) => all.finish(),
            Self::Floats(all) => Arc::new(all.finish()),
            Self::Bins(all) => Arc::new(all.finish()),
            Self::Texts(all) => Arc::new(all.finish()),
        }
    }
}

impl KeptTensor {
    /// The type of the column in the log; nothing for texts.
    pub(super) fn data_type(&self) -> Option<DataType> {
        Lists::data_type(self.datatype, self.length)
    }

    /// No values yet; nothing for texts.
    pub(super) fn values(&self) -> Option<Lists> {
        Lists::new(self.datatype, self.length)
    }

    /// Adds a list for each row, or as many nulls where the tensor is not there, or has other rows or lengths.
    pub(super) fn push(&self, to: &mut Lists, tensor: Option<&Tensor>, rows: usize) {
        let tensor = tensor.filter(|tensor| tensor.datatype() == self.datatype);
        let elements = tensor.and_then(|tensor| Some((Elements::of(tensor)?, per_row(tensor, rows)?)));
        let fits = |each: usize| to.length().is_none_or(|length| length == each);
        let Some((elements, each)) = elements.filter(|(_, each)| fits(*each)) else {
            return (0..rows).for_each(|_| to.push_null());
        };
        for row in 0..rows {
            match &self.elements {
                None => to.numbers().push(&elements, row * each, 1, each),
                Some(rules) => (0..each).for_each(|place| {
                    let rule = rules.get(place).copied().unwrap_or(Element::Drop);
                    rule.push(to.numbers(), &elements, row * each + place);
                }),
            }
            to.close();
        }
    }

    fn shown(&self, tensor: &Tensor, row: usize, rows: usize) -> Option<Value> {
        let (elements, each) = (Elements::of(tensor)?, per_row(tensor, rows)?);
        let shown = |place: usize| match &self.elements {
            None => number(&elements, row * each + place),
            Some(rules) => match rules.get(place) {
                Some(Element::Keep) => number(&elements, row * each + place),
                Some(Element::Round(step)) => rounded(elements.get(row * each + place), *step).into(),
                Some(Element::Drop) | None => Value::Null,
            },
        };
        Some((0..each).map(shown).collect::<Vec<_>>().into())
    }
}

impl Element {
    fn push(self, to: &mut Numbers, elements: &Elements<'_>, place: usize) {
        match self {
            Self::Keep => to.push(elements, place, 1, 1),
            Self::Drop => to.push_nulls(1),
            Self::Round(step) => match elements {
                Elements::F32(_) | Elements::F16(_) | Elements::Bf16(_) => {
                    to.push(&Elements::F32(&[rounded(elements.get(place), step) as f32]), 0, 1, 1);
                }
                Elements::F64(_) => to.push(&Elements::F64(&[rounded(elements.get(place), step)]), 0, 1, 1),
                // Whole numbers have no room for what rounding gives.
                _ => to.push_nulls(1),
            },
        }
    }
}

/// How many elements of a tensor each row has: those behind its first dimension, or all where there is one row alone.
pub(super) fn per_row(tensor: &Tensor, rows: usize) -> Option<usize> {
    let is_by_rows = tensor.shape().dims().first().is_some_and(|first| *first == rows as u64);
    (is_by_rows || rows == 1).then(|| tensor.elements() / rows.max(1))
}

/// A number of JSON; null for what is not finite.
fn number(elements: &Elements<'_>, place: usize) -> Value {
    match elements.whole(place) {
        Some(whole) => i64::try_from(whole).map_or_else(|_| (whole as u64).into(), Value::from),
        None if matches!(elements, Elements::F32(_)) => {
            // The digits of the float that it is, not of the double that it becomes.
            let text = (elements.get(place) as f32).to_string();
            text.parse::<f64>().map_or(Value::Null, Value::from)
        }
        None => elements.get(place).into(),
    }
}

/// What is written of one row of the outputs of another version, as JSON.
pub(super) fn shown_outputs(
    columns: &[KeptColumn],
    tensors: &[KeptTensor],
    outputs: &[OutputTensor],
    row: usize,
    rows: usize,
) -> String {
    let shown = outputs.iter().filter_map(|output| {
        let column = columns.iter().find(|kept| kept.tensor == output.name);
        let value = match column {
            Some(column) => column.shown(&output.tensor, row, rows),
            None => tensors
                .iter()
                .find(|kept| kept.tensor == output.name)
                .and_then(|kept| kept.shown(&output.tensor, row, rows)),
        };
        Some((output.name.to_string(), value?))
    });
    Value::Object(shown.collect()).to_string()
}
