//! The rules of a schema, compiled for one signature, and what they find in the tensors of a request.

mod compile;
mod domain;
mod numbers;
mod relation;
mod texts;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::numbers::NumberRules;
use self::relation::Relation;
use self::texts::TextRules;
use crate::column::{Column, ColumnKind, Origin};
use crate::elements::Elements;
use crate::mismatch::InputMismatch;
use crate::request::OutputTensor;
use crate::schema::{Action, Anomaly, ColumnSchema, Violation};
use crate::tensor::Tensor;
use crate::text::shown;

/// Holds tensors against a schema: pure, bounded by a few operations for each value, and without an allocation where
/// nothing is wrong.
///
/// Columns that lie beside each other in one tensor are looked at together, row by row, as they lie in memory.
#[derive(Debug)]
pub struct Validator {
    inputs: Side,
    outputs: Side,
}

/// What a schema says of a request's inputs.
#[derive(Debug, Default, PartialEq)]
pub struct Checked {
    /// The rules that are broken, in the order of the columns. Those that refuse the request are among them.
    pub violations: Vec<Violation>,
    /// Why the request is refused: the first value that breaks a rule set to [`Action::Reject`].
    pub rejected: Option<Box<InputMismatch>>,
}

/// The rules for the inputs, or for the outputs.
#[derive(Debug, Default)]
struct Side {
    /// Those columns of which something is known, in the signature's order.
    columns: Vec<RuledColumn>,
    tensors: Vec<TensorRules>,
    relations: Vec<Relation>,
    /// The names of the outputs, by which an answer says which of them it has.
    names: Vec<Arc<str>>,
}

/// A column with what is known of it.
#[derive(Debug)]
struct RuledColumn {
    column: Column,
    schema: ColumnSchema,
}

/// The rules for the columns of one tensor.
#[derive(Debug)]
struct TensorRules {
    tensor: usize,
    width: usize,
    /// The place of each of its columns that has rules, in the tensor's rows, and in [`Side::columns`].
    places: Vec<(usize, usize)>,
    values: ValueRules,
}

#[derive(Debug)]
enum ValueRules {
    Numbers(NumberRules),
    Texts(TextRules),
}

/// Values that break a rule.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    values: usize,
    /// The row of the first of them.
    first: usize,
}

/// What was found so far, by column and anomaly. Empty, it holds no memory.
type Findings = BTreeMap<(usize, Anomaly), Found>;

fn find(findings: &mut Findings, column: usize, anomaly: Anomaly, row: usize) {
    findings.entry((column, anomaly)).or_insert(Found { values: 0, first: row }).values += 1;
}

impl Validator {
    /// Whether there is nothing that it could find.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        [&self.inputs, &self.outputs].iter().all(|side| side.tensors.is_empty() && side.relations.is_empty())
    }

    /// Holds the inputs of a request of so many rows, in the order of the signature, against the schema.
    #[must_use]
    pub fn check(&self, inputs: &[Option<Tensor>], rows: u64) -> Checked {
        let tensor = |index: usize| inputs.get(index)?.as_ref();
        let mut findings = self.inputs.find(tensor);
        for rules in &self.inputs.tensors {
            if tensor(rules.tensor).is_none() {
                self.inputs.left_out(rules, rows, &mut findings);
            }
        }
        if findings.is_empty() {
            return Checked::default();
        }
        self.inputs.told(&findings, tensor)
    }

    /// Holds the outputs of an answer against it. No answer is refused for them.
    #[must_use]
    pub fn check_outputs(&self, outputs: &[OutputTensor]) -> Vec<Violation> {
        let tensor = |index: usize| {
            let name = self.outputs.names.get(index)?;
            outputs.iter().find(|output| output.name == *name).map(|output| &output.tensor)
        };
        let findings = self.outputs.find(tensor);
        if findings.is_empty() { Vec::new() } else { self.outputs.told(&findings, tensor).violations }
    }
}

impl Side {
    /// Looks at the tensors that are there.
    fn find<'t>(&self, tensor: impl Fn(usize) -> Option<&'t Tensor>) -> Findings {
        let mut findings = Findings::new();
        for rules in &self.tensors {
            // What has another shape than was declared, as outputs may have, is no table.
            let Some(found) = tensor(rules.tensor).filter(|tensor| rules.fits(tensor)) else { continue };
            match &rules.values {
                ValueRules::Numbers(numbers) => {
                    let Some(elements) = Elements::of(found) else { continue };
                    if numbers.is_suspicious(elements, rules.width) {
                        numbers.find(elements, rules, &self.columns, &mut findings);
                    }
                }
                ValueRules::Texts(texts) => texts.find(found, rules, &mut findings),
            }
        }
        for relation in &self.relations {
            relation.find(&self.columns, &tensor, &mut findings);
        }
        findings
    }

    /// All values of an input that was left out are missing.
    fn left_out(&self, rules: &TensorRules, rows: u64, findings: &mut Findings) {
        let values = usize::try_from(rows).unwrap_or(usize::MAX);
        for (_, column) in &rules.places {
            if values > 0 && self.columns[*column].schema.missing != Action::Off {
                findings.insert((*column, Anomaly::Missing), Found { values, first: 0 });
            }
        }
    }

    /// Says what was found.
    fn told<'t>(&self, findings: &Findings, tensor: impl Fn(usize) -> Option<&'t Tensor>) -> Checked {
        let mut checked = Checked::default();
        for ((index, anomaly), found) in findings {
            let ruled = &self.columns[*index];
            checked.violations.push(Violation {
                origin: ruled.column.origin,
                column: ruled.column.name.clone(),
                anomaly: *anomaly,
                values: found.values,
            });
            if checked.rejected.is_none() && ruled.schema.action(*anomaly) == Action::Reject {
                let value = ruled.value(tensor(ruled.column.tensor), found.first);
                checked.rejected = Some(Box::new(InputMismatch::Rule {
                    column: ruled.column.name.clone(),
                    value: value.filter(|_| *anomaly != Anomaly::Missing),
                    rule: ruled.rule(*anomaly),
                    anomaly: *anomaly,
                    row: found.first as u64,
                }));
            }
        }
        checked
    }
}

impl TensorRules {
    /// Whether the tensor is rows of so many columns.
    fn fits(&self, tensor: &Tensor) -> bool {
        self.width == 1 || tensor.shape().dims().last() == Some(&(self.width as u64))
    }
}

impl RuledColumn {
    /// The value in a row, where it may be repeated.
    fn value(&self, tensor: Option<&Tensor>, row: usize) -> Option<String> {
        let tensor = tensor.filter(|_| self.schema.is_shown(self.column.kind))?;
        let index = row.checked_mul(self.column.width())?.checked_add(self.column.place())?;
        if let Some(elements) = Elements::of(tensor) {
            return Some(elements.get(index).to_string());
        }
        let text = tensor.strings()?.nth(index)?;
        Some(format!("'{}'", shown(&String::from_utf8_lossy(text))))
    }

    /// The rule that is broken, as a sentence.
    fn rule(&self, anomaly: Anomaly) -> String {
        let limit = |limit: Option<f64>| limit.map_or_else(String::new, |limit| limit.to_string());
        match anomaly {
            Anomaly::Missing => "it is missing".into(),
            Anomaly::HasNan => "it is NaN".into(),
            Anomaly::HasInf => "it is infinite".into(),
            Anomaly::SmallNumber => format!("it is below the minimum, {}", limit(self.schema.min)),
            Anomaly::BigNumber => format!("it is above the maximum, {}", limit(self.schema.max)),
            Anomaly::UnexpectedValue => {
                let values = self.schema.values.as_ref().map_or(0, |values| values.len());
                format!("it is none of the {values} that there may be")
            }
            Anomaly::InvalidUtf8 => "it is no UTF-8".into(),
            Anomaly::AboveOther => {
                let other = self.schema.at_most.as_deref().unwrap_or_default();
                format!("it is above that of column '{}' in the same row", shown(other))
            }
        }
    }

    /// What is wrong with a number; `domain` has the values that there may be.
    fn judge(&self, value: f64, domain: Option<&domain::NumberDomain>) -> Option<Anomaly> {
        let ColumnSchema { missing, infinite, range, min, max, .. } = &self.schema;
        if value.is_nan() {
            let anomaly = match self.column.origin {
                Origin::Input => Anomaly::Missing,
                Origin::Output => Anomaly::HasNan,
            };
            return (*missing != Action::Off).then_some(anomaly);
        }
        if value.is_infinite() && *infinite != Action::Off {
            return Some(Anomaly::HasInf);
        }
        if *range != Action::Off {
            if min.is_some_and(|min| value < min) {
                return Some(Anomaly::SmallNumber);
            }
            if max.is_some_and(|max| value > max) {
                return Some(Anomaly::BigNumber);
            }
        }
        domain.filter(|domain| !domain.has(value)).map(|_| Anomaly::UnexpectedValue)
    }

    fn is_text(&self) -> bool {
        self.column.kind == ColumnKind::String
    }
}

#[cfg(test)]
mod tests;
