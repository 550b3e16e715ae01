//! What is counted of a version, in statistics and metrics: it outlives the version, and a version of
//! the same number that is loaded again goes on counting in it.

use std::sync::Arc;
use std::time::Duration;

use pointsman_core::{ModelName, VersionNumber};

use crate::metrics::VersionMetrics;
use crate::statistics::Statistics;

/// What is counted of one version of a model, by however many loads.
#[derive(Debug)]
pub struct Record {
    model: ModelName,
    number: VersionNumber,
    pub(crate) metrics: VersionMetrics,
    statistics: Statistics,
    /// One handle here, and one with everybody who may still count.
    counting: Arc<()>,
}

impl Record {
    pub(crate) fn new(model: ModelName, number: VersionNumber, metrics: VersionMetrics) -> Self {
        Self { model, number, metrics, statistics: Statistics::default(), counting: Arc::new(()) }
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &ModelName {
        &self.model
    }

    /// The version's number.
    #[must_use]
    pub fn number(&self) -> VersionNumber {
        self.number
    }

    /// What it has done.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Counts one run.
    pub(crate) fn ran(&self, rows: u64, time: Duration) {
        self.statistics.ran(time);
        self.metrics.ran(rows);
    }

    /// Whether a version or a worker still counts here.
    pub(crate) fn is_counting(&self) -> bool {
        Arc::strong_count(&self.counting) > 1
    }
}

/// A record in the hands of somebody who counts.
#[derive(Clone, Debug)]
pub(crate) struct Counting {
    record: Arc<Record>,
    _counting: Arc<()>,
}

impl Counting {
    pub(crate) fn of(record: &Arc<Record>) -> Self {
        Self { record: record.clone(), _counting: record.counting.clone() }
    }

    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }
}
