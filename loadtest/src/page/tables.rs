//! The tables of the page: each with a caption, and scrolling by itself where it is wider than the page.

use maud::{Markup, html};

use crate::findings::{Figure, Latency, Part, Stream};
use crate::units::{self, NONE};

/// The most rows of a table; the JSON has all.
const ROWS_MAX: usize = 2_000;

/// The most codes that a stream's table lists.
const CODES_MAX: usize = 50;

/// The percentiles of a table of latencies.
const PERCENTILES: [(f64, &str); 5] =
    [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99")];

/// A table that scrolls, and can be scrolled with the keyboard.
fn scrolling(caption: &str, head: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr {
                    @for (column, name) in head.iter().enumerate() {
                        th.name[column == 0] scope="col" { (name) }
                    }
                } }
                tbody { (rows) }
            }
        }
    }
}

/// The figures of the run, what was asked of each, and whether it holds.
pub(super) fn figures(figures: &[Figure]) -> Markup {
    let rows = html! {
        @for figure in figures.iter().take(ROWS_MAX) {
            @let shown = |value| units::figure(value, &figure.unit);
            tr {
                th.name scope="row" { (units::name(&figure.name)) }
                td { (shown(figure.value)) }
                td { (figure.interval.map_or(NONE.into(), |(low, high)| format!("{} to {}", shown(low), shown(high)))) }
                td { (figure.asked.as_deref().map_or(NONE.into(), units::name)) }
                @match (figure.holds, &figure.asked) {
                    (Some(true), _) => td.held { b { "held" } },
                    (Some(false), _) => td.missed { b { "missed" } },
                    (None, Some(_)) => td.missed { b { "not told" } },
                    (None, None) => td { (NONE) },
                }
            }
        }
    };
    scrolling(
        "What was found and what was asked",
        &["figure", "found", "interval", "asked", "verdict"],
        &rows,
    )
}

/// Every stream of every part, a row for each.
pub(super) fn streams(parts: &[Part]) -> Markup {
    let head = [
        "part, stream",
        "due",
        "sent",
        "right",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "longest",
        "refused",
        "failed",
        "wrong",
        "lost",
        "lag p99",
    ];
    let all = || parts.iter().flat_map(|part| part.streams.iter().map(move |stream| (part, stream)));
    let rows = html! {
        @for (part, stream) in all().take(ROWS_MAX) {
            @let counts = &stream.counts;
            tr {
                th.name scope="row" { (units::name(&part.name)) ", " (units::name(&stream.name)) }
                td { (stream.offered_rate.map_or_else(|| "closed".into(), units::rate)) }
                td { (units::count(counts.sent)) }
                td { (units::rate(stream.goodput)) }
                @for quantile in [0.5, 0.9, 0.99, 0.999] {
                    td { (units::time_or_none(stream.latency.quantile(quantile))) }
                }
                td { (units::time_or_none(stream.latency.longest())) }
                td { (none_or(counts.refused)) }
                @for count in [counts.failed, counts.wrong, counts.lost] {
                    td.some[count > 0] { (none_or(count)) }
                }
                td { (units::time_or_none(stream.lag.quantile(0.99))) }
            }
        }
    };
    let left_out = all().count().saturating_sub(ROWS_MAX);
    html! {
        (scrolling("Latency from when a request was due", &head, &rows))
        @if left_out > 0 { p.note { (left_out) " more rows are in the JSON alone." } }
    }
}

/// The latencies of a stream.
pub(super) fn latencies(stream: &Stream) -> Markup {
    let mut kinds = vec![("right answers", &stream.latency)];
    kinds.extend(stream.refusal_latency.iter().map(|latency| ("refusals", latency)));
    kinds.push(("late to leave", &stream.lag));
    let head: Vec<&str> =
        ["", "samples", "mean"].into_iter().chain(PERCENTILES.map(|p| p.1)).chain(["longest"]).collect();
    let row = |name: &str, latency: &Latency| {
        html! {
            tr {
                th.name scope="row" { (name) }
                td { (units::count(latency.samples)) }
                td { (units::time_or_none(latency.mean())) }
                @for (quantile, _) in PERCENTILES { td { (units::time_or_none(latency.quantile(quantile))) } }
                td { (units::time_or_none(latency.longest())) }
            }
        }
    };
    scrolling(
        "Times; refusals from when they were sent",
        &head,
        &html! { @for (name, latency) in kinds { (row(name, latency)) } },
    )
}

/// The errors of a stream by code; nothing where there are none.
pub(super) fn errors(stream: &Stream) -> Markup {
    let codes = stream.codes();
    if codes.is_empty() {
        return html! {};
    }
    let (listed, others) = codes.split_at(codes.len().min(CODES_MAX));
    let row = |name: &str, count: u64, said: &str| {
        html! {
            tr {
                th.name scope="row" { (name) }
                td { (units::count(count)) }
                td { (units::share(count, stream.counts.sent)) }
                td.name { (units::name(said)) }
            }
        }
    };
    let said = |code: &str| stream.said.get(code).map_or("", String::as_str);
    let rows = html! {
        @for (code, count) in listed { (row(&units::name(code), *count, said(code))) }
        @if !others.is_empty() {
            (row(&format!("{} other codes", others.len()), others.iter().map(|(_, count)| count).sum(), ""))
        }
    };
    let head = ["code", "requests", "of those sent", "the first said"];
    scrolling("Requests without a right answer", &head, &rows)
}

fn none_or(count: u64) -> String {
    if count == 0 { NONE.into() } else { units::count(count) }
}
