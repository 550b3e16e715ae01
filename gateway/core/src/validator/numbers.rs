//! Rules for tensors of numbers.

use super::domain::NumberDomain;
use super::{Findings, RuledColumn, TensorRules, find};
use crate::column::ColumnKind;
use crate::elements::Elements;
use crate::schema::{Action, ColumnSchema};

/// What numbers of a tensor may be, column by column: those without rules may be anything.
#[derive(Debug)]
pub(super) struct NumberRules {
    /// The least of each column.
    low: Box<[f64]>,
    /// The most of each.
    high: Box<[f64]>,
    /// The same for FP32, rounded inwards: a number is within exactly where it is within the doubles.
    low32: Box<[f32]>,
    high32: Box<[f32]>,
    /// Whether NaN breaks a rule of any of them.
    has_nan_rule: bool,
    /// The columns with a domain, by their places in the rows.
    domains: Vec<(usize, NumberDomain)>,
}

impl NumberRules {
    pub(super) fn new(width: usize) -> Self {
        Self {
            low: vec![f64::NEG_INFINITY; width].into(),
            high: vec![f64::INFINITY; width].into(),
            low32: Box::default(),
            high32: Box::default(),
            has_nan_rule: false,
            domains: Vec::new(),
        }
    }

    /// Adds a column's rules. Gives false where its values are not of its kind, and do not count.
    pub(super) fn add(&mut self, place: usize, kind: ColumnKind, schema: &ColumnSchema) -> bool {
        let is_on = |action: Action| action != Action::Off;
        if is_on(schema.infinite) {
            (self.low[place], self.high[place]) = (f64::MIN, f64::MAX);
        }
        if is_on(schema.range) {
            self.low[place] = schema.min.unwrap_or(self.low[place]);
            self.high[place] = schema.max.unwrap_or(self.high[place]);
        }
        self.has_nan_rule |= is_on(schema.missing);
        let values = schema.values.as_ref().filter(|_| is_on(schema.domain));
        let domain = values.map(|values| NumberDomain::read(kind, values));
        let is_read = !matches!(domain, Some(None));
        self.domains.extend(domain.flatten().map(|domain| (place, domain)));
        is_read
    }

    /// Makes what follows from the rules of all columns.
    pub(super) fn finished(mut self) -> Self {
        // Whatever is cast to beyond the range of FP32 becomes infinite, and is moved back into it.
        let up = |low: f64| Some(low as f32).filter(|rounded| f64::from(*rounded) >= low);
        let down = |high: f64| Some(high as f32).filter(|rounded| f64::from(*rounded) <= high);
        self.low32 = self.low.iter().map(|low| up(*low).unwrap_or((*low as f32).next_up())).collect();
        self.high32 =
            self.high.iter().map(|high| down(*high).unwrap_or((*high as f32).next_down())).collect();
        self
    }

    /// Whether any number may break a rule; what it takes is a few operations of each, several at once.
    pub(super) fn is_suspicious(&self, elements: Elements<'_>, width: usize) -> bool {
        let is_beyond = match elements {
            Elements::F32(all) => match self.has_nan_rule {
                true => all.chunks_exact(width).any(|row| any_not_within(row, &self.low32, &self.high32)),
                false => all.chunks_exact(width).any(|row| any_beyond(row, &self.low32, &self.high32)),
            },
            Elements::F64(all) => self.is_any_beyond(all, width, |x| *x),
            Elements::F16(all) => self.is_any_beyond(all, width, |x| x.to_f64()),
            Elements::Bf16(all) => self.is_any_beyond(all, width, |x| x.to_f64()),
            Elements::U8(all) => self.is_any_beyond(all, width, |x| f64::from(*x)),
            Elements::U16(all) => self.is_any_beyond(all, width, |x| f64::from(*x)),
            Elements::U32(all) => self.is_any_beyond(all, width, |x| f64::from(*x)),
            Elements::U64(all) => self.is_any_beyond(all, width, |x| *x as f64),
            Elements::I8(all) => self.is_any_beyond(all, width, |x| f64::from(*x)),
            Elements::I16(all) => self.is_any_beyond(all, width, |x| f64::from(*x)),
            Elements::I32(all) => self.is_any_beyond(all, width, |x| f64::from(*x)),
            Elements::I64(all) => self.is_any_beyond(all, width, |x| *x as f64),
        };
        is_beyond || self.is_any_unknown(elements, width)
    }

    fn is_any_beyond<T>(&self, all: &[T], width: usize, wide: impl Fn(&T) -> f64) -> bool {
        all.chunks_exact(width).any(|row| {
            let bounds = self.low.iter().zip(&self.high);
            let mut beyond = false;
            for (value, (low, high)) in row.iter().map(&wide).zip(bounds) {
                beyond |= (value < *low) | (value > *high) | (self.has_nan_rule & value.is_nan());
            }
            beyond
        })
    }

    fn is_any_unknown(&self, elements: Elements<'_>, width: usize) -> bool {
        let rows = elements.len() / width;
        self.domains.iter().any(|(place, domain)| {
            let mut values = (0..rows).map(|row| elements.get(row * width + place));
            values.any(|value| !value.is_nan() && !domain.has(value))
        })
    }

    /// Finds which rules are broken.
    pub(super) fn find(
        &self,
        elements: Elements<'_>,
        rules: &TensorRules,
        columns: &[RuledColumn],
        findings: &mut Findings,
    ) {
        let rows = elements.len() / rules.width;
        for (place, column) in &rules.places {
            let domain = self.domains.iter().find(|(of, _)| of == place).map(|(_, domain)| domain);
            for row in 0..rows {
                let value = elements.get(row * rules.width + place);
                if let Some(anomaly) = columns[*column].judge(value, domain) {
                    find(findings, *column, anomaly, row);
                }
            }
        }
    }
}

/// Whether any number of a row is below or above; NaN is neither.
fn any_beyond(row: &[f32], low: &[f32], high: &[f32]) -> bool {
    let mut beyond = false;
    for (value, (low, high)) in row.iter().zip(low.iter().zip(high)) {
        beyond |= (value < low) | (value > high);
    }
    beyond
}

/// As [`any_beyond`], or is NaN.
fn any_not_within(row: &[f32], low: &[f32], high: &[f32]) -> bool {
    let mut within = true;
    for (value, (low, high)) in row.iter().zip(low.iter().zip(high)) {
        within &= (value >= low) & (value <= high);
    }
    !within
}
