//! What happened when: throughput, and errors by code.

use std::collections::BTreeMap;

use super::axis::Axis;
use super::bins::Bin;
use super::drawing::Drawing;
use super::plot::{HEIGHT, Mark, Plot};
use super::theme::Ink;
use crate::findings::Stream;
use crate::units;

/// The most codes with a line of their own; the others share one.
const CODES_MAX: usize = 5;

/// What the line of the other codes is called.
const OTHERS: &str = "other codes";

/// A line's name, its ink and its points.
type Line<'a> = (&'a str, Ink, Vec<(f64, f64)>);

/// Requests per second that were sent, answered right, refused, and failed.
pub(super) fn throughput(stream: &Stream, seconds: f64, bins: &[Bin]) -> Drawing {
    let counts = &stream.counts;
    let mut lines = vec![("sent", Ink::MUTED, rates(bins, |bin| bin.sent))];
    if counts.refused > 0 {
        lines.push(("refused", Ink::REFUSED, rates(bins, Bin::refused)));
    }
    if counts.failed + counts.wrong + counts.lost > 0 {
        lines.push(("failed, wrong or lost", Ink::FAILED, rates(bins, Bin::failed)));
    }
    lines.push(("right", Ink::RIGHT, rates(bins, |bin| bin.ok)));
    let description = format!(
        "{} of {} requests were answered right, {} per second; {} were refused.",
        units::count(counts.ok),
        units::count(counts.sent),
        units::rate(stream.goodput),
        units::count(counts.refused)
    );
    drawn("Throughput over time", description, seconds, lines)
}

/// Requests per second that got no right answer, by code; nothing where there are none.
pub(super) fn errors(stream: &Stream, seconds: f64, bins: &[Bin]) -> Option<Drawing> {
    let codes: Vec<&str> = stream.codes().into_iter().map(|(code, _)| code).collect();
    if codes.is_empty() {
        return None;
    }
    let (own, others) = codes.split_at(codes.len().min(CODES_MAX));
    let of = |errors: &BTreeMap<String, u64>, codes: &[&str]| -> u64 {
        codes.iter().filter_map(|code| errors.get(*code)).sum()
    };
    let mut lines: Vec<Line<'_>> = own
        .iter()
        .enumerate()
        .map(|(number, code)| (*code, Ink::line(number), rates(bins, |bin| of(&bin.errors, &[code]))))
        .collect();
    if !others.is_empty() {
        lines.push((OTHERS, Ink::MUTED, rates(bins, |bin| of(&bin.errors, others))));
    }
    let named: Vec<String> = own.iter().map(|code| units::name(code)).collect();
    let description = format!("Requests without a right answer, by code: {}.", named.join(", "));
    Some(drawn("Errors over time", description, seconds, lines))
}

/// Points of a count per second.
fn rates(bins: &[Bin], count: impl Fn(&Bin) -> u64) -> Vec<(f64, f64)> {
    bins.iter().map(|bin| (bin.middle_s(), bin.rate(count(bin)))).collect()
}

fn drawn(title: &str, description: String, seconds: f64, lines: Vec<Line<'_>>) -> Drawing {
    let rates = lines.iter().flat_map(|(_, _, points)| points.iter().map(|(_, rate)| *rate));
    let max = rates.fold(0.0, f64::max);
    let legend = lines.iter().map(|(name, ink, _)| (units::name(name), *ink)).collect();
    let marks = lines.into_iter().map(|(_, ink, points)| Mark::Line { ink, width: 4, points }).collect();
    let (x, y) = (Axis::seconds(seconds), Axis::upwards(max, units::rate));
    let plot = Plot { title: title.into(), description, height: HEIGHT, x, y, marks };
    Drawing { legend, note: None, plot }
}
