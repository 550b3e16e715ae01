//! `pointsman models`.

use ::http::Method;
use serde_json::Value;

use super::{answer, cell, list};
use crate::End;
use crate::cli;
use crate::table::lay_out;

/// `pointsman models`.
pub(crate) fn models(arguments: &cli::AdminClient) -> End {
    let answer = match answer(arguments, Method::GET, "/models") {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let rows: Vec<Vec<String>> = list(&answer["models"]).iter().flat_map(rows).collect();
    print!("{}", lay_out(&["MODEL", "VERSION", "STATE", "ENGINE", "ANSWERED", ""], &rows));
    End::Done
}

/// A row for each version, and one for the model where something is wrong with it.
fn rows(model: &Value) -> Vec<Vec<String>> {
    let name = cell(&model["name"]);
    let mut rows = Vec::new();
    for version in list(&model["versions"]) {
        rows.push(vec![
            name.clone(),
            cell(&version["version"]),
            cell(&version["state"]),
            cell(&version["engine"]),
            cell(&version["answered"]),
            notes(model, version).join(", "),
        ]);
    }
    let text = |key: &str| model[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let mut line = |state: &str, what: String| {
        rows.push(vec![name.clone(), "-".into(), state.into(), String::new(), String::new(), what]);
    };
    if let Some(problem) = text("problem") {
        line("PROBLEM", problem);
    }
    let plan = split(&model["plan"]);
    if !plan.is_empty() {
        line("PLAN", plan.join(", "));
    }
    if let Some(rollout) = model.get("rollout").filter(|rollout| rollout.is_object()) {
        let (id, version) = (&rollout["id"], &rollout["version"]);
        line("ROLLOUT", format!("rollout {id}: version {version} at {}", cell(&rollout["exposure"])));
    }
    if model["frozen"] == true {
        line("FROZEN", "nothing changes by itself; `pointsman unfreeze` ends that".into());
    }
    rows
}

/// How the callers of a model are split, in short.
fn split(plan: &Value) -> Vec<String> {
    let said = |of: &Value, share: &str| {
        format!("{} {} (version {})", cell(&of["name"]), cell(&of[share]), cell(&of["version"]))
    };
    let arms = list(&plan["arms"]).iter().map(|arm| said(arm, "weight"));
    let shadows = list(&plan["shadows"]).iter().map(|shadow| format!("shadow {}", said(shadow, "share")));
    let lost = list(&plan["lost"]).len();
    let lost = (lost > 0).then(|| format!("of these {lost} do not serve: `pointsman plan show` says why"));
    arms.chain(shadows).chain(lost).collect()
}

/// What is to be known of one version: whose word makes it the default, aliases, reasons.
fn notes(model: &Value, version: &Value) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let ready = version["state"] == "READY";
    if ready && model["default"] == version["version"] {
        notes.push(match model["why"].as_str() {
            Some(why) if !why.is_empty() && model["next"].is_null() => format!("default ({why})"),
            _ => "default".into(),
        });
    }
    if model["next"] == version["version"] {
        notes.push(format!("next default ({})", cell(&model["why"])));
    }
    let aliases = model["aliases"].as_object().into_iter().flatten();
    notes
        .extend(aliases.filter(|(_, number)| **number == version["version"]).map(|(alias, _)| alias.clone()));
    if version["kept"] == true {
        notes.push("kept for a rollback".into());
    }
    for (key, what) in [("age_seconds", "trained"), ("data_age_seconds", "data until")] {
        notes.extend(version[key].as_u64().map(|age| format!("{what} {} days ago", age / (24 * 3600))));
    }
    if let Some(stale) = version["stale"].as_str() {
        notes.push(format!("stale ({stale})"));
    }
    for key in ["reason", "note"] {
        let text = version[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        notes.extend(text.filter(|text| !notes.contains(text)));
    }
    notes
}
