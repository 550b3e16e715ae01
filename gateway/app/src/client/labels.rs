//! `pointsman labels`.

use std::collections::BTreeMap;

use ::http::Method;
use bytes::Bytes;
use pointsman_observe::labels::LabelFile;
use serde_json::{Value, json};

use super::call::call;
use super::{cell, failed, list, print_json, refused};
use crate::End;
use crate::cli::{ImportLabels, LabelsVerb};

/// The most malformed lines that are named.
const MALFORMED_NAMED_MAX: usize = 10;

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
    let mut odd: Vec<Value> = Vec::new();
    loop {
        let (mut lines, mut places) = (Vec::new(), Vec::new());
        while lines.len() < (*batch).max(1)
            && let Some(line) = labels.next()
        {
            match line {
                Ok(line) => lines.push(line),
                Err(error) => return refused(&format!("{error}; {sent} labels before it were sent")),
            }
            places.push(labels.line());
        }
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
        let malformed = places.iter().zip(list(&answer["results"]));
        for (line, result) in malformed.filter(|(_, result)| result["result"] == "malformed") {
            if odd.len() < MALFORMED_NAMED_MAX {
                odd.push(json!({"line": line, "reason": result["reason"]}));
            }
        }
        sent += lines.len() as u64;
        eprintln!("{sent} labels sent");
    }
    let malformed = counts.get("malformed").copied().unwrap_or(0);
    // The others count; whoever runs this by a clock is to see that these do not.
    let end = if malformed > 0 { End::Refused } else { End::Done };
    if client.json {
        print_json(&json!({"sent": sent, "counts": counts, "malformed": odd}));
        return end;
    }
    let counts: Vec<String> = counts.iter().map(|(result, count)| format!("{count} {result}")).collect();
    println!("{sent} labels: {}", if counts.is_empty() { "none".into() } else { counts.join(", ") });
    odd.iter().for_each(|odd| println!("line {} is malformed: {}", odd["line"], cell(&odd["reason"])));
    match malformed.saturating_sub(odd.len() as u64) {
        0 => {}
        more => println!("and {more} more"),
    }
    end
}
