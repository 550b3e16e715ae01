//! What labels say of models that somebody should know.

use pointsman_observe::alert::{Signal, SignalKind};
use pointsman_observe::quality::Concern;
use serde_json::json;

use super::Labels;
use crate::alerts::Source;

impl Source for Labels {
    fn kinds(&self) -> &'static [SignalKind] {
        &[SignalKind::Quality, SignalKind::Ranking, SignalKind::Calibration, SignalKind::Coverage]
    }

    /// As it was found when figures were computed last.
    fn signals(&self) -> Option<Vec<Signal>> {
        let models = self.models.lock();
        let of = |(name, model): (_, &super::Model)| {
            let name: &std::sync::Arc<str> = name;
            model.concerns.iter().map(|concern| signal(name, concern)).collect::<Vec<_>>()
        };
        Some(models.iter().flat_map(of).collect())
    }
}

fn signal(model: &str, concern: &Concern) -> Signal {
    let (kind, subject) = match concern.code {
        "ranking_turned" => (SignalKind::Ranking, "auc"),
        "calibration_off" => (SignalKind::Calibration, "ece"),
        "coverage_differs" => (SignalKind::Coverage, "arms"),
        _ => (SignalKind::Quality, concern.figure.as_deref().unwrap_or("quality")),
    };
    Signal {
        kind,
        model: model.into(),
        version: concern.version,
        subject: subject.into(),
        value: concern.value,
        threshold: concern.limit,
        onset_ms: None,
        says: concern.what.clone(),
        evidence: json!(concern),
    }
}
