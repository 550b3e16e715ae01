//! One outcome per request: `received = ok + refused or failed + cancelled`, exactly.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_core::{
    Arm, Code, Parameters, PredictError, Prediction, RequestId, StageTimes, Tensor, TraceId, Violation,
};
use pointsman_route::Pick;

use crate::metrics::{ArmResult, Metrics, Protocol, Stage};
use crate::monitor::{Ended, Followed};
use crate::snapshot::ServedModel;
use crate::tee::Teed;
use crate::version::Version;
use crate::witness::Watched;

/// Counts a request when it is received and, once, how it ended. Dropped without an end it counts
/// as cancelled: the caller went away, and with it the task that would have answered.
#[derive(Debug)]
pub struct Outcome {
    metrics: Metrics,
    id: RequestId,
    trace: Option<TraceId>,
    protocol: Protocol,
    received_at: Instant,
    version: Option<Arc<Version>>,
    arm: Arm,
    rows: u64,
    decode: Duration,
    /// Where the version has shadows.
    teed: Option<Box<Teed>>,
    /// No shadow is shown it.
    apart: bool,
    /// Where its unit was drawn, and somebody wants to know how that ended.
    watched: Option<Box<Watched>>,
    /// Where its version has a monitor.
    followed: Option<Box<Followed>>,
    finished: bool,
}

impl Outcome {
    /// A request whose headers have come.
    #[must_use]
    pub fn received(metrics: &Metrics, id: RequestId, protocol: Protocol) -> Self {
        metrics.received(protocol);
        let received_at = Instant::now();
        let metrics = metrics.clone();
        Self {
            metrics,
            id,
            trace: None,
            protocol,
            received_at,
            version: None,
            arm: Arm::Default,
            rows: 0,
            decode: Duration::ZERO,
            teed: None,
            apart: false,
            watched: None,
            followed: None,
            finished: false,
        }
    }

    /// The request is a trial, which no shadow and no monitor is shown and which says nothing of what shadows cost.
    pub fn apart(&mut self) {
        self.apart = true;
    }

    /// The request is part of a trace.
    pub fn traced(&mut self, trace: TraceId) {
        self.trace = Some(trace);
    }

    /// Whether the request is a trial.
    pub(crate) fn is_apart(&self) -> bool {
        self.apart
    }

    /// When the headers came.
    #[must_use]
    pub fn received_at(&self) -> Instant {
        self.received_at
    }

    /// Decoding took this long.
    pub fn decoded(&mut self, time: Duration) {
        self.decode = time;
    }

    /// The version that the request reached, if it reached one.
    #[must_use]
    pub fn version(&self) -> Option<&Arc<Version>> {
        self.version.as_ref()
    }

    /// How long decoding took.
    #[must_use]
    pub fn decode(&self) -> Duration {
        self.decode
    }

    /// Whether the request has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The arm by which it reached the version.
    #[must_use]
    pub fn arm(&self) -> &Arm {
        &self.arm
    }

    /// The request has come to a version that may yet become another, as its body says.
    pub(crate) fn came_to(&mut self, served: &ServedModel, version: &Arc<Version>) {
        self.version = Some(version.clone());
        self.teed = served.tee.as_ref().filter(|_| !self.apart).and_then(|tee| tee.follow(version));
        let monitor = version.spec().monitor.as_ref().filter(|_| !self.apart);
        let validator = &version.spec().validator;
        self.followed = monitor.map(|monitor| {
            Followed::new(monitor.clone(), validator.clone(), self.id, self.trace, self.protocol)
        });
    }

    /// The request has reached the version that answers it.
    pub(crate) fn reached(&mut self, served: &ServedModel, version: &Arc<Version>, pick: &Pick) {
        self.came_to(served, version);
        self.arm = pick.arm.clone();
        self.watched = pick.assignment.as_ref().and_then(|drawn| served.witnesses.follow(drawn));
        if let Some(followed) = &mut self.followed {
            followed.reached(pick);
        }
    }

    /// The request agrees with the signature, and this is what the schema says of it: it may yet be refused for that.
    pub(crate) fn judged(
        &mut self,
        parameters: Parameters,
        inputs: &[Option<Tensor>],
        rows: u64,
        violations: Vec<Violation>,
    ) {
        if let Some(followed) = &mut self.followed {
            followed.judged(parameters, inputs, rows, violations);
        }
    }

    /// The request is checked: what its shadows would see, and how many rows it has.
    pub(crate) fn checked(&mut self, inputs: &[Option<Tensor>], rows: u64) {
        self.rows = rows;
        if let Some(teed) = &mut self.teed {
            teed.asked(self.id, inputs);
        }
    }

    /// The request is predicted, and its answer still to be written.
    pub(crate) fn predicted(&mut self, answer: &Result<Prediction, PredictError>) {
        if let Some(teed) = &mut self.teed {
            teed.answered(answer);
        }
        if let Some(watched) = &mut self.watched {
            watched.answered(answer);
        }
        if let Some(followed) = &mut self.followed {
            followed.answered(answer);
        }
    }

    /// The answer is given. What comes after the first end of a request counts for nothing.
    pub fn ok(&mut self, times: &StageTimes, encode: Duration) {
        let Some(version) = self.version.as_ref().filter(|_| !self.finished) else { return };
        let record = version.record();
        let metrics = &record.metrics;
        metrics.ok(self.protocol);
        self.metrics.of_arm(metrics, &self.arm, ArmResult::Ok);
        let total = self.received_at.elapsed();
        record.statistics().answered(times, self.rows, total);
        let stages = [
            (Stage::Decode, self.decode),
            (Stage::Queue, times.queue),
            (Stage::Batch, times.batch),
            (Stage::Run, times.run),
            (Stage::Encode, encode),
            (Stage::Total, total),
        ];
        // What was not run took no time in a run: it would make runs look shorter than they are.
        let is_run = |stage: &Stage| matches!(stage, Stage::Batch | Stage::Run);
        for (stage, time) in stages.into_iter().filter(|(stage, _)| !(times.cached && is_run(stage))) {
            metrics.observe(stage, time);
        }
        self.finished = true;
        if let Some(watched) = self.watched.take() {
            watched.ended(&self.arm, version.spec().number, None, total);
        }
        let teed = self.teed.take();
        if let Some(followed) = self.followed.take() {
            let is_shadowed = teed.as_ref().is_some_and(|teed| teed.is_shown());
            followed.ended(None, Ended { decode: self.decode, encode, total, is_shadowed });
        }
        if let Some(teed) = teed {
            teed.written(total);
        }
    }

    /// The answer is an error.
    pub fn failed(&mut self, code: Code) {
        if self.finished {
            return;
        }
        self.finished = true;
        if let Some(version) = &self.version {
            let total = self.received_at.elapsed();
            version.record().statistics().failed(total);
            if let Some(watched) = self.watched.take() {
                watched.ended(&self.arm, version.spec().number, Some(code), total);
            }
            if let Some(followed) = self.followed.take() {
                let is_shadowed = self.teed.as_ref().is_some_and(|teed| teed.is_shown());
                let encode = Duration::ZERO;
                followed.ended(Some(code), Ended { decode: self.decode, encode, total, is_shadowed });
            }
            self.metrics.of_arm(&version.record().metrics, &self.arm, ArmResult::Failed);
        }
        self.metrics.refused(self.protocol, self.version.as_deref().map(|v| &v.record().metrics), code);
        if let Some(teed) = self.teed.take().filter(|_| code != Code::Cancelled) {
            teed.failed();
        }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.failed(Code::Cancelled);
    }
}
