//! The experiments of all models: who is told of their requests, what is known of them, and how they outlive the process.

mod keeper;
mod pace;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pointsman_control::Experiments as ControlExperiments;
use pointsman_core::{Arm, Code, ModelName, PredictError, shown};
use pointsman_observe::experiment::{
    ArmSetup, Ask, ExperimentReport, LabelSeen, Mde, OutputMetric, Place, Recorder, Saved, Seen, Setup,
};
use pointsman_observe::labels::{Drawn, Joined};
use pointsman_predict::{Ended, Witness};
use pointsman_route::{Design, LabelMetric, MetricEntry, Plan, UnitKind};
use pointsman_stats::Alpha;

pub(crate) use self::keeper::Keeper;
use self::pace::Pace;
use crate::clock::now_ms;

/// The most experiments whose sums are kept. Where there are more, that goes which has been in no plan for longest;
/// where all are in plans, the new one is not counted.
const EXPERIMENTS_MAX: usize = 64;

/// The most bytes that their sums take.
const SUMS_BYTES_MAX: usize = 64 << 20;

/// By model and name.
type Key = (String, String);

/// All experiments there are.
#[derive(Default)]
pub(crate) struct Experiments {
    kept: Mutex<BTreeMap<Key, Kept>>,
}

/// One experiment.
struct Kept {
    recorder: Arc<Recorder>,
    pace: Pace,
    /// Why nothing is counted; nothing where it is.
    paused: Option<String>,
    /// Since when it is in no plan.
    left_at: Option<Instant>,
    /// Requests when it was written last.
    written: Option<u64>,
}

/// How a report is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) alpha: Alpha,
    pub(crate) metric: Option<String>,
    pub(crate) mde: Option<Mde>,
}

/// An experiment in a list.
pub(crate) struct Listed {
    pub(crate) model: String,
    pub(crate) experiment: String,
    pub(crate) requests: u64,
    pub(crate) paused: Option<String>,
}

impl Kept {
    fn new(recorder: Recorder) -> Self {
        let pace = Pace::new(recorder.requests());
        let recorder = Arc::new(recorder);
        Self { recorder, pace, paused: None, left_at: Some(Instant::now()), written: None }
    }

    fn paused(&self) -> Option<String> {
        let left = || self.left_at.map(|_| "it is in no plan that counts".into());
        self.paused.clone().or_else(left)
    }
}

impl Experiments {
    /// Goes on with those that were kept; what cannot be read is left.
    pub(crate) fn of(documents: &[String]) -> Self {
        let experiments = Self::default();
        for document in documents.iter().take(EXPERIMENTS_MAX) {
            match Saved::read(document).and_then(|saved| Recorder::restore(saved, now_ms())) {
                Ok(recorder) => {
                    let key = (recorder.setup().model.clone(), recorder.setup().name.clone());
                    experiments.locked().insert(key, Kept::new(recorder));
                }
                Err(error) => tracing::warn!("an experiment begins anew: {error}"),
            }
        }
        experiments
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<Key, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the experiment that drew a request of its first label.
    pub(crate) fn labelled(&self, joined: &Joined, drawn: &Drawn) {
        let key = (joined.source.model.to_string(), drawn.experiment.to_string());
        let recorder = self.locked().get(&key).map(|kept| kept.recorder.clone());
        let Some(recorder) = recorder else { return };
        let Some(arm) = recorder.setup().arms.iter().position(|arm| *arm.name == *joined.arm) else { return };
        recorder.labelled(&LabelSeen {
            arm,
            version: joined.source.version,
            weight: drawn.weight,
            unit: drawn.unit,
            wrong: joined.is_wrong(),
            off: joined.off(),
        });
    }

    pub(crate) fn list(&self) -> Vec<Listed> {
        let listed = |((model, experiment), kept): (&Key, &Kept)| Listed {
            model: model.clone(),
            experiment: experiment.clone(),
            requests: kept.recorder.requests(),
            paused: kept.paused(),
        };
        self.locked().iter().map(listed).collect()
    }

    /// What is known of an experiment of a model, or of all of them where none is named.
    ///
    /// # Errors
    /// Where there is none, or none has the metric that is asked for.
    pub(crate) fn reports(
        &self,
        model: &str,
        experiment: Option<&str>,
        question: &Question,
    ) -> Result<Vec<ExperimentReport>, PredictError> {
        let is_asked = |key: &&Key| key.0 == model && experiment.is_none_or(|name| key.1 == name);
        // The sums are read when the lock is given back: a model that is published meanwhile does not wait.
        let found: Vec<(Arc<Recorder>, Ask)> = {
            let mut kept = self.locked();
            let found = kept.iter_mut().filter(|(key, _)| is_asked(key));
            found.map(|(_, kept)| (kept.recorder.clone(), question.ask(kept))).collect()
        };
        if found.is_empty() {
            let of = experiment.map_or_else(String::new, |name| format!(" '{}'", shown(name)));
            let reason = format!(
                "no experiment{of} of model '{}' has been counted; GET /v1/experiments lists them",
                shown(model)
            );
            return Err(PredictError::Control { code: Code::NotFound, reason });
        }
        if let Some(metric) = &question.metric {
            let knows = |recorder: &Recorder| recorder.setup().metric_names().any(|name| name == metric);
            if let Some((recorder, _)) = found.iter().find(|(recorder, _)| !knows(recorder)) {
                let names: Vec<&str> = recorder.setup().metric_names().collect();
                let (name, names) = (&recorder.setup().name, names.join(", "));
                let line = format!("metric={} is none of experiment '{name}': {names}", shown(metric));
                return Err(PredictError::BadRequest(line));
            }
        }
        Ok(found.iter().map(|(recorder, ask)| recorder.report(ask)).collect())
    }
}

impl Question {
    fn ask(&self, kept: &Kept) -> Ask {
        Ask {
            alpha: self.alpha,
            metric: self.metric.clone(),
            mde: self.mde,
            pace: kept.pace.of(kept.recorder.requests()),
            paused: kept.paused(),
            now_ms: now_ms(),
        }
    }
}

impl ControlExperiments for Experiments {
    fn witness(&self, model: &ModelName, plan: &Plan) -> Option<Arc<dyn Witness>> {
        let mut kept = self.locked();
        let now = Instant::now();
        for (_, kept) in kept.iter_mut().filter(|(key, _)| key.0 == model.as_str()) {
            kept.left_at.get_or_insert(now);
            kept.paused = None;
        }
        let designs = plan.split.as_ref().map_or(&[][..], |split| split.designs());
        let counted = designs.iter().filter_map(|design| counted(&mut kept, model, plan, design)).collect();
        let watching = Watching { counted };
        (!watching.counted.is_empty()).then(|| Arc::new(watching) as Arc<dyn Witness>)
    }
}

/// The sums to which the requests of an experiment go; nothing where they are not to be counted.
fn counted(
    kept: &mut BTreeMap<Key, Kept>,
    model: &ModelName,
    plan: &Plan,
    design: &Design,
) -> Option<(Arc<str>, Arc<Recorder>)> {
    let key = (model.to_string(), design.name.to_string());
    let before = kept.get_mut(&key);
    // While an arm does not serve, the others have other times than it has: nobody is counted.
    if let Some(arm) =
        design.arms.iter().find(|arm| arm.version.is_none() && arm.weight.ten_thousandths() > 0)
    {
        if let Some(before) = before {
            before.left_at = None;
            before.paused = Some(format!("arm {} does not serve", arm.name));
        }
        return None;
    }
    let known = before.as_ref().map(|before| before.recorder.setup());
    let setup = setup(model, plan, design, known)?;
    let shares = design.arms.iter().map(|arm| arm.weight);
    let weights: Vec<u16> = std::iter::once(design.rest).chain(shares).map(|w| w.ten_thousandths()).collect();
    let why = match before {
        None => "the experiment began".to_owned(),
        Some(before) => match setup.begins_anew(before.recorder.setup()) {
            None => {
                before.left_at = None;
                before.recorder.weigh(&weights, now_ms());
                return Some((design.name.clone(), before.recorder.clone()));
            }
            Some(why) => why,
        },
    };
    let mut new = Kept::new(Recorder::new(setup, &weights, why, now_ms())?);
    new.left_at = None;
    let recorder = new.recorder.clone();
    if !make_room(kept, &key, recorder.bytes()) {
        tracing::warn!(
            model = %model,
            "experiment {} is not counted: those in plans are {EXPERIMENTS_MAX}, or take {SUMS_BYTES_MAX} bytes",
            design.name
        );
        return None;
    }
    kept.insert(key, new);
    Some((design.name.clone(), recorder))
}

/// Whether one more, of so many bytes, can be kept.
fn make_room(kept: &mut BTreeMap<Key, Kept>, key: &Key, bytes: usize) -> bool {
    loop {
        let others = kept.iter().filter(|(other, _)| *other != key);
        let (count, taken) = others.fold((0, 0), |sum, (_, kept)| (sum.0 + 1, sum.1 + kept.recorder.bytes()));
        if count < EXPERIMENTS_MAX && taken + bytes <= SUMS_BYTES_MAX {
            return true;
        }
        let left = kept.iter().filter_map(|(key, kept)| Some((kept.left_at?, key.clone())));
        let Some((_, oldest)) = left.filter(|(_, other)| other != key).min() else { return false };
        kept.remove(&oldest);
    }
}

/// What an experiment is. Of an arm that neither serves nor has any weight, the version is what it was.
fn setup(model: &ModelName, plan: &Plan, design: &Design, known: Option<&Setup>) -> Option<Setup> {
    let arms = design.arms.iter().enumerate().map(|(at, arm)| {
        let before = known.and_then(|known| known.arms.get(at + 1)).map_or(0, |arm| arm.version);
        ArmSetup { name: arm.name.to_string(), version: arm.version.map_or(before, |version| version.get()) }
    });
    let default = ArmSetup { name: Arm::DEFAULT.into(), version: plan.default?.get() };
    let metric = |entry: &MetricEntry| {
        let label = entry.label.map(|label| match label {
            LabelMetric::Wrong => Place::Wrong,
            LabelMetric::Off => Place::Off,
        });
        let place = entry.index.map(Place::Index).or(entry.class.map(Place::Class)).or(label)?;
        Some(OutputMetric { name: entry.name.clone(), output: entry.output.clone(), place })
    };
    Some(Setup {
        model: model.to_string(),
        name: design.name.to_string(),
        salt: design.salt.to_string(),
        units: design.units.iter().map(ToString::to_string).collect(),
        arms: std::iter::once(default).chain(arms).collect(),
        metrics: design.metrics.iter().filter_map(metric).collect(),
        covariate: design.covariate.as_ref().map(ToString::to_string),
    })
}

/// Tells each experiment of a model of its own requests.
struct Watching {
    counted: Vec<(Arc<str>, Arc<Recorder>)>,
}

impl Witness for Watching {
    fn ended(&self, ended: &Ended<'_>) {
        let drawn = ended.assignment;
        let Some((_, recorder)) = self.counted.iter().find(|(name, _)| *name == drawn.experiment) else {
            return;
        };
        let name = ended.arm.name();
        let Some(arm) = recorder.setup().arms.iter().position(|arm| arm.name == name) else { return };
        recorder.record(&Seen {
            arm,
            version: ended.version.get(),
            weight: drawn.weight.ten_thousandths(),
            unit: drawn.unit,
            is_request: drawn.unit_kind == UnitKind::RequestId,
            covariate: drawn.covariate.map(pointsman_route::Covariate::get),
            outputs: ended.outputs,
            total: ended.total,
        });
    }
}

#[cfg(test)]
mod tests;
