//! What comes of the arms of an experiment: sums that are kept as requests end, and what they say.
//!
//! Units are assigned, and requests of one unit are alike. So sums are kept by bucket of units, the variance of a metric
//! is that between buckets, and nothing grows with the number of requests. [`Recorder::record`] is told of each request
//! on the thread that answered it; [`Recorder::report`] reads the sums from anywhere.

mod build;
mod effect;
mod measure;
mod page;
mod recorder;
mod report;
mod saved;
mod setup;
mod strata;
mod table;
mod text;

pub use build::Ask;
pub use effect::Mde;
pub use recorder::{Gap, LabelSeen, Recorder, Seen};
pub use report::{
    AdjustedReport, ArmReport, CovariateReport, EffectReport, EstimateReport, ExperimentReport, FigureReport,
    MetricReport, NeedReport, StratumReport, UnitsReport,
};
pub use saved::{Saved, SavedError};
pub use setup::{ARMS_MAX, ArmSetup, OUTPUT_METRICS_MAX, OutputMetric, Place, Setup};
pub use strata::STRATA_MAX;

/// The buckets in which units are counted: the ten highest bits of a unit's number.
pub const BUCKETS: usize = 1024;
/// The most units of which it is known in which arm they came first. The check of the split covers these.
pub const UNITS_MAX: usize = 1 << 18;

/// How often buckets are divided, each part with a lock of its own.
const SHARDS: usize = 64;
const SHARD_BUCKETS: usize = BUCKETS / SHARDS;
const SHARD_UNITS_MAX: usize = UNITS_MAX / SHARDS;
