//! Ratios with their intervals, beside one.

use super::axis::Axis;
use super::drawing::Drawing;
use super::plot::{Mark, Plot};
use super::theme::Ink;
use crate::findings::Figure;
use crate::units;

/// The most ratios that are drawn; the table has all.
const RATIOS_MAX: usize = 24;

/// The most characters of a ratio's name beside its bar.
const NAME_CHARS_MAX: usize = 50;

/// The height of a row.
const ROW_HEIGHT: u32 = 88;

/// How far above its bar a name stands, and half the height of a bar, of a row that is one high.
const NAME_ABOVE: f64 = 0.28;
const BAR_HALF: f64 = 0.14;

/// The ratios that have an interval, a row for each; nothing where there are none.
pub(super) fn ratios(figures: &[Figure]) -> Option<Drawing> {
    let has_logarithm = |value: f64| value.is_finite() && value > 0.0;
    let of_ratio = |figure: &Figure| {
        let (low, high) = figure.interval.filter(|_| figure.unit == "ratio")?;
        let all = [figure.value, low, high].into_iter().all(has_logarithm);
        all.then(|| (units::name(&figure.name), figure.value, low, high))
    };
    let rows: Vec<_> = figures.iter().filter_map(of_ratio).take(RATIOS_MAX).collect();
    if rows.is_empty() {
        return None;
    }
    let x = Axis::ratios(rows.iter().flat_map(|(_, value, low, high)| [*value, *low, *high]));
    let one = Mark::Line { ink: Ink::TEXT, width: 2, points: vec![(0.0, 0.0), (0.0, rows.len() as f64)] };
    let mut marks = vec![one];
    for (number, (name, value, low, high)) in rows.iter().enumerate() {
        let y = (rows.len() - number) as f64 - 0.7;
        // Where the interval holds one, there is no telling which is more.
        let ink = if *low <= 1.0 && *high >= 1.0 { Ink::MUTED } else { Ink::LINES[0] };
        let (from, to) = ((low.log10(), y - BAR_HALF), (high.log10(), y + BAR_HALF));
        marks.push(Mark::Cell { ink, from, to });
        marks.push(Mark::Dot { ink: Ink::TEXT, at: (value.log10(), y) });
        let short: String = name.chars().take(NAME_CHARS_MAX).collect();
        let text = format!("{short}: {}", units::figure(*value, "ratio"));
        marks.push(Mark::Label { at: (x.range.start, y + NAME_ABOVE), text });
    }
    let said = |(name, value, low, high): &(String, f64, f64, f64)| {
        let [value, low, high] = [value, low, high].map(|ratio| units::figure(*ratio, "ratio"));
        format!("{name} {value} ({low} to {high})")
    };
    let plot = Plot {
        title: "Ratios with their intervals".into(),
        description: rows.iter().map(said).collect::<Vec<_>>().join("; "),
        height: 72 + ROW_HEIGHT * rows.len() as u32,
        x,
        y: Axis { range: 0.0..rows.len() as f64, ticks: Vec::new() },
        marks,
    };
    let legend = vec![
        ("differs from 1".to_owned(), Ink::LINES[0]),
        ("1 is within the interval: no difference shown".to_owned(), Ink::MUTED),
    ];
    Some(Drawing {
        plot,
        legend,
        note: Some("The dot is the median of the rounds, the bar its interval: 95 % at least of six rounds or more, lowest to highest of fewer.".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn ratios_without_an_interval_or_a_logarithm_are_left_to_the_table() {
        let mut figures = samples::comparison().figures;
        let bars = |figures: &[Figure]| {
            let is_bar = |mark: &&Mark| matches!(mark, Mark::Cell { .. });
            ratios(figures).map_or(0, |drawn| drawn.plot.marks.iter().filter(is_bar).count())
        };
        assert_eq!(bars(&figures), 5);
        figures[0].interval = None;
        figures[1].interval = Some((0.0, 1.5));
        figures[2].value = f64::NAN;
        assert_eq!(bars(&figures), 2);
        assert!(ratios(&samples::overload().figures).is_none());
    }
}
