//! What serves and why, as JSON.

use std::time::SystemTime;

use pointsman_control::{ModelStatus, Written};
use pointsman_core::VersionNumber;
use pointsman_predict::{ServedModel, Version};
use pointsman_route::{ArmEntry, ShadowEntry};
use serde_json::{Value, json};

use crate::control::Control;
use crate::findings::as_json;
use crate::gateway::Gateway;
use crate::monitoring::Staleness;

/// `GET /models`: every model with its plan and every version with its state.
pub(super) fn models(gateway: &Gateway, control: &Control) -> Value {
    let board = control.handle().board().models();
    let describe = |served: &ServedModel| {
        let status = board.iter().find(|status| status.name == served.name);
        model(gateway, served, status.map(AsRef::as_ref))
    };
    let models: Vec<Value> = gateway.models().iter().map(|served| describe(served)).collect();
    let generation = gateway.predictor.snapshots().pin().generation;
    json!({"generation": generation, "ready": gateway.is_ready(), "models": models})
}

fn model(gateway: &Gateway, served: &ServedModel, status: Option<&ModelStatus>) -> Value {
    let mut versions: Vec<(u64, Value)> = Vec::new();
    let (ages, same_score) = (&gateway.monitors.ages, &gateway.monitors.same_score);
    for (number, version) in &served.versions {
        let mut value = ready(version);
        let (moments, now) = (ages.of(&served.name, *number), SystemTime::now());
        value["age_seconds"] = json!(moments.model_age(now).map(|age| age.as_secs()));
        value["data_age_seconds"] = json!(moments.data_age(now).map(|age| age.as_secs()));
        value["stale"] = json!(ages.staleness(moments, now).map(Staleness::name));
        value["same_score"] = json!(same_score.record(&served.name, *number));
        versions.push((number.get(), value));
    }
    for (number, unavailable) in &served.unavailable {
        let value = json!({
            "version": number.get(),
            "state": unavailable.standing.name(),
            "reason": unavailable.reason,
        });
        versions.push((number.get(), value));
    }
    versions.sort_by_key(|(number, _)| *number);
    let number = |version: Option<VersionNumber>| version.map(VersionNumber::get);
    for (version, value) in &mut versions {
        let known = status.and_then(|status| status.versions.iter().find(|v| v.number.get() == *version));
        if let Some(known) = known {
            value["note"] = json!(known.note);
            value["gate"] = json!(known.gate.map(pointsman_control::Gate::name));
            value["attempts"] = json!(known.attempts);
            value["kept"] = json!(known.kept);
        }
    }
    let aliases: serde_json::Map<String, Value> =
        served.plan.aliases.iter().map(|(alias, number)| (alias.to_string(), json!(number.get()))).collect();
    let mut value = json!({
        "name": served.name.as_str(),
        "default": number(served.plan.default),
        "aliases": aliases,
        "problem": served.problem,
        "versions": versions.into_iter().map(|(_, value)| value).collect::<Vec<_>>(),
    });
    if let Some(status) = status {
        value["why"] = json!(status.why);
        value["serve"] = json!(status.declared);
        value["rollout"] = json!(status.rollout.as_ref().map(super::plans::rollout));
        value["next"] = json!(number(status.next));
        value["previous"] = json!(number(status.previous));
        value["pinned"] = json!(number(status.pinned));
        value["frozen"] = json!(status.frozen);
        value["unloaded"] = json!(status.unloaded);
        value["pending"] = json!(status.pending);
        let plan = &status.plan;
        let current = &plan.plans.current;
        let document = current.plan.document();
        let arm = |of: &ArmEntry| json!({"name": of.name, "version": of.version, "weight": of.weight});
        let shadow = |of: &ShadowEntry| json!({"name": of.name, "version": of.version, "share": of.share});
        value["plan"] = json!({
            "revision": current.revision,
            "etag": current.plan.etag(),
            "arms": document.arms().map(arm).collect::<Vec<_>>(),
            "shadows": document.shadows.iter().map(shadow).collect::<Vec<_>>(),
            "lost": plan.lost,
            "undeclared": plan.undeclared,
        });
    }
    value
}

fn ready(version: &Version) -> Value {
    let spec = version.spec();
    json!({
        "version": spec.number.get(), "state": "READY", "reason": "", "engine": spec.engine,
        "digest": spec.digest, "workers": version.workers(), "queue_depth": version.queue_depth(),
        "answered": version.record().statistics().success.read().0,
        "findings": as_json(&spec.findings),
    })
}

/// One entry of the journal.
pub(super) fn entry(written: &Written) -> Value {
    let entry = &written.entry;
    json!({
        "id": written.id,
        "at": written.at,
        "what": entry.what.name(),
        "model": entry.model.as_ref().map(|model| model.as_str()),
        "version": entry.version.map(VersionNumber::get),
        "from": entry.from.map(VersionNumber::get),
        "by": entry.by,
        "why": entry.why,
        "took_ms": entry.took.map(|took| took.as_secs_f64() * 1000.0),
    })
}
