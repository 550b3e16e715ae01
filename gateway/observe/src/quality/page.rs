//! The report as a page: one HTML file that asks for no other and runs no script.

use maud::{Markup, html};

use super::report::{Figures, QualityReport, Ranking, Series};
use crate::report::{Curve, Point, curves, frame, percent, seconds};

/// Figures that are drawn over time, where there are any.
const DRAWN: [&str; 6] = ["auc", "accuracy", "f1", "ece", "mae", "bias"];

impl QualityReport {
    /// The report as an HTML document that needs nothing else: light and dark, and readable on a phone.
    #[must_use]
    pub fn page(&self) -> String {
        let title = format!("{}: quality by its labels", self.model);
        let turned = self.ranking.iter().any(|ranking| !ranking.flips.is_empty());
        let body = html! {
            h1 { (title) }
            p.verdict.worse[turned] {
                @if self.ranking.is_empty() { (self.counted()) ", by " (self.window) "." }
                @for ranking in &self.ranking { (ranking.verdict) " " }
            }
            @for ranking in &self.ranking { (self.contest(ranking)) }
            @for series in &self.series { (self.series_of(series)) }
            (self.coverage_table())
            (self.estimates())
            @for note in &self.notes { p.note { (note) } }
        };
        frame(&title, &body)
    }

    fn contest(&self, ranking: &Ranking) -> Markup {
        let curve = |at: usize, version: u64| Curve {
            name: format!("version {version}"),
            points: ranking
                .windows
                .iter()
                .enumerate()
                .map(|(x, contest)| Point { x: x as f64, y: contest.values[at], bounds: None })
                .collect(),
        };
        let apart = Curve {
            name: format!("version {} is better by", ranking.challenger),
            points: ranking
                .windows
                .iter()
                .enumerate()
                .map(|(x, contest)| Point {
                    x: x as f64,
                    y: contest.better_by,
                    bounds: Some((contest.lower, contest.upper)),
                })
                .collect(),
        };
        let names = names(ranking.windows.iter().map(|contest| contest.window.as_str()));
        let both = [curve(0, ranking.champion), curve(1, ranking.challenger)];
        let last = ranking.windows.len().saturating_sub(1) as f64;
        html! {
            h2 { "Version " (ranking.challenger) " against version " (ranking.champion) }
            div.plots {
                @if let Some(plot) = curves(
                    &ranking.metric, "Both versions, window by window, on what both predicted where they did.", &names, &both, None,
                ) { (plot) }
                @if let Some(plot) = curves(
                    "Difference",
                    "By how much the other version is better, with its interval; the dashed line is no difference.",
                    &names, &[apart], Some([(0.0, 0.0), (last, 0.0)]),
                ) { (plot) }
            }
        }
    }

    fn series_of(&self, series: &Series) -> Markup {
        let names = names(series.windows.iter().map(|of| of.window.as_str()));
        let drawn = |name: &'static str| {
            let point = |(x, figures): (usize, &Figures)| {
                let figure = figures.get(name)?;
                Some(Point { x: x as f64, y: figure.value, bounds: figure.lower.zip(figure.upper) })
            };
            let points = series.windows.iter().map(|of| &of.figures).enumerate().filter_map(point).collect();
            let curve = Curve { name: series.title(), points };
            curves(name, "Window by window, with its interval.", &names, &[curve], None)
        };
        let calibration = Curve {
            name: "how often it happened".into(),
            points: series
                .total
                .calibration
                .iter()
                .map(|bin| Point { x: bin.probability, y: bin.rate, bounds: Some((bin.lower, bin.upper)) })
                .collect(),
        };
        html! {
            h2 { (series.title()) }
            dl {
                dt { "rows" } dd { (series.total.rows) }
                @for figure in &series.total.figures { dt { (figure.name) } dd { (figure) } }
            }
            div.plots {
                @for name in DRAWN { @if let Some(plot) = drawn(name) { (plot) } }
                @if let Some(plot) = curves(
                    "Calibration",
                    "The probability to the right, how often it happened upwards; the dashed line is where both are the same.",
                    &[(0.0, "0".into()), (1.0, "1".into())], &[calibration], Some([(0.0, 0.0), (1.0, 1.0)]),
                ) { (plot) }
            }
        }
    }

    fn coverage_table(&self) -> Markup {
        let time = |delay: Option<f64>| delay.map_or_else(|| "-".into(), seconds);
        html! {
            @if !self.coverage.is_empty() {
                h2 { "Labels" }
                div.scroll {
                    table {
                        thead {
                            tr {
                                @for name in ["version", "arm", "predicted", "coverage", "half after", "95 % after"] {
                                    th scope="col" { (name) }
                                }
                            }
                        }
                        tbody {
                            @for arm in &self.coverage {
                                tr {
                                    th scope="row" { (arm.version) }
                                    td { (arm.arm) @if arm.is_shadow { " (shadow)" } }
                                    td { (arm.predicted) }
                                    td { (percent(arm.coverage)) }
                                    td { (time(arm.delay_p50)) }
                                    td { (time(arm.delay_p95)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn estimates(&self) -> Markup {
        html! {
            @if !self.estimated.is_empty() {
                h2 { "Estimated before labels" }
                ul {
                    @for estimated in &self.estimated {
                        li {
                            "version " (estimated.version) ", " (estimated.window) ": "
                            @for figure in &estimated.figures { (figure.name) " " (figure) "; " }
                        }
                    }
                }
            }
        }
    }
}

fn names<'a>(windows: impl Iterator<Item = &'a str>) -> Vec<(f64, String)> {
    windows.enumerate().map(|(at, name)| (at as f64, name.to_owned())).collect()
}
