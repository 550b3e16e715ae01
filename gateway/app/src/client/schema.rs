//! `pointsman schema`.

use ::http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{answer, cell, list};
use crate::End;
use crate::cli::ShowSchema;
use crate::table::lay_out;

/// Digits of a digest that people are shown.
const DIGITS: usize = 12;

/// `pointsman schema`.
pub(crate) fn schema(arguments: &ShowSchema) -> End {
    let model =
        arguments.model.as_deref().map(|model| format!("/{}", utf8_percent_encode(model, NON_ALPHANUMERIC)));
    let path = format!("/v1/schema{}", model.as_deref().unwrap_or_default());
    let answer = match answer(&arguments.client, Method::GET, &path) {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let versions = list(&answer["versions"]);
    if model.is_none() {
        print!("{}", summaries(versions));
    } else {
        let texts: Vec<String> = versions.iter().map(|of| version(&cell(&answer["model"]), of)).collect();
        print!("{}", texts.join("\n"));
    }
    End::Done
}

/// The cells of a table, by key.
fn rows(values: &[Value], keys: &[&str]) -> Vec<Vec<String>> {
    values.iter().map(|of| keys.iter().map(|key| cell(&of[*key])).collect()).collect()
}

fn short(digest: &Value) -> String {
    cell(digest).chars().take(DIGITS).collect()
}

fn summaries(versions: &[Value]) -> String {
    let keys = ["model", "version", "schema", "rules", "requests", "flagged", "rejected", "faults"];
    let mut rows = rows(versions, &keys);
    for (row, of) in rows.iter_mut().zip(versions) {
        row[2] = if of["schema"].is_null() { "none".into() } else { short(&of["schema"]) };
    }
    lay_out(&["MODEL", "VERSION", "SCHEMA", "RULES", "REQUESTS", "FLAGGED", "REJECTED", "FAULTS"], &rows)
}

fn version(model: &str, of: &Value) -> String {
    let count = |key: &str| cell(&of[key]);
    let gone = if of["loaded"] == true { "" } else { ", no longer loaded" };
    let mut text = format!("{model} {}{gone}: ", count("version"));
    if of["schema"].is_null() {
        text += &format!("no schema; {} requests\n", count("requests"));
    } else {
        let schema = short(&of["schema"]["digest"]);
        text += &format!("schema {schema}; {} requests, ", count("requests"));
        text += &format!("{} flagged, {} rejected\n", count("flagged"), count("rejected"));
    }
    if of["schema"]["event_time"] == true {
        let times = &of["event_times"];
        let (absent, malformed) = (cell(&times["absent"]), cell(&times["malformed"]));
        text += &format!("event times: {absent} absent, {malformed} malformed\n");
    }
    let rules = list(&of["rules"]);
    if !rules.is_empty() {
        let keys = ["origin", "column", "type", "rule", "action", "values", "requests", "code"];
        let head = ["ORIGIN", "COLUMN", "TYPE", "RULE", "ACTION", "VALUES", "REQUESTS", "CODE"];
        text += &lay_out(&head, &rows(rules, &keys));
    }
    text += &lay_out(
        &["OUTPUT", "NAN", "INF", "SUBNORMAL", "OVERFLOW"],
        &rows(list(&of["outputs"]), &["output", "nan", "inf", "subnormal", "overflow"]),
    );
    for example in list(&of["examples"]) {
        text += &format!(
            "first {} in {} at element {}: request {} of {}, inputs {}",
            cell(&example["fault"]),
            cell(&example["output"]),
            cell(&example["index"]),
            cell(&example["request_id"]),
            cell(&example["answered_at"]),
            example["inputs"]
        );
        let withheld = example["withheld"].as_u64().unwrap_or(0);
        text += &if withheld > 0 { format!(" ({withheld} not shown)\n") } else { "\n".into() };
    }
    text
}
