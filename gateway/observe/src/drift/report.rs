//! What is known of the drift of a version, as a document.
//!
//! It holds no reference to profiles, so that a command line can ask a gateway for it as JSON and show it as text or as a
//! page.

mod build;
mod histogram;
mod page;
mod text;

use pointsman_core::{ColumnKind, Origin};
use serde::{Deserialize, Serialize};

pub use self::build::{Ask, AskError};
pub use self::histogram::{BARS_MAX, Bar};
use super::distance::Distances;
use super::judge::Verdict;
use super::series::Against;

/// The most windows of which a report has a point.
pub const POINTS_MAX: usize = 400;

/// A version's columns, now against training or before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// The model.
    pub model: String,
    /// Its version.
    pub version: u64,
    /// The arm; nothing for all of them together.
    pub arm: Option<String>,
    /// What it is held against.
    pub against: Against,
    /// From when on rows count, in seconds since 1970.
    pub since: u64,
    /// Up to when, which is left out.
    pub until: u64,
    /// How many rows there are.
    pub rows: u64,
    /// How many there are on the other side.
    pub reference_rows: u64,
    /// How long one window is, in seconds.
    pub window_seconds: u64,
    /// From so many rows on it is closed before; nothing for as many as come.
    #[serde(default)]
    pub window_rows: Option<u64>,
    /// At most one false alarm for so many rows is to be expected.
    pub false_alarm_every: u64,
    /// With what probability this report may be a false alarm.
    pub level: f64,
    /// The columns: those that have drifted first, then in the order of the signature.
    pub columns: Vec<ColumnReport>,
    /// What should be known beside that.
    pub notes: Vec<String>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// Whether it was asked or answered.
    pub origin: Origin,
    /// What its values are.
    pub kind: ColumnKind,
    /// What is said of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How far it is from the reference.
    pub distances: Option<Distances>,
    /// Before and now.
    pub reference: Summary,
    /// See `reference`.
    pub current: Summary,
    /// From when on PSI is an alarm.
    pub psi_limit: f64,
    /// Since when it has drifted window by window, in seconds since 1970.
    pub onset: Option<u64>,
    /// Both distributions over each other.
    pub bars: Vec<Bar>,
    /// Each window by itself, the oldest first.
    pub points: Vec<PointReport>,
    /// Texts that are not known and most frequent now, where they may be kept.
    pub unknown: Vec<(String, u64)>,
}

/// What is known of the values of a column on one side.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// All rows.
    pub rows: u64,
    /// Without a value.
    pub missing: u64,
    /// NaN.
    pub nan: u64,
    /// Infinities, and numbers beyond 1e100.
    pub infinite: u64,
    /// The least.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// The standard deviation.
    pub std: Option<f64>,
    /// About how many different values there are.
    pub distinct: Option<u64>,
}

/// A column in one window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointReport {
    /// When the window begins, in seconds since 1970.
    pub at: u64,
    /// Its rows.
    pub rows: u64,
    /// The PSI; nothing where there is nothing to compare.
    pub psi: Option<f64>,
    /// Kolmogorov and Smirnov's statistic, of numbers.
    pub ks: Option<f64>,
    /// Whether it is an alarm.
    pub is_drifted: bool,
}
