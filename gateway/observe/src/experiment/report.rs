//! What is known of an experiment, as a document.

use serde::{Deserialize, Serialize};

use super::recorder::Gap;

/// What comes of each arm, against the default one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExperimentReport {
    /// The model.
    pub model: String,
    /// The experiment.
    pub experiment: String,
    /// The first sentence: what can be told, in words.
    pub verdict: String,
    /// With what probability any of the differences that are told may be none, however often one looks.
    pub alpha: f64,
    /// What units are hashed with.
    pub salt: String,
    /// Where requests say their units.
    pub units: Vec<String>,
    /// Since when sums are kept, in milliseconds since 1970.
    pub since_ms: u64,
    /// When this was said.
    pub now_ms: u64,
    /// Why sums began then.
    pub why: String,
    /// Why nothing is counted at present.
    pub paused: Option<String>,
    /// Times of which it is not known what came.
    pub gaps: Vec<Gap>,
    /// Requests a second of late; nothing where that is not known yet.
    pub pace: Option<f64>,
    /// The arms, the default one first.
    pub arms: Vec<ArmReport>,
    /// Whether each arm gets the units that it should.
    pub split: UnitsReport,
    /// The covariate, where there is one.
    pub covariate: Option<CovariateReport>,
    /// Each metric.
    pub metrics: Vec<MetricReport>,
    /// Requests that are left out, as the weights were others.
    pub left_out: u64,
    /// Requests that are left out, as they reached an earlier version of their arm.
    pub other_version: u64,
    /// Requests that are left out, as they failed by their callers.
    pub by_caller: u64,
}

/// One arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmReport {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// Its share of the units, from 0 to 1.
    pub weight: f64,
    /// Units that came to it first.
    pub units: u64,
    /// Requests in the sums.
    pub requests: u64,
}

/// The check of the split (sample ratio mismatch).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitsReport {
    /// The always-valid p-value of "each arm gets the units that it should".
    pub p: f64,
    /// The logarithm of the e-value behind it.
    pub log_e: f64,
    /// Whether that is enough to say that they do not: then no difference can be trusted.
    pub is_mismatch: bool,
    /// Whether further units are not checked, as there are as many as can be kept.
    pub is_full: bool,
    /// Units that could not be checked, as there were too many sets of weights.
    pub unchecked: u64,
    /// Units by the weights with which they were drawn.
    pub strata: Vec<StratumReport>,
}

/// Units that were drawn with the same weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StratumReport {
    /// By arm, from 0 to 1.
    pub weights: Vec<f64>,
    /// By arm.
    pub units: Vec<u64>,
}

/// What was known of units beforehand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CovariateReport {
    /// Where requests say it.
    pub source: String,
    /// Requests that have it.
    pub requests: u64,
    /// Requests that do not, or say something that is no number.
    pub missing: u64,
    /// Whether it differs between arms: then arms have a part in it, and it is not used.
    pub differs: bool,
}

/// One metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricReport {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Whether it is in seconds.
    pub is_time: bool,
    /// Whether it is a share, from 0 to 1.
    pub is_share: bool,
    /// Whether less of it is better; nothing where only its owner knows.
    pub less_is_better: Option<bool>,
    /// With what probability each of its differences may be none.
    pub alpha: f64,
    /// Its value in each arm, the default one first.
    pub figures: Vec<FigureReport>,
    /// The other arms against the default one.
    pub effects: Vec<EffectReport>,
}

/// A metric in one arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureReport {
    /// Of how many requests or rows.
    pub count: u64,
    /// The mean, the share or the quantile; nothing where there are none.
    pub value: Option<f64>,
}

/// An arm against the default one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EffectReport {
    /// The arm.
    pub arm: String,
    /// The difference as it is; nothing where too little is known for one.
    pub plain: Option<EstimateReport>,
    /// The difference without what the covariate tells of it.
    pub adjusted: Option<AdjustedReport>,
    /// Why there is no difference, or no interval of one.
    pub note: String,
    /// Whether it can be told that there is a difference: by the adjusted one where there is one.
    pub differs: bool,
    /// What is still needed to tell it.
    pub needed: Option<NeedReport>,
}

/// A difference with its confidence sequence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EstimateReport {
    /// The arm less the default one.
    pub difference: f64,
    /// That over the value of the default one.
    pub relative: Option<f64>,
    /// The bounds, which hold at any time, all that are told together.
    pub lower: f64,
    /// See `lower`.
    pub upper: f64,
    /// The always-valid p-value of "no difference", for all that are told together.
    pub p: f64,
}

/// A difference without what a covariate tells of it (CUPED).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdjustedReport {
    /// How much of the covariate is taken away.
    pub theta: f64,
    /// Requests that have a covariate, of both arms.
    pub requests: u64,
    /// The variance, over that of the difference of the same requests as it is.
    pub variance_kept: f64,
    /// The difference.
    pub estimate: EstimateReport,
}

/// What is needed to tell a difference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NeedReport {
    /// The difference that is to be told.
    pub difference: f64,
    /// How many requests more, of both arms; nothing where no number is enough.
    pub requests: Option<f64>,
    /// How long that takes at the pace of late, in seconds.
    pub seconds: Option<f64>,
}
