//! Rules for tensors of texts.

use super::domain::TextDomain;
use super::{Findings, TensorRules, find};
use crate::schema::{Action, Anomaly, ColumnSchema};
use crate::tensor::Tensor;

/// What texts of a tensor may be, column by column.
#[derive(Debug)]
pub(super) struct TextRules {
    /// By the place in the rows, with the column's place among all; nothing for columns without rules.
    columns: Box<[Option<TextColumn>]>,
}

#[derive(Debug)]
struct TextColumn {
    has_missing_rule: bool,
    has_domain_rule: bool,
    domain: Option<TextDomain>,
    column: usize,
}

impl TextRules {
    pub(super) fn new(width: usize) -> Self {
        Self { columns: (0..width).map(|_| None).collect() }
    }

    /// Adds the rules of the column at this place of the rows, which is the `column`th of all.
    pub(super) fn add(&mut self, place: usize, column: usize, schema: &ColumnSchema) {
        self.columns[place] = Some(TextColumn {
            has_missing_rule: schema.missing != Action::Off,
            has_domain_rule: schema.domain != Action::Off,
            domain: schema.values.as_ref().map(|values| TextDomain::new(values)),
            column,
        });
    }

    /// Finds which rules are broken.
    pub(super) fn find(&self, tensor: &Tensor, rules: &TensorRules, findings: &mut Findings) {
        let Some(mut texts) = tensor.strings() else { return };
        for row in 0..tensor.elements() / rules.width {
            for (column, text) in self.columns.iter().zip(texts.by_ref()) {
                let Some(column) = column else { continue };
                if let Some(anomaly) = column.judge(text) {
                    find(findings, column.column, anomaly, row);
                }
            }
        }
    }
}

impl TextColumn {
    fn judge(&self, text: &[u8]) -> Option<Anomaly> {
        if text.is_empty() && self.has_missing_rule {
            return Some(Anomaly::Missing);
        }
        if !self.has_domain_rule {
            return None;
        }
        match &self.domain {
            Some(domain) if domain.has(text) => None,
            _ if std::str::from_utf8(text).is_err() => Some(Anomaly::InvalidUtf8),
            // What is missing is no value.
            Some(_) if !text.is_empty() => Some(Anomaly::UnexpectedValue),
            _ => None,
        }
    }
}
