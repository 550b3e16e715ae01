//! What is done with what was seen: the answers of two versions to the same inputs, compared as they come.
//!
//! A [`Comparison`] takes [`Pair`](pointsman_core::Pair)s, one after the other, and holds sums of a fixed size. What it
//! has found is a [`Report`]: a document that can be read as text, as JSON or as a page with plots.
//!
//! Each pair costs in proportion to its elements, and nothing grows with their number. Two comparisons of the same
//! versions can be [merged](Comparison::merge), and the order of pairs does not matter: also what is kept as a sample
//! is a function of the ids.
//!
//! Predictions whose labels come later are joined with them in [`labels`], and what these say of models stands in
//! [`quality`].

pub mod alert;
mod classes;
mod comparison;
mod confusion;
pub mod drift;
mod examples;
mod excess;
pub mod experiment;
mod failures;
pub mod labels;
mod latency;
mod numbers;
mod outcomes;
mod output;
pub mod profile;
pub mod quality;
mod quantiles;
mod report;
mod sample;
pub mod sample_log;
mod score;
mod scores;
mod settings;
pub mod skew_join;
mod sums;
pub mod table;
mod totals;

pub use comparison::{Comparison, MergeError, Pairing};
pub use examples::INPUT_BYTES_MAX;
pub use excess::Excess;
pub use outcomes::Outcomes;
pub use report::{
    ClassReport, ConfusionReport, CostReport, DropReport, ExampleReport, ExcessReport, FailureReport,
    HarmReport, LatencyReport, NumberReport, OutputReport, QuantileReport, RankReport, RateReport, Report,
    RequestsReport, RunReport, SideReport,
};
pub use score::{Group, Score, ScoreFacts, ScoreTest};
pub use settings::{Kind, Settings, SettingsError};
pub use totals::Totals;
