//! `pointsman plan`.

use ::http::{HeaderName, HeaderValue, Method, header};
use bytes::Bytes;
use pointsman_core::shown;
use pointsman_route::Document;
use serde_json::Value;

use super::call::{Failed, Sent, call_with};
use super::wish::{print_granted, user};
use super::{answer, cell, failed, list, refused};
use crate::End;
use crate::admin::OPERATOR;
use crate::cli::{How, PlanVerb, ShowPlan};
use crate::table::lay_out;

/// `pointsman plan`.
pub(crate) fn plan(verb: &PlanVerb) -> End {
    match verb {
        PlanVerb::Show(arguments) => show(arguments),
        PlanVerb::History(arguments) => history(arguments),
        PlanVerb::Rollback(arguments) => {
            let path = format!("/v1/plans/{}/rollback", arguments.model);
            let sent = Sent { method: Method::POST, path, headers: Vec::new(), body: Bytes::new() };
            change("plan rollback", &arguments.model, sent, &arguments.how)
        }
        PlanVerb::Apply(arguments) => {
            let body = match std::fs::read(&arguments.file) {
                Ok(body) => Bytes::from(body),
                Err(e) => return refused(&format!("{}: {e}", arguments.file.display())),
            };
            let is_json = arguments.file.extension().is_some_and(|extension| extension == "json");
            let content_type = if is_json { "application/json" } else { "application/toml" };
            let mut headers = vec![(header::CONTENT_TYPE, content_type.to_owned())];
            if let Some(tag) = &arguments.if_match {
                let Some(tag) = entity_tag(tag) else {
                    let line =
                        format!("--if-match = \"{}\"; give the tag of `pointsman plan show`", shown(tag));
                    return refused(&line);
                };
                headers.push((header::IF_MATCH, tag));
            }
            let path = format!("/v1/plans/{}", arguments.model);
            let sent = Sent { method: Method::PUT, path, headers, body };
            change("plan", &arguments.model, sent, &arguments.how)
        }
    }
}

/// A tag as the header has it: in quotes, which people may copy with it or not.
fn entity_tag(tag: &str) -> Option<String> {
    let bare = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    let is_tag = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_alphanumeric());
    is_tag.then(|| format!("\"{bare}\""))
}

/// Brings another plan forward and prints what came of it.
fn change(verb: &str, model: &str, mut sent: Sent, how: &How) -> End {
    let How { dry_run, operator, client } = how;
    if *dry_run {
        sent.path.push_str("?dry_run=true");
    }
    // A name that no header can hold is left out, as elsewhere.
    let operator = operator.clone().or_else(user).filter(|name| HeaderValue::from_str(name).is_ok());
    sent.headers.extend(operator.map(|name| (HeaderName::from_static(OPERATOR), name)));
    match call_with(&client.admin_url, sent) {
        Ok(answer) => print_granted(verb, model, &answer, how),
        Err(error) => failed(&error, client.json),
    }
}

fn show(arguments: &ShowPlan) -> End {
    let answer = match answer(&arguments.client, Method::GET, &format!("/v1/plans/{}", arguments.model)) {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let document = match Document::from_json(&answer["plan"].to_string()) {
        Ok(document) => document,
        Err(finding) => {
            let line = format!("the gateway has a plan that this command cannot read: {finding}");
            return failed(&Failed::from(line), false);
        }
    };
    println!(
        "# model {}, revision {}, tag {}",
        cell(&answer["model"]),
        answer["revision"],
        cell(&answer["etag"])
    );
    if let Some(rollout) = answer.get("rollout").filter(|rollout| rollout.is_object()) {
        println!(
            "# beside it rollout {} is under way: version {} at {}",
            rollout["id"],
            rollout["version"],
            cell(&rollout["exposure"])
        );
    }
    for line in list(&answer["lost"]) {
        println!("# not in effect (units of such an arm go to the default): {}", cell(line));
    }
    if let Some(problem) = answer["undeclared"].as_str().filter(|problem| !problem.is_empty()) {
        println!("# the declared plan does not count: {problem}");
    }
    print!("{}", document.to_toml());
    End::Done
}

fn history(arguments: &ShowPlan) -> End {
    let path = format!("/v1/plans/{}/history", arguments.model);
    let answer = match answer(&arguments.client, Method::GET, &path) {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let arms = |record: &Value| {
        let document = Document::from_json(&record["plan"].to_string()).unwrap_or_default();
        let arms =
            document.arms().map(|arm| format!("{} {} (version {})", arm.name, arm.weight, arm.version));
        arms.collect::<Vec<_>>().join(", ")
    };
    let row = |record: &Value| {
        vec![
            cell(&record["revision"]),
            cell(&record["at"]),
            cell(&record["by"]),
            cell(&record["etag"]),
            arms(record),
        ]
    };
    let rows: Vec<Vec<String>> = list(&answer["plans"]).iter().map(row).collect();
    print!("{}", lay_out(&["REVISION", "AT", "BY", "TAG", "ARMS"], &rows));
    End::Done
}
