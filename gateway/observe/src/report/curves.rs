//! Curves over windows, each with the interval of its points, as SVG that takes its colours from the page.

use maud::{Markup, html};

use super::plots::{ABOVE, BELOW, HEIGHT, SIDE, Scale, WIDTH, label, line, plot, short};
use super::text::number;

/// The most names below the axis.
const NAMES_MAX: usize = 6;
/// The most curves in one plot: there are two colours.
const CURVES_MAX: usize = 2;

/// One point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// The place on the axis.
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Its bounds, where they are known.
    pub(crate) bounds: Option<(f64, f64)>,
}

/// One curve.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// Curves over places on an axis, each with a name, and a dashed line where two points are given. Nothing without points.
pub(crate) fn curves(
    title: &str,
    description: &str,
    names: &[(f64, String)],
    curves: &[Curve],
    level: Option<[(f64, f64); 2]>,
) -> Option<Markup> {
    let curves = &curves[..curves.len().min(CURVES_MAX)];
    let points = || curves.iter().flat_map(|curve| &curve.points);
    points().next()?;
    let ends = || level.iter().flatten();
    let (bottom, top) = (HEIGHT - BELOW, ABOVE + 14.0);
    let x = Scale::over(points().map(|point| point.x).chain(ends().map(|end| end.0)), SIDE, WIDTH - SIDE);
    let of_bounds = points().flat_map(|point| point.bounds.map_or([point.y; 2], |(low, high)| [low, high]));
    let y = Scale::over(
        of_bounds.chain(points().map(|point| point.y)).chain(ends().map(|end| end.1)),
        bottom,
        top,
    );
    let step = names.len().div_ceil(NAMES_MAX).max(1);
    let place = |point: &Point| format!("{},{}", short(x.place(point.x)), short(y.place(point.y)));
    let marks = html! {
        (line("grid", (SIDE, bottom), (WIDTH - SIDE, bottom)))
        (line("grid", (SIDE, top), (SIDE, bottom)))
        @if let Some([from, to]) = level {
            (line("level", (x.place(from.0), y.place(from.1)), (x.place(to.0), y.place(to.1))))
        }
        @for (curve, class) in curves.iter().zip(["one", "two"]) {
            polyline class=(class) fill="none" style="fill:none"
                points=(curve.points.iter().map(place).collect::<Vec<_>>().join(" ")) {}
            @for point in &curve.points {
                @let at = x.place(point.x);
                @if let Some((low, high)) = point.bounds {
                    (line(class, (at, y.place(low)), (at, y.place(high))))
                }
                circle class=(class) cx=(short(at)) cy=(short(y.place(point.y))) r="3.5" {}
            }
        }
        @for (at, (curve, class)) in curves.iter().zip(["one", "two"]).enumerate() {
            @let left = SIDE + 8.0 + at as f64 * WIDTH / 2.0;
            circle class=(class) cx=(short(left)) cy="9" r="3.5" {}
            (label(left + 8.0, 13.0, "start", &curve.name))
        }
        @for (at, name) in names.iter().step_by(step) { (label(x.place(*at), bottom + 16.0, "middle", name)) }
        (label(SIDE + 4.0, bottom - 4.0, "start", &number(y.from)))
        (label(SIDE + 4.0, top + 8.0, "start", &number(y.to)))
    };
    Some(plot(title, description, &marks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_have_their_points_and_nothing_is_no_plot() {
        let point = |x, y| Point { x, y, bounds: Some((y - 0.1, y + 0.1)) };
        let curve =
            |name: &str| Curve { name: name.into(), points: vec![point(0.0, 0.5), point(1.0, f64::NAN)] };
        let names: Vec<(f64, String)> = (0..20).map(|at| (f64::from(at), format!("w{at}"))).collect();
        let drawn =
            curves("t", "d", &names, &[curve("<a>"), curve("b"), curve("c")], Some([(0.0, 0.0), (1.0, 1.0)]));
        let drawn = drawn.expect("points").into_string();
        assert_eq!((drawn.matches("<polyline").count(), drawn.matches("<circle").count()), (2, 6));
        assert!(
            drawn.contains("&lt;a&gt;") && !drawn.contains("<a>") && drawn.matches(">w").count() <= NAMES_MAX
        );
        assert!(curves("t", "d", &[], &[Curve { name: "a".into(), points: Vec::new() }], None).is_none());
    }
}
