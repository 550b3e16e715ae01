//! The instruments of the control path.

mod rollouts;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pointsman_core::ModelName;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::rollouts::RolloutMetrics;
use crate::journal::What;
use crate::loader::Gate;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoadLabels {
    model: Arc<str>,
    /// `passed`, or the gate that was not.
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabels {
    model: Arc<str>,
    change: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WishLabels {
    wish: &'static str,
    outcome: &'static str,
}

/// Upper bounds of the buckets of loads, in seconds.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

/// The instruments, registered once.
#[derive(Clone, Debug)]
pub struct Metrics {
    loads: Family<LoadLabels, Counter>,
    load_seconds: Histogram,
    changes: Family<ChangeLabels, Counter>,
    wishes: Family<WishLabels, Counter>,
    owed: Gauge,
    journal_failures: Counter,
    registry_failures: Counter,
    looked_at: Gauge<f64, AtomicU64>,
    gone: Counter,
    panics: Counter,
    plan_lost: Family<ModelLabels, Gauge>,
    rollouts: RolloutMetrics,
}

impl Metrics {
    /// Registers the instruments.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            loads: Family::default(),
            load_seconds: Histogram::new(BUCKETS),
            changes: Family::default(),
            wishes: Family::default(),
            owed: Gauge::<i64, AtomicI64>::default(),
            journal_failures: Counter::default(),
            registry_failures: Counter::default(),
            looked_at: Gauge::default(),
            gone: Counter::default(),
            panics: Counter::default(),
            plan_lost: Family::default(),
            rollouts: RolloutMetrics::register(registry),
        };
        let m = metrics.clone();
        registry.register(
            "pointsman_loads",
            "Loads that ended, by result: passed, or the gate that was not",
            m.loads,
        );
        registry.register(
            "pointsman_load_seconds",
            "Time of a load, from its files to the last warm-up run",
            m.load_seconds,
        );
        registry.register(
            "pointsman_changes",
            "Changes of what serves: swap, rollback, alias, unload and others",
            m.changes,
        );
        registry.register("pointsman_wishes", "Wishes of operators that ended, by outcome", m.wishes);
        registry.register(
            "pointsman_journal_owed",
            "Changes that took effect and are not journalled yet; above 0 nothing is raised",
            m.owed,
        );
        registry.register(
            "pointsman_journal_failures",
            "Failed tries to write the journal",
            m.journal_failures,
        );
        registry.register(
            "pointsman_registry_failures",
            "Looks at the registry that failed",
            m.registry_failures,
        );
        registry.register(
            "pointsman_registry_looked_at_seconds",
            "When the registry could be looked at last, in seconds since 1970",
            m.looked_at,
        );
        registry.register("pointsman_versions_gone", "Versions that left and whose memory is free", m.gone);
        registry.register(
            "pointsman_control_panics",
            "Panics of the control thread, which goes on",
            m.panics,
        );
        registry.register(
            "pointsman_plan_lost",
            "Arms and shadows of a model's plan whose versions do not serve: their units go to the default",
            m.plan_lost,
        );
        metrics
    }

    pub(crate) fn loaded(&self, model: &ModelName, gate: Option<Gate>, took: Duration) {
        let labels = LoadLabels { model: model.as_str().into(), result: gate.map_or("passed", Gate::name) };
        self.loads.get_or_create(&labels).inc();
        self.load_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn changed(&self, model: &ModelName, what: What) {
        self.changes.get_or_create(&ChangeLabels { model: model.as_str().into(), change: what.name() }).inc();
    }

    /// Takes the series of a model away that is not there any more.
    pub(crate) fn forget(&self, model: &ModelName) {
        let model: Arc<str> = model.as_str().into();
        self.plan_lost.remove(&ModelLabels { model: model.clone() });
        self.rollouts.forget(&model);
        for result in std::iter::once("passed").chain(Gate::ALL.iter().map(|gate| gate.name())) {
            self.loads.remove(&LoadLabels { model: model.clone(), result });
        }
        for what in What::ALL {
            self.changes.remove(&ChangeLabels { model: model.clone(), change: what.name() });
        }
    }

    /// Says how much of a plan does not serve.
    pub(crate) fn plan_lost(&self, model: &ModelName, lost: usize) {
        let labels = ModelLabels { model: model.as_str().into() };
        self.plan_lost.get_or_create(&labels).set(i64::try_from(lost).unwrap_or(i64::MAX));
    }

    /// How rollouts stand.
    pub(crate) fn rollouts(&self) -> &RolloutMetrics {
        &self.rollouts
    }

    pub(crate) fn wished(&self, wish: &'static str, outcome: &'static str) {
        self.wishes.get_or_create(&WishLabels { wish, outcome }).inc();
    }

    pub(crate) fn owed(&self, entries: usize) {
        self.owed.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    pub(crate) fn journal_failed(&self) {
        self.journal_failures.inc();
    }

    pub(crate) fn registry_failed(&self) {
        self.registry_failures.inc();
    }

    pub(crate) fn looked(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.looked_at.set(now.as_secs_f64());
    }

    pub(crate) fn gone(&self) {
        self.gone.inc();
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }
}
