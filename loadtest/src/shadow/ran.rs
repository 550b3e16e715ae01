//! How a shadow ran, by what the gateway says of it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

/// What became of the exchanges that it was offered. It is started several times, and what was counted then is added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) offered: u64,
    pub(super) answered: u64,
    /// By reason. The gateway adds these up itself.
    dropped: BTreeMap<String, u64>,
}

impl Ran {
    /// Adds what a comparison says while the shadow still runs.
    pub(super) fn add(&mut self, compared: &Value) {
        let count = |name: &str| compared["run"][name].as_u64().unwrap_or(0);
        self.offered += count("offered");
        self.answered += count("answered");
        let drops = compared["dropped"].as_array().into_iter().flatten();
        self.dropped.extend(
            drops.filter_map(|drop| Some((drop["reason"].as_str()?.to_owned(), drop["count"].as_u64()?))),
        );
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let Self { offered, answered, dropped } = self;
        json!({"offered": offered, "answered": answered, "dropped": dropped})
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offered, answered, dropped } = self;
        write!(f, "{offered} offered, {answered} answered")?;
        dropped.iter().try_for_each(|(reason, count)| write!(f, ", {count} {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_is_added_and_drops_are_the_sum_already() {
        let said = |offered, hung| {
            json!({
                "run": {"offered": offered, "answered": 1, "waiting": 1},
                "dropped": [{"reason": "hung", "count": hung}],
            })
        };
        let mut ran = Ran::default();
        for (offered, hung) in [(5, 2), (7, 4)] {
            ran.add(&said(offered, hung));
        }
        // What a run without a shadow gives.
        ran.add(&Value::Null);
        assert_eq!((ran.offered, ran.answered, ran.dropped["hung"]), (12, 2, 4));
        assert_eq!(ran.to_string(), "12 offered, 2 answered, 4 hung");
    }
}
