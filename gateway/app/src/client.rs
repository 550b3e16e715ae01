//! The commands that talk to a running gateway.

mod alerts;
mod call;
mod compare;
mod config;
mod drift;
mod experiment;
mod journal;
mod labels;
mod log;
mod models;
mod plan;
mod predict;
mod profile;
mod quality;
mod replay;
mod rollout;
mod schema;
mod score;
mod verify;
mod wish;

pub(crate) use self::alerts::alerts;
pub(crate) use self::compare::compare;
pub(crate) use self::config::config;
pub(crate) use self::drift::drift;
pub(crate) use self::experiment::experiment;
pub(crate) use self::journal::journal;
pub(crate) use self::labels::labels;
pub(crate) use self::log::log;
pub(crate) use self::models::models;
pub(crate) use self::plan::plan;
pub(crate) use self::predict::predict;
pub(crate) use self::profile::profile;
pub(crate) use self::quality::quality;
pub(crate) use self::replay::replay;
pub(crate) use self::rollout::rollout;
pub(crate) use self::schema::schema;
pub(crate) use self::score::score;
pub(crate) use self::wish::{Wished, wish};

use ::http::Method;
use bytes::Bytes;
use serde_json::Value;

use self::call::{Failed, call_as};
use crate::End;
use crate::cli::AdminClient;

/// Asks the admin listener, for a command that shows the answer as a table. Gives how the command ends
/// where there is none to show: it was refused, or printed as it came for `--json`.
fn answer(client: &AdminClient, method: Method, path: &str) -> Result<Value, End> {
    let url = &client.admin_url;
    let answer = call_as(None, method, url, path, Bytes::new()).map_err(|e| failed(&e, client.json))?;
    if client.json {
        print_raw(&answer);
        return Err(End::Done);
    }
    serde_json::from_slice(&answer)
        .map_err(|e| refused(&format!("{url} answered something that is not JSON: {e}")))
}

/// Says why a call gave nothing; with `--json` as JSON, on standard output like an answer.
fn failed(failed: &Failed, as_json: bool) -> End {
    if as_json {
        println!("{}", failed.json());
        return End::Refused;
    }
    refused(&failed.line)
}

fn refused(problem: &str) -> End {
    eprintln!("pointsman: {problem}");
    End::Refused
}

fn print_json(answer: &Value) -> End {
    println!("{answer}");
    End::Done
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
