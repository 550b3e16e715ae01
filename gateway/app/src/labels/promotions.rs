//! What labels that came after a promotion prove, as something that somebody should know.

use pointsman_control::Handle;
use pointsman_observe::alert::{Signal, SignalKind};
use serde_json::json;

use crate::alerts::Source;

/// Asks the control path, which looks at such labels.
pub(crate) struct Promotions(pub(crate) Handle);

impl Source for Promotions {
    fn kinds(&self) -> &'static [SignalKind] {
        &[SignalKind::Promotion]
    }

    fn signals(&self) -> Option<Vec<Signal>> {
        let signal =
            |(model, found): (pointsman_core::ModelName, pointsman_control::rollout::LateFinding)| Signal {
                kind: SignalKind::Promotion,
                model: model.to_string(),
                version: Some(found.version),
                subject: "labels".into(),
                value: found.log_e,
                threshold: found.threshold,
                onset_ms: None,
                says: found.says.clone(),
                evidence: json!(found),
            };
        Some(self.0.late_findings()?.into_iter().map(signal).collect())
    }
}
