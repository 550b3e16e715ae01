//! What a comparison has found, as a document.
//!
//! It holds no reference to the comparison, so that a command line can ask a gateway for it as JSON and show it as text
//! or as a page.

mod build;
mod curves;
mod frame;
mod page;
mod plots;
mod run;
mod text;

use serde::{Deserialize, Serialize};

pub use self::run::{CostReport, RequestsReport, RunReport};
use crate::outcomes::Outcomes;

pub(crate) use self::curves::{Curve, Point, curves};
pub(crate) use self::frame::frame;
pub(crate) use self::plots::{Interval, intervals, over_each_other, over_time};
pub(crate) use self::text::{number, percent, seconds};

/// What is known of a version against the one that serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The model.
    pub model: String,
    /// The version that serves.
    pub primary: u64,
    /// The version that is looked at.
    pub shadow: u64,
    /// With what probability each interval may be wrong at any time.
    pub alpha: f64,
    /// The tolerances: a number is close within `atol + rtol * |primary|`.
    pub rtol: f64,
    /// See `rtol`.
    pub atol: f64,
    /// The score from which on a decision is taken.
    pub threshold: f64,
    /// How many classes at the top were held against each other.
    pub top: usize,
    /// The shadow against the primary.
    pub against: SideReport,
    /// A second copy of the primary against it, where there was one.
    pub floor: Option<SideReport>,
    /// By how much more often the shadow disagrees than that copy does.
    pub excess: Option<ExcessReport>,
    /// Exchanges that have no pair.
    pub dropped: Vec<DropReport>,
    /// Pairs of other versions, which were not taken in.
    pub mispaired: u64,
    /// How the shadow runs; nothing where nobody said.
    #[serde(default)]
    pub run: Option<RunReport>,
}

/// One version against the primary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SideReport {
    /// How pairs ended.
    pub outcomes: Outcomes,
    /// Pairs that agree in all outputs, among those in which both answered.
    pub agreement: RateReport,
    /// Whether the version fails where the primary does not, more often than the other way round.
    pub errors: HarmReport,
    /// The same for answers that hold a NaN or an infinity.
    pub invalid: HarmReport,
    /// The primary's errors by code.
    pub primary_failures: Vec<FailureReport>,
    /// The version's.
    pub shadow_failures: Vec<FailureReport>,
    /// Each output.
    pub outputs: Vec<OutputReport>,
    /// Outputs of pairs that were not compared, since there were too many.
    pub outputs_left_out: u64,
    /// How long runs took.
    pub latency: LatencyReport,
    /// The pairs that are furthest apart, the worst first.
    pub worst: Vec<ExampleReport>,
    /// Some of those in which one side alone failed.
    pub failed: Vec<ExampleReport>,
}

/// How often something happened, with bounds that hold at any time (F6).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateReport {
    /// How often it happened.
    pub hits: u64,
    /// Among how many.
    pub tries: u64,
    /// Hits over tries; nothing where there are none.
    pub rate: Option<f64>,
    /// The bounds.
    pub lower: f64,
    /// See `lower`.
    pub upper: f64,
}

/// Pairs in which something happened to one side alone, and whether it is the shadow's more often.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HarmReport {
    /// To the shadow alone.
    pub shadow: u64,
    /// To the primary alone.
    pub primary: u64,
    /// The logarithm of the e-value against "to the shadow at most as often".
    pub log_e: f64,
    /// Whether that is enough to say that it is more often.
    pub is_worse: bool,
}

/// By how much more often the shadow disagrees with the primary than a second copy of the primary does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExcessReport {
    /// Pairs with all three answers.
    pub pairs: u64,
    /// Who disagrees with the primary.
    pub both: u64,
    /// See `both`.
    pub shadow: u64,
    /// See `both`.
    pub floor: u64,
    /// See `both`.
    pub neither: u64,
    /// The difference of both rates.
    pub rate: f64,
    /// The bounds, which hold at any time.
    pub lower: f64,
    /// See `lower`.
    pub upper: f64,
    /// The logarithm of the e-value against "at most as often".
    pub log_e: f64,
    /// Whether that is enough to say that it is more often.
    pub is_worse: bool,
}

/// Exchanges without a pair, for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DropReport {
    /// The reason.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// How many at each tenth of the primary's load.
    pub by_load: Vec<u64>,
}

/// Errors of one code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailureReport {
    /// The code.
    pub code: String,
    /// How many.
    pub count: u64,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// Pairs in which the primary gave it.
    pub pairs: u64,
    /// Those in which the two agree.
    pub agreed: u64,
    /// Those in which the shadow did not give it.
    pub missing: u64,
    /// Those with another datatype.
    pub other_datatype: u64,
    /// Those of another shape.
    pub other_shape: u64,
    /// Its elements as numbers, where they are, are no classes and were compared.
    pub numbers: Option<NumberReport>,
    /// Its rows as classes, where they are.
    pub classes: Option<ClassReport>,
}

/// Elements of an output as numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberReport {
    /// How many.
    pub elements: u64,
    /// NaN of the primary and of the shadow.
    pub nan: (u64, u64),
    /// Infinities of both.
    pub infinite: (u64, u64),
    /// Elements left out of what follows, since they are not finite or too large.
    pub left_out: u64,
    /// The share with the same bits.
    pub bit_equal: Option<f64>,
    /// The share within the tolerance.
    pub close: Option<f64>,
    /// The share of tensors of which all elements are.
    pub all_close: Option<f64>,
    /// The largest |a - b|.
    pub max_abs: f64,
    /// The largest |a - b| / max(|a|, 1e-12).
    pub max_rel: f64,
    /// The most units in the last place, of FP32 and FP64.
    pub ulp_max: Option<u64>,
    /// The share within four of them.
    pub ulp_near: Option<f64>,
    /// The root of the mean squared difference.
    pub rmse: Option<f64>,
    /// The cosine of the angle between all numbers of both.
    pub cosine: Option<f64>,
    /// Bland and Altman's bias of the shadow, and the limits between which 95 % of its differences lie.
    pub bias: Option<(f64, f64, f64)>,
    /// Whether the two put inputs in the same order, by a sample.
    pub ranks: RankReport,
    /// Relative differences by decade, with what each bin is called.
    pub bins: Vec<(String, u64)>,
    /// A small sample: the primary's number and the shadow's.
    pub sample: Vec<(f64, f64)>,
}

/// Correlations of ranks, over a uniform sample of bounded size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankReport {
    /// Pairs of numbers in the sample.
    pub pairs: usize,
    /// Spearman's; nothing where one side does not vary.
    pub spearman: Option<f64>,
    /// Kendall's τ-b.
    pub kendall: Option<f64>,
}

/// Rows of an output as classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Rows that decide for the same class. Its bounds hold where rows are independent of each other; those of the
    /// whole answer, which stand above, hold in any case.
    pub agreement: RateReport,
    /// How many of the primary's highest classes are among the shadow's highest; nothing of labels.
    pub top_overlap: Option<f64>,
    /// Rows over the threshold with the shadow alone, and with the primary alone; nothing of labels.
    pub flips: Option<(u64, u64)>,
    /// Rows that are distributions on both sides.
    pub distributions: u64,
    /// The mean of Kullback and Leibler's divergence of the shadow from the primary, in nats.
    pub kl: Option<f64>,
    /// Rows in which it is infinite, and which the mean is without.
    pub kl_infinite: u64,
    /// The mean of Jensen and Shannon's divergence, in nats, and the largest.
    pub js: Option<(f64, f64)>,
    /// What the shadow gives the primary's class, less what the primary does.
    pub delta: Option<QuantileReport>,
    /// Which class of the primary the shadow takes for which.
    pub confusion: ConfusionReport,
}

/// Counts of classes of the primary (rows) by those of the shadow (columns).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfusionReport {
    /// The classes; past a number of them the others are one.
    pub classes: Vec<String>,
    /// The counts, row by row.
    pub counts: Vec<Vec<u64>>,
}

/// Quantiles, to one part in a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the quantiles' own names
pub struct QuantileReport {
    pub min: f64,
    pub p05: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

/// How long runs took, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyReport {
    /// Pairs in which both ran.
    pub pairs: u64,
    /// The primary's.
    pub primary: Option<QuantileReport>,
    /// The shadow's.
    pub shadow: Option<QuantileReport>,
    /// The shadow's less the primary's, on the same inputs.
    pub difference: Option<QuantileReport>,
    /// The share of pairs in which the shadow took 1.25 times as long.
    pub slower: Option<f64>,
    /// How long the shadow had to wait.
    pub queue: Option<QuantileReport>,
}

/// One pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExampleReport {
    /// The gateway's id of the request.
    pub id: String,
    /// The output that is furthest apart; nothing where one side gave none.
    pub output: Option<String>,
    /// Whether the two disagree, and do not only differ.
    pub disagrees: bool,
    /// Elements outside the tolerance.
    pub differing: u64,
    /// The largest |a - b|.
    pub max_abs: f64,
    /// Whether its inputs are kept, so that it can be run again.
    pub is_replayable: bool,
}
