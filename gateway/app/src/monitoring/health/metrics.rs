//! The series of schemas and numerics: of versions that are in memory, and of labels that registry and schema know.

use std::fmt;
use std::sync::Arc;

use pointsman_core::NumericFault;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::{Health, OutputHealth, RuleCount, VersionHealth, origin_name};

/// Up to so many rules of a version have a series before they are broken for the first time.
const UNBROKEN_MAX: usize = 256;

/// Reads the counters when they are asked for.
pub(super) struct HealthMetrics(pub(super) Arc<Health>);

impl fmt::Debug for HealthMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HealthMetrics")
    }
}

/// The samples of one family: labels beside those of the version, and the count.
type Samples<'v> = Vec<(Vec<(&'static str, &'v str)>, u64)>;

/// Reads the samples of a version.
type SamplesOf = fn(&VersionHealth) -> Samples<'_>;

impl Collector for HealthMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let versions = self.0.versions();
        let serving = || versions.iter().filter(|(_, is_watched)| *is_watched).map(|(version, _)| &**version);
        let families: [(&str, &str, SamplesOf); 4] = [
            ("pointsman_schema_violations", "Values that broke a rule of the schema", violations),
            (
                "pointsman_schema_requests",
                "Requests that broke a rule of the schema, by what came of that",
                requests,
            ),
            (
                "pointsman_event_times_unusable",
                "Requests without a time of their example where the schema asks for it",
                event_times,
            ),
            (
                "pointsman_output_faults",
                "Numbers of answers that are NaN, infinite, subnormal or overflowed",
                faults,
            ),
        ];
        for (name, help, samples) in families {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for version in serving() {
                sample(&mut family, version, samples(version))?;
            }
        }
        Ok(())
    }
}

fn sample(family: &mut MetricEncoder<'_>, version: &VersionHealth, samples: Samples<'_>) -> fmt::Result {
    let number = version.number.to_string();
    for (labels, count) in samples {
        let of = [("model", version.model.as_str()), ("version", number.as_str())];
        let all: Vec<(&str, &str)> = of.into_iter().chain(labels).collect();
        ConstCounter::new(count).encode(family.encode_family(&all)?)?;
    }
    Ok(())
}

fn violations(version: &VersionHealth) -> Samples<'_> {
    let is_few = version.rules.len() <= UNBROKEN_MAX;
    let counted = version.rules.iter().filter(|of| is_few || of.values.get() > 0);
    counted.map(violations_of).collect()
}

fn violations_of(of: &RuleCount) -> (Vec<(&'static str, &str)>, u64) {
    let labels = vec![
        ("origin", origin_name(of.rule.origin)),
        ("column", &*of.rule.column),
        ("code", of.rule.anomaly.code()),
        ("action", of.rule.action.name()),
    ];
    (labels, of.values.get())
}

fn requests(version: &VersionHealth) -> Samples<'_> {
    if version.rules.is_empty() {
        return Vec::new();
    }
    let results = [("flagged", &version.flagged), ("rejected", &version.rejected)];
    results.map(|(result, count)| (vec![("result", result)], count.get())).into()
}

fn event_times(version: &VersionHealth) -> Samples<'_> {
    if !version.schema.as_ref().is_some_and(|schema| schema.event_time) {
        return Vec::new();
    }
    let reasons = [("absent", &version.absent_event_times), ("malformed", &version.malformed_event_times)];
    reasons.map(|(reason, count)| (vec![("reason", reason)], count.get())).into()
}

fn faults(version: &VersionHealth) -> Samples<'_> {
    version.outputs.iter().flat_map(faults_of).collect()
}

fn faults_of(output: &OutputHealth) -> impl Iterator<Item = (Vec<(&'static str, &str)>, u64)> {
    let counts = NumericFault::ALL.into_iter().zip(&output.faults);
    counts.map(|(fault, count)| (vec![("output", &*output.name), ("fault", fault.name())], count.get()))
}
