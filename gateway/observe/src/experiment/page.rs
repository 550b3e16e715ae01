//! The report as a page: one HTML file that asks for no other and runs no script.

use maud::{Markup, html};

use super::report::{EffectReport, ExperimentReport, MetricReport};
use super::text::adjusted_note;
use crate::report::{Interval, frame, intervals, percent};

impl ExperimentReport {
    /// The report as an HTML document that needs nothing else.
    #[must_use]
    pub fn page(&self) -> String {
        let title = format!("{}: experiment {}", self.model, self.experiment);
        let body = html! {
            h1 { (title) }
            p.verdict.worse[self.split.is_mismatch] { (self.verdict) }
            (self.arms_table())
            dl {
                dt { "split" } dd { (self.split_line()) }
                dt { "units" } dd { (self.units.join(", ")) }
                dt { "since" } dd { (self.since()) }
                @if let Some(covariate) = &self.covariate { dt { "covariate" } dd { (covariate.source) } }
            }
            @for note in self.notes() { p { (note) } }
            @for report in &self.metrics { (metric(report, self)) }
            p.note {
                "All intervals hold together and at any time: with a probability of " (self.alpha)
                " at most any of them is wrong."
            }
        };
        frame(&title, &body)
    }

    fn arms_table(&self) -> Markup {
        html! {
            div.scroll {
                table {
                    thead {
                        tr {
                            @for name in ["arm", "version", "weight", "units", "requests"] { th scope="col" { (name) } }
                        }
                    }
                    tbody {
                        @for arm in &self.arms {
                            tr {
                                th scope="row" { (arm.name) }
                                td { (arm.version) }
                                td { (percent(arm.weight)) }
                                td { (arm.units) }
                                td { (arm.requests) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn metric(metric: &MetricReport, report: &ExperimentReport) -> Markup {
    let effects: &[EffectReport] = if report.split.is_mismatch { &[] } else { &metric.effects };
    let of = |effect: &EffectReport| {
        let found = effect.decisive()?;
        Some(Interval {
            name: effect.arm.clone(),
            shown: metric.signed(found.difference),
            lower: found.lower,
            value: found.difference,
            upper: found.upper,
        })
    };
    let drawn: Vec<Interval> = effects.iter().filter_map(of).collect();
    html! {
        h2 { (metric.name) }
        p { (metric.about) "." }
        dl {
            @for (arm, figure) in report.arms.iter().zip(&metric.figures) {
                dt { (arm.name) }
                dd {
                    (figure.value.map_or_else(|| "-".into(), |value| metric.shown(value))) " of " (figure.count)
                }
            }
            @for effect in effects {
                dt { (effect.arm) " less the default" }
                dd {
                    @if let Some(plain) = &effect.plain { div { (metric.estimate(plain)) } }
                    @if let Some(adjusted) = &effect.adjusted {
                        div { "adjusted: " (metric.estimate(&adjusted.estimate)) }
                        div.muted { (adjusted_note(adjusted.variance_kept, adjusted.requests)) }
                    }
                    @if !effect.note.is_empty() { div.muted { (effect.note) } }
                    @if let Some(need) = &effect.needed { div.muted { (metric.need(need)) } }
                }
            }
        }
        div.plots {
            @if let Some(plot) = intervals(
                "Difference from the default",
                "The difference as a dot, its confidence sequence as a bar; the dashed line is no difference.",
                &drawn,
            ) { (plot) }
        }
    }
}
