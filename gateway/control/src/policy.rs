//! What the gateway's configuration says of models: it can be read again while the gateway serves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pointsman_core::ModelName;
use pointsman_registry::Card;
use pointsman_route::Document;

use crate::loader::Loader;
use crate::watching::WatchPolicy;

/// The gateway's word on models.
#[derive(Clone)]
pub struct Policy {
    /// What versions are loaded with from now on.
    pub loader: Arc<Loader>,
    /// When the registry is looked at.
    pub watch: WatchPolicy,
    /// How long the version that served before stays loaded.
    pub previous_kept: Duration,
    /// How long a load may take before it counts as failed.
    pub load_timeout: Duration,
    /// How often a rollout is looked at.
    pub rollout_look: Duration,
    /// Failed tries after which a version is left alone until it is asked for by name or changes.
    pub attempts_max: u32,
    /// What the configuration declares in place of cards.
    pub models: BTreeMap<ModelName, Card>,
    /// How it declares that callers are split who name no version.
    pub plans: BTreeMap<ModelName, Document>,
}
