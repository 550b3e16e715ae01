//! Plots of a report: few marks between two axes, as SVG that takes its colours from the page.

use maud::{Markup, html};

use super::text::{number, percent, seconds};

/// The size in which plots are drawn; the page scales them.
pub(super) const WIDTH: f64 = 400.0;
pub(super) const HEIGHT: f64 = 220.0;
/// The room left for labels below and at the sides.
pub(super) const BELOW: f64 = 34.0;
pub(super) const SIDE: f64 = 8.0;
pub(super) const ABOVE: f64 = 16.0;

/// Where numbers of a range stand between two places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) from: f64,
    pub(super) to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// A range that holds all numbers, with room around a single one.
    pub(super) fn over(numbers: impl Iterator<Item = f64>, start: f64, end: f64) -> Self {
        let numbers = numbers.filter(|number| number.is_finite());
        let (from, to) = numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| {
            (number.min(low), number.max(high))
        });
        if from > to {
            return Self { from: 0.0, to: 1.0, start, end };
        }
        // Halves first, as the difference of the largest numbers is none.
        let room = (to / 2.0 - from / 2.0) * 0.1;
        let room = if room > 0.0 { room } else { from.abs().max(1e-9) * 0.1 };
        Self { from: from - room, to: to + room, start, end }
    }

    pub(super) fn place(&self, number: f64) -> f64 {
        let share = (number / 2.0 - self.from / 2.0) / (self.to / 2.0 - self.from / 2.0);
        self.start + (self.end - self.start) * share.clamp(0.0, 1.0)
    }
}

pub(super) fn plot(title: &str, description: &str, marks: &Markup) -> Markup {
    let size = format!("0 0 {WIDTH} {HEIGHT}");
    html! {
        figure {
            figcaption { (title) }
            svg viewBox=(size) role="img" aria-label=(title) {
                title { (title) }
                desc { (description) }
                (marks)
            }
            p.note { (description) }
        }
    }
}

pub(super) fn short(place: f64) -> String {
    format!("{place:.1}")
}

pub(super) fn label(x: f64, y: f64, anchor: &str, text: &str) -> Markup {
    html! { text x=(short(x)) y=(short(y)) text-anchor=(anchor) { (text) } }
}

pub(super) fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Markup {
    html! { line class=(class) x1=(short(from.0)) y1=(short(from.1)) x2=(short(to.0)) y2=(short(to.1)) {} }
}

/// A bar for each name. Nothing where all counts are 0.
pub(super) fn bars(title: &str, description: &str, counts: &[(String, u64)]) -> Option<Markup> {
    let most = counts.iter().map(|(_, count)| *count).max().filter(|most| *most > 0)?;
    let bottom = HEIGHT - BELOW;
    let width = (WIDTH - 2.0 * SIDE) / counts.len() as f64;
    let marks = html! {
        (line("grid", (SIDE, bottom), (WIDTH - SIDE, bottom)))
        @for (index, (name, count)) in counts.iter().enumerate() {
            @let height = (bottom - ABOVE - 14.0) * (*count as f64 / most as f64);
            @let (left, middle) = (SIDE + index as f64 * width, SIDE + (index as f64 + 0.5) * width);
            @if *count > 0 {
                rect.one x=(short(left + 2.0)) y=(short(bottom - height.max(1.0)))
                    width=(short((width - 4.0).max(1.0))) height=(short(height.max(1.0))) {}
                (label(middle, bottom - height - 4.0, "middle", &compact(*count)))
            }
            // Names of neighbours stand one below the other, as they are longer than bars are wide.
            (label(middle, bottom + if index % 2 == 0 { 14.0 } else { 29.0 }, "middle", name))
        }
    };
    Some(plot(title, description, &marks))
}

/// A count in few characters.
fn compact(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}k", number((count as f64 / 1e3).round())),
        _ => format!("{}M", number((count as f64 / 1e6).round())),
    }
}

/// A point for each pair, and lines at some heights. Nothing where there are no points.
pub(super) fn scatter(
    title: &str,
    description: &str,
    points: &[(f64, f64)],
    levels: &[f64],
) -> Option<Markup> {
    if points.is_empty() {
        return None;
    }
    let (bottom, left) = (HEIGHT - BELOW, SIDE);
    let x = Scale::over(points.iter().map(|point| point.0), left, WIDTH - SIDE);
    let y = Scale::over(points.iter().map(|point| point.1).chain(levels.iter().copied()), bottom, ABOVE);
    let marks = html! {
        (line("grid", (left, bottom), (WIDTH - SIDE, bottom)))
        (line("grid", (left, ABOVE), (left, bottom)))
        @for level in levels.iter().filter(|level| level.is_finite()) {
            (line("level", (left, y.place(*level)), (WIDTH - SIDE, y.place(*level))))
        }
        @for (a, b) in points { circle.one.dot cx=(short(x.place(*a))) cy=(short(y.place(*b))) r="3.5" {} }
        (label(left, bottom + 16.0, "start", &number(x.from)))
        (label(WIDTH - SIDE, bottom + 16.0, "end", &number(x.to)))
        (label(left + 4.0, bottom - 4.0, "start", &number(y.from)))
        (label(left + 4.0, ABOVE + 8.0, "start", &number(y.to)))
    };
    Some(plot(title, description, &marks))
}

/// One time with its spread: from the 5th to the 95th percentile, the median and the 99th.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread<'a> {
    pub(super) name: &'a str,
    pub(super) class: &'static str,
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
    pub(super) far: f64,
}

/// Times beside each other, on a logarithmic axis. Nothing where there are none.
pub(super) fn spreads(title: &str, description: &str, spreads: &[Spread<'_>]) -> Option<Markup> {
    if spreads.is_empty() {
        return None;
    }
    // A time of 0 has no place on the axis: it stands where a nanosecond would.
    let log = |time: f64| time.max(1e-9).log10();
    let all = spreads.iter().flat_map(|s| [s.low, s.median, s.high, s.far].map(log));
    let (bottom, x) = (HEIGHT - BELOW, Scale::over(all, SIDE, WIDTH - SIDE));
    let step = (bottom - ABOVE) / spreads.len() as f64;
    let marks = html! {
        (line("grid", (SIDE, bottom), (WIDTH - SIDE, bottom)))
        @for (index, spread) in spreads.iter().enumerate() {
            @let middle = ABOVE + (index as f64 + 0.6) * step;
            @let [low, median, high, far] =
                [spread.low, spread.median, spread.high, spread.far].map(|time| x.place(log(time)));
            (label(SIDE, middle - 14.0, "start", &format!("{}: p50 {}, p99 {}",
                spread.name, seconds(spread.median), seconds(spread.far))))
            rect class=(spread.class) x=(short(low)) y=(short(middle - 6.0))
                width=(short((high - low).max(1.0))) height="12" fill-opacity="0.3" {}
            (line(spread.class, (median, middle - 9.0), (median, middle + 9.0)))
            circle class=(spread.class) cx=(short(far)) cy=(short(middle)) r="3.5" {}
        }
        (label(SIDE, bottom + 16.0, "start", &seconds(10_f64.powf(x.from))))
        (label(WIDTH - SIDE, bottom + 16.0, "end", &seconds(10_f64.powf(x.to))))
    };
    Some(plot(title, description, &marks))
}

/// A difference with its bounds.
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    pub(crate) name: String,
    /// The difference, in words.
    pub(crate) shown: String,
    pub(crate) lower: f64,
    pub(crate) value: f64,
    pub(crate) upper: f64,
}

/// Differences below each other, with a line where there is none. Nothing where there are none.
pub(crate) fn intervals(title: &str, description: &str, intervals: &[Interval]) -> Option<Markup> {
    if intervals.is_empty() {
        return None;
    }
    let all = intervals.iter().flat_map(|i| [i.lower, i.value, i.upper]).chain([0.0]);
    let (bottom, x) = (HEIGHT - BELOW, Scale::over(all, SIDE, WIDTH - SIDE));
    let step = (bottom - ABOVE) / intervals.len() as f64;
    let marks = html! {
        (line("grid", (SIDE, bottom), (WIDTH - SIDE, bottom)))
        (line("level", (x.place(0.0), ABOVE), (x.place(0.0), bottom)))
        @for (index, interval) in intervals.iter().enumerate() {
            @let middle = ABOVE + (index as f64 + 0.6) * step;
            (label(SIDE, middle - 14.0, "start", &format!("{}: {}", interval.name, interval.shown)))
            (line("one", (x.place(interval.lower), middle), (x.place(interval.upper), middle)))
            circle.one cx=(short(x.place(interval.value))) cy=(short(middle)) r="4.5" {}
        }
        (label(SIDE, bottom + 16.0, "start", &number(x.from)))
        (label(WIDTH - SIDE, bottom + 16.0, "end", &number(x.to)))
    };
    Some(plot(title, description, &marks))
}

/// Two shares for each name over each other: the first filled, the second as an outline. Nothing where there are none.
pub(crate) fn over_each_other(title: &str, description: &str, bars: &[(String, f64, f64)]) -> Option<Markup> {
    let most = bars.iter().map(|(_, a, b)| a.max(*b)).fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let bottom = HEIGHT - BELOW;
    let width = (WIDTH - 2.0 * SIDE) / bars.len() as f64;
    let height = |share: f64| (bottom - ABOVE) * (share / most);
    let top = |share: f64| bottom - height(share);
    // Names stand as far apart as they need room.
    let longest = bars.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(1).clamp(1, 14);
    let every = ((longest as f64 * 7.5 / width).ceil() as usize).max(1);
    let cut = |name: &str| name.chars().take(14).collect::<String>();
    let marks = html! {
        (line("grid", (SIDE, bottom), (WIDTH - SIDE, bottom)))
        (label(SIDE, ABOVE - 3.0, "start", &percent(most)))
        @for (index, (name, first, second)) in bars.iter().enumerate() {
            @let left = SIDE + index as f64 * width;
            rect.one x=(short(left + 0.5)) y=(short(top(*first))) width=(short((width - 1.0).max(1.0)))
                height=(short(height(*first))) fill-opacity="0.45" stroke="none" {}
            (line("two", (left, top(*second)), (left + width, top(*second))))
            @if index == 0 || bars[index - 1].2 != *second {
                @let before = if index == 0 { 0.0 } else { bars[index - 1].2 };
                (line("two", (left, top(before)), (left, top(*second))))
            }
            @if index + 1 == bars.len() { (line("two", (left + width, top(*second)), (left + width, bottom))) }
            @if index % every == 0 { (label(left + width / 2.0, bottom + 16.0, "middle", &cut(name))) }
        }
    };
    Some(plot(title, description, &marks))
}

/// A number at each time, with a limit, and what stands at both ends of time. Nothing where there are none.
pub(crate) fn over_time(
    title: &str,
    description: &str,
    points: &[(f64, f64, bool)],
    limit: f64,
    ends: &(String, String),
) -> Option<Markup> {
    if points.is_empty() {
        return None;
    }
    let bottom = HEIGHT - BELOW;
    let x = Scale::over(points.iter().map(|point| point.0), SIDE, WIDTH - SIDE);
    let y = Scale::over(points.iter().map(|point| point.1).chain([0.0, limit]), bottom, ABOVE);
    let place = |point: &(f64, f64, bool)| (x.place(point.0), y.place(point.1));
    let marks = html! {
        (line("grid", (SIDE, y.place(0.0)), (WIDTH - SIDE, y.place(0.0))))
        (line("level", (SIDE, y.place(limit)), (WIDTH - SIDE, y.place(limit))))
        (label(WIDTH - SIDE, y.place(limit) - 4.0, "end", &number(limit)))
        @for pair in points.windows(2) { (line("one", place(&pair[0]), place(&pair[1]))) }
        @for point in points {
            @let (cx, cy) = place(point);
            circle class=(if point.2 { "two" } else { "one" }) cx=(short(cx)) cy=(short(cy))
                r=(if point.2 { "4" } else { "2" }) {}
        }
        (label(SIDE, bottom + 16.0, "start", &ends.0))
        (label(WIDTH - SIDE, bottom + 16.0, "end", &ends.1))
    };
    Some(plot(title, description, &marks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_show_is_no_plot() {
        assert!(bars("t", "d", &[]).is_none() && bars("t", "d", &[("a".into(), 0)]).is_none());
        assert!(scatter("t", "d", &[], &[1.0]).is_none() && spreads("t", "d", &[]).is_none());
        assert!(over_each_other("t", "d", &[("a".into(), 0.0, 0.0)]).is_none());
        assert!(over_time("t", "d", &[], 0.2, &Default::default()).is_none());
    }

    #[test]
    fn every_mark_stands_within_the_plot() {
        let far = [(1e308, -1e308), (-1e308, 1e308), (0.0, 0.0)];
        let drawn = scatter("t", "d", &far, &[f64::NAN, 1e300]).expect("points").into_string();
        assert!(!drawn.contains("NaN\"") && !drawn.contains("inf"), "{drawn}");
        let scale = Scale::over([5.0].into_iter(), 0.0, 100.0);
        assert_eq!((scale.place(5.0), scale.place(-1e9), scale.place(1e9)), (50.0, 0.0, 100.0));
        assert_eq!([7, 1_234, 12_345_678].map(compact), ["7", "1k", "12M"]);
    }
}
