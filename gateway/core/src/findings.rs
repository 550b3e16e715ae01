//! What was found of a version before it served.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the checks of a version found.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Findings {
    /// Golden cases that were answered as in training.
    pub golden: usize,
    /// Whether requests may be run together.
    pub batching: Batching,
    /// What it was warmed with.
    pub warm_up: WarmUp,
    /// How long runs took by their number of rows, and what follows from that.
    pub profile: Profile,
    /// What its owner should know, a line each.
    pub warnings: Vec<String>,
}

impl Findings {
    /// How long the smallest run that was measured takes, mostly one of one row; nothing where none was.
    #[must_use]
    pub fn run_time(&self) -> Option<RunTime> {
        self.profile.sizes.first().map(|size| size.run_time)
    }
}

/// Whether requests to a version may be run together.
///
/// Found for requests that leave optional inputs out. A finite test proves nothing, so the best that is
/// said is that it was *checked*.
#[derive(Clone, Debug, PartialEq)]
pub enum Batching {
    /// Different rows were answered alone and together, and the answers agree.
    Checked {
        /// How many rows were run together.
        rows: usize,
        /// The furthest that two fractions of the same answer lay apart.
        worst: f64,
    },
    /// The card allows it, and it could not be checked.
    Allowed {
        /// Why it was not checked.
        unchecked: String,
    },
    /// Rows that are run together change each other's answers.
    Disagrees {
        /// The first disagreement.
        what: String,
    },
    /// Its inputs or outputs have no dimension of rows.
    Unfit {
        /// Which has not.
        what: String,
    },
    /// The card or the configuration of the model forbids it.
    Forbidden,
    /// There is nothing to check it with.
    Unknown {
        /// What is missing.
        reason: String,
    },
}

impl Batching {
    /// Whether requests may be run together.
    #[must_use]
    pub fn is_batched(&self) -> bool {
        match self {
            Self::Checked { .. } | Self::Allowed { .. } => true,
            Self::Disagrees { .. } | Self::Unfit { .. } | Self::Forbidden | Self::Unknown { .. } => false,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Checked { .. } => "checked",
            Self::Allowed { .. } => "allowed",
            Self::Disagrees { .. } => "disagrees",
            Self::Unfit { .. } => "unfit",
            Self::Forbidden => "forbidden",
            Self::Unknown { .. } => "unknown",
        }
    }
}

impl Default for Batching {
    fn default() -> Self {
        Self::Unknown { reason: "it was not checked".into() }
    }
}

impl fmt::Display for Batching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checked { rows, worst } => {
                write!(f, "checked: {rows} rows have the same answers alone and together, ")?;
                if *worst > 0.0 { write!(f, "but for {worst:.1e} at most") } else { f.write_str("exactly") }
            }
            Self::Allowed { unchecked } => write!(f, "allowed by the card, not checked: {unchecked}"),
            Self::Disagrees { what } => write!(f, "no: rows change each other's answers: {what}"),
            Self::Unfit { what } => write!(f, "no: {what}"),
            Self::Forbidden => f.write_str("no: forbidden by the card or the configuration of the model"),
            Self::Unknown { reason } => write!(f, "no: not checked: {reason}"),
        }
    }
}

/// What a version was warmed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WarmUp {
    /// What its sessions were given.
    pub inputs: WarmUpInputs,
    /// Sessions that ran.
    pub sessions: usize,
    /// The most rows that were run together.
    pub rows_max: usize,
}

/// What the sessions of a version were warmed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum WarmUpInputs {
    /// Golden cases.
    Golden,
    /// Zeros of the signature.
    Zeros,
    /// Nothing: not even zeros can be made of the signature, or the model does not take them.
    #[default]
    Nothing,
}

impl WarmUpInputs {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Golden => "golden",
            Self::Zeros => "zeros",
            Self::Nothing => "nothing",
        }
    }
}

/// How long single runs of a version took, after its warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunTime {
    /// Half of the runs took no longer.
    pub median: Duration,
    /// From the quarter of the fastest runs to that of the slowest: the interquartile range.
    pub spread: Duration,
    /// Runs that were measured.
    pub runs: usize,
}

/// How long runs of a version take by their number of rows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Profile {
    /// What was measured, in ascending order of rows; one number of rows where requests may not be run together.
    pub sizes: Vec<SizeTime>,
    /// The most rows of several requests that are run together; 1 where that gains nothing.
    pub batch_rows_max: u64,
    /// The most rows that are run on the thread of a request; 0 where a run may take too long for that.
    pub inline_rows_max: u64,
}

/// How long runs of so many rows take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeTime {
    /// The number of rows.
    pub rows: u64,
    /// How long a run takes.
    pub run_time: RunTime,
    /// The processor's time of the slowest run in a hundred, or of the slowest where there were fewer.
    pub slowest: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_checked_or_allowed_is_batched() {
        let text = || "x".to_owned();
        let all = [
            (Batching::Checked { rows: 2, worst: 0.0 }, true),
            (Batching::Allowed { unchecked: text() }, true),
            (Batching::Disagrees { what: text() }, false),
            (Batching::Unfit { what: text() }, false),
            (Batching::Forbidden, false),
            (Batching::default(), false),
        ];
        for (batching, batched) in all {
            assert_eq!(batching.is_batched(), batched, "{batching}");
            assert_eq!(batching.to_string().starts_with("no: "), !batched, "{batching}");
        }
    }
}
