//! Findings as a page: one HTML file that asks for no other and runs no script.
//!
//! Everything that comes from outside (names, codes, sentences) is escaped by maud, or by plotters inside plots.

mod axis;
mod bins;
mod curves;
mod drawing;
mod heat;
mod over_time;
mod plot;
mod ratios;
mod tables;
mod theme;

use std::collections::BTreeSet;
use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::drawing::Drawing;
use crate::findings::{About, Findings, Own, Part, Stream};
use crate::readings::Judgement;
use crate::units;

/// The most streams, of all parts together, whose plots are drawn: the page is to open on a phone.
const STREAMS_DRAWN_MAX: usize = 48;

/// The most names of streams whose parts are drawn side by side.
const SIDE_BY_SIDE_MAX: usize = 6;

/// The most parts that are open at first, where there are no more.
const PARTS_OPEN_MAX: usize = 3;

/// The most doubts that are listed.
const DOUBTS_MAX: usize = 50;

/// Nothing is fetched, run or sent: the browser holds the page to it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'";

/// Writes the page of findings to a file.
///
/// # Errors
/// Where a plot cannot be drawn or the file cannot be written.
pub(crate) fn write(findings: &Findings, out: &Path) -> Result<(), String> {
    std::fs::write(out, page(findings)?.into_string()).map_err(|e| format!("{}: {e}", out.display()))
}

fn page(findings: &Findings) -> Result<Markup, String> {
    let Findings { about, parts, figures, own, doubts, .. } = findings;
    let scenario = units::name(&about.scenario);
    Ok(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (scenario) " - load test" }
                style { (PreEscaped(theme::styles())) }
            }
            body { main {
                h1 { (scenario) }
                p.muted { (units::text(&about.purpose)) }
                (judgement(findings.judgement()))
                (self::doubts(doubts))
                @if !figures.is_empty() {
                    h2 { "Figures" }
                    (tables::figures(figures))
                    (drawings(&[ratios::ratios(figures)])?)
                }
                h2 { "All streams" }
                (tables::streams(parts))
                (across(parts)?)
                (self::parts(parts)?)
                @if let Some(own) = own { (self::own(own)) }
                (self::about(about))
            } }
        }
    })
}

fn judgement(judgement: Judgement) -> Markup {
    match judgement {
        Judgement::NothingAsked => html! { p.judgement { "No figure was asked for" } },
        Judgement::Held(1) => {
            html! { p.judgement.held { "The figure that was asked for held" } }
        }
        Judgement::Held(all) => html! { p.judgement.held { "All " (all) " figures held" } },
        Judgement::Missed(missed, all) => {
            html! { p.judgement.missed { (missed) " of " (all) " figures missed" } }
        }
    }
}

fn doubts(doubts: &[String]) -> Markup {
    html! {
        @if !doubts.is_empty() {
            section.doubts {
                strong { "These findings are doubtful" }
                ul {
                    @for doubt in doubts.iter().take(DOUBTS_MAX) { li { (units::text(doubt)) } }
                    @if doubts.len() > DOUBTS_MAX { li { "and " (doubts.len() - DOUBTS_MAX) " more" } }
                }
            }
        }
    }
}

/// What can be drawn of these, beside each other.
fn drawings(drawings: &[Option<Drawing>]) -> Result<Markup, String> {
    let drawn = drawings.iter().flatten().map(Drawing::markup).collect::<Result<Vec<_>, _>>()?;
    Ok(html! { @if !drawn.is_empty() { div.plots { @for drawing in drawn { (drawing) } } } })
}

/// The parts beside each other, where there are several.
fn across(parts: &[Part]) -> Result<Markup, String> {
    if parts.len() < 2 {
        return Ok(html! {});
    }
    let names: BTreeSet<&str> =
        parts.iter().flat_map(|part| &part.streams).map(|s| s.name.as_str()).collect();
    let mut each = Vec::new();
    for name in names.iter().take(SIDE_BY_SIDE_MAX) {
        let drawn = drawings(&[curves::side_by_side(name, parts), curves::by_rate(name, parts)])?;
        each.push((units::name(name), drawn));
    }
    Ok(html! {
        h2 { "Parts side by side" }
        @for (name, drawn) in each {
            h4 { (name) }
            (drawn)
        }
        @if names.len() > SIDE_BY_SIDE_MAX {
            p.note { "The streams of " (names.len() - SIDE_BY_SIDE_MAX) " more names are not drawn here." }
        }
    })
}

fn parts(parts: &[Part]) -> Result<Markup, String> {
    let mut left = STREAMS_DRAWN_MAX;
    let mut sections = Vec::new();
    for part in parts {
        let drawn = &part.streams[..part.streams.len().min(left)];
        left -= drawn.len();
        if !drawn.is_empty() {
            sections.push(self::part(part, drawn, parts.len() <= PARTS_OPEN_MAX || sections.is_empty())?);
        }
    }
    let all: usize = parts.iter().map(|part| part.streams.len()).sum();
    let left_out = all.saturating_sub(STREAMS_DRAWN_MAX);
    Ok(html! {
        h2 { "Each part" }
        @for section in sections { (section) }
        @if left_out > 0 {
            p.note {
                "The plots of the first " (STREAMS_DRAWN_MAX) " streams; " (left_out) " more are in the table above."
            }
        }
    })
}

/// A part with the plots of these of its streams.
fn part(part: &Part, streams: &[Stream], open: bool) -> Result<Markup, String> {
    let streams =
        streams.iter().map(|stream| self::stream(stream, part.seconds)).collect::<Result<Vec<_>, _>>()?;
    Ok(html! {
        details open=[open.then_some("")] {
            summary {
                h3 { (units::name(&part.name)) }
                span.muted {
                    @if let Some(target) = &part.target { ", target " (units::name(target)) }
                    ", " (units::clock(part.seconds))
                }
            }
            @for stream in streams { (stream) }
        }
    })
}

fn stream(stream: &Stream, seconds: f64) -> Result<Markup, String> {
    let bins = bins::bins(stream, seconds);
    let drawn = drawings(&[
        (!bins.is_empty()).then(|| over_time::throughput(stream, seconds, &bins)),
        curves::percentiles(stream),
        heat::map(stream, seconds, &bins),
        over_time::errors(stream, seconds, &bins).filter(|_| !bins.is_empty()),
    ])?;
    let named = [&stream.model, &stream.protocol, &stream.arrivals].map(|text| units::name(text));
    Ok(html! {
        section {
            h4 { (units::name(&stream.name)) }
            p.muted {
                (named.join(", "))
                @if let Some(rate) = stream.offered_rate { ", " (units::rate(rate)) " due" }
            }
            (drawn)
            (tables::latencies(stream))
            (tables::errors(stream))
        }
    })
}

fn own(own: &Own) -> Markup {
    html! {
        h2 { "The generator itself" }
        p.muted { "Against a server in the same process that answers at once." }
        dl {
            dt { "CPU per request, both ends" } dd { (units::time(own.cpu_us)) }
            dt { "latency" } dd { "p50 " (units::time(own.p50_us)) ", p99 " (units::time(own.p99_us)) }
            dt { "at most, per thread" } dd { (units::rate(own.rate_max)) }
        }
    }
}

fn about(about: &About) -> Markup {
    html! {
        h2 { "What ran where" }
        dl {
            @for (name, target) in &about.targets {
                dt { "target " (units::name(name)) } dd { (units::name(target)) }
            }
            dt { "started" } dd { (units::name(&about.started_at)) }
            dt { "took" } dd { (units::clock(about.seconds)) }
            dt { "processor" } dd { (units::name(&about.machine.processor)) ", " (about.machine.cores) " cores" }
            dt { "system" } dd { (units::name(&about.machine.system)) }
            dt { "command" } dd { code { (units::text(&about.command)) } }
        }
    }
}

#[cfg(test)]
mod tests;
