//! What of alerts is in the metrics.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use pointsman_observe::alert::{Board, Transition};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Rules are named in the configuration, and models are those of the registry: both are bounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct AlertLabels {
    rule: String,
    model: String,
    kind: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransitionLabels {
    rule: String,
    to: &'static str,
}

/// The instruments of alerts.
#[derive(Default)]
pub(super) struct Instruments {
    alerts: Family<AlertLabels, Gauge>,
    /// Those that are shown.
    shown: Mutex<Vec<AlertLabels>>,
    transitions: Family<TransitionLabels, Counter>,
    overflowed: Gauge,
}

impl Instruments {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        let help = "Alerts that are pending or fire, by rule, model and kind";
        registry.register("pointsman_alerts", help, all.alerts.clone());
        let help = "Alerts that came to another state, and those that were told again";
        registry.register("pointsman_alert_transitions", help, all.transitions.clone());
        let help = "Signals that found no place among the alerts, since the start";
        registry.register("pointsman_alerts_overflowed", help, all.overflowed.clone());
        all
    }

    /// Shows the alerts of a board, and no others.
    pub(super) fn show(&self, board: &Board) {
        let mut counts: BTreeMap<AlertLabels, i64> = BTreeMap::new();
        for alert in board.alerts().filter(|alert| alert.state.is_active()) {
            let labels = AlertLabels {
                rule: alert.rule.clone(),
                model: alert.signal.model.clone(),
                kind: alert.signal.kind.name(),
                state: alert.state.name(),
            };
            *counts.entry(labels).or_default() += 1;
        }
        let mut shown = self.shown.lock();
        for gone in shown.iter().filter(|labels| !counts.contains_key(labels)) {
            self.alerts.remove(gone);
        }
        for (labels, count) in &counts {
            self.alerts.get_or_create(labels).set(*count);
        }
        *shown = counts.into_keys().collect();
        self.overflowed.set(i64::try_from(board.overflowed()).unwrap_or(i64::MAX));
    }

    pub(super) fn count(&self, transition: &Transition) {
        let (rule, to) = (transition.alert.rule.clone(), transition.alert.state.name());
        self.transitions.get_or_create(&TransitionLabels { rule, to }).inc();
    }
}
