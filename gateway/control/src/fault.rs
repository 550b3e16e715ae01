//! Faults that can be switched on in a debug build, so that those who look for lost requests and leaks
//! can see that they would find them. A release build has none of this.

use std::sync::Arc;
use std::time::Duration;

use pointsman_predict::Version;

use crate::journal::{Entry, What};

/// The variable of the environment that switches one on.
const VARIABLE: &str = "POINTSMAN_FAULT";
/// For how long nothing serves at a swap that loses requests.
pub(crate) const GAP: Duration = Duration::from_millis(5);

/// A side of an entry's writing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

/// The fault that is switched on, if one is.
#[derive(Default)]
pub(crate) struct Fault {
    /// Whether there is a moment at each swap in which nothing serves.
    pub(crate) loses_requests: bool,
    leaks_sessions: bool,
    /// The entry at the writing of which the process ends, and the side of it.
    dies: Option<(What, Side)>,
    leaked: Vec<Arc<Version>>,
}

impl Fault {
    /// The one that the environment names.
    pub(crate) fn of_environment() -> Self {
        let named = std::env::var(VARIABLE).unwrap_or_default();
        if !named.is_empty() {
            tracing::warn!("{VARIABLE}={named}: this gateway makes mistakes on purpose");
        }
        Self {
            loses_requests: named == "lose-request",
            leaks_sessions: named == "leak-session",
            dies: match named.as_str() {
                "die-before-plan" => Some((What::Plan, Side::Before)),
                "die-after-plan" => Some((What::Plan, Side::After)),
                "die-before-rollout" => Some((What::Rollout, Side::Before)),
                "die-after-rollout" => Some((What::Rollout, Side::After)),
                _ => None,
            },
            leaked: Vec::new(),
        }
    }

    /// Ends the process as `kill -9` would, where that is the fault.
    pub(crate) fn die(&self, side: Side, entry: Option<&Entry>) {
        let what = entry.map(|entry| entry.what);
        if self.dies.is_some_and(|(dies_of, at)| at == side && what == Some(dies_of)) {
            std::process::abort();
        }
    }

    /// Keeps a version that leaves, where that is the fault.
    pub(crate) fn keep(&mut self, version: &Arc<Version>) {
        if self.leaks_sessions {
            self.leaked.push(version.clone());
        }
    }
}
