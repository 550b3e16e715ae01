//! `pointsman compare`.

use ::http::Method;
use pointsman_observe::Report;
use serde_json::Value;

use super::call::Failed;
use super::{answer, cell, failed, list, refused};
use crate::End;
use crate::cli::{AdminClient, Compare};
use crate::table::lay_out;

/// `pointsman compare`.
pub(crate) fn compare(arguments: &Compare) -> End {
    let Compare { model, shadow, primary, alpha, html, client } = arguments;
    let Some(model) = model else { return list_all(client) };
    let mut path = format!("/v1/comparisons/{model}?alpha={alpha}");
    for (key, version) in [("shadow", shadow), ("primary", primary)] {
        path.extend(version.iter().map(|version| format!("&{key}={version}")));
    }
    let mut answer = match answer(client, Method::GET, &path) {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let reports: Vec<Report> = match serde_json::from_value(answer["comparisons"].take()) {
        Ok(reports) => reports,
        Err(e) => {
            let line = format!("the gateway has a report that this command cannot read: {e}");
            return failed(&Failed::from(line), false);
        }
    };
    match html {
        None => {
            let texts: Vec<String> =
                reports.iter().map(|report| report.text() + &replay_hint(report)).collect();
            print!("{}", texts.join("\n"));
            End::Done
        }
        Some(file) => {
            let Some(report) = reports.first() else { return refused("the gateway answered no report") };
            if let Err(e) = std::fs::write(file, report.page()) {
                return refused(&format!("{}: {e}", file.display()));
            }
            println!("{}: version {} against version {}", file.display(), report.shadow, report.primary);
            for other in &reports[1..] {
                println!("left out: --shadow {} --primary {}", other.shadow, other.primary);
            }
            End::Done
        }
    }
}

/// What is compared, a line each.
fn list_all(client: &AdminClient) -> End {
    let answer = match answer(client, Method::GET, "/v1/comparisons") {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let row = |of: &Value| {
        let total = |key: &str| of["totals"][key].as_u64().unwrap_or_default();
        let failed = format!("{} / {}", total("shadow_errors"), total("primary_errors"));
        let counts = [total("pairs"), total("disagreed")].map(|count| count.to_string());
        let names = [&of["model"], &of["shadow"], &of["primary"]].map(cell);
        [&names[..], &counts[..], &[failed]].concat()
    };
    let rows: Vec<Vec<String>> = list(&answer["comparisons"]).iter().map(row).collect();
    if rows.is_empty() {
        println!("nothing is compared: no model has had a shadow since the gateway started");
        return End::Done;
    }
    let head = ["MODEL", "SHADOW", "AGAINST", "PAIRS", "DISAGREE", "ERRORS (SHADOW / PRIMARY)"];
    print!("{}", lay_out(&head, &rows));
    End::Done
}

/// How the worst example can be run again, where it can.
fn replay_hint(report: &Report) -> String {
    let Report { primary, shadow, against, .. } = report;
    let example = against.worst.iter().chain(&against.failed).find(|example| example.is_replayable);
    example.map_or_else(String::new, |example| {
        format!("Run one of the pairs again: pointsman replay {} --versions {primary},{shadow}\n", example.id)
    })
}
