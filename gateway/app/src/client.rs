//! The commands that talk to a running gateway.

mod call;
mod config;
mod journal;
mod models;
mod predict;
mod wish;

pub(crate) use self::config::config;
pub(crate) use self::journal::journal;
pub(crate) use self::models::models;
pub(crate) use self::predict::predict;
pub(crate) use self::wish::{Wished, wish};

use serde_json::Value;

use crate::End;

fn refused(problem: &str) -> End {
    eprintln!("pointsman: {problem}");
    End::Refused
}

fn print_raw(answer: &[u8]) {
    println!("{}", String::from_utf8_lossy(answer));
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A value as a cell of a table.
fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
