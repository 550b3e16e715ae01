//! What serves and why, for people: published beside each snapshot, read by the admin listener.

use std::sync::{Arc, PoisonError, RwLock};

use pointsman_core::{ModelName, VersionNumber};

use crate::loader::Gate;
use crate::plans::Plans;
use crate::rollout::Standing;

/// One model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelStatus {
    /// Its name.
    pub name: ModelName,
    /// The version for callers that name none.
    pub default: Option<VersionNumber>,
    /// The version that is to be it, where that is another.
    pub next: Option<VersionNumber>,
    /// Whose word that is.
    pub why: String,
    /// The `serve` of card and configuration.
    pub declared: String,
    /// The version that `rollback` leads to.
    pub previous: Option<VersionNumber>,
    /// The version that is pinned.
    pub pinned: Option<VersionNumber>,
    /// Whether it is frozen.
    pub frozen: bool,
    /// Whether it was unloaded as a whole.
    pub unloaded: bool,
    /// Wishes that wait for a load.
    pub pending: Vec<String>,
    /// Its versions, ascending.
    pub versions: Vec<VersionStatus>,
    /// How callers that name no version are split.
    pub plan: PlanStatus,
    /// The rollout that is under way.
    pub rollout: Option<Standing>,
}

/// The plan of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanStatus {
    /// What is committed.
    pub plans: Arc<Plans>,
    /// Arms and shadows whose versions do not serve, so that their units go to the default: a line each.
    pub lost: Vec<String>,
    /// Why the plan that the configuration declares does not count; empty where it does, or where there is none.
    pub undeclared: String,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionStatus {
    /// Its number.
    pub number: VersionNumber,
    /// Why it does not serve, or what there is to know of it.
    pub note: String,
    /// The gate that it failed at.
    pub gate: Option<Gate>,
    /// Failed tries that count against it.
    pub attempts: u32,
    /// Whether it stays loaded for a rollback.
    pub kept: bool,
}

/// The statuses of all models, by name.
pub(crate) type Board = Arc<Vec<Arc<ModelStatus>>>;

/// Reads the board.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    board: Arc<RwLock<Board>>,
}

impl Reader {
    /// All models, by name.
    #[must_use]
    pub fn models(&self) -> Board {
        self.board.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn publish(&self, board: Board) {
        *self.board.write().unwrap_or_else(PoisonError::into_inner) = board;
    }
}
