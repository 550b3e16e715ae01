//! What of a report somebody should be told.

use pointsman_stats::{Alpha, LogE};
use serde::Serialize;

use super::report::{Figures, QualityReport, Series};

/// Figures of which less is better.
const LESS_IS_BETTER: [&str; 5] = ["log_loss", "brier", "ece", "mae", "rmse"];

/// From where on something is of concern.
#[derive(Clone, Debug, PartialEq)]
pub struct ConcernLimits {
    /// What a figure of a version must reach in the last window, or must not pass where less is better.
    pub floors: Vec<(String, f64)>,
    /// The largest calibration error.
    pub ece_max: f64,
    /// How often coverage may be said to differ where it does not.
    pub coverage_alpha: f64,
    /// Pairs from which on a window says anything.
    pub rows_min: u64,
}

impl Default for ConcernLimits {
    fn default() -> Self {
        Self { floors: Vec::new(), ece_max: 0.1, coverage_alpha: 0.001, rows_min: 100 }
    }
}

/// Something of concern.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Concern {
    /// `quality_low`, `calibration_off`, `ranking_turned` or `coverage_differs`.
    pub code: &'static str,
    /// The figure that it is about, where it is about one.
    pub figure: Option<String>,
    /// The version that it is about; nothing where it is about several.
    pub version: Option<u64>,
    /// In which window.
    pub window: Option<String>,
    /// The figure.
    pub value: f64,
    /// What it is held to.
    pub limit: f64,
    /// In a sentence.
    pub what: String,
}

/// What is of concern now: in the last window of each version, and where the ranking turned last. Each needs both that a
/// limit is passed and that this is certain.
#[must_use]
pub fn concerns(report: &QualityReport, limits: &ConcernLimits) -> Vec<Concern> {
    let mut found = Vec::new();
    for series in &report.series {
        let Some(last) = series.windows.last().filter(|last| last.figures.rows >= limits.rows_min) else {
            continue;
        };
        let low = limits
            .floors
            .iter()
            .filter_map(|(name, floor)| too_low(series, &last.window, &last.figures, name, *floor));
        found.extend(low);
        found.extend(uncalibrated(series, &last.window, &last.figures, limits.ece_max));
    }
    for ranking in &report.ranking {
        // The last turn, while the one who leads since then still does.
        let Some(flip) = ranking.flips.last() else { continue };
        found.push(Concern {
            code: "ranking_turned",
            figure: None,
            version: Some(ranking.challenger),
            window: Some(flip.since.clone()),
            value: flip.since_then,
            limit: 0.0,
            what: ranking.verdict.clone(),
        });
    }
    let differs = report.coverage_differs.zip(Alpha::new(limits.coverage_alpha).ok());
    if let Some((log_e, alpha)) = differs.filter(|(log_e, alpha)| LogE::from(*log_e).rejects(*alpha)) {
        found.push(Concern {
            code: "coverage_differs",
            figure: None,
            version: None,
            window: None,
            value: log_e,
            limit: alpha.log_threshold(),
            what: "Labels do not come for all arms alike: what they say of one arm against another may be due to that."
                .into(),
        });
    }
    found
}

fn too_low(series: &Series, window: &str, figures: &Figures, name: &str, floor: f64) -> Option<Concern> {
    let figure = figures.get(name)?;
    let less = LESS_IS_BETTER.contains(&name);
    // The whole interval has to be on the wrong side.
    let is_low = if less { figure.lower? > floor } else { figure.upper? < floor };
    is_low.then(|| Concern {
        code: "quality_low",
        figure: Some(name.into()),
        version: Some(series.version),
        window: Some(window.into()),
        value: figure.value,
        limit: floor,
        what: format!(
            "The {name} of version {} is {:.3} in {window}, and should be at {} {floor}.",
            series.version,
            figure.value,
            if less { "most" } else { "least" }
        ),
    })
}

fn uncalibrated(series: &Series, window: &str, figures: &Figures, ece_max: f64) -> Option<Concern> {
    let error = figures.get("ece").filter(|figure| figure.value > ece_max)?.value;
    // Bins scatter: one of them is certainly off.
    let is_off =
        figures.calibration.iter().any(|bin| bin.probability < bin.lower || bin.probability > bin.upper);
    is_off.then(|| Concern {
        code: "calibration_off",
        figure: Some("ece".into()),
        version: Some(series.version),
        window: Some(window.into()),
        value: error,
        limit: ece_max,
        what: format!(
            "Probabilities of version {} are {error:.3} off what happens in {window}, and {ece_max} is the most.",
            series.version
        ),
    })
}
