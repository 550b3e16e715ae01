//! The instruments of the data path.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use pointsman_core::{Arm, Code, ModelName, VersionNumber};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::arms::{ArmCounters, ArmFamily};
use self::shadows::ShadowFamilies;
use crate::record::{Counting, Record};

mod arms;
mod shadows;

pub(crate) use self::arms::ArmResult;
pub(crate) use self::shadows::{Phases, ShadowMetrics};

/// The protocols by which requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// V2 REST, JSON or binary.
    V2Rest,
    /// V2 gRPC.
    V2Grpc,
    /// V1 and TF-Serving REST.
    V1Rest,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::V2Rest, Self::V2Grpc, Self::V1Rest];

    /// The label's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V2Rest => "v2-rest",
            Self::V2Grpc => "v2-grpc",
            Self::V1Rest => "v1-rest",
        }
    }
}

impl EncodeLabelValue for Protocol {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.name().encode(encoder)
    }
}

/// The parts of a request's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// From the body's last byte to typed tensors.
    Decode,
    /// From being queued to being taken up by a worker.
    Queue,
    /// From being taken up to the start of the run.
    Batch,
    /// The run.
    Run,
    /// From the outputs to the bytes of the answer.
    Encode,
    /// From the headers to the answer.
    Total,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [Self::Decode, Self::Queue, Self::Batch, Self::Run, Self::Encode, Self::Total];

    /// The label's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Queue => "queue",
            Self::Batch => "batch",
            Self::Run => "run",
            Self::Encode => "encode",
            Self::Total => "total",
        }
    }
}

impl EncodeLabelValue for Stage {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.name().encode(encoder)
    }
}

/// Labels of a finished request. Model and version are those that the registry knows, or empty:
/// names from outside never become labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    model: Arc<str>,
    version: Arc<str>,
    protocol: Protocol,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    model: Arc<str>,
    version: Arc<str>,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    model: Arc<str>,
    version: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtocolLabels {
    protocol: Protocol,
}

/// The code of a request that was answered with a prediction.
const OK: &str = "OK";

/// Upper bounds of the latency buckets, in seconds: 10 us to 10 s, about three a decade.
const BUCKETS: [f64; 19] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The instruments of the data path, registered once.
#[derive(Clone, Debug)]
pub struct Metrics {
    instruments: Arc<Instruments>,
}

#[derive(Debug)]
struct Instruments {
    /// One handle here, and one with each worker thread that lives.
    workers: Arc<()>,
    received: [Counter; Protocol::ALL.len()],
    requests: Family<RequestLabels, Counter>,
    forgotten: Counter,
    stages: Family<StageLabels, Histogram, fn() -> Histogram>,
    panics: Family<VersionLabels, Counter>,
    runs: Family<VersionLabels, Counter>,
    run_rows: Family<VersionLabels, Counter>,
    cache: CacheFamilies,
    arms: ArmFamily,
    shadows: ShadowFamilies,
    /// What is counted of each version that serves or has served, until it is forgotten.
    records: Mutex<HashMap<(ModelName, VersionNumber), Arc<Record>>>,
}

/// Those of response caches.
#[derive(Debug, Default)]
struct CacheFamilies {
    hits: Family<VersionLabels, Counter>,
    misses: Family<VersionLabels, Counter>,
    bypasses: Family<VersionLabels, Counter>,
    evictions: Family<VersionLabels, Counter>,
}

/// The instruments of one version's response cache. There are none where it has none.
#[derive(Clone, Debug, Default)]
pub(crate) struct CacheMetrics {
    /// Requests answered without a run of their own.
    pub(crate) hits: Counter,
    /// Requests that were looked for in vain.
    pub(crate) misses: Counter,
    /// Requests that were too large to be looked for.
    pub(crate) bypasses: Counter,
    /// Answers that went for others.
    pub(crate) evictions: Counter,
}

/// The instruments of one version, looked up once when it is made.
#[derive(Clone, Debug)]
pub(crate) struct VersionMetrics {
    model: Arc<str>,
    version: Arc<str>,
    ok: [Counter; Protocol::ALL.len()],
    stages: [Histogram; Stage::ALL.len()],
    panics: Counter,
    runs: Counter,
    run_rows: Counter,
    arms: ArmCounters,
}

impl Metrics {
    /// Registers the instruments.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let received = Family::<ProtocolLabels, Counter>::default();
        let requests = Family::<RequestLabels, Counter>::default();
        let stages = Family::<StageLabels, Histogram, fn() -> Histogram>::new_with_constructor(|| {
            Histogram::new(BUCKETS)
        });
        registry.register(
            "pointsman_requests_received",
            "Prediction requests taken in; equals the finished ones and those in flight",
            received.clone(),
        );
        registry.register(
            "pointsman_requests",
            "Prediction requests finished, by outcome code (OK, CANCELLED or an error code)",
            requests.clone(),
        );
        registry.register(
            "pointsman_stage_seconds",
            "Time of answered requests by stage: decode, queue, batch, run, encode, total",
            stages.clone(),
        );
        let forgotten = Counter::default();
        registry.register(
            "pointsman_requests_forgotten",
            "Finished prediction requests of versions that retired and whose series are gone",
            forgotten.clone(),
        );
        let panics = Family::<VersionLabels, Counter>::default();
        registry.register(
            "pointsman_worker_panics",
            "Sessions that panicked in a run and were replaced",
            panics.clone(),
        );
        let (runs, run_rows) = (Family::<VersionLabels, Counter>::default(), Family::default());
        registry.register(
            "pointsman_runs",
            "Runs that succeeded, of one request or several together",
            runs.clone(),
        );
        registry.register("pointsman_run_rows", "Rows of these runs", Family::clone(&run_rows));
        let cache = CacheFamilies::register(registry);
        let received =
            Protocol::ALL.map(|protocol| received.get_or_create_owned(&ProtocolLabels { protocol }));
        let (workers, records) = (Arc::new(()), Mutex::default());
        let instruments = Instruments {
            workers,
            received,
            requests,
            forgotten,
            stages,
            panics,
            runs,
            run_rows,
            cache,
            arms: ArmFamily::register(registry),
            shadows: ShadowFamilies::register(registry),
            records,
        };
        Self { instruments: Arc::new(instruments) }
    }

    /// What is counted of a version: what there is already, or a new record.
    pub(crate) fn record(&self, model: &ModelName, number: VersionNumber) -> Counting {
        let mut records = self.instruments.records.lock();
        let record = records
            .entry((model.clone(), number))
            .or_insert_with(|| Arc::new(Record::new(model.clone(), number, self.version(model, number))));
        Counting::of(record)
    }

    /// Takes the series of a retired version away, so that their number stays bounded however many
    /// versions come and go. What it has answered stays counted as forgotten. Gives false, and keeps
    /// them, where the version still serves or has a request or a worker left.
    pub fn forget(&self, model: &ModelName, number: VersionNumber) -> bool {
        let mut records = self.instruments.records.lock();
        let key = (model.clone(), number);
        // A version that is started meanwhile waits for the lock, and gets a new record.
        match records.get(&key) {
            Some(record) if record.is_counting() => return false,
            Some(record) => self.remove(&record.metrics),
            None => {}
        }
        records.remove(&key);
        true
    }

    fn remove(&self, of: &VersionMetrics) {
        let Instruments { requests, forgotten, stages, panics, runs, run_rows, cache, arms, shadows, .. } =
            &*self.instruments;
        arms.forget(&of.model, &of.version);
        shadows.forget(&of.model, &of.version);
        let (model, version) = (&of.model, &of.version);
        let codes = || Code::ALL.into_iter().map(Code::name).chain([OK]);
        for (protocol, code) in Protocol::ALL.into_iter().flat_map(|p| codes().map(move |code| (p, code))) {
            let labels = RequestLabels { model: model.clone(), version: version.clone(), protocol, code };
            let count = requests.get(&labels).map_or(0, |counter| counter.get());
            forgotten.inc_by(count);
            requests.remove(&labels);
        }
        for stage in Stage::ALL {
            stages.remove(&StageLabels { model: model.clone(), version: version.clone(), stage });
        }
        for counters in [panics, runs, run_rows].into_iter().chain(cache.all()) {
            counters.remove(&VersionLabels { model: model.clone(), version: version.clone() });
        }
    }

    fn version(&self, model: &ModelName, version: VersionNumber) -> VersionMetrics {
        let model: Arc<str> = model.as_str().into();
        let version: Arc<str> = version.to_string().into();
        let ok = Protocol::ALL.map(|protocol| {
            let labels = RequestLabels { model: model.clone(), version: version.clone(), protocol, code: OK };
            self.instruments.requests.get_or_create_owned(&labels)
        });
        let stages = Stage::ALL.map(|stage| {
            let labels = StageLabels { model: model.clone(), version: version.clone(), stage };
            self.instruments.stages.get_or_create_owned(&labels)
        });
        let labels = VersionLabels { model: model.clone(), version: version.clone() };
        let Instruments { panics, runs, run_rows, .. } = &*self.instruments;
        let [panics, runs, run_rows] =
            [panics, runs, run_rows].map(|counters| counters.get_or_create_owned(&labels));
        let arms = self.instruments.arms.counters(&model, &version);
        VersionMetrics { model, version, ok, stages, panics, runs, run_rows, arms }
    }

    /// The instruments of a version's response cache.
    pub(crate) fn cache(&self, model: &ModelName, version: VersionNumber) -> CacheMetrics {
        let labels = VersionLabels { model: model.as_str().into(), version: version.to_string().into() };
        let [hits, misses, bypasses, evictions] =
            self.instruments.cache.all().map(|counters| counters.get_or_create_owned(&labels));
        CacheMetrics { hits, misses, bypasses, evictions }
    }

    /// The instruments of a version as a shadow.
    pub(crate) fn shadow(&self, model: &ModelName, version: VersionNumber) -> ShadowMetrics {
        self.instruments.shadows.shadow(&model.as_str().into(), &version.to_string().into())
    }

    /// Those of a version that has shadows.
    pub(crate) fn phases(&self, model: &ModelName, version: VersionNumber) -> Phases {
        self.instruments.shadows.phases(&model.as_str().into(), &version.to_string().into())
    }

    /// Worker threads that live: each owns a session, and frees it before it ends.
    #[must_use]
    pub fn workers(&self) -> usize {
        Arc::strong_count(&self.instruments.workers).saturating_sub(1)
    }

    /// What a worker thread holds while it lives.
    pub(crate) fn worker(&self) -> Arc<()> {
        self.instruments.workers.clone()
    }

    pub(crate) fn received(&self, protocol: Protocol) {
        self.instruments.received[protocol as usize].inc();
    }

    /// Counts a request that reached a version by an arm.
    pub(crate) fn of_arm(&self, version: &VersionMetrics, arm: &Arm, result: ArmResult) {
        match arm {
            Arm::Default | Arm::Direct => version.arms.count(arm, result),
            Arm::Named(name) => self.instruments.arms.count(&version.model, &version.version, name, result),
        }
    }

    /// Lets these arms of a model be counted from here on: those that it had before lose their series, and do not get
    /// them again from requests that are under way.
    pub fn set_arms(&self, model: &ModelName, arms: impl Iterator<Item = Arm>) {
        let named = arms.filter_map(|arm| match arm {
            Arm::Named(name) => Some(name),
            Arm::Default | Arm::Direct => None,
        });
        self.instruments.arms.set(model.as_str(), named.collect());
    }

    /// Counts a request that got no prediction, at the version that it reached, if it reached one.
    pub(crate) fn refused(&self, protocol: Protocol, version: Option<&VersionMetrics>, code: Code) {
        let empty = || Arc::from("");
        let labels = RequestLabels {
            model: version.map_or_else(empty, |v| v.model.clone()),
            version: version.map_or_else(empty, |v| v.version.clone()),
            protocol,
            code: code.name(),
        };
        self.instruments.requests.get_or_create(&labels).inc();
    }
}

impl CacheFamilies {
    fn register(registry: &mut Registry) -> Self {
        let families = Self::default();
        let [hits, misses, bypasses, evictions] = families.all().map(Family::clone);
        registry.register(
            "pointsman_cache_hits",
            "Requests answered without a run of their own, with the answer of an equal one",
            hits,
        );
        registry.register(
            "pointsman_cache_misses",
            "Requests looked for in a response cache in vain",
            misses,
        );
        registry.register(
            "pointsman_cache_bypasses",
            "Requests too large to be looked for in a response cache",
            bypasses,
        );
        registry.register(
            "pointsman_cache_evictions",
            "Answers that left a response cache for others",
            evictions,
        );
        families
    }

    fn all(&self) -> [&Family<VersionLabels, Counter>; 4] {
        let Self { hits, misses, bypasses, evictions } = self;
        [hits, misses, bypasses, evictions]
    }
}

impl VersionMetrics {
    pub(crate) fn ok(&self, protocol: Protocol) {
        self.ok[protocol as usize].inc();
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    pub(crate) fn ran(&self, rows: u64) {
        self.runs.inc();
        self.run_rows.inc_by(rows);
    }

    pub(crate) fn observe(&self, stage: Stage, time: Duration) {
        self.stages[stage as usize].observe(time.as_secs_f64());
    }
}
