//! What every listener shares: the data path, and what the gateway tells about itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pointsman_core::{Nonfinite, PredictError, VersionSelector};
use pointsman_predict::{Cores, Predictor, Record, ServedModel, Standing};
use pointsman_wire::limits::Limits;
use pointsman_wire::view::{CountedTime, IndexEntry, IndexState, ModelView, ServerView, StatisticsView};
use tokio::sync::watch;

use crate::comparisons::Comparisons;
use crate::config::Readiness;
use crate::listen::Phase;
use crate::monitoring::Monitors;
use crate::refusals::Refusals;
use crate::telemetry::Tracer;

/// The extensions of V2 that the gateway has.
const EXTENSIONS: [&str; 6] = [
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "parameters",
    "statistics",
];

/// The V2 name of the platform of ONNX models, whatever engine runs them.
const PLATFORM: &str = "onnxruntime_onnx";

/// What the listeners share.
pub(crate) struct Gateway {
    /// The data path.
    pub(crate) predictor: Predictor,
    /// The cores that runs share.
    pub(crate) cores: Arc<Cores>,
    /// Whether threads of a run that have nothing to do spin.
    pub(crate) spinning: bool,
    /// What one request may be made of.
    pub(crate) limits: Limits,
    /// How fast requests are refused.
    pub(crate) refusals: Refusals,
    /// How NaN and infinities leave as JSON where neither card nor request says.
    pub(crate) nonfinite: Nonfinite,
    /// Whether every request is logged.
    pub(crate) log_requests: bool,
    /// OpenTelemetry, where it is on.
    pub(crate) tracer: Option<Tracer>,
    /// When it is ready.
    pub(crate) readiness: Readiness,
    /// What shadows are compared in. No thread of a request reads or writes them.
    pub(crate) comparisons: Arc<Comparisons>,
    /// What looks at the traffic of versions.
    pub(crate) monitors: Monitors,
    /// Where it is on its way down.
    pub(crate) phase: watch::Receiver<Phase>,
    /// Whether the first pass over the registry has ended.
    pub(crate) first_pass_ended: AtomicBool,
}

impl Gateway {
    /// Whether the gateway should get requests: the first pass over the registry has ended, a model
    /// (or every model) serves, and it is not on its way down.
    #[must_use]
    pub(crate) fn is_ready(&self) -> bool {
        let snapshot = self.predictor.snapshots().pin();
        let mut models = snapshot.models.values();
        let enough = match self.readiness {
            Readiness::Any => models.any(|model| model.is_ready()),
            Readiness::All => !snapshot.models.is_empty() && models.all(|model| model.is_ready()),
        };
        enough && self.first_pass_ended.load(Ordering::Acquire) && *self.phase.borrow() == Phase::Serving
    }

    /// The gateway itself.
    #[must_use]
    pub(crate) fn server(&self) -> ServerView {
        ServerView { name: "pointsman", version: crate::version::SHORT, extensions: &EXTENSIONS }
    }

    /// A model as the version that a caller would reach declares it.
    ///
    /// # Errors
    /// [`PredictError`] where the model or version is unknown or does not serve.
    pub(crate) fn model(&self, model: &str, version: &VersionSelector) -> Result<ModelView, PredictError> {
        let snapshot = self.predictor.snapshots().pin();
        let version = snapshot.find(model, version)?;
        let spec = version.spec();
        let served = snapshot.models.get(model);
        Ok(ModelView {
            name: spec.model.clone(),
            version: spec.number,
            versions: served.map(|m| m.versions.keys().copied().collect()).unwrap_or_default(),
            platform: PLATFORM,
            engine: spec.engine,
            signature: spec.signature.clone(),
            batch_rows_max: spec.request_rows_max.and_then(|rows| rows.try_into().ok()).unwrap_or(0),
            workers: version.workers().try_into().unwrap_or(u32::MAX),
            response_cache: version.cache().is_some(),
        })
    }

    /// Names of all models, in order.
    #[must_use]
    pub(crate) fn model_names(&self) -> Vec<String> {
        self.models().iter().map(|model| model.name.to_string()).collect()
    }

    /// What one version, or every version, has done; those that retired are kept for a time.
    ///
    /// # Errors
    /// [`PredictError`] where the model or version is unknown, or does not serve and never has.
    pub(crate) fn statistics(
        &self,
        of: Option<(&str, &VersionSelector)>,
    ) -> Result<Vec<StatisticsView>, PredictError> {
        let snapshot = self.predictor.snapshots().snapshot();
        let records = match of {
            Some((model, version)) => snapshot.records(model, version)?,
            None => self.models().iter().flat_map(|model| model.records()).collect(),
        };
        Ok(records.iter().map(|record| statistics(record)).collect())
    }

    /// The repository index: every version that is known, and models of which none is.
    #[must_use]
    pub(crate) fn index(&self, ready_only: bool) -> Vec<IndexEntry> {
        let mut index = Vec::new();
        for model in self.models() {
            let entry = |version, state, reason: &str| IndexEntry {
                name: model.name.to_string(),
                version,
                state,
                reason: reason.to_owned(),
            };
            if model.versions.is_empty() && model.unavailable.is_empty() {
                index.push(entry(None, IndexState::Unavailable, &model.problem));
            }
            index.extend(model.versions.keys().map(|&version| {
                let held = model.held.get(&version).map_or("", String::as_str);
                entry(Some(version), IndexState::Ready, held)
            }));
            index.extend(model.unavailable.iter().map(|(&version, unavailable)| {
                let state = match unavailable.standing {
                    Standing::Loading => IndexState::Loading,
                    Standing::Unloading => IndexState::Unloading,
                    Standing::Unavailable => IndexState::Unavailable,
                };
                entry(Some(version), state, &unavailable.reason)
            }));
        }
        index.retain(|entry| !ready_only || entry.state == IndexState::Ready);
        index.sort_by(|a, b| (&a.name, a.version).cmp(&(&b.name, b.version)));
        index
    }

    /// All models, by name.
    #[must_use]
    pub(crate) fn models(&self) -> Vec<Arc<ServedModel>> {
        let mut models: Vec<_> = self.predictor.snapshots().pin().models.values().cloned().collect();
        models.sort_by(|a, b| a.name.cmp(&b.name));
        models
    }
}

fn statistics(record: &Record) -> StatisticsView {
    let counted = |time: &pointsman_predict::CountedTime| {
        let (count, total) = time.read();
        CountedTime { count, total }
    };
    let statistics = record.statistics();
    let run = counted(&statistics.run);
    StatisticsView {
        name: record.model().clone(),
        version: record.number(),
        last_inference_ms: statistics.last_answer_ms(),
        inference_count: statistics.rows(),
        execution_count: statistics.executions.read().0,
        success: counted(&statistics.success),
        fail: counted(&statistics.fail),
        queue: counted(&statistics.queue),
        compute_input: counted(&statistics.batch),
        compute_infer: run,
        // Outputs leave without a copy: what remains is encoding, which the stage metrics have.
        compute_output: CountedTime { count: run.count, ..CountedTime::default() },
        cache_hit: counted(&statistics.cache_hit),
        cache_miss: counted(&statistics.cache_miss),
    }
}
