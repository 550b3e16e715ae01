//! One outcome per request: `received = ok + refused or failed + cancelled`, exactly.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_core::{Code, StageTimes};

use crate::metrics::{Metrics, Protocol, Stage};
use crate::version::Version;

/// Counts a request when it is received and, once, how it ended. Dropped without an end it counts
/// as cancelled: the caller went away, and with it the task that would have answered.
#[derive(Debug)]
pub struct Outcome {
    metrics: Metrics,
    protocol: Protocol,
    received_at: Instant,
    version: Option<Arc<Version>>,
    decode: Duration,
    finished: bool,
}

impl Outcome {
    /// A request whose headers have come.
    #[must_use]
    pub fn received(metrics: &Metrics, protocol: Protocol) -> Self {
        metrics.received(protocol);
        let received_at = Instant::now();
        let metrics = metrics.clone();
        Self { metrics, protocol, received_at, version: None, decode: Duration::ZERO, finished: false }
    }

    /// When the headers came.
    #[must_use]
    pub fn received_at(&self) -> Instant {
        self.received_at
    }

    /// How long decoding took.
    pub fn decoded(&mut self, time: Duration) {
        self.decode = time;
    }

    /// The version that the request reached.
    pub(crate) fn reached(&mut self, version: &Arc<Version>) {
        self.version = Some(version.clone());
    }

    /// The answer is on its way.
    pub fn ok(mut self, times: &StageTimes, encode: Duration) {
        self.finished = true;
        let Some(version) = self.version.take() else { return };
        let metrics = &version.metrics;
        metrics.ok(self.protocol);
        let total = self.received_at.elapsed();
        let stages = [
            (Stage::Decode, self.decode),
            (Stage::Queue, times.queue),
            (Stage::Batch, times.batch),
            (Stage::Run, times.run),
            (Stage::Encode, encode),
            (Stage::Total, total),
        ];
        for (stage, time) in stages {
            metrics.observe(stage, time);
        }
    }

    /// The answer is an error.
    pub fn failed(mut self, code: Code) {
        self.end(code);
    }

    fn end(&mut self, code: Code) {
        self.finished = true;
        let version = self.version.take();
        if let Some(version) = &version {
            version.statistics().failed(self.received_at.elapsed());
        }
        self.metrics.refused(self.protocol, version.as_deref().map(|v| &v.metrics), code);
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if !self.finished {
            self.end(Code::Cancelled);
        }
    }
}
