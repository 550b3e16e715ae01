//! `pointsman labels`.

use std::collections::BTreeMap;

use ::http::Method;
use bytes::Bytes;
use pointsman_observe::labels::LabelFile;
use serde_json::Value;

use super::call::call;
use super::{failed, print_json, refused};
use crate::End;
use crate::cli::{ImportLabels, LabelsVerb};

/// `pointsman labels`.
pub(crate) fn labels(verb: &LabelsVerb) -> End {
    match verb {
        LabelsVerb::Import(arguments) => import(arguments),
    }
}

/// Sends the labels of a file batch by batch; progress goes to standard error. What was sent before something failed is
/// there, and may be sent again: it is a duplicate then.
fn import(arguments: &ImportLabels) -> End {
    let ImportLabels { file, batch, client } = arguments;
    let mut labels = match LabelFile::open(file) {
        Ok(labels) => labels,
        Err(error) => return refused(&error.to_string()),
    };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut sent: u64 = 0;
    loop {
        let lines: Vec<String> = match labels.by_ref().take((*batch).max(1)).collect() {
            Ok(lines) => lines,
            Err(error) => return refused(&format!("{error}; {sent} labels before it were sent")),
        };
        if lines.is_empty() {
            break;
        }
        let body = Bytes::from(lines.join("\n"));
        let answer = match call(Method::POST, &client.admin_url, "/v1/feedback", body) {
            Ok(answer) => answer,
            Err(problem) => return failed(&problem, client.json),
        };
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        for (result, count) in answer["counts"].as_object().into_iter().flatten() {
            *counts.entry(result.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
        sent += lines.len() as u64;
        eprintln!("{sent} labels sent");
    }
    if client.json {
        return print_json(&serde_json::json!({"sent": sent, "counts": counts}));
    }
    let counts: Vec<String> = counts.iter().map(|(result, count)| format!("{count} {result}")).collect();
    println!("{sent} labels: {}", if counts.is_empty() { "none".into() } else { counts.join(", ") });
    End::Done
}
