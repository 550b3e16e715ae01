//! What a start prints: what is served, where, and what is not and why.

use std::path::Path;

use pointsman_predict::ServedModel;
use pointsman_registry::Problem;

use super::listeners::Addresses;
use crate::engines::Engines;
use crate::gateway::Gateway;
use crate::table::lay_out;

/// The start-up table.
pub(super) fn banner(
    gateway: &Gateway,
    no_models: &[Problem],
    engines: &Engines,
    addresses: &Addresses,
    state: Option<&Path>,
) -> String {
    let mut text = format!("pointsman {}\n\n", crate::version::LONG);
    let models = gateway.models();
    let rows: Vec<Vec<String>> = models.iter().flat_map(|model| rows(model)).collect();
    if rows.is_empty() {
        text.push_str("no model was found in the registry\n");
    } else {
        text.push_str(&lay_out(&["MODEL", "VERSION", "STATE", "ENGINE", ""], &rows));
    }
    for problem in no_models {
        text.push_str(&format!("no model: {problem}\n"));
    }
    let engine = |e: &std::sync::Arc<dyn pointsman_core::Engine>| format!("{} {}", e.name(), e.version());
    let available: Vec<String> = engines.available().iter().map(engine).collect();
    text.push_str(&format!("\nengines  {}\n", available.join(", ")));
    text.push_str(&format!("cores    {}\n", cores(gateway)));
    text.push_str(&format!(
        "http     http://{}  V2 REST, V1 and TF-Serving REST; gRPC too\n\
         grpc     {}  V2 gRPC, health, reflection\n\
         metrics  http://{}/metrics\n\
         admin    http://{}/models  promote, rollback, load, unload, ...\n",
        addresses.http, addresses.grpc, addresses.metrics, addresses.admin
    ));
    match state {
        Some(directory) => text.push_str(&format!("state    {}\n", directory.display())),
        None => {
            text.push_str("state    in memory: wishes are forgotten at the end (--state DIR keeps them)\n")
        }
    }
    if let Some(model) = models.iter().find(|model| model.is_ready()) {
        text.push_str(&format!("\ntry  curl http://{}/v2/models/{}\n", addresses.http, model.name));
    }
    text
}

/// What the runs of all versions share.
fn cores(gateway: &Gateway) -> String {
    let total = gateway.cores.total();
    let spinning = if gateway.spinning { "on" } else { "off" };
    format!("{total} for the runs of all versions together, spinning {spinning}")
}

/// One row for each version of a model, with its aliases; the default one is called so.
fn rows(model: &ServedModel) -> Vec<Vec<String>> {
    let name = model.name.to_string();
    let mut rows = Vec::new();
    for (number, version) in &model.versions {
        let mut notes: Vec<&str> = Vec::new();
        let aliases = model.plan.aliases.iter().filter(|(_, v)| *v == number);
        notes.extend(aliases.map(|(alias, _)| &**alias));
        if model.plan.default == Some(*number) {
            notes.insert(0, "default");
        }
        let engine = version.spec().engine.to_owned();
        rows.push((number.get(), "READY", engine, notes.join(", ")));
    }
    for (number, unavailable) in &model.unavailable {
        rows.push((number.get(), unavailable.standing.name(), String::new(), unavailable.reason.clone()));
    }
    rows.sort_by_key(|(number, ..)| *number);
    let mut rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(number, state, engine, note)| {
            vec![name.clone(), number.to_string(), state.into(), engine, note]
        })
        .collect();
    if !model.problem.is_empty() {
        rows.push(vec![name, "-".into(), "UNAVAILABLE".into(), String::new(), model.problem.clone()]);
    }
    rows
}
