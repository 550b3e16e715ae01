//! Labels of all models: joined with what was predicted, written down, told to rollouts, and what they say of quality.
//!
//! Who may wait for whom: a request's thread takes a lock of the joiner, which everybody holds for about a microsecond. A
//! shadow's thread is of the lowest class and may be held up at any place: it takes none, and puts its predictions into a
//! queue. What is written and computed is so by the keeper's thread and by threads that may block.

mod feedback;
mod gauges;
mod keeper;
mod looks;
mod model;
mod promotions;
mod signals;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use pointsman_control::Handle;
use pointsman_control::rollout::{LabelledRequest, Standing};
use pointsman_core::{Answer, AnswerRef, Code, ModelName, PredictError, shown};
use pointsman_observe::labels::{
    Drawn, Joined, Joiner, Label, LabelLog, Labelled, LogLine, Predicted, Prediction, Source,
};
use pointsman_observe::quality::{Ask, Concern, ConcernLimits, Day, QualityReport, Window, concerns};
use pointsman_route::Share;
use pointsman_stats::Alpha;
use prometheus_client::registry::Registry as Instruments;

use self::gauges::Gauges;
pub(crate) use self::keeper::LabelKeeper;
use self::looks::Looks;
use self::model::Model;
pub(crate) use self::promotions::Promotions;
use crate::clock::now_ms;
use crate::config::{self, Config};
use crate::experiments::Experiments;

/// The folder of labels in the state directory.
const FOLDER: &str = "labels";
/// Predictions of shadows that wait for the keeper, and what comes of labels that waited; past it they are dropped.
const QUEUE_MAX: usize = 16_384;
/// The most models of which labels are kept.
const MODELS_MAX: usize = 1024;

/// All labels.
pub(crate) struct Labels {
    settings: config::Labels,
    /// What figures of models should reach.
    limits: BTreeMap<ModelName, ConcernLimits>,
    joiner: Joiner,
    /// What is looked for in the sample log, where there is one.
    looks: Option<Looks>,
    log: Option<Mutex<LabelLog>>,
    models: Mutex<BTreeMap<Arc<str>, Model>>,
    /// What was predicted since it was taken last, version by version.
    sums: Mutex<Vec<Arc<Sums>>>,
    /// The way to rollouts; nothing until the control path runs.
    handle: OnceLock<Handle>,
    /// And to experiments.
    experiments: OnceLock<Arc<Experiments>>,
    queue: SyncSender<Queued>,
    queued: Mutex<Receiver<Queued>>,
    gauges: Gauges,
}

/// What the keeper takes from threads that may not wait.
enum Queued {
    /// What a shadow answered.
    Shadow(Prediction),
    /// What came of a label that had waited.
    Late(Labelled),
}

/// What one version predicted, by day and arm.
#[derive(Debug)]
pub(crate) struct Sums {
    source: Arc<Source>,
    days: Mutex<BTreeMap<(u32, Arc<str>), Day>>,
}

impl Labels {
    /// Those that are in the state directory, where there is one.
    ///
    /// # Errors
    /// A line where they cannot be read or written.
    pub(crate) fn open(config: &Config, instruments: &mut Instruments) -> Result<Arc<Self>, String> {
        let (settings, state) = (&config.labels, config.state.as_deref());
        let now = now_ms();
        let mut models = BTreeMap::<Arc<str>, Model>::new();
        let new = || Model::new(settings.pairs_max);
        let looks = Looks::of(config);
        let mut take = |line: LogLine| match line {
            LogLine::Joined(joined) => {
                looks.iter().for_each(|looks| looks.settled(joined.id, joined.row));
                models.entry(joined.source.model.clone()).or_insert_with(new).pairs.push(joined);
            }
            LogLine::Predicted(predicted) => {
                models.entry(predicted.source.model.clone()).or_insert_with(new).days.add(&predicted);
            }
            // Its request is from before the start.
            LogLine::Waiting(said) => {
                // One that finds no room, or is too old by now, is not looked for.
                let _ = looks.as_ref().map(|looks| looks.wait(&said, now));
            }
            LogLine::Unfound(id, row) => looks.iter().for_each(|looks| looks.settled(id, row)),
        };
        let log = match state {
            None => None,
            Some(state) => {
                let opened = LabelLog::open(&state.join(FOLDER), settings.log, &mut take);
                let (log, unread) = opened.map_err(|e| format!("labels cannot be kept: {e}"))?;
                if unread > 0 {
                    tracing::warn!(
                        "{unread} lines of labels in {} cannot be read",
                        state.join(FOLDER).display()
                    );
                }
                Some(Mutex::new(log))
            }
        };
        let (queue, queued) = sync_channel(QUEUE_MAX);
        Ok(Arc::new(Self {
            settings: settings.clone(),
            limits: config.quality.clone(),
            joiner: Joiner::new(settings.joiner, now),
            looks,
            log,
            models: Mutex::new(models),
            sums: Mutex::default(),
            handle: OnceLock::new(),
            experiments: OnceLock::new(),
            queue,
            queued: Mutex::new(queued),
            gauges: Gauges::register(instruments),
        }))
    }

    /// Whether the HTTP listener takes labels too.
    pub(crate) fn are_public(&self) -> bool {
        self.settings.public
    }

    /// The most rows of a request that wait for labels.
    pub(crate) fn rows_max(&self) -> usize {
        self.settings.joiner.rows_max
    }

    /// Lets rollouts and experiments hear of labels from now on.
    pub(crate) fn lead_to(&self, handle: Handle, experiments: Arc<Experiments>) {
        // There is one control path.
        let _ = self.handle.set(handle);
        let _ = self.experiments.set(experiments);
    }

    /// The sums of a version's predictions, of which it is told from now on.
    pub(crate) fn sums(&self, source: Arc<Source>) -> Arc<Sums> {
        let sums = Arc::new(Sums { source, days: Mutex::default() });
        self.sums.lock().push(sums.clone());
        sums
    }

    /// Takes in what a caller was answered. Called on threads of requests.
    pub(crate) fn answered(&self, prediction: Prediction) {
        for late in self.joiner.predicted(prediction, now_ms()) {
            self.gauges.drop_if_full(self.queue.try_send(Queued::Late(late)).is_ok());
        }
    }

    /// Takes in what a shadow answered. Called on threads of shadows.
    pub(crate) fn shadowed(&self, prediction: Prediction) {
        self.gauges.drop_if_full(self.queue.try_send(Queued::Shadow(prediction)).is_ok());
    }

    /// Lets what comes of a label count: in figures, and for the rollout that drew its request.
    fn count(&self, labelled: &Labelled) {
        let Some(first) = labelled.joined.first() else { return };
        {
            let mut models = self.models.lock();
            for joined in &labelled.joined {
                if !models.contains_key(&joined.source.model) && models.len() >= MODELS_MAX {
                    continue;
                }
                let model = models.entry(joined.source.model.clone());
                let model = model.or_insert_with(|| Model::new(self.settings.pairs_max));
                model.pairs.push(joined.clone());
                model.is_changed = true;
            }
        }
        let Some(drawn) = &labelled.drawn else { return };
        if let Some(handle) = self.handle.get() {
            tell(handle, first, drawn);
        }
        if let Some(experiments) = self.experiments.get() {
            experiments.labelled(first, drawn);
        }
    }

    /// Writes lines where there is a state directory.
    ///
    /// # Errors
    /// Where they cannot be written; they are so with the next ones.
    fn write(&self, lines: Vec<LogLine>) -> Result<(), PredictError> {
        let Some(log) = &self.log else { return Ok(()) };
        let written = log.lock().write(lines);
        written.map_err(|e| {
            tracing::warn!("labels cannot be written: {e}");
            let reason = "the labels could not be written down; send them again";
            PredictError::Control { code: Code::NotJournalled, reason: reason.into() }
        })
    }

    /// What the labels of a model say.
    ///
    /// # Errors
    /// Where nothing is known of it.
    pub(crate) fn report(&self, model: &str, ask: &Ask) -> Result<QualityReport, PredictError> {
        self.take_sums();
        // What the report is made of is shared, so that labels can come meanwhile.
        let known = self.models.lock().get(model).map(|known| (known.pairs.clone(), known.days.clone()));
        let (pairs, days) = known.ok_or_else(|| {
            let reason = format!("of model '{}' nothing was predicted or labelled yet", shown(model));
            PredictError::Control { code: Code::NotFound, reason }
        })?;
        Ok(QualityReport::new(model, &pairs, &days, ask))
    }

    /// What is of concern of a model now, by windows of 30 days: for whoever tells people. A report that was `made` already
    /// is used where it answers the same question.
    pub(crate) fn concerns(&self, model: &str, made: (&Ask, &QualityReport)) -> Vec<Concern> {
        let limits = self.limits(model);
        let Some(ask) = Self::concern(made.0.champion) else { return Vec::new() };
        if ask == *made.0 {
            return concerns(made.1, &limits);
        }
        self.report(model, &ask).map(|report| concerns(&report, &limits)).unwrap_or_default()
    }

    /// What is asked of a model, to find what is of concern.
    fn concern(champion: Option<u64>) -> Option<Ask> {
        let (alpha, window) = (Alpha::new(ALPHA).ok()?, Window::Days(30));
        Some(Ask { alpha, window, champion, version: None, slice: None, by_arm: false })
    }

    /// Whether the configuration says what figures of a model should reach.
    pub(crate) fn has_limits(&self, model: &ModelName) -> bool {
        self.limits.contains_key(model)
    }

    /// What figures of a model should reach.
    fn limits(&self, model: &str) -> ConcernLimits {
        self.limits.get(model).cloned().unwrap_or_default()
    }

    /// Takes what was predicted since the last time into the days of its model, and writes it down.
    fn take_sums(&self) {
        let all: Vec<Arc<Sums>> = {
            let mut sums = self.sums.lock();
            // A version that left, and of which nothing is left to take.
            sums.retain(|sums| Arc::strong_count(sums) > 1 || !sums.days.lock().is_empty());
            sums.clone()
        };
        let mut lines = Vec::new();
        let mut models = self.models.lock();
        for sums in all {
            let days = std::mem::take(&mut *sums.days.lock());
            for ((day, arm), of_day) in days {
                let predicted = Predicted { source: sums.source.clone(), arm, day, sums: of_day };
                let model = models.entry(sums.source.model.clone());
                model.or_insert_with(|| Model::new(self.settings.pairs_max)).days.add(&predicted);
                lines.push(LogLine::Predicted(predicted));
            }
        }
        drop(models);
        // What cannot be written is told, and written with the next labels.
        let _ = self.write(lines);
    }
}

/// The level of figures where nobody says another one.
pub(crate) const ALPHA: f64 = 0.05;

impl Sums {
    /// Takes in an answer of a day; nothing where it could not be read.
    pub(crate) fn push<'a>(
        &self,
        at_ms: u64,
        arm: &Arc<str>,
        answers: impl Iterator<Item = Option<AnswerRef<'a>>>,
    ) {
        let day = u32::try_from(at_ms / (24 * 3600 * 1000)).unwrap_or(u32::MAX);
        let mut days = self.days.lock();
        let sums = days.entry((day, arm.clone())).or_default();
        answers.for_each(|answer| sums.push(answer));
    }
}

/// Tells a rollout of the first label of a request.
fn tell(handle: &Handle, joined: &Joined, drawn: &Drawn) {
    let (Ok(model), Some(weight)) = (ModelName::new(&joined.source.model), Share::new(drawn.weight)) else {
        return;
    };
    let score = match (&joined.answer, joined.label) {
        (Answer::Class { scores, .. }, Label::Class(class)) if scores.len() == 1 => {
            scores.first().map(|score| (*score, class == 1))
        }
        _ => None,
    };
    handle.labelled(
        &model,
        &LabelledRequest {
            experiment: &drawn.experiment,
            unit: drawn.unit,
            is_request: drawn.is_request,
            weight,
            is_candidate: *joined.arm == *Standing::ARM,
            // Of numbers none is simply wrong.
            wrong: joined.is_wrong().unwrap_or(false),
            score,
            off: joined.off(),
        },
    );
}
