//! What is counted of rollouts.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use pointsman_core::ModelName;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::ModelLabels;
use crate::rollout::{Exposure, Phase};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransitionLabels {
    model: Arc<str>,
    to: &'static str,
}

/// The series of rollouts, of models that have had one.
#[derive(Clone, Debug)]
pub(crate) struct RolloutMetrics {
    transitions: Family<TransitionLabels, Counter>,
    share: Family<ModelLabels, Gauge<f64, AtomicU64>>,
}

impl RolloutMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self { transitions: Family::default(), share: Family::default() };
        let m = metrics.clone();
        registry.register(
            "pointsman_rollout_transitions",
            "Transitions of rollouts, by how they stand since",
            m.transitions,
        );
        registry.register(
            "pointsman_rollout_share",
            "Share of the units that the candidate of a model's rollout answers, from 0 to 1",
            m.share,
        );
        metrics
    }

    /// A rollout stands otherwise than before. The share of one that is over is nothing.
    pub(crate) fn stands(&self, model: &ModelName, (phase, exposure): (Phase, Exposure)) {
        let labels = TransitionLabels { model: model.as_str().into(), to: phase.word() };
        self.transitions.get_or_create(&labels).inc();
        self.goes_on(model, phase, exposure);
    }

    /// A rollout stands as it did before the gateway was started.
    pub(crate) fn goes_on(&self, model: &ModelName, phase: Phase, exposure: Exposure) {
        let model = model.as_str().into();
        let share = match exposure {
            Exposure::Canary(share) if !phase.is_over() => share.fraction(),
            _ => 0.0,
        };
        self.share.get_or_create(&ModelLabels { model }).set(share);
    }

    /// Takes the series of a model away.
    pub(super) fn forget(&self, model: &Arc<str>) {
        self.share.remove(&ModelLabels { model: model.clone() });
        for to in Phase::WORDS {
            self.transitions.remove(&TransitionLabels { model: model.clone(), to });
        }
    }
}
