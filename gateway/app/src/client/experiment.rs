//! `pointsman experiment`.

use ::http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pointsman_observe::experiment::ExperimentReport;

use super::{answer, cell, list, refused};
use crate::End;
use crate::cli::{AdminClient, ExperimentVerb, ShowExperiment};
use crate::table::lay_out;

/// `pointsman experiment`.
pub(crate) fn experiment(verb: &ExperimentVerb) -> End {
    match verb {
        ExperimentVerb::Show(arguments) => show(arguments),
        ExperimentVerb::List(client) => listed(client),
    }
}

fn listed(client: &AdminClient) -> End {
    let answer = match answer(client, Method::GET, "/v1/experiments") {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let keys = ["model", "experiment", "requests", "paused"];
    let rows: Vec<Vec<String>> = list(&answer["experiments"])
        .iter()
        .map(|of| keys.iter().map(|key| cell(&of[*key])).collect())
        .collect();
    print!("{}", lay_out(&["MODEL", "EXPERIMENT", "REQUESTS", "PAUSED"], &rows));
    End::Done
}

fn show(arguments: &ShowExperiment) -> End {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut path = format!("/v1/experiments/{}", arguments.model);
    if let Some(experiment) = &arguments.experiment {
        path += &format!("/{experiment}");
    }
    path += &format!("?alpha={}", arguments.alpha);
    for (key, value) in [("metric", &arguments.metric), ("mde", &arguments.mde)] {
        if let Some(value) = value {
            path += &format!("&{key}={}", encoded(value));
        }
    }
    let answer = match answer(&arguments.client, Method::GET, &path) {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let one = std::slice::from_ref(&answer);
    let reports = if arguments.experiment.is_some() { one } else { list(&answer["experiments"]) };
    let reports: Result<Vec<ExperimentReport>, _> =
        reports.iter().map(|report| serde_json::from_value(report.clone())).collect();
    let reports = match reports {
        Ok(reports) => reports,
        Err(error) => {
            return refused(&format!("the gateway has a report that this command cannot read: {error}"));
        }
    };
    if let Some(file) = &arguments.html {
        let [report] = &*reports else {
            let names: Vec<&str> = reports.iter().map(|report| report.experiment.as_str()).collect();
            return refused(&format!("--html writes one experiment: name one of {}", names.join(", ")));
        };
        if let Err(error) = std::fs::write(file, report.page()) {
            return refused(&format!("{}: {error}", file.display()));
        }
        println!("{}.\n{} shows it", report.verdict, file.display());
        return End::Done;
    }
    let texts: Vec<String> = reports.iter().map(ToString::to_string).collect();
    print!("{}", texts.join("\n"));
    End::Done
}
