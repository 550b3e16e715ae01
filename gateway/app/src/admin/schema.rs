//! What schemas say and what broke them: `GET /v1/schema` and `GET /v1/schema/{model}`.

use std::time::SystemTime;

use ::http::{Method, Uri};
use pointsman_core::{Code, NumericFault, PredictError, Schema, shown};
use serde_json::{Map, Value, json};

use super::Admin;
use crate::http::Query;
use crate::monitoring::{Example, VersionHealth, origin_name};

impl Admin {
    /// Answers a request below `/v1/schema`.
    pub(super) fn schema(&self, rest: &[&str], method: &Method, uri: &Uri) -> Result<Value, PredictError> {
        if rest.len() > 1 {
            return Err(PredictError::NotFound);
        }
        if method != Method::GET {
            return Err(PredictError::MethodNotAllowed { allowed: "GET" });
        }
        Query::none(uri)?;
        let versions = self.gateway.monitors.health.versions();
        let Some(model) = rest.first() else {
            let all: Vec<Value> =
                versions.iter().map(|(version, is_watched)| summary(version, *is_watched)).collect();
            return Ok(json!({ "versions": all }));
        };
        let of = versions.iter().filter(|(version, _)| version.model.as_str() == *model);
        let of: Vec<Value> = of.map(|(version, is_watched)| whole(version, *is_watched)).collect();
        if of.is_empty() {
            let reason = format!(
                "no version of model '{}' has been loaded; GET /v1/schema lists those that have",
                shown(model)
            );
            return Err(PredictError::Control { code: Code::NotFound, reason });
        }
        Ok(json!({ "model": model, "versions": of }))
    }
}

/// A version in a list.
fn summary(version: &VersionHealth, is_watched: bool) -> Value {
    let faults: u64 = version.outputs.iter().flat_map(|output| &output.faults).map(|count| count.get()).sum();
    json!({
        "model": version.model.as_str(),
        "version": version.number.get(),
        "loaded": is_watched,
        "schema": version.schema.as_ref().map(|schema| &schema.digest),
        "rules": version.rules.len(),
        "requests": version.requests.get(),
        "flagged": version.flagged.get(),
        "rejected": version.rejected.get(),
        "faults": faults,
    })
}

/// All that is known of a version.
fn whole(version: &VersionHealth, is_watched: bool) -> Value {
    let rules = version.rules.iter().map(|of| {
        json!({
            "origin": origin_name(of.rule.origin),
            "column": &*of.rule.column,
            "type": of.rule.kind.name(),
            "rule": of.rule.text,
            "code": of.rule.anomaly.code(),
            "action": of.rule.action.name(),
            "values": of.values.get(),
            "requests": of.requests.get(),
        })
    });
    let outputs = version.outputs.iter().map(|output| {
        let counts = NumericFault::ALL.into_iter().zip(&output.faults);
        let mut value: Map<String, Value> =
            counts.map(|(fault, count)| (fault.name().to_owned(), json!(count.get()))).collect();
        value.insert("output".into(), json!(&*output.name));
        Value::Object(value)
    });
    json!({
        "version": version.number.get(),
        "digest": version.digest,
        "loaded": is_watched,
        "schema": version.schema.as_deref().map(head),
        "requests": version.requests.get(),
        "flagged": version.flagged.get(),
        "rejected": version.rejected.get(),
        "event_times": {
            "absent": version.absent_event_times.get(), "malformed": version.malformed_event_times.get(),
        },
        "rules": rules.collect::<Vec<_>>(),
        "outputs": outputs.collect::<Vec<_>>(),
        "examples": version.examples().iter().map(example).collect::<Vec<_>>(),
    })
}

/// What a schema says beside its columns.
fn head(schema: &Schema) -> Value {
    let slices: Vec<&str> = schema.slices.iter().map(|name| &**name).collect();
    json!({"digest": schema.digest, "event_time": schema.event_time, "slices": slices})
}

fn example(example: &Example) -> Value {
    let time = |time: SystemTime| humantime::format_rfc3339_millis(time).to_string();
    json!({
        "output": example.output,
        "fault": example.fault.name(),
        "request_id": example.id.to_string(),
        "index": example.index,
        "answered_at": time(example.answered_at),
        "from": time(example.from),
        "inputs": example.inputs,
        "withheld": example.withheld,
    })
}
