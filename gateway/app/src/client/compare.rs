//! `pointsman compare`.

use ::http::Method;
use pointsman_observe::Report;

use super::{answer, failed, refused};
use crate::End;
use crate::cli::Compare;
use crate::client::call::Failed;

/// `pointsman compare`.
pub(crate) fn compare(arguments: &Compare) -> End {
    let Compare { model, shadow, primary, alpha, html, client } = arguments;
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

/// How the worst example can be run again, where it can.
fn replay_hint(report: &Report) -> String {
    let Report { primary, shadow, against, .. } = report;
    let example = against.worst.iter().chain(&against.failed).find(|example| example.is_replayable);
    example.map_or_else(String::new, |example| {
        format!("Run one of the pairs again: pointsman replay {} --versions {primary},{shadow}\n", example.id)
    })
}
