//! The metrics of labels and of what they say.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use pointsman_observe::labels::{Kept, Verdict};
use pointsman_observe::quality::QualityReport;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    model: Arc<str>,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MetricLabels {
    model: Arc<str>,
    version: u64,
    metric: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ArmLabels {
    model: Arc<str>,
    version: u64,
    arm: Arc<str>,
}

type Floats<L> = Family<L, Gauge<f64, AtomicU64>>;

/// All of them.
pub(super) struct Gauges {
    labels: Family<ResultLabels, Counter>,
    quality: Floats<MetricLabels>,
    coverage: Floats<ArmLabels>,
    delay: Floats<ArmLabels>,
    waiting: Gauge,
    bytes: Gauge,
    unsampled: Gauge,
    dropped: Counter,
    looks: Family<LookLabels, Counter>,
    looks_waiting: Gauge,
}

impl Gauges {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let gauges = Self {
            labels: Family::default(),
            quality: Family::default(),
            coverage: Family::default(),
            delay: Family::default(),
            waiting: Gauge::default(),
            bytes: Gauge::default(),
            unsampled: Gauge::default(),
            dropped: Counter::default(),
            looks: Family::default(),
            looks_waiting: Gauge::default(),
        };
        let m = |name: &str| format!("pointsman_{name}");
        registry.register(m("labels"), "Labels that came, by what came of them", gauges.labels.clone());
        registry.register(
            m("quality"),
            "Figures by labels, of the last 30 days of UTC together that have any",
            gauges.quality.clone(),
        );
        registry.register(
            m("label_coverage"),
            "Share of predicted rows that have labels",
            gauges.coverage.clone(),
        );
        registry.register(
            m("label_delay_seconds"),
            "From the time of a prediction to that of its label, at 95 %",
            gauges.delay.clone(),
        );
        registry.register(m("label_predictions"), "Requests that wait for labels", gauges.waiting.clone());
        registry.register(m("label_predictions_bytes"), "Memory that they take", gauges.bytes.clone());
        registry.register(
            m("label_unsampled_requests"),
            "Requests since the start that do not wait for labels, as there were too many",
            gauges.unsampled.clone(),
        );
        registry.register(
            m("label_dropped"),
            "Predictions of shadows, and labels that had waited, which were lost as the queue was full",
            gauges.dropped.clone(),
        );
        registry.register(
            m("label_looks"),
            "Labels that were looked for in the sample log, by what came of it; failed counts whole looks",
            gauges.looks.clone(),
        );
        for result in ["found", "not_found", "dropped", "failed"] {
            drop(gauges.looks.get_or_create(&LookLabels { result }));
        }
        registry.register(
            m("label_looks_waiting"),
            "Labels that wait to be looked for in the sample log",
            gauges.looks_waiting.clone(),
        );
        gauges
    }

    /// Counts what came of a look into the sample log.
    pub(super) fn look(&self, result: &'static str, count: u64) {
        self.looks.get_or_create(&LookLabels { result }).inc_by(count);
    }

    pub(super) fn looks_waiting(&self, count: usize) {
        self.looks_waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn labelled(&self, model: &str, verdict: Verdict) {
        self.labels.get_or_create(&ResultLabels { model: model.into(), result: verdict.name() }).inc();
    }

    /// Counts what did not find a place in the queue.
    pub(super) fn drop_if_full(&self, was_taken: bool) {
        if !was_taken {
            self.dropped.inc();
        }
    }

    pub(super) fn kept(&self, kept: Kept) {
        let all =
            [(&self.waiting, kept.requests), (&self.bytes, kept.bytes), (&self.unsampled, kept.unsampled)];
        for (gauge, value) in all {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    /// Shows the figures of a report.
    pub(super) fn show(&self, report: &QualityReport) {
        let model: Arc<str> = report.model.as_str().into();
        for series in &report.series {
            let Some(last) = series.windows.last() else { continue };
            for figure in &last.figures.figures {
                let metric = figure.name.as_str().into();
                let labels = MetricLabels { model: model.clone(), version: series.version, metric };
                self.quality.get_or_create(&labels).set(figure.value);
            }
        }
        for arm in &report.coverage {
            let name = if arm.is_shadow { "shadow" } else { arm.arm.as_str() };
            let labels = ArmLabels { model: model.clone(), version: arm.version, arm: name.into() };
            self.coverage.get_or_create(&labels).set(arm.coverage);
            if let Some(delay) = arm.delay_p95 {
                self.delay.get_or_create(&labels).set(delay);
            }
        }
    }
}
