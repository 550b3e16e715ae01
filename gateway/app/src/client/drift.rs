//! `pointsman drift`.

use ::http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pointsman_observe::drift::DriftReport;
use serde_json::{Value, json};

use super::{answer, cell, list, print_json, refused};
use crate::End;
use crate::cli::{AdminClient, AgainstWhat, Drift};
use crate::table::lay_out;

/// `pointsman drift`.
pub(crate) fn drift(arguments: &Drift) -> End {
    let Some(model) = &arguments.model else { return list_all(&arguments.client) };
    if let Some(log) = &arguments.files.log {
        return match crate::logged::report(arguments, log, model) {
            Ok(report) if arguments.client.json => print_json(&json!(report)),
            Ok(report) => show(&report, arguments),
            Err(problem) => refused(&problem),
        };
    }
    let answer = match answer(&arguments.client, Method::GET, &path(model, arguments)) {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    match serde_json::from_value(answer) {
        Ok(report) => show(&report, arguments),
        Err(error) => refused(&format!("the gateway has a report that this command cannot read: {error}")),
    }
}

fn show(report: &DriftReport, arguments: &Drift) -> End {
    if let Some(file) = &arguments.html {
        if let Err(error) = std::fs::write(file, report.page()) {
            return refused(&format!("{}: {error}", file.display()));
        }
        println!("{}.\n{} shows it", report.verdict(), file.display());
        return End::Done;
    }
    print!("{report}");
    End::Done
}

fn path(model: &str, arguments: &Drift) -> String {
    let Drift { version, arm, window, against, since, until, .. } = arguments;
    let against = against.map(|against| match against {
        AgainstWhat::Training => "training".to_owned(),
        AgainstWhat::Previous => "previous".to_owned(),
    });
    let version = version.map(|version| version.to_string());
    let pairs = [
        ("version", version.as_ref()),
        ("arm", arm.as_ref()),
        ("window", window.as_ref()),
        ("against", against.as_ref()),
        ("since", since.as_ref()),
        ("until", until.as_ref()),
    ];
    let given = pairs.iter().filter_map(|(key, value)| {
        Some(format!("{key}={}", utf8_percent_encode(value.as_ref()?, NON_ALPHANUMERIC)))
    });
    format!("/v1/drift/{model}?{}", given.collect::<Vec<_>>().join("&"))
}

fn list_all(client: &AdminClient) -> End {
    let answer = match answer(client, Method::GET, "/v1/drift") {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let row = |of: &Value| {
        let drifted =
            list(&of["drifted"]).iter().map(|d| format!("{} ({})", cell(&d["column"]), cell(&d["against"])));
        let mut drifted: Vec<String> = drifted.collect();
        drifted.dedup();
        let mut row: Vec<String> =
            ["model", "version", "baseline", "windows", "rows"].iter().map(|key| cell(&of[*key])).collect();
        row.push(drifted.join(", "));
        row
    };
    let rows: Vec<Vec<String>> = list(&answer["drift"]).iter().map(row).collect();
    print!("{}", lay_out(&["MODEL", "VERSION", "BASELINE", "WINDOWS", "ROWS", "DRIFTED"], &rows));
    End::Done
}
