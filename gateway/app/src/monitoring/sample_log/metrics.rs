//! The log's instruments, read from its accounts when somebody asks.

use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use pointsman_observe::sample_log::{Loss, Standing};

use super::Shared;

/// Shows the accounts of all models.
#[derive(Debug)]
pub(super) struct Exposed(Weak<Shared>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LossLabels {
    model: String,
    reason: &'static str,
}

/// What a counter shows of an account.
type Counted = fn(&Standing) -> u64;

impl Exposed {
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Collector for Exposed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(shared) = self.0.upgrade() else { return Ok(()) };
        let standings = shared.standings();
        let counters: [(&str, &str, Counted); 3] = [
            ("pointsman_sample_log_sampled", "Requests that were to be kept", |standing| standing.sampled),
            ("pointsman_sample_log_written", "Requests whose rows are written", |standing| standing.written),
            ("pointsman_sample_log_rows", "Rows that are written", |standing| standing.rows),
        ];
        for (name, help, of) in counters {
            let counter = ConstCounter::new(0_u64);
            let mut family = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            for (model, standing) in &standings {
                let labels = ModelLabels { model: model.to_string() };
                ConstCounter::new(of(standing)).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Requests that were to be kept and are not, by reason";
        let counter = ConstCounter::new(0_u64);
        let mut family =
            encoder.encode_descriptor("pointsman_sample_log_dropped", help, None, counter.metric_type())?;
        for (model, standing) in &standings {
            for (loss, count) in Loss::ALL.into_iter().zip(standing.dropped) {
                let labels = LossLabels { model: model.to_string(), reason: loss.name() };
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let state = shared.state.lock().clone();
        let help = "Spool files that were moved away or deleted while they were written to";
        let vanished = ConstCounter::new(state.vanished_files);
        vanished.encode(encoder.encode_descriptor(
            "pointsman_sample_log_vanished_files",
            help,
            None,
            vanished.metric_type(),
        )?)?;
        let queued: u64 = standings.iter().map(|(_, standing)| standing.queued).sum();
        let (held, bytes) = shared.ring.held();
        let gauges = [
            ("pointsman_sample_log_queued", "Requests that are to be kept and not written yet", None, queued),
            ("pointsman_sample_log_waiting", "Requests that wait for the log's thread", None, held as u64),
            ("pointsman_sample_log_waiting", "Of their tensors", Some(Unit::Bytes), bytes as u64),
            ("pointsman_sample_log_spool", "Of spool files", Some(Unit::Bytes), state.spool_bytes),
            (
                "pointsman_sample_log_problem",
                "Whether the log cannot be written as it should, 0 or 1",
                None,
                u64::from(state.problem().is_some()),
            ),
            ("pointsman_sample_log_parts", "Parquet files that are there", None, state.swept.parts),
            ("pointsman_sample_log_parts", "Of Parquet files", Some(Unit::Bytes), state.swept.bytes),
        ];
        for (name, help, unit, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}
