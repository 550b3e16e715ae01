//! The report as text.

use std::fmt::{self, Display, Formatter};

use super::report::{Contest, Figure, Figures, Lead, QualityReport, Series};
use super::window::ALL;
use crate::report::{number, percent, seconds};

/// Figures that stand in the table of windows, in this order, where there are any of them.
const SHOWN: [&str; 10] =
    ["auc", "accuracy", "precision", "recall", "f1", "log_loss", "ece", "mae", "rmse", "bias"];
/// The most columns of that table.
const COLUMNS_MAX: usize = 5;

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", number(self.value))?;
        match (self.lower, self.upper) {
            (Some(lower), Some(upper)) => write!(f, " ({} to {})", number(lower), number(upper)),
            _ => Ok(()),
        }
    }
}

impl Series {
    /// What it is of, in words.
    #[must_use]
    pub fn title(&self) -> String {
        let arm = self.arm.as_ref().map(|arm| format!(", arm {arm}")).unwrap_or_default();
        let slice = self.slice.as_ref().map(|slice| format!(", {slice}")).unwrap_or_default();
        format!("version {}{arm}{slice}", self.version)
    }
}

impl QualityReport {
    /// The names of the figures that are shown of a series.
    pub(super) fn shown(figures: &Figures) -> Vec<&'static str> {
        SHOWN.into_iter().filter(|name| figures.get(name).is_some()).take(COLUMNS_MAX).collect()
    }
}

impl Display for QualityReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}, by {}", self.model, self.counted(), self.window)?;
        if self.series.is_empty() {
            writeln!(f, "No labels have come yet that were asked for: POST /v1/feedback takes them.")?;
        }
        for ranking in &self.ranking {
            writeln!(f, "{}", ranking.verdict)?;
        }
        for series in &self.series {
            table(f, series)?;
        }
        for ranking in &self.ranking {
            writeln!(
                f,
                "\nversion {} against version {}, by {}:",
                ranking.challenger, ranking.champion, ranking.metric
            )?;
            ranking
                .windows
                .iter()
                .filter(|contest| contest.window != ALL)
                .chain(&ranking.total)
                .try_for_each(|contest| writeln!(f, "  {contest}"))?;
        }
        if !self.coverage.is_empty() {
            writeln!(f, "\nLabels by version and arm:")?;
        }
        for arm in &self.coverage {
            let shadow = if arm.is_shadow { ", shadow" } else { "" };
            let title = format!("{} ({}{shadow})", arm.version, arm.arm);
            write!(f, "  {title:<26} {} of {} rows", percent(arm.coverage), arm.predicted)?;
            if let (Some(half), Some(most), Some(all)) = (arm.delay_p50, arm.delay_p95, arm.delay_max) {
                write!(
                    f,
                    ", after {}, 95 % within {}, all within {}",
                    seconds(half),
                    seconds(most),
                    seconds(all)
                )?;
            }
            writeln!(f)?;
        }
        if let Some(log_e) = self.coverage_differs {
            writeln!(f, "  labels come for all arms alike: e-value {:.3e}", log_e.exp())?;
        }
        if !self.estimated.is_empty() {
            writeln!(f, "\nEstimated before labels (CBPE):")?;
        }
        for estimated in &self.estimated {
            let figures: Vec<String> =
                estimated.figures.iter().map(|figure| format!("{} {figure}", figure.name)).collect();
            writeln!(f, "  version {} {:<10} {}", estimated.version, estimated.window, figures.join(", "))?;
        }
        writeln!(f)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}

fn table(f: &mut Formatter<'_>, series: &Series) -> fmt::Result {
    let names = QualityReport::shown(&series.total);
    writeln!(f, "\n{}:", series.title())?;
    write!(f, "  {:<12}{:>9}", "window", "rows")?;
    names.iter().try_for_each(|name| write!(f, "  {name:<24}"))?;
    writeln!(f)?;
    // Where time is not cut, the one window is all of it.
    let windows =
        series.windows.iter().map(|of| (of.window.as_str(), &of.figures)).filter(|(of, _)| *of != ALL);
    for (window, figures) in windows.chain([(ALL, &series.total)]) {
        let mut line = format!("  {window:<12}{:>9}", figures.rows);
        for name in &names {
            let shown = figures.get(name).map_or_else(|| "-".into(), ToString::to_string);
            line += &format!("  {shown:<24}");
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

impl Display for Contest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let lead = match self.lead {
            Lead::Champion => "the champion leads",
            Lead::Challenger => "the challenger leads",
            Lead::Level => "level",
        };
        // The challenger first, as in the line above.
        let [champion, challenger] = self.values.map(number);
        let (word, [by, from, to]) = if self.better_by < 0.0 {
            ("worse", [-self.better_by, -self.upper, -self.lower])
        } else {
            ("better", [self.better_by, self.lower, self.upper])
        };
        write!(
            f,
            "{:<12} {challenger} against {champion}: {word} by {} ({} to {}), p {:.2e}, {lead}",
            self.window,
            number(by),
            number(from),
            number(to),
            self.p
        )?;
        if let (Some([champion, challenger]), Some(p)) = (self.alone_right, self.mcnemar_p) {
            write!(f, "; alone right {challenger} to {champion} (McNemar's p {p:.2e})")?;
        }
        Ok(())
    }
}
