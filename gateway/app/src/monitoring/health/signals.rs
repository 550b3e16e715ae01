//! What of schemas and numerics somebody should know: rules that were broken, and odd numbers in answers, since it was
//! asked last.
//!
//! The first look after a version was loaded begins at nothing. A rule about missing values that says how many of them
//! there may be is held to that share; every other one to none.

use std::collections::HashMap;

use pointsman_core::{Anomaly, NumericFault, Origin, Schema};
use pointsman_observe::alert::{Signal, SignalKind};
use serde_json::json;

use super::{Health, OutputHealth, RuleCount, VersionHealth, origin_name};
use crate::alerts::Source;

/// What was counted of a version when it was asked last.
#[derive(Debug, Default)]
pub(super) struct Looked {
    requests: u64,
    /// Values that broke each rule, and requests that had any.
    rules: Vec<(u64, u64)>,
    outputs: Vec<u64>,
}

/// By model, version, and the digests of its files and its schema: what is counted anew begins anew.
pub(super) type Looks = HashMap<(String, u64, String), Looked>;

impl Source for Health {
    fn kinds(&self) -> &'static [SignalKind] {
        &[SignalKind::Schema, SignalKind::Numerics]
    }

    fn signals(&self) -> Option<Vec<Signal>> {
        let mut looks = self.looks.lock();
        let mut next = Looks::new();
        let mut signals = Vec::new();
        for (version, _) in self.versions() {
            let schema = version.schema.as_ref().map_or("", |schema| &schema.digest);
            let of = format!("{} {schema}", version.digest);
            let key = (version.model.to_string(), version.number.get(), of);
            let before = looks.remove(&key).unwrap_or_default();
            next.insert(key, look(&version, &before, &mut signals));
        }
        *looks = next;
        Some(signals)
    }
}

/// Looks at a version, and says what is new.
fn look(version: &VersionHealth, before: &Looked, signals: &mut Vec<Signal>) -> Looked {
    let mut now = Looked { requests: version.requests.get(), ..Looked::default() };
    let asked = now.requests.saturating_sub(before.requests);
    for (place, rule) in version.rules.iter().enumerate() {
        let counts = (rule.values.get(), rule.requests.get());
        let old = before.rules.get(place).copied().unwrap_or_default();
        let (values, requests) = (counts.0.saturating_sub(old.0), counts.1.saturating_sub(old.1));
        signals.extend(broken(version, rule, values, requests, asked));
        now.rules.push(counts);
    }
    for (place, output) in version.outputs.iter().enumerate() {
        let count = bad(output);
        let new = count.saturating_sub(before.outputs.get(place).copied().unwrap_or_default());
        signals.extend((new > 0).then(|| odd(version, output, new, asked)));
        now.outputs.push(count);
    }
    now
}

/// A rule that was broken.
fn broken(
    version: &VersionHealth,
    rule: &RuleCount,
    values: u64,
    requests: u64,
    asked: u64,
) -> Option<Signal> {
    let of = &rule.rule;
    let share = requests as f64 / asked.max(1) as f64;
    let allowed = match of.anomaly {
        Anomaly::Missing => version.schema.as_deref().and_then(|schema| missing_max(schema, rule)),
        _ => None,
    };
    let threshold = allowed.unwrap_or(0.0);
    if values == 0 || share <= threshold {
        return None;
    }
    let origin = origin_name(of.origin);
    let says = format!(
        "{origin} {}: {values} values of {requests} of {asked} requests break `{}` ({})",
        of.column,
        of.text,
        of.anomaly.code()
    );
    let evidence = json!({
        "origin": origin, "column": of.column, "code": of.anomaly.code(), "rule": of.text,
        "values": values, "requests": requests, "of_requests": asked, "since_start": rule.values.get(),
    });
    let subject = format!("{}:{}", of.column, of.anomaly.code());
    Some(signal(version, SignalKind::Schema, subject, (share, threshold), says, evidence))
}

fn missing_max(schema: &Schema, rule: &RuleCount) -> Option<f64> {
    let columns = match rule.rule.origin {
        Origin::Input => &schema.inputs,
        Origin::Output => &schema.outputs,
    };
    columns.get(&rule.rule.column)?.missing_max
}

/// Values of an output that are no numbers to work with.
fn bad(output: &OutputHealth) -> u64 {
    [NumericFault::Nan, NumericFault::Infinite]
        .into_iter()
        .map(|fault| output.faults[fault as usize].get())
        .sum()
}

fn odd(version: &VersionHealth, output: &OutputHealth, values: u64, asked: u64) -> Signal {
    let says = format!(
        "output {}: {values} values in the answers of {asked} requests are NaN or infinite",
        output.name
    );
    let example = version.examples().into_iter().find(|example| *example.output == *output.name);
    let evidence = json!({
        "output": output.name, "values": values, "of_requests": asked,
        "first_request": example.map(|example| example.id.to_string()),
    });
    let found = (values as f64, 0.0);
    signal(version, SignalKind::Numerics, output.name.to_string(), found, says, evidence)
}

fn signal(
    version: &VersionHealth,
    kind: SignalKind,
    subject: String,
    (value, threshold): (f64, f64),
    says: String,
    evidence: serde_json::Value,
) -> Signal {
    Signal {
        kind,
        model: version.model.to_string(),
        version: Some(version.number.get()),
        subject,
        value,
        threshold,
        onset_ms: None,
        says,
        evidence,
    }
}
