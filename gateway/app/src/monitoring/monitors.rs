//! Every part that looks at the traffic of versions, and every part that knows what holds of them.

use std::sync::Arc;

use prometheus_client::registry::Registry;

use super::Part;
use super::health::Health;
use super::same_score::SameScore;
use crate::alerts::Source;

/// All of them.
#[derive(Clone)]
pub(crate) struct Monitors {
    /// What schemas and numerics of outputs found.
    pub(crate) health: Arc<Health>,
    /// Whether versions still answer as training did.
    pub(crate) same_score: Arc<SameScore>,
}

impl Monitors {
    /// Starts them.
    pub(crate) fn new(instruments: &mut Registry) -> Self {
        Self { health: Health::new(instruments), same_score: SameScore::register(instruments) }
    }

    /// Who is shown the traffic of each version, in this order.
    pub(crate) fn parts(&self) -> Vec<Arc<dyn Part>> {
        vec![self.health.clone(), self.same_score.clone()]
    }

    /// Who knows what somebody should be told.
    pub(crate) fn sources(&self) -> Vec<Arc<dyn Source>> {
        vec![self.health.clone(), self.same_score.clone()]
    }
}
