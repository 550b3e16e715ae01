//! Latency by percentile on logarithmic scales, as HDR plots show it, and latency by rate.

use super::axis::{Axis, log_us, nines};
use super::drawing::Drawing;
use super::plot::{HEIGHT, Mark, Plot};
use super::theme::Ink;
use crate::findings::{Latency, Part, Stream};
use crate::units;

/// The most colours in a plot that compares parts: more could not be told apart.
const COLOURS_MAX: usize = Ink::LINES.len();

/// The most lines in it.
const LINES_MAX: usize = 24;

/// The fewest rates that show how latency depends on them.
const RATES_MIN: usize = 3;

/// The latencies of a stream: right answers, refusals, and how late requests left.
pub(super) fn percentiles(stream: &Stream) -> Option<Drawing> {
    let mut lines = vec![("late to leave".to_owned(), Ink::MUTED, &stream.lag)];
    if let Some(refusals) = &stream.refusal_latency {
        lines.push(("refusals".into(), Ink::REFUSED, refusals));
    }
    lines.push(("right answers".into(), Ink::RIGHT, &stream.latency));
    let at = |quantile| units::time_or_none(stream.latency.quantile(quantile));
    let description = format!("Of right answers: p50 {}, p99 {}, p99.9 {}.", at(0.5), at(0.99), at(0.999));
    drawing("Latency by percentile", description, &lines)
}

/// The latencies of the streams of one name, a line for each part. Parts of one target have one colour.
pub(super) fn side_by_side(name: &str, parts: &[Part]) -> Option<Drawing> {
    let mut labels: Vec<&str> = Vec::new();
    let (mut lines, mut each, mut left_out) = (Vec::new(), Vec::new(), 0);
    for (part, stream) in of_name(name, parts) {
        let label = part.target.as_deref().unwrap_or(&part.name);
        let number = labels.iter().position(|known| *known == label).unwrap_or_else(|| {
            labels.push(label);
            labels.len() - 1
        });
        if number >= COLOURS_MAX || lines.len() >= LINES_MAX {
            left_out += 1;
            continue;
        }
        lines.push((units::name(label), Ink::line(number), &stream.latency));
        each.push(format!(
            "{} {}",
            units::name(&part.name),
            units::time_or_none(stream.latency.quantile(0.99))
        ));
    }
    let mut drawing = drawing("Latency by percentile", format!("p99 by part: {}.", each.join(", ")), &lines)?;
    drawing.note = (left_out > 0)
        .then(|| format!("The first {} parts; {left_out} more are not drawn here.", lines.len()));
    Some(drawing)
}

/// Latency against the rate that was due, where the streams of one name had several.
pub(super) fn by_rate(name: &str, parts: &[Part]) -> Option<Drawing> {
    let rated = |(_, stream): (&Part, &'_ Stream)| stream.offered_rate.filter(|rate| rate.is_finite());
    let mut streams: Vec<(f64, &Stream)> =
        of_name(name, parts).filter_map(|of| rated(of).map(|rate| (rate, of.1))).collect();
    streams.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut rates: Vec<f64> = streams.iter().map(|(rate, _)| *rate).collect();
    rates.dedup();
    if rates.len() < RATES_MIN {
        return None;
    }
    let mut lines = Vec::new();
    for (number, (quantile, label)) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")].into_iter().enumerate()
    {
        let us = |stream: &Stream| stream.latency.quantile(quantile).unwrap_or(f64::NAN);
        let points: Vec<(f64, f64)> = streams.iter().map(|(rate, stream)| (*rate, us(stream))).collect();
        lines.push((label, Ink::line(number), points));
    }
    let y = Axis::times(lines.iter().flat_map(|(_, _, points)| points.iter().map(|(_, us)| *us)));
    let most = rates.last().copied().unwrap_or_default();
    let legend = lines.iter().map(|(label, ink, _)| ((*label).to_owned(), *ink)).collect();
    let marks = lines.into_iter().map(|(_, ink, points)| Mark::Line {
        ink,
        width: 4,
        points: points.into_iter().map(|(rate, us)| (rate, log_us(us))).collect(),
    });
    let plot = Plot {
        title: "Latency by rate".into(),
        description: format!(
            "Latency of right answers at {} rates, up to {}.",
            rates.len(),
            units::rate(most)
        ),
        height: HEIGHT,
        x: Axis::upwards(most, units::rate),
        y,
        marks: marks.collect(),
    };
    Some(Drawing { plot, legend, note: None })
}

/// The parts with a stream of this name, and it.
fn of_name<'a>(name: &'a str, parts: &'a [Part]) -> impl Iterator<Item = (&'a Part, &'a Stream)> {
    parts.iter().filter_map(move |part| Some((part, part.streams.iter().find(|stream| stream.name == name)?)))
}

/// A curve for each of these that has samples; nothing where none has.
fn drawing(title: &str, description: String, lines: &[(String, Ink, &Latency)]) -> Option<Drawing> {
    let drawn: Vec<_> = lines.iter().filter(|(_, _, latency)| latency.longest().is_some()).collect();
    let samples = drawn.iter().map(|(_, _, latency)| latency.samples).max()?;
    let times = drawn.iter().flat_map(|(_, _, latency)| curve(latency)).map(|(_, us)| us);
    let (x, y) = (Axis::quantiles(samples), Axis::times(times));
    let mut legend: Vec<(String, Ink)> = Vec::new();
    for (name, ink, _) in &drawn {
        if !legend.iter().any(|(_, known)| known == ink) {
            legend.push((name.clone(), *ink));
        }
    }
    let marks = drawn.iter().map(|(_, ink, latency)| Mark::Line {
        ink: *ink,
        width: 4,
        points: curve(latency).into_iter().map(|(at, us)| (at, log_us(us))).collect(),
    });
    let plot = Plot { title: title.into(), description, height: HEIGHT, x, y, marks: marks.collect() };
    Some(Drawing { plot, legend, note: None })
}

/// Where each quantile stands, and its time; the longest stands where its share of the samples does.
fn curve(latency: &Latency) -> Vec<(f64, f64)> {
    let end = (latency.samples.max(1) as f64).log10();
    let kept = latency.quantiles_us.iter().map(|(quantile, us)| (nines(*quantile), *us));
    let mut points: Vec<(f64, f64)> = kept.filter(|(at, us)| *at < end && us.is_finite()).collect();
    points.extend(latency.longest().map(|us| (end, us)));
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_curve_ends_with_the_longest_where_samples_end() {
        let latency = Latency {
            samples: 1000,
            mean_us: 1.0,
            max_us: 9.0,
            quantiles_us: vec![(0.0, 1.0), (0.9, 4.0), (0.99, f64::NAN), (0.9999, 8.0), (1.0, 9.0)],
        };
        let points = curve(&latency);
        assert_eq!(points.iter().map(|(_, us)| *us).collect::<Vec<_>>(), [1.0, 4.0, 9.0]);
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0), "{points:?}");
        assert!((points[2].0 - 3.0).abs() < 1e-9, "{points:?}");
    }

    #[test]
    fn latency_by_rate_needs_several_rates() {
        assert!(by_rate("digits", &samples::overload().parts).is_some());
        assert!(by_rate("digits", &samples::comparison().parts).is_none(), "one rate alone");
        assert!(by_rate("iris", &samples::overload().parts).is_none(), "no such stream");
    }

    #[test]
    fn parts_of_one_target_have_one_colour() {
        let findings = samples::comparison();
        let drawing = side_by_side("digits", &findings.parts).expect("curves");
        let named: Vec<&str> = drawing.legend.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((named, drawing.plot.marks.len(), drawing.note), (vec!["A", "B"], 6, None));
        let mut parts = findings.parts;
        parts.iter_mut().for_each(|part| part.target = None);
        parts.extend(parts.clone());
        parts[6].name = "round 4 of A".into();
        let drawing = side_by_side("digits", &parts).expect("curves");
        assert_eq!((drawing.legend.len(), drawing.plot.marks.len()), (COLOURS_MAX, 11));
        assert!(drawing.note.is_some_and(|note| note.contains("The first 11 parts; 1 more")));
    }

    #[test]
    fn no_samples_make_no_curve() {
        let findings = samples::empty();
        assert!(percentiles(&findings.parts[0].streams[0]).is_none());
        assert!(side_by_side("digits", &findings.parts).is_none());
    }
}
