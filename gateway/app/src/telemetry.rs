//! What the gateway tells of itself: the log, and traces over OTLP.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{
    Span, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use pointsman_core::{Arm, PredictError, RequestId, StageTimes, TraceId, shown};
use pointsman_predict::VersionSpec;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;

use crate::config::{Log, LogFormat, Telemetry};

/// How long the last spans may take to leave when the gateway goes down.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Lets the level of the log be changed.
pub(crate) struct LogLevel {
    change: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

impl LogLevel {
    /// Changes it.
    ///
    /// # Errors
    /// A line that says what is wrong with the filter.
    pub(crate) fn set(&self, log: &Log) -> Result<(), String> {
        (self.change)(filter(log)?)
    }
}

/// Starts the log, on standard error.
///
/// # Errors
/// A line that says what is wrong with the filter.
pub(crate) fn start_log(log: &Log) -> Result<LogLevel, String> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(log)?).with_writer(std::io::stderr);
    let change = match log.format {
        LogFormat::Text => {
            let builder = builder
                .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
                .with_filter_reloading();
            let change = changer(builder.reload_handle());
            builder.init();
            change
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let change = changer(builder.reload_handle());
            builder.init();
            change
        }
    };
    Ok(LogLevel { change })
}

fn changer<S: 'static>(
    handle: Handle<EnvFilter, S>,
) -> Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync> {
    Box::new(move |filter| handle.reload(filter).map_err(|e| format!("log.level: {e}")))
}

/// Whether the log can be as the configuration says.
///
/// # Errors
/// As [`start_log`].
pub(crate) fn check_log(log: &Log) -> Result<(), String> {
    filter(log).map(drop)
}

fn filter(log: &Log) -> Result<EnvFilter, String> {
    // A word alone is a level; the filter would take any other for the name of a module and be silent.
    let unknown = |word: &&str| !word.contains(['=', ':', '[']) && word.parse::<LevelFilter>().is_err();
    if let Some(word) = log.level.split(',').map(str::trim).find(unknown) {
        return Err(format!(
            "log.level: `{}` is no level; expected error, warn, info, debug, trace, off, or a filter such as \"info,onnxruntime=debug\"",
            shown(word)
        ));
    }
    EnvFilter::try_new(&log.level).map_err(|e| {
        format!(
            "log.level: expected a level or a filter such as \"info,onnxruntime=debug\", found `{}`: {e}",
            log.level
        )
    })
}

/// Makes a span for each request and sends it to a collector.
#[derive(Clone)]
pub(crate) struct Tracer {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
}

impl Tracer {
    /// Starts the exporter, where an endpoint is configured. Nothing waits for the collector: spans
    /// that it does not take are dropped and counted by the exporter's own log.
    ///
    /// # Errors
    /// A line that names the endpoint.
    pub(crate) fn start(telemetry: &Telemetry) -> Result<Option<Self>, String> {
        let Some(endpoint) = &telemetry.otlp_endpoint else { return Ok(None) };
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .build()
            .map_err(|e| format!("telemetry.otlp_endpoint: cannot send to `{endpoint}`: {e}"))?;
        let resource = Resource::builder()
            .with_service_name("pointsman")
            .with_attribute(KeyValue::new("service.version", crate::version::SHORT))
            .build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(telemetry.sample_ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer("pointsman");
        Ok(Some(Self { provider, tracer, propagator: TraceContextPropagator::new() }))
    }

    /// Starts the span of a request, below the caller's where the headers name one.
    #[must_use]
    pub(crate) fn start_request(&self, headers: &HeaderMap, id: RequestId) -> RequestSpan {
        let parent = self.propagator.extract_with_context(&Context::new(), &Headers(headers));
        let builder = SpanBuilder::from_name("predict").with_kind(SpanKind::Server);
        let mut span = self.tracer.build_with_context(builder, &parent);
        if span.is_recording() {
            span.set_attribute(KeyValue::new("pointsman.request_id", id.to_string()));
        }
        RequestSpan { span }
    }

    /// Sends what is left, within a bound.
    pub(crate) fn flush(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!("the last spans could not be sent: {error}");
        }
    }
}

/// The trace that the caller names in the headers, where it names one.
pub(crate) fn trace_of(headers: &HeaderMap) -> Option<TraceId> {
    // Most callers name none, and pay for no more than a look.
    headers.get("traceparent")?;
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
    let span = context.span();
    let parent = span.span_context();
    parent.is_valid().then(|| TraceId(parent.trace_id().to_bytes()))
}

/// The headers of a request, as the propagator reads them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// What a request was for, once that is known.
#[derive(Clone, Copy)]
pub(crate) struct Reached<'a> {
    pub(crate) version: &'a VersionSpec,
    pub(crate) arm: &'a Arm,
    /// The experiment in which its unit was drawn.
    pub(crate) experiment: Option<&'a str>,
}

/// The span of one request.
pub(crate) struct RequestSpan {
    span: opentelemetry_sdk::trace::Span,
}

impl RequestSpan {
    /// The span in the form of a `traceparent`, for the answer.
    #[must_use]
    pub(crate) fn trace_response(&self) -> String {
        let context = self.span.span_context();
        format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
    }

    /// The trace that the span is part of.
    pub(crate) fn trace(&self) -> TraceId {
        TraceId(self.span.span_context().trace_id().to_bytes())
    }

    /// Marks that the request is read, `decode` after its last byte came.
    pub(crate) fn decoded(&mut self, decode: Duration) {
        if self.span.is_recording() {
            let now = SystemTime::now();
            self.span.add_event_with_timestamp("decode", now.checked_sub(decode).unwrap_or(now), Vec::new());
        }
    }

    /// Ends the span of a request that was answered, with its stages as events.
    pub(crate) fn answered(&mut self, reached: Reached<'_>, times: &StageTimes, encode: Duration) {
        if self.span.is_recording() {
            self.reached(reached);
            self.span
                .set_attribute(KeyValue::new("pointsman.batch_requests", i64::from(times.batch_requests)));
            self.span.set_attribute(KeyValue::new("pointsman.cached", times.cached));
            let now = SystemTime::now();
            let encoded_from = now.checked_sub(encode).unwrap_or(now);
            let run_from = encoded_from.checked_sub(times.run).unwrap_or(now);
            let taken_up = run_from.checked_sub(times.batch).unwrap_or(now);
            let queued = taken_up.checked_sub(times.queue).unwrap_or(now);
            for (name, at) in
                [("queue", queued), ("batch", taken_up), ("run", run_from), ("encode", encoded_from)]
            {
                self.span.add_event_with_timestamp(name, at, Vec::new());
            }
            self.span.set_status(Status::Ok);
        }
        self.span.end();
    }

    /// Ends the span of a request that got no answer, or an error.
    pub(crate) fn failed(&mut self, error: &PredictError, reached: Option<Reached<'_>>) {
        if self.span.is_recording() {
            if let Some(reached) = reached {
                self.reached(reached);
            }
            self.span.set_attribute(KeyValue::new("pointsman.code", error.code().name()));
            self.span.set_status(Status::error(error.to_string()));
        }
        self.span.end();
    }

    fn reached(&mut self, Reached { version, arm, experiment }: Reached<'_>) {
        self.span.set_attribute(KeyValue::new("pointsman.model", version.model.to_string()));
        self.span.set_attribute(KeyValue::new("pointsman.version", version.number.to_string()));
        self.span.set_attribute(KeyValue::new("pointsman.arm", arm.name().to_owned()));
        if let Some(experiment) = experiment {
            self.span.set_attribute(KeyValue::new("pointsman.experiment", experiment.to_owned()));
        }
    }
}
