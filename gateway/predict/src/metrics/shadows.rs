//! What is counted of shadows. Their series go with those of their version.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use pointsman_core::ShadowDrop;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{BUCKETS, VersionLabels};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    model: Arc<str>,
    version: Arc<str>,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    model: Arc<str>,
    version: Arc<str>,
    shadows: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The series of all shadows.
#[derive(Debug)]
pub(super) struct ShadowFamilies {
    offered: Family<VersionLabels, Counter>,
    answered: Family<VersionLabels, Counter>,
    dropped: Family<DropLabels, Counter>,
    waiting: Family<VersionLabels, Gauge>,
    waiting_bytes: Family<VersionLabels, Gauge>,
    broken: Family<VersionLabels, Gauge>,
    runs: Histograms<VersionLabels>,
    primary: Histograms<PhaseLabels>,
}

/// Those of one shadow.
#[derive(Clone, Debug)]
pub(crate) struct ShadowMetrics {
    pub(crate) offered: Counter,
    pub(crate) answered: Counter,
    /// In the order of [`ShadowDrop::ALL`].
    pub(crate) dropped: [Counter; ShadowDrop::ALL.len()],
    waiting: Gauge<i64, AtomicI64>,
    waiting_bytes: Gauge<i64, AtomicI64>,
    pub(crate) broken: Gauge<i64, AtomicI64>,
    runs: Histogram,
}

/// How long requests of a version take, with shadows and without.
#[derive(Clone, Debug)]
pub(crate) struct Phases([Histogram; 2]);

/// The label of each, without first.
const PHASES: [&str; 2] = ["off", "on"];

impl ShadowMetrics {
    /// One more waits.
    pub(crate) fn holds(&self, bytes: usize) {
        self.waiting.inc();
        self.waiting_bytes.inc_by(signed(bytes));
    }

    /// It is done with.
    pub(crate) fn lets_go(&self, bytes: usize) {
        self.waiting.dec();
        self.waiting_bytes.dec_by(signed(bytes));
    }

    pub(crate) fn run(&self, time: Duration) {
        self.runs.observe(time.as_secs_f64());
    }
}

impl Phases {
    pub(crate) fn observe(&self, is_on: bool, total: Duration) {
        self.0[usize::from(is_on)].observe(total.as_secs_f64());
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl ShadowFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let families = Self {
            offered: Family::default(),
            answered: Family::default(),
            dropped: Family::default(),
            waiting: Family::default(),
            waiting_bytes: Family::default(),
            broken: Family::default(),
            runs: Family::new_with_constructor(histogram),
            primary: Family::new_with_constructor(histogram),
        };
        registry.register(
            "pointsman_shadow_offered",
            "Exchanges offered to a shadow; equals the answered, the dropped and the waiting ones",
            families.offered.clone(),
        );
        registry.register(
            "pointsman_shadow_answered",
            "Exchanges that a shadow answered",
            families.answered.clone(),
        );
        registry.register(
            "pointsman_shadow_dropped",
            "Exchanges without an answer of the shadow, by reason",
            families.dropped.clone(),
        );
        registry.register(
            "pointsman_shadow_waiting",
            "Exchanges that wait for a shadow or run in it",
            families.waiting.clone(),
        );
        registry.register(
            "pointsman_shadow_waiting_bytes",
            "Bytes of their tensors",
            families.waiting_bytes.clone(),
        );
        registry.register(
            "pointsman_shadow_broken",
            "Whether a shadow rests since it kept failing",
            families.broken.clone(),
        );
        registry.register("pointsman_shadow_run_seconds", "Time of runs of a shadow", families.runs.clone());
        registry.register(
            "pointsman_shadow_primary_seconds",
            "Time of requests of a version with shadows, while these ran and while none did",
            families.primary.clone(),
        );
        families
    }

    pub(super) fn shadow(&self, model: &Arc<str>, version: &Arc<str>) -> ShadowMetrics {
        let labels = VersionLabels { model: model.clone(), version: version.clone() };
        ShadowMetrics {
            offered: self.offered.get_or_create_owned(&labels),
            answered: self.answered.get_or_create_owned(&labels),
            dropped: ShadowDrop::ALL
                .map(|reason| self.dropped.get_or_create_owned(&dropped(model, version, reason))),
            waiting: self.waiting.get_or_create_owned(&labels),
            waiting_bytes: self.waiting_bytes.get_or_create_owned(&labels),
            broken: self.broken.get_or_create_owned(&labels),
            runs: self.runs.get_or_create_owned(&labels),
        }
    }

    pub(super) fn phases(&self, model: &Arc<str>, version: &Arc<str>) -> Phases {
        Phases(PHASES.map(|shadows| self.primary.get_or_create_owned(&phase(model, version, shadows))))
    }

    /// Takes the series of a version away.
    pub(super) fn forget(&self, model: &Arc<str>, version: &Arc<str>) {
        let labels = VersionLabels { model: model.clone(), version: version.clone() };
        for counters in [&self.offered, &self.answered] {
            counters.remove(&labels);
        }
        for gauges in [&self.waiting, &self.waiting_bytes, &self.broken] {
            gauges.remove(&labels);
        }
        self.runs.remove(&labels);
        for reason in ShadowDrop::ALL {
            self.dropped.remove(&dropped(model, version, reason));
        }
        for shadows in PHASES {
            self.primary.remove(&phase(model, version, shadows));
        }
    }
}

fn dropped(model: &Arc<str>, version: &Arc<str>, reason: ShadowDrop) -> DropLabels {
    DropLabels { model: model.clone(), version: version.clone(), reason: reason.name() }
}

fn phase(model: &Arc<str>, version: &Arc<str>, shadows: &'static str) -> PhaseLabels {
    PhaseLabels { model: model.clone(), version: version.clone(), shadows }
}
