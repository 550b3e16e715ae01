//! Faults that can be switched on in a debug build, so that those who look for lost requests and leaks
//! can see that they would find them. A release build has none of this.

use std::sync::Arc;
use std::time::Duration;

use pointsman_predict::Version;

/// The variable of the environment that switches one on.
const VARIABLE: &str = "POINTSMAN_FAULT";
/// For how long nothing serves at a swap that loses requests.
pub(crate) const GAP: Duration = Duration::from_millis(5);

/// The fault that is switched on, if one is.
#[derive(Default)]
pub(crate) struct Fault {
    /// Whether there is a moment at each swap in which nothing serves.
    pub(crate) loses_requests: bool,
    leaks_sessions: bool,
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
            leaked: Vec::new(),
        }
    }

    /// Keeps a version that leaves, where that is the fault.
    pub(crate) fn keep(&mut self, version: &Arc<Version>) {
        if self.leaks_sessions {
            self.leaked.push(version.clone());
        }
    }
}
