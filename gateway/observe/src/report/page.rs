//! The report as a page: one HTML file that asks for no other and runs no script.
//!
//! All that comes from outside (names of models, outputs and classes) is escaped by maud.

use maud::{Markup, html};

use super::frame::frame;
use super::plots::{Spread, bars, scatter, spreads};
use super::text::{number, percent};
use super::{
    ClassReport, ConfusionReport, DropReport, ExampleReport, LatencyReport, NumberReport, OutputReport,
    QuantileReport, Report, SideReport,
};

impl Report {
    /// The report as an HTML document that needs nothing else: light and dark, and readable on a phone.
    #[must_use]
    pub fn page(&self) -> String {
        let title = format!("{}: version {} against version {}", self.model, self.shadow, self.primary);
        let body = html! {
            h1 { (title) }
            p.verdict.worse[self.is_worse()] { (self.verdict()) }
            (self.overview())
            (side(&self.against))
            (drops(&self.dropped))
            p.note {
                "Intervals hold at any time, each wrong with a probability of " (self.alpha)
                ". A number is close within " (number(self.atol)) " + " (number(self.rtol))
                " of the primary's; decisions are taken from " (number(self.threshold)) " on."
            }
        };
        frame(&title, &body)
    }

    fn is_worse(&self) -> bool {
        let against = &self.against;
        against.errors.is_worse
            || against.invalid.is_worse
            || self.excess.is_some_and(|excess| excess.is_worse)
    }

    fn overview(&self) -> Markup {
        let outcomes = &self.against.outcomes;
        html! {
            dl {
                @if let Some(run) = &self.run {
                    dt { "shadow" } dd { (run.standing()) }
                    @if let Some(cost) = &run.cost { dt { "cost" } dd { (cost) } }
                }
                dt { "agreement" } dd { (self.against.agreement) }
                @if let Some(floor) = &self.floor {
                    dt { "the primary with itself" } dd { (floor.agreement) }
                }
                @if let Some(excess) = &self.excess { dt { "excess" } dd { (excess) } }
                dt { "errors" } dd { (self.against.errors) }
                dt { "NaN and infinities" } dd { (self.against.invalid) }
                dt { "pairs" }
                dd {
                    (outcomes.ok_ok) " ok/ok, " (outcomes.ok_err) " ok/err, " (outcomes.err_ok) " err/ok, "
                    (outcomes.err_err) " err/err"
                }
                @for failure in &self.against.shadow_failures {
                    dt { "shadow error " (failure.code) } dd { (failure.count) }
                }
            }
        }
    }
}

fn side(side: &SideReport) -> Markup {
    html! {
        @for report in &side.outputs { (output(report)) }
        (latency(&side.latency))
        (examples("Furthest apart", &side.worst))
        (examples("One side alone failed", &side.failed))
    }
}

fn output(output: &OutputReport) -> Markup {
    html! {
        h2 { "Output " code { (output.name) } }
        p { (output.agreed) " of " (output.pairs) " answers agree." }
        dl {
            @for (name, count) in [
                ("missing", output.missing),
                ("other datatype", output.other_datatype),
                ("other shape", output.other_shape),
            ] {
                @if count > 0 { dt { (name) } dd { (count) } }
            }
        }
        @if let Some(report) = &output.classes { (classes(report)) }
        @if let Some(report) = &output.numbers { (numbers(report)) }
    }
}

fn classes(classes: &ClassReport) -> Markup {
    html! {
        dl {
            dt { "same class" } dd { (classes.agreement) }
            @if let Some(overlap) = classes.top_overlap { dt { "top overlap" } dd { (percent(overlap)) } }
            @if let Some((up, down)) = classes.flips {
                dt { "flips at the threshold" } dd { (up) " up, " (down) " down" }
            }
            @if let Some(kl) = classes.kl { dt { "KL, mean" } dd { (number(kl)) " nats" } }
            @if classes.kl_infinite > 0 { dt { "KL infinite" } dd { (classes.kl_infinite) " rows" } }
            @if let Some((mean, max)) = classes.js {
                dt { "JS" } dd { (number(mean)) " on average, at most " (number(max)) " nats" }
            }
            @if let Some(QuantileReport { p05, p50, p95, .. }) = classes.delta {
                dt { "score of the primary's class" }
                dd { "by " (number(p50)) ", from " (number(p05)) " to " (number(p95)) " (5 % to 95 %)" }
            }
        }
        (confusion(&classes.confusion))
    }
}

fn confusion(confusion: &ConfusionReport) -> Markup {
    if confusion.classes.len() < 2 {
        return html! {};
    }
    let row_sum = |counts: &[u64]| counts.iter().sum::<u64>().max(1) as f64;
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        th { "primary \\ shadow" }
                        @for name in &confusion.classes { th scope="col" { (name) } }
                    }
                }
                tbody {
                    @for (name, counts) in confusion.classes.iter().zip(&confusion.counts) {
                        tr {
                            th scope="row" { (name) }
                            @for count in counts {
                                @let share = 0.6 * *count as f64 / row_sum(counts);
                                td style=(format!("background:rgba(var(--heat),{share:.3})")) { (count) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn numbers(numbers: &NumberReport) -> Markup {
    let share = |share: Option<f64>| share.map_or_else(|| "-".into(), percent);
    let optional = |value: Option<f64>| value.map_or_else(|| "-".into(), number);
    let levels: Vec<f64> =
        numbers.bias.map(|(bias, low, high)| [low, bias, high]).into_iter().flatten().collect();
    let apart: Vec<(f64, f64)> = numbers.sample.iter().map(|(a, b)| (f64::midpoint(*a, *b), b - a)).collect();
    html! {
        dl {
            dt { "elements" } dd { (numbers.elements) }
            dt { "bit-equal" } dd { (share(numbers.bit_equal)) }
            dt { "close" } dd { (share(numbers.close)) ", whole tensors " (share(numbers.all_close)) }
            dt { "largest difference" }
            dd { (number(numbers.max_abs)) ", relative " (number(numbers.max_rel)) }
            dt { "RMSE, cosine" } dd { (optional(numbers.rmse)) ", " (optional(numbers.cosine)) }
            @if let (Some(max), Some(near)) = (numbers.ulp_max, numbers.ulp_near) {
                dt { "units in the last place" } dd { "at most " (max) ", " (percent(near)) " within 4" }
            }
            @if let Some((bias, low, high)) = numbers.bias {
                dt { "bias" } dd { (number(bias)) ", limits from " (number(low)) " to " (number(high)) }
            }
            dt { "Spearman, Kendall" }
            dd { (optional(numbers.ranks.spearman)) ", " (optional(numbers.ranks.kendall)) }
            @if numbers.left_out > 0 {
                dt { "NaN" } dd { (numbers.nan.0) " of the primary, " (numbers.nan.1) " of the shadow" }
                dt { "infinities" }
                dd { (numbers.infinite.0) " of the primary, " (numbers.infinite.1) " of the shadow" }
            }
        }
        div.plots {
            @if let Some(plot) = bars(
                "Relative differences",
                "Elements by |a - b| / |a|: each bin is a decade, from what its name says on.",
                &numbers.bins,
            ) { (plot) }
            @if let Some(plot) = scatter(
                "Shadow over primary",
                "A sample of elements: the primary's number to the right, the shadow's upwards.",
                &numbers.sample,
                &[],
            ) { (plot) }
            @if let Some(plot) = scatter(
                "Bland and Altman",
                "The mean of both to the right, the shadow's less the primary's upwards; bias and limits as lines.",
                &apart,
                &levels,
            ) { (plot) }
        }
    }
}

fn latency(latency: &LatencyReport) -> Markup {
    let named = [("primary", "one", latency.primary), ("shadow", "two", latency.shadow)];
    let spread = |(name, class, times): (&'static str, &'static str, Option<QuantileReport>)| {
        let QuantileReport { p05: low, p50: median, p95: high, p99: far, .. } = times?;
        Some(Spread { name, class, low, median, high, far })
    };
    let drawn: Vec<Spread<'_>> = named.into_iter().filter_map(spread).collect();
    let description = "Runs on the same inputs: from the 5th to the 95th percentile, the median as a line, the 99th as a dot.";
    html! {
        @if let Some(plot) = spreads("Time of runs", description, &drawn) {
            h2 { "Latency" }
            @if let Some(slower) = latency.slower {
                p { "In " (percent(slower)) " of " (latency.pairs) " pairs the shadow took 1.25 times as long." }
            }
            div.plots { (plot) }
        }
    }
}

fn drops(dropped: &[DropReport]) -> Markup {
    if dropped.is_empty() {
        return html! {};
    }
    let reasons: Vec<(String, u64)> = dropped.iter().map(|drop| (drop.reason.clone(), drop.count)).collect();
    let tenths = dropped.iter().map(|drop| drop.by_load.len()).max().unwrap_or(0);
    let at = |tenth: usize| dropped.iter().filter_map(|drop| drop.by_load.get(tenth)).sum();
    let loads: Vec<(String, u64)> = (0..tenths).map(|tenth| (format!("{tenth}"), at(tenth))).collect();
    html! {
        h2 { "Not compared" }
        div.plots {
            @if let Some(plot) = bars("By reason", "Exchanges that were offered and have no pair.", &reasons) { (plot) }
            @if let Some(plot) = bars(
                "By load",
                "The same by the tenth of its queue's limit that was taken at the primary. Drops under load bias a comparison.",
                &loads,
            ) { (plot) }
        }
    }
}

fn examples(title: &str, examples: &[ExampleReport]) -> Markup {
    html! {
        @if !examples.is_empty() {
            h2 { (title) }
            ul { @for example in examples { li { (example) } } }
        }
    }
}
