//! Errors of two arms.

use serde::{Deserialize, Serialize};

/// How many errors each arm had. An error is whatever is counted: a failure, a timeout, an answer over a threshold, a
/// unit with at least one of those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// Of the canary.
    pub canary: u64,
    /// Of the primary.
    pub primary: u64,
}

impl Errors {
    /// Both counts and others, which stand still at the end of their range.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            canary: self.canary.saturating_add(other.canary),
            primary: self.primary.saturating_add(other.primary),
        }
    }
}
