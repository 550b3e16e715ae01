//! Drift as metrics, read when they are asked for.

use std::fmt;
use std::sync::Arc;

use pointsman_observe::drift::Against;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::verdicts::Measured;
use super::{Profiled, Profiles, locked};

/// The most columns that have series; those of the versions that were loaded last come first.
const SERIES_MAX: usize = 4096;

/// The gauges of all versions.
pub(crate) struct DriftGauges(pub(crate) Arc<Profiles>);

impl fmt::Debug for DriftGauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DriftGauges")
    }
}

type Labels = [(&'static str, String); 5];

impl Collector for DriftGauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut all = self.0.all();
        all.sort_by_key(|of| std::cmp::Reverse(of.order));
        let measured: Vec<(Labels, Measured)> =
            all.iter().flat_map(|of| measured(of)).take(SERIES_MAX).collect();
        let mut of_columns = |name, help, value: fn(&Measured) -> Option<f64>| {
            let mut family =
                encoder.encode_descriptor(name, help, None, ConstGauge::new(0.0).metric_type())?;
            for (labels, measured) in &measured {
                let Some(value) = value(measured) else { continue };
                ConstGauge::new(value).encode(family.encode_family(labels)?)?;
            }
            fmt::Result::Ok(())
        };
        let help = "Population stability index of a column in its last window that says something, by what it is held against";
        of_columns("pointsman_drift_psi", help, |measured| Some(measured.psi))?;
        let help = "Kolmogorov and Smirnov's statistic of a column of numbers in the same window";
        of_columns("pointsman_drift_ks", help, |measured| measured.ks)?;
        let help = "Columns of a version that have drifted, by what they are held against";
        let gauge = ConstGauge::new(0_u64);
        let mut family =
            encoder.encode_descriptor("pointsman_drift_columns", help, None, gauge.metric_type())?;
        for of in &all {
            let drifted = locked(&of.verdicts).drifted(&of.model, of.version);
            for against in [Against::Training, Against::Previous] {
                let count = drifted.iter().filter(|verdict| verdict.against == against).count() as u64;
                let labels = [
                    ("model", of.model.clone()),
                    ("version", of.version.to_string()),
                    ("against", against.name().to_owned()),
                ];
                ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Windows of a version's traffic that are kept, of all arms";
        let gauge = ConstGauge::new(0_u64);
        let mut family =
            encoder.encode_descriptor("pointsman_profile_windows", help, None, gauge.metric_type())?;
        for of in &all {
            let windows = of.recorder.windows() as u64;
            let labels = [("model", of.model.clone()), ("version", of.version.to_string())];
            ConstGauge::new(windows).encode(family.encode_family(&labels)?)?;
        }
        let help = "Rows of traffic that are in no window of profiles";
        let counter = ConstCounter::new(0_u64);
        let mut family =
            encoder.encode_descriptor("pointsman_profile_lost_rows", help, None, counter.metric_type())?;
        let (mut late, mut early, mut crowded) = (0, 0, 0);
        for lost in all.iter().map(|of| of.recorder.lost()) {
            late += lost.late;
            early += lost.early;
            crowded += lost.crowded;
        }
        let reasons = [("late", late), ("early", early), ("arms", crowded), ("queue", self.0.dropped())];
        for (reason, rows) in reasons {
            ConstCounter::new(rows).encode(family.encode_family(&[("reason", reason)])?)?;
        }
        Ok(())
    }
}

fn measured(of: &Profiled) -> Vec<(Labels, Measured)> {
    let labels = |measured: &Measured| {
        [
            ("model", of.model.clone()),
            ("version", of.version.to_string()),
            ("arm", measured.arm.to_string()),
            ("column", measured.column.to_string()),
            ("against", measured.against.name().to_owned()),
        ]
    };
    locked(&of.verdicts).measured().map(|measured| (labels(&measured), measured)).collect()
}
