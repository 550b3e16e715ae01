//! An exchange whose answer had a number that it should not have.

use std::time::SystemTime;

use pointsman_core::{ColumnView, Columns, NumericFault, Origin, OutputTensor, RequestId, Schema, shown};
use serde_json::{Map, Value, json};

use crate::monitoring::Seen;

/// The most bytes, as JSON, that the inputs of an example take.
const INPUTS_BYTES_MAX: usize = 4096;

/// The first exchange with a fault.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) id: RequestId,
    pub(crate) fault: NumericFault,
    pub(crate) output: String,
    /// The place of the number among the output's elements.
    pub(crate) index: usize,
    /// When it was answered.
    pub(crate) answered_at: SystemTime,
    /// When its example is from.
    pub(crate) from: SystemTime,
    /// The inputs of the row, by column, as far as they may be shown.
    pub(crate) inputs: Map<String, Value>,
    /// How many columns are not shown, since their redaction does not let them or there are too many.
    pub(crate) withheld: usize,
}

impl Example {
    /// Keeps what may be kept: the row of the inputs that the number stands in, no more of it than
    /// [`INPUTS_BYTES_MAX`], and of columns that their schema lets be shown.
    pub(super) fn of(
        seen: &Seen,
        output: &OutputTensor,
        fault: NumericFault,
        index: usize,
        columns: &Columns,
        schema: Option<&Schema>,
    ) -> Self {
        let rows = usize::try_from(seen.exchange.rows).unwrap_or(0).max(1);
        let row = index / (output.tensor.elements() / rows).max(1);
        let (mut inputs, mut withheld, mut bytes) = (Map::new(), 0, 0);
        for column in columns.all().iter().filter(|column| column.origin == Origin::Input) {
            let known = schema.and_then(|schema| schema.inputs.get(&column.name));
            let is_shown = known.cloned().unwrap_or_default().is_shown(column.kind);
            let tensor = seen.exchange.inputs.get(column.tensor).and_then(Option::as_ref);
            let view = tensor.and_then(|tensor| column.view(tensor, rows));
            let value = view.filter(|_| is_shown).and_then(|view| value(view, row));
            let size = value.as_ref().map_or(0, |value| value.to_string().len() + column.name.len());
            match value {
                Some(value) if bytes + size <= INPUTS_BYTES_MAX => {
                    bytes += size;
                    inputs.insert(column.name.to_string(), value);
                }
                _ => withheld += 1,
            }
        }
        Self {
            id: seen.exchange.id,
            fault,
            output: output.name.to_string(),
            index,
            answered_at: SystemTime::now(),
            from: seen.at,
            inputs,
            withheld,
        }
    }
}

/// The value in a row.
fn value(view: ColumnView<'_>, row: usize) -> Option<Value> {
    if let Some(elements) = view.elements() {
        let number = elements.get(view.first + row * view.stride);
        // JSON has no others.
        return Some(if number.is_finite() { json!(number) } else { json!(number.to_string()) });
    }
    let text = view.texts()?.nth(row)?;
    Some(json!(shown(&String::from_utf8_lossy(text))))
}
