//! Labels of requests that a rollout drew: how they come to its recorder, also after its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pointsman_core::ModelName;
use pointsman_route::Share;

use super::recorder::Recorder;

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
}

/// The recorders of rollouts, that of the last one of each model, for those who hear of labels.
#[derive(Clone, Default)]
pub(crate) struct LabelSinks(Arc<Mutex<BTreeMap<ModelName, Arc<Recorder>>>>);

impl LabelSinks {
    /// Lets labels of a model go to this recorder from now on.
    pub(crate) fn lead(&self, model: &ModelName, recorder: Arc<Recorder>) {
        self.0.lock().insert(model.clone(), recorder);
    }

    /// Tells the last rollout of a model of a label; says whether it was one of its requests.
    pub(crate) fn labelled(&self, model: &ModelName, label: &LabelledRequest<'_>) -> bool {
        let recorder = self.0.lock().get(model).cloned();
        recorder.is_some_and(|recorder| recorder.labelled(label))
    }
}
