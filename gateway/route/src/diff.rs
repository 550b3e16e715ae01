//! What changes from one document to another, as people read it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::document::Document;

/// One value that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, in which items of lists stand by their names: `experiment.arms[canary].weight`.
    pub key: String,
    /// What it was; nothing where it was not there.
    pub before: Option<String>,
    /// What it becomes; nothing where it goes.
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, before, after } = self;
        match (before, after) {
            (Some(before), Some(after)) => write!(f, "~ {key}: {before} -> {after}"),
            (None, Some(after)) => write!(f, "+ {key}: {after}"),
            (Some(before), None) => write!(f, "- {key}: {before}"),
            (None, None) => f.write_str(key),
        }
    }
}

impl Document {
    /// What changes from this document to `after`, in the order of keys; empty where they are equal.
    #[must_use]
    pub fn diff(&self, after: &Self) -> Vec<Change> {
        let leaves = |document: &Self| {
            let mut leaves = BTreeMap::new();
            gather("", &serde_json::to_value(document).unwrap_or_default(), &mut leaves);
            leaves
        };
        let (mut old, new) = (leaves(self), leaves(after));
        let mut changes = Vec::new();
        for (key, value) in new {
            let before = old.remove(&key);
            if before.as_ref() != Some(&value) {
                changes.push(Change { key, before, after: Some(value) });
            }
        }
        changes.extend(old.into_iter().map(|(key, value)| Change { key, before: Some(value), after: None }));
        changes.sort_by(|a, b| a.key.cmp(&b.key));
        changes
    }
}

/// Every value that is no table, by its key. Lists of plain values are values: their order means something.
fn gather(key: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(table) => {
            for (name, value) in table {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                gather(&key, value, leaves);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (at, item) in list.iter().enumerate() {
                let name = item["name"].as_str().map_or_else(|| at.to_string(), ToOwned::to_owned);
                gather(&format!("{key}[{name}]"), item, leaves);
            }
        }
        plain => {
            leaves.insert(key.into(), plain.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_said_by_name_and_value() {
        let text = |weight: &str, more: &str| {
            format!(
                "{more}\n[experiment]\nname = \"e\"\nunits = [\"header:x\"]\n[[experiment.arms]]\n\
                 name = \"canary\"\nversion = 2\nweight = \"{weight}\"\n"
            )
        };
        let document = |weight, more| Document::from_toml(&text(weight, more)).expect("a document");
        let before = document("1%", "");
        let after = document("5%", "forced_arm_header = \"x-arm\"");
        let lines: Vec<String> = before.diff(&after).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            ["~ experiment.arms[canary].weight: \"1%\" -> \"5%\"", "+ forced_arm_header: \"x-arm\""]
        );
        assert_eq!(before.diff(&before), []);
        let back: Vec<String> = before.diff(&Document::default()).iter().map(ToString::to_string).collect();
        assert_eq!(back.first().map(String::as_str), Some("- experiment.arms[canary].name: \"canary\""));
        assert!(back.iter().any(|line| line == "- experiment.units: [\"header:x\"]"), "{back:?}");
    }
}
