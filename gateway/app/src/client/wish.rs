//! Wishes: `promote`, `rollback`, `load`, `unload`, `alias`, `pin`, `freeze`, `reset` and their opposites.

use ::http::Method;
use bytes::Bytes;
use serde_json::{Value, json};

use super::call::call_as;
use super::{cell, failed, list, print_raw};
use crate::End;
use crate::cli::{self, How};

/// A wish as the admin listener takes it.
pub(crate) struct Wished<'a> {
    verb: &'static str,
    model: &'a str,
    body: Value,
    how: &'a How,
}

impl<'a> Wished<'a> {
    pub(crate) fn of_model(verb: &'static str, arguments: &'a cli::OfModel) -> Self {
        Self { verb, model: &arguments.model, body: json!({}), how: &arguments.how }
    }

    pub(crate) fn of_version(verb: &'static str, arguments: &'a cli::OfVersion) -> Self {
        let body = json!({"version": arguments.version});
        Self { verb, model: &arguments.model, body, how: &arguments.how }
    }

    pub(crate) fn promote(arguments: &'a cli::Promote) -> Self {
        let body = json!({"version": arguments.version, "allow_breaking": arguments.allow_breaking});
        Self { verb: "promote", model: &arguments.model, body, how: &arguments.how }
    }

    pub(crate) fn alias(arguments: &'a cli::Alias) -> Self {
        let cli::Alias { model, alias, version, allow_breaking, how, .. } = arguments;
        let body = json!({"alias": alias, "version": version, "allow_breaking": allow_breaking});
        Self { verb: "alias", model, body, how }
    }
}

/// Brings a wish forward and prints what came of it.
pub(crate) fn wish(mut wished: Wished<'_>) -> End {
    let How { dry_run, operator, client } = wished.how;
    wished.body["dry_run"] = json!(dry_run);
    let operator = operator.clone().or_else(user);
    let path = format!("/models/{}/{}", wished.model, wished.verb);
    let body = Bytes::from(wished.body.to_string());
    let answer = call_as(operator.as_deref(), Method::POST, &client.admin_url, &path, body);
    match answer {
        Ok(answer) => print_granted(wished.verb, wished.model, &answer, wished.how),
        Err(e) => failed(&e, client.json),
    }
}

/// Prints what came of a wish.
pub(super) fn print_granted(verb: &str, model: &str, answer: &[u8], how: &How) -> End {
    let How { dry_run, client, .. } = how;
    if client.json {
        print_raw(answer);
        return End::Done;
    }
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let outcome = match answer["outcome"].as_str() {
        Some("planned") => "would change",
        Some("unchanged") => "unchanged: it is so already",
        Some(outcome) => outcome,
        None => "done",
    };
    let took = answer["took_ms"].as_f64().unwrap_or_default();
    let took = if *dry_run {
        String::new()
    } else {
        format!(" ({took:.1} ms, generation {})", answer["generation"])
    };
    println!("{verb} {model}: {outcome}{took}");
    for change in list(&answer["changes"]) {
        println!("  {}", cell(change));
    }
    if *dry_run && list(&answer["changes"]).is_empty() {
        println!("  nothing");
    }
    End::Done
}

/// Who runs the command.
pub(super) fn user() -> Option<String> {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|variable| std::env::var(variable).ok())
        .filter(|user| !user.is_empty())
}
