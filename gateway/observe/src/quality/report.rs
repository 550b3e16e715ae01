//! What the labels of a model say, as a document.

use pointsman_stats::Alpha;
use serde::{Deserialize, Serialize};

use super::window::Window;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// With what probability an interval may be wrong.
    pub alpha: Alpha,
    /// How time is cut.
    pub window: Window,
    /// The version that serves, against which the others are ranked.
    pub champion: Option<u64>,
    /// This version alone.
    pub version: Option<u64>,
    /// By the values of this column.
    pub slice: Option<String>,
    /// Each arm by itself.
    pub by_arm: bool,
}

/// All that is known of a model by its labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityReport {
    /// The model.
    pub model: String,
    /// `classes`, `numbers`, or nothing where no pair is there.
    pub kind: Option<String>,
    /// The names of the classes, where they are known.
    pub classes: Vec<String>,
    /// How time is cut.
    pub window: String,
    /// With what probability each interval may be wrong, looked at once.
    pub alpha: f64,
    /// Pairs of a prediction and its label that it rests on, those of shadows among them.
    pub pairs: u64,
    /// Those of shadows.
    #[serde(default)]
    pub shadow_pairs: u64,
    /// Those of them whose predictions are from the sample log.
    #[serde(default)]
    pub pairs_from_log: u64,
    /// The figures of each version, arm or slice.
    pub series: Vec<Series>,
    /// Each other version against the one that serves.
    pub ranking: Vec<Ranking>,
    /// How many predictions have labels, by version and arm.
    pub coverage: Vec<CoverageReport>,
    /// The logarithm of the e-value against "labels come for all arms alike"; nothing with one arm alone.
    pub coverage_differs: Option<f64>,
    /// What the probabilities alone let expect, by version and window.
    pub estimated: Vec<Estimated>,
    /// What is to be known of all that.
    pub notes: Vec<String>,
}

/// The figures of one version, of one of its arms or slices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The version.
    pub version: u64,
    /// The arm, where each is shown by itself.
    pub arm: Option<String>,
    /// The value of the slice, where it is told apart by one.
    pub slice: Option<String>,
    /// Over all time.
    pub total: Figures,
    /// Window by window, the oldest first.
    pub windows: Vec<Windowed>,
}

/// Figures of a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Windowed {
    /// Its name: the first day or the month.
    pub window: String,
    /// The figures.
    pub figures: Figures,
}

/// What pairs say of predictions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Pairs.
    pub rows: u64,
    /// Those that they stand for, where a sample is kept.
    pub total: f64,
    /// By name; which there are depends on what is predicted.
    pub figures: Vec<Figure>,
    /// Of each class.
    pub classes: Vec<ClassFigures>,
    /// Where probabilities are, against how often it happened.
    pub calibration: Vec<CalibrationBin>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// `accuracy`, `auc` and so on.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// The lower bound; nothing where none is known.
    pub lower: Option<f64>,
    /// The upper bound.
    pub upper: Option<f64>,
}

/// How good it is at one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// Its name, or its place.
    pub class: String,
    /// Pairs of which this is the label.
    pub rows: u64,
    /// `precision`, `recall` and `f1`; each is missing where it has no bottom.
    pub figures: Vec<Figure>,
}

/// Predictions whose probabilities are close.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// From this probability on.
    pub from: f64,
    /// Pairs.
    pub rows: u64,
    /// Their mean probability.
    pub probability: f64,
    /// How often it happened.
    pub rate: f64,
    /// The lower bound of that.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
}

/// One version against the one that serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// By which figure.
    pub metric: String,
    /// The version that serves.
    pub champion: u64,
    /// The other one.
    pub challenger: u64,
    /// Over all time.
    pub total: Option<Contest>,
    /// Window by window.
    pub windows: Vec<Contest>,
    /// Where it turned.
    pub flips: Vec<Flip>,
    /// In a sentence.
    pub verdict: String,
}

/// Who was better in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contest {
    /// The window.
    pub window: String,
    /// Pairs of the version that serves, and of the other one.
    pub rows: [u64; 2],
    /// Whether both predicted the same.
    pub paired: bool,
    /// The figure of the version that serves, and of the other one.
    pub values: [f64; 2],
    /// By how much the other one is better: above 0 where it is, whether the figure is good high or low.
    pub better_by: f64,
    /// Its standard error.
    pub error: f64,
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// The two-sided p-value of "both are alike", looked at once.
    pub p: f64,
    /// Of classes that both predicted: rows on which the one that serves alone was right, and the other alone.
    pub alone_right: Option<[u64; 2]>,
    /// The p-value of these by McNemar's exact test.
    pub mcnemar_p: Option<f64>,
    /// The logarithm of the e-value against "both are right alike often", which stays valid however often one looks.
    pub log_e: Option<f64>,
    /// Who leads.
    pub lead: Lead,
}

/// Who leads in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lead {
    /// The version that serves.
    Champion,
    /// The other one.
    Challenger,
    /// Neither: they are less than a standard error apart.
    Level,
}

/// A turn of the ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// The window from which on another one leads.
    pub since: String,
    /// Who leads from there on.
    pub to: Lead,
    /// From which window on the lead of before was lost, which may be earlier.
    pub lost_since: String,
    /// By how much the other version was better before, above 0, or worse.
    pub before: f64,
    /// And since, in that window.
    pub since_then: f64,
    /// The two-sided p-value of "nothing changed", for all windows together.
    pub change_p: f64,
    /// Whether it is certain that the new leader leads, by itself.
    pub certain: bool,
}

/// Labels of one arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoverageReport {
    /// The version.
    pub version: u64,
    /// The arm.
    pub arm: String,
    /// Whether it answered beside another one.
    pub is_shadow: bool,
    /// Rows that were predicted.
    pub predicted: u64,
    /// Rows that have labels, those that were not kept estimated.
    pub labelled: f64,
    /// The share.
    pub coverage: f64,
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// Half of the labels came within so many seconds after the time of the prediction.
    pub delay_p50: Option<f64>,
    /// And 95 %.
    pub delay_p95: Option<f64>,
    /// And all.
    pub delay_max: Option<f64>,
}

/// What a version's own probabilities let expect in a window, before any label (CBPE).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimated {
    /// The version.
    pub version: u64,
    /// The window.
    pub window: String,
    /// Predictions that have probabilities.
    pub rows: u64,
    /// `accuracy`, and of two classes `precision`, `recall`, `f1` and `auc`.
    pub figures: Vec<Figure>,
}

impl QualityReport {
    /// How many labelled predictions there are, and whose.
    pub(super) fn counted(&self) -> String {
        let shadows = match self.shadow_pairs {
            0 => String::new(),
            shadows => format!(" and {shadows} of shadows"),
        };
        let from_log = match self.pairs_from_log {
            0 => String::new(),
            some => format!(", {some} of them from the sample log"),
        };
        format!("{} labelled predictions{shadows}{from_log}", self.pairs.saturating_sub(self.shadow_pairs))
    }
}

impl Figures {
    /// The figure of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }
}
