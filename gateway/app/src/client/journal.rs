//! `pointsman journal`.

use ::http::Method;
use serde_json::Value;

use super::{answer, cell, list};
use crate::End;
use crate::cli;
use crate::table::lay_out;

/// `pointsman journal`.
pub(crate) fn journal(arguments: &cli::Journal) -> End {
    if let Some(cli::JournalVerb::Verify(arguments)) = &arguments.verb {
        return super::verify::verify(arguments);
    }
    let mut path = format!("/journal?limit={}", arguments.limit);
    if let Some(model) = &arguments.model {
        path.push_str(&format!("&model={model}"));
    }
    let answer = match answer(&arguments.client, Method::GET, &path) {
        Ok(answer) => answer,
        Err(end) => return end,
    };
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
