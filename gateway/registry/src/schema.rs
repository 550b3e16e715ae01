//! The schema of a model, `schema.toml`: what the values of its inputs and outputs are expected to be.

mod column;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_core::{ColumnSchema, Schema};
use toml::Value;

pub use self::text::schema_text;

use self::column::column;
use crate::digest::Digester;
use crate::problem::Problem;
use crate::table::{self, Keys};

/// The most columns of one origin.
pub const SCHEMA_COLUMNS_MAX: usize = 2048;
/// The most bytes of the name of a column.
pub const COLUMN_NAME_MAX: usize = 256;
/// The most values that a domain lists.
pub const COLUMN_VALUES_MAX: usize = 10_000;
/// The most bytes of one of them.
pub const COLUMN_VALUE_BYTES_MAX: usize = 1024;
/// The most edges of bins.
pub const COLUMN_BINS_MAX: usize = 256;
/// The most keys that examples are told apart by.
pub const SLICES_MAX: usize = 16;
/// The longest text, in characters, that redaction may leave of another.
pub const TRUNCATE_MAX: usize = 1024;

const SLICES_EXPECTED: &str = "give a list of up to 16 names of input columns, or of request parameters as in \
                               \"parameter.region\"";

/// Reads a schema.
///
/// # Errors
/// Every problem of the file, each with its key, its value and what to do about it.
pub fn read_schema(file: &str, bytes: &[u8]) -> Result<Schema, Vec<Problem>> {
    let table = table::parse(file, bytes).map_err(|problem| vec![problem])?;
    let mut digester = Digester::default();
    digester.update(bytes);
    let mut problems = Vec::new();
    let mut keys = Keys::new(file, table, &mut problems);
    let event_time = keys.flag("event_time").unwrap_or_default();
    let slices = keys.take("slices", SLICES_EXPECTED, slices).unwrap_or_default();
    let inputs = columns(&mut keys, "inputs");
    let outputs = columns(&mut keys, "outputs");
    keys.refuse_rest();
    if !problems.is_empty() {
        return Err(problems);
    }
    let digest = digester.finish().to_string();
    let digest = digest.strip_prefix("sha256:").unwrap_or(&digest).to_owned();
    Ok(Schema { digest, event_time, slices, inputs, outputs })
}

fn slices(value: &Value) -> Option<Vec<Arc<str>>> {
    let list = value.as_array().filter(|list| list.len() <= SLICES_MAX)?;
    let name = |item: &Value| {
        let name = item.as_str().filter(|name| is_name(name))?;
        Some(Arc::from(name))
    };
    list.iter().map(name).collect()
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= COLUMN_NAME_MAX
}

/// The columns of `[inputs.NAME]` or `[outputs.NAME]`.
fn columns(keys: &mut Keys<'_>, origin: &'static str) -> BTreeMap<Arc<str>, ColumnSchema> {
    let mut columns = BTreeMap::new();
    let mut count = 0_usize;
    keys.tables(origin, |name, keys| {
        count += 1;
        if !is_name(&name) {
            keys.report("*", "belongs to a name that is empty or too long", "a name has 1 to 256 bytes");
        }
        let column = column(keys, origin == "outputs");
        if count <= SCHEMA_COLUMNS_MAX {
            columns.insert(Arc::from(name), column);
        }
    });
    if count > SCHEMA_COLUMNS_MAX {
        let what = format!("has {count} columns, more than {SCHEMA_COLUMNS_MAX}");
        keys.report(origin, &what, "name those that have rules");
    }
    columns
}

#[cfg(test)]
mod tests;
