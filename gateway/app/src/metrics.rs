//! The metrics listener: `/metrics` in the text format of OpenMetrics, which Prometheus reads.

use std::sync::Arc;
use std::time::SystemTime;

use ::http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use pointsman_core::PredictError;
use pointsman_predict::Version;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::gateway::Gateway;
use crate::http::{AnswerBody, error};
use crate::listen::Answer;

const CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Answers the requests of the metrics listener.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
}

impl Metrics {
    /// A listener over the registered instruments and the gateway's gauges.
    #[must_use]
    pub(crate) fn new(mut registry: Registry, gateway: Arc<Gateway>) -> Self {
        registry.register_collector(Box::new(Gauges { gateway }));
        Self { registry: Arc::new(registry) }
    }
}

impl Answer for Metrics {
    async fn answer(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        if request.uri().path() != "/metrics" {
            return error(&PredictError::NotFound);
        }
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            return error(&PredictError::Unsupported("the metrics could not be written".into()));
        }
        let mut response = Response::new(AnswerBody::whole(text.into()));
        response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
        response
    }
}

/// Gauges whose values are read when they are asked for.
struct Gauges {
    gateway: Arc<Gateway>,
}

impl std::fmt::Debug for Gauges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gauges")
    }
}

impl Gauges {
    /// What there is once: name, help, unit and value.
    fn totals(&self, generation: u64) -> [(&'static str, &'static str, Option<Unit>, u64); 8] {
        let admission = self.gateway.predictor.admission();
        [
            (
                "pointsman_requests_in_flight",
                "Requests between headers and the end of the answer",
                None,
                admission.requests() as u64,
            ),
            (
                "pointsman_request",
                "Bodies of requests in flight",
                Some(Unit::Bytes),
                admission.bytes() as u64,
            ),
            (
                "pointsman_refusals_held",
                "Refusals that wait, as more are due than limits.refusals_max",
                None,
                self.gateway.refusals.held() as u64,
            ),
            ("pointsman_snapshot_generation", "Generation of the snapshot that serves", None, generation),
            ("pointsman_cores", "Cores that runs share", None, self.gateway.cores.total() as u64),
            (
                "pointsman_cores_busy",
                "Cores on which workers run a model",
                None,
                self.gateway.cores.busy() as u64,
            ),
            (
                "pointsman_turns_waited_for",
                "Workers that have requests and wait for a core",
                None,
                self.gateway.cores.waiting() as u64,
            ),
            ("pointsman_ready", "Whether the gateway is ready", None, u64::from(self.gateway.is_ready())),
        ]
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let snapshot = self.gateway.predictor.snapshots().snapshot();
        for (name, help, unit, value) in self.totals(snapshot.generation) {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?)?;
        }
        let mut of_versions = |name, help, unit: Option<Unit>, value: &dyn Fn(&Version) -> Option<u64>| {
            let mut family =
                encoder.encode_descriptor(name, help, unit.as_ref(), ConstGauge::new(0_u64).metric_type())?;
            for version in snapshot.models.values().flat_map(|model| model.versions.values()) {
                let Some(value) = value(version) else { continue };
                let spec = version.spec();
                let labels = [("model", spec.model.to_string()), ("version", spec.number.to_string())];
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
            Ok(())
        };
        of_versions("pointsman_queue_depth", "Requests that wait for a version", None, &|version| {
            Some(version.queue_depth() as u64)
        })?;
        let help = "Requests that may wait for a version at the moment";
        of_versions("pointsman_queue_limit", help, None, &|version| Some(version.queue_limit() as u64))?;
        of_versions("pointsman_cache_entries", "Answers in a response cache", None, &|version| {
            Some(version.cache()?.entries() as u64)
        })?;
        let help = "Answers in a response cache, with their requests";
        of_versions("pointsman_cache", help, Some(Unit::Bytes), &|version| Some(version.cache()?.bytes()))?;
        of_versions(
            "pointsman_cache_waiting",
            "Requests that wait for the run of an equal one",
            None,
            &|version| Some(version.cache()?.waiting() as u64),
        )?;
        let now = SystemTime::now();
        let moments =
            |version: &Version| self.gateway.monitors.ages.of(&version.spec().model, version.spec().number);
        let help = "Since the training of a version, where its manifest says when that was";
        of_versions("pointsman_model_age", help, Some(Unit::Seconds), &|version| {
            Some(moments(version).model_age(now)?.as_secs())
        })?;
        let help = "Since the end of the data that a version was trained on";
        of_versions("pointsman_model_data_age", help, Some(Unit::Seconds), &|version| {
            Some(moments(version).data_age(now)?.as_secs())
        })
    }
}
