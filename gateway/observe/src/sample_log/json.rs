//! Rows of the log as JSON.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampNanosecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use serde_json::{Map, Value};
use std::time::{Duration, UNIX_EPOCH};

/// The rows of a batch as JSON objects, in their order. Times are texts of RFC 3339, numbers that are not finite the texts
/// `NaN`, `Infinity` and `-Infinity`; what is null is left out.
#[must_use]
pub fn rows_as_json(batch: &RecordBatch) -> Vec<Map<String, Value>> {
    let schema = batch.schema();
    let columns: Vec<_> = schema.fields().iter().zip(batch.columns()).collect();
    let row = |row: usize| {
        let values = columns.iter().filter(|(_, column)| column.is_valid(row));
        values.map(|(field, column)| (field.name().clone(), value(column.as_ref(), row))).collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

fn value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            // The digits of the float that it is, not of the double that it becomes.
            float(value.to_string().parse().unwrap_or(f64::from(value)))
        }
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::Timestamp(..) => {
            let time = array.as_primitive::<TimestampNanosecondType>().value(row);
            let since = Duration::from_nanos(u64::try_from(time).unwrap_or(0));
            humantime::format_rfc3339_nanos(UNIX_EPOCH + since).to_string().into()
        }
        DataType::List(_) => list(array.as_list::<i32>().value(row).as_ref()),
        DataType::FixedSizeList(..) => list(array.as_fixed_size_list().value(row).as_ref()),
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let values = columns.map(|(field, column)| (field.name().clone(), value(column.as_ref(), row)));
            Value::Object(values.collect())
        }
        // The log has no others.
        _ => Value::Null,
    }
}

fn list(array: &dyn Array) -> Value {
    (0..array.len()).map(|row| value(array, row)).collect::<Vec<_>>().into()
}

fn float(value: f64) -> Value {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    value.into()
}
