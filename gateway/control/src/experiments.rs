//! Who counts what comes of experiments, as the control path sees it.

use std::sync::Arc;

use pointsman_core::ModelName;
use pointsman_predict::Witness;
use pointsman_route::Plan;

/// Knows the experiments of all models. Asked on the control thread each time that a model is published anew, so it must
/// not wait for anybody.
pub trait Experiments: Send + Sync {
    /// Who is to be told of the requests of a model with this plan, whose default version serves; nothing where it has
    /// no experiment. The same experiment is counted on where it was.
    fn witness(&self, model: &ModelName, plan: &Plan) -> Option<Arc<dyn Witness>>;
}
