//! What holds of a model at the moment.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What kind of thing somebody should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// A column is distributed otherwise than in training.
    Skew,
    /// A column is distributed otherwise than before.
    Drift,
    /// Values break rules of the schema.
    Schema,
    /// Outputs are NaN or infinite.
    Numerics,
    /// A version is right less often than it should be.
    Quality,
    /// Another version has become the better one.
    Ranking,
    /// Scores are no probabilities of what comes.
    Calibration,
    /// Some arms get fewer labels than others.
    Coverage,
    /// Labels that came after a promotion prove the version worse than the one before.
    Promotion,
    /// The model or its data are old.
    Staleness,
    /// A version answers its golden cases otherwise than training did.
    SameScore,
}

impl SignalKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Skew,
        Self::Drift,
        Self::Schema,
        Self::Numerics,
        Self::Quality,
        Self::Ranking,
        Self::Calibration,
        Self::Coverage,
        Self::Promotion,
        Self::Staleness,
        Self::SameScore,
    ];

    /// The word in configuration, metrics and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Skew => "skew",
            Self::Drift => "drift",
            Self::Schema => "schema",
            Self::Numerics => "numerics",
            Self::Quality => "quality",
            Self::Ranking => "ranking",
            Self::Calibration => "calibration",
            Self::Coverage => "coverage",
            Self::Promotion => "promotion",
            Self::Staleness => "staleness",
            Self::SameScore => "same_score",
        }
    }

    /// The kind of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == word)
    }
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that holds of a model at the moment, with the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// What kind of thing.
    pub kind: SignalKind,
    /// The model.
    pub model: String,
    /// Its version, where one is meant.
    pub version: Option<u64>,
    /// What of it: a column, a metric, a rule.
    pub subject: String,
    /// What was found, in the unit of the subject.
    pub value: f64,
    /// What it was held against.
    pub threshold: f64,
    /// When that began, in milliseconds since 1970, as far as is known: of the data, not of the alert.
    pub onset_ms: Option<u64>,
    /// One line for people.
    pub says: String,
    /// What it rests on.
    pub evidence: Value,
}
