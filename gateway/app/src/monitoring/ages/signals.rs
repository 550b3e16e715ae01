//! Which versions are too old, or were trained on data that is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pointsman_observe::alert::{Signal, SignalKind};
use serde_json::json;

use super::Ages;
use crate::alerts::Source;

impl Source for Ages {
    fn kinds(&self) -> &'static [SignalKind] {
        &[SignalKind::Staleness]
    }

    fn signals(&self) -> Option<Vec<Signal>> {
        let now = SystemTime::now();
        let known = self.known.lock();
        let mut signals = Vec::new();
        for ((model, number), moments) in known.iter() {
            let both = [
                ("model", moments.trained_at, self.limits.model),
                ("data", moments.data_until, self.limits.data),
            ];
            for (subject, from, limits) in both {
                let Some(age) = from.map(|from| now.duration_since(from).unwrap_or_default()) else {
                    continue;
                };
                let passed = limits.into_iter().flatten().filter(|limit| age >= *limit).max();
                let Some(limit) = passed else { continue };
                let days = |time: Duration| time.as_secs_f64() / 86_400.0;
                let since = from.and_then(|from| (from + limit).duration_since(UNIX_EPOCH).ok());
                let is_critical = limits[1].is_some_and(|critical| age >= critical);
                let what = if subject == "model" { "was trained" } else { "was trained on data that ends" };
                signals.push(Signal {
                    kind: SignalKind::Staleness,
                    model: model.to_string(),
                    version: Some(number.get()),
                    subject: subject.into(),
                    value: days(age),
                    threshold: days(limit),
                    onset_ms: since.and_then(|since| u64::try_from(since.as_millis()).ok()),
                    says: format!("it {what} {:.0} days ago, and {:.0} is the most", days(age), days(limit)),
                    evidence: json!({"age_days": days(age), "limit_days": days(limit), "critical": is_critical}),
                });
            }
        }
        Some(signals)
    }
}
