//! The report as a page: one HTML file that asks for no other and runs no script.

use maud::{Markup, html};

use super::text::time;
use super::{ColumnReport, DriftReport, Summary};
use crate::report::{frame, number, over_each_other, over_time, percent};

/// Columns without an alarm of which plots are drawn.
const PLOTTED_MAX: usize = 100;

impl DriftReport {
    /// The report as an HTML document that needs nothing else: light and dark, and readable on a phone.
    #[must_use]
    pub fn page(&self) -> String {
        let title = format!("{}: {} of version {}", self.model, self.against.kind(), self.version);
        let drifted = self.columns.iter().filter(|column| column.verdict.is_drifted()).count();
        let body = html! {
            h1 { (title) }
            p.verdict.worse[drifted > 0] { (self.verdict()) }
            p { (self.compared()) "." }
            @for note in &self.notes { p.note { (note) "." } }
            (self.table())
            @for column in self.columns.iter().take(drifted + PLOTTED_MAX) { (self.column(column)) }
            p.note { (self.promise()) }
        };
        frame(&title, &body)
    }

    fn table(&self) -> Markup {
        let shown = |value: Option<f64>| value.map_or_else(|| "-".into(), number);
        html! {
            div.scroll {
                table {
                    thead {
                        tr {
                            @for name in ["column", "PSI", "by chance", "KS", "W1 / std", "JS", "L∞", "missing", ""] {
                                th scope="col" { (name) }
                            }
                        }
                    }
                    tbody {
                        @for column in &self.columns {
                            @let of = column.distances;
                            @let numbers = of.and_then(|of| of.numbers);
                            tr {
                                th scope="row" { (column.name) }
                                td { (shown(of.map(|of| of.psi))) }
                                td { (shown(of.map(|of| of.psi_by_chance))) }
                                td { (shown(numbers.map(|numbers| numbers.ks))) }
                                td { (shown(numbers.and_then(|numbers| numbers.wasserstein_over_std))) }
                                td { (shown(of.map(|of| of.js))) }
                                td { (shown(of.map(|of| of.l_infinity))) }
                                td { (of.map_or_else(|| "-".into(), |of| percent(of.missing.1))) }
                                td { (column.said()) }
                            }
                        }
                    }
                }
            }
        }
    }

    fn column(&self, column: &ColumnReport) -> Markup {
        let before = self.against.name();
        let bars: Vec<(String, f64, f64)> =
            column.bars.iter().map(|bar| (bar.name.clone(), bar.reference, bar.current)).collect();
        let points: Vec<(f64, f64, bool)> = column
            .points
            .iter()
            .filter_map(|point| Some((point.at as f64, point.psi?, point.is_drifted)))
            .collect();
        let ends = column.points.first().zip(column.points.last());
        let ends = ends.map(|(first, last)| (time(first.at), time(last.at))).unwrap_or_default();
        html! {
            h2 { (column.name) }
            p { (column.said()) "." }
            dl {
                dt { (before) } dd { (summary(&column.reference)) }
                dt { "serving" } dd { (summary(&column.current)) }
                @if let Some(numbers) = column.distances.and_then(|of| of.numbers) {
                    dt { "KS" }
                    dd { (number(numbers.ks)) ", at most " (number(numbers.ks_error)) " more within cells" }
                }
                @if let Some(of) = column.distances && of.out_of_domain.1 > 0.0 {
                    dt { "out of domain" }
                    dd { (percent(of.out_of_domain.0)) " before, " (percent(of.out_of_domain.1)) " now" }
                }
                @if !column.unknown.is_empty() {
                    dt { "not known" }
                    dd { @for (text, count) in &column.unknown { code { (text) } " " (count) " " } }
                }
            }
            div.plots {
                @if let Some(plot) = over_each_other(
                    "Distributions",
                    &format!("The share of values: filled {before}, outlined serving."),
                    &bars,
                ) { (plot) }
                @if let Some(plot) = over_time(
                    "PSI over time",
                    "Each window by itself; alarms as large dots, the limit as a dashed line.",
                    &points,
                    column.psi_limit,
                    &ends,
                ) { (plot) }
            }
        }
    }
}

fn summary(of: &Summary) -> String {
    let mut parts = vec![format!("{} rows", of.rows)];
    if let Some((mean, std)) = of.mean.zip(of.std) {
        parts.push(format!("mean {}, deviation {}", number(mean), number(std)));
    }
    if let Some((min, max)) = of.min.zip(of.max) {
        parts.push(format!("from {} to {}", number(min), number(max)));
    }
    if let Some(distinct) = of.distinct {
        parts.push(format!("about {distinct} different"));
    }
    for (count, what) in [(of.missing, "missing"), (of.nan, "NaN"), (of.infinite, "infinite")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join("; ")
}
