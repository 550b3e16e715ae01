//! `pointsman journal`.

use ::http::Method;
use bytes::Bytes;
use serde_json::Value;

use super::call::call;
use super::{cell, list, print_raw, refused};
use crate::End;
use crate::cli;
use crate::table::lay_out;

/// `pointsman journal`.
pub(crate) fn journal(arguments: &cli::Journal) -> End {
    let mut path = format!("/journal?limit={}", arguments.limit);
    if let Some(model) = &arguments.model {
        path.push_str(&format!("&model={model}"));
    }
    let answer = match call(Method::GET, &arguments.client.admin_url, &path, Bytes::new()) {
        Ok(answer) => answer,
        Err(problem) => return refused(&problem),
    };
    if arguments.client.json {
        print_raw(&answer);
        return End::Done;
    }
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let row = |entry: &Value| {
        let took = entry["took_ms"].as_f64().map(|ms| format!("{ms:.1} ms")).unwrap_or_default();
        let version = match (cell(&entry["from"]), cell(&entry["version"])) {
            (from, to) if from.is_empty() || from == to => to,
            (from, to) => format!("{from} -> {}", if to.is_empty() { "none" } else { &to }),
        };
        vec![
            cell(&entry["at"]),
            cell(&entry["what"]),
            cell(&entry["model"]),
            version,
            cell(&entry["by"]),
            took,
            cell(&entry["why"]),
        ]
    };
    let rows: Vec<Vec<String>> = list(&answer["entries"]).iter().map(row).collect();
    print!("{}", lay_out(&["AT", "WHAT", "MODEL", "VERSION", "BY", "TOOK", "WHY"], &rows));
    End::Done
}
