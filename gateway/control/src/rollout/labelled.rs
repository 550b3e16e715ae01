//! Labels of requests that a rollout drew: how they come to its recorder, also after its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pointsman_core::ModelName;
use pointsman_route::Share;

use pointsman_stats::BoostedRampTest;
use serde::Serialize;

use super::evidence::{Arm, Counts, Hits};
use super::guard::Question;
use super::recorder::Recorder;
use super::state::Rollout;

/// What a label says of the answer to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelledRequest<'a> {
    /// The experiment in which its unit was drawn.
    pub experiment: &'a str,
    /// Tells the unit from others.
    pub unit: u64,
    /// Whether each request is a unit of its own.
    pub is_request: bool,
    /// With what probability a unit gets the arm that it got.
    pub weight: Share,
    /// Whether that is the candidate's.
    pub is_candidate: bool,
    /// Whether the answer was another than the label.
    pub wrong: bool,
    /// Of two classes: the probability of the second one, and whether it was so.
    pub score: Option<(f64, bool)>,
    /// Of numbers: by how much the answer was off.
    pub off: Option<f64>,
}

/// What labels that came after a promotion prove.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LateFinding {
    /// The rollout.
    pub rollout: u64,
    /// The version that was promoted.
    pub version: u64,
    /// The largest logarithm of an e-value against "it is no worse than the margin".
    pub log_e: f64,
    /// What that has to reach.
    pub threshold: f64,
    /// Requests or units that have labels, of the version that was promoted and of the one before.
    pub labelled: [u64; 2],
    /// Those of them whose answer was wrong.
    pub wrong: [u64; 2],
    /// Pairs of examples that were ranked in the wrong order.
    pub misranked: [u64; 2],
    /// Of numbers: pairs with an example of the other version in which this one was farther off.
    pub off: [u64; 2],
    /// In a sentence.
    pub says: String,
}

impl LateFinding {
    /// What the evidence of a rollout that was promoted says of labels.
    pub(crate) fn of(rollout: &Rollout) -> Self {
        let Rollout { id, spec, frozen, evidence, .. } = rollout;
        let tests = evidence.harm.tests(Question::Labels);
        let beyond = |test: &BoostedRampTest| test.log_e().get() - test.alpha().log_threshold();
        let largest = tests.into_iter().max_by(|a, b| beyond(a).total_cmp(&beyond(b)));
        let mut all = Counts::default();
        evidence.steps.iter().for_each(|step| all.add(&step.counts));
        let count = |of: fn(&Arm) -> Hits| {
            let errors = all.independent(frozen.counted, of).errors();
            [errors.canary, errors.primary]
        };
        let (labelled, wrong, misranked) =
            (count(|arm| arm.labelled), count(|arm| arm.wrong), count(|arm| arm.misranked));
        let off = count(|arm| arm.off[0]);
        let (worse, all, what) = match off {
            [0, 0] => (wrong, labelled, "answers wrong"),
            [one, other] => (off, [one + other; 2], "pairs farther off"),
        };
        let says = format!(
            "rollout {id}: labels that came after its promotion prove version {} worse than the one before ({} of {} {what}, \
             and {} of {}); `pointsman rollback {}` leads back to it",
            spec.candidate, worse[0], all[0], worse[1], all[1], spec.model
        );
        Self {
            rollout: *id,
            version: spec.candidate.get(),
            log_e: largest.map_or(0.0, |test| test.log_e().get()),
            threshold: largest.map_or(0.0, |test| test.alpha().log_threshold()),
            labelled,
            wrong,
            misranked,
            off,
            says,
        }
    }
}

/// The recorders of rollouts, that of the last one of each model, for those who hear of labels; and what labels prove of
/// rollouts that are over.
#[derive(Clone, Default)]
pub(crate) struct LabelSinks {
    recorders: Arc<Mutex<BTreeMap<ModelName, Arc<Recorder>>>>,
    /// Nothing as long as that is not known after a start.
    found: Arc<Mutex<Option<BTreeMap<ModelName, LateFinding>>>>,
}

impl LabelSinks {
    /// Lets labels of a model go to this recorder from now on.
    pub(crate) fn lead(&self, model: &ModelName, recorder: Arc<Recorder>) {
        self.recorders.lock().insert(model.clone(), recorder);
    }

    /// Tells the last rollout of a model of a label; says whether it was one of its requests.
    pub(crate) fn labelled(&self, model: &ModelName, label: &LabelledRequest<'_>) -> bool {
        let recorder = self.recorders.lock().get(model).cloned();
        recorder.is_some_and(|recorder| recorder.labelled(label))
    }

    /// Lets this be what late labels prove.
    pub(crate) fn found(&self, found: BTreeMap<ModelName, LateFinding>) {
        *self.found.lock() = Some(found);
    }

    /// What late labels prove now.
    pub(crate) fn findings(&self) -> Option<BTreeMap<ModelName, LateFinding>> {
        self.found.lock().clone()
    }
}
