//! Plots: marks between two axes, drawn by plotters as SVG that fits any width and any theme.

use std::ops::Range;

use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::{KeyPointHint, KeyPointWeight, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, ShapeStyle, TextStyle};

use super::axis::Axis;
use super::theme::{self, Ink};

/// The width in which plots are drawn. Coordinates are whole numbers, so it is more than the page gives them.
const WIDTH: u32 = 960;

/// The size of text in it, in plotters' measure: readable where a phone shrinks it to a third.
const TEXT_SIZE: u32 = 34;

/// The room beside an axis that has no labels.
const BARE: u32 = 8;

type Problem = DrawingAreaErrorKind<std::io::Error>;
type Area<'svg> = DrawingArea<SVGBackend<'svg>, Cartesian2d<Axis, Axis>>;

/// A plot.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// What it shows, for whoever cannot see it.
    pub(super) title: String,
    /// What can be seen in it, in a sentence.
    pub(super) description: String,
    pub(super) height: u32,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// From the one at the back to the one in front.
    pub(super) marks: Vec<Mark>,
}

/// Something between the axes, in their numbers.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    /// A line, broken where a point is no number.
    Line { ink: Ink, width: u32, points: Vec<(f64, f64)> },
    /// A filled rectangle, from one corner to the other.
    Cell { ink: Ink, from: (f64, f64), to: (f64, f64) },
    /// A point.
    Dot { ink: Ink, at: (f64, f64) },
    /// Text that begins at a point.
    Label { at: (f64, f64), text: String },
}

/// The height of most plots.
pub(super) const HEIGHT: u32 = 480;

impl Plot {
    /// The plot as an `svg` element.
    ///
    /// # Errors
    /// Where it cannot be drawn.
    pub(super) fn svg(&self) -> Result<String, String> {
        let mut drawn = String::new();
        self.draw(&mut drawn).map_err(|e| format!("plot '{}': {e}", self.title))?;
        // What it is called is said before what is in it, and its width is that of the place it stands in.
        let inside = drawn.split_once('>').map_or("", |(_, inside)| inside);
        let Self { height, title, description, .. } = self;
        let named = maud::html! { title { (title) } desc { (description) } };
        Ok(format!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">{}{}",
            escaped(title),
            named.into_string(),
            theme::themed(inside)
        ))
    }

    fn draw(&self, svg: &mut String) -> Result<(), Problem> {
        let area = SVGBackend::with_string(svg, (WIDTH, self.height)).into_drawing_area();
        let longest =
            |axis: &Axis| axis.ticks.iter().map(|(_, label)| label.chars().count()).max().unwrap_or(0) as u32;
        // Room for the labels: half of the last one stands to the right of the horizontal axis.
        let (below, left) = (if self.x.ticks.is_empty() { BARE } else { 48 }, 28 + 16 * longest(&self.y));
        let mut chart = ChartBuilder::on(&area)
            .margin_top(16)
            .margin_right(16 + 7 * longest(&self.x))
            .x_label_area_size(below)
            .y_label_area_size(if self.y.ticks.is_empty() { BARE } else { left })
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .bold_line_style(Ink::GRID.color())
            .axis_style(Ink::MUTED.color())
            .label_style(text(Ink::MUTED))
            .draw()?;
        self.marks.iter().try_for_each(|mark| mark.draw(chart.plotting_area()))?;
        area.present()
    }
}

impl Mark {
    fn draw(&self, area: &Area<'_>) -> Result<(), Problem> {
        match self {
            Self::Line { ink, width, points } => {
                let style = ShapeStyle::from(ink.color()).stroke_width(*width);
                let mut pieces = points.split(|(x, y)| !(x.is_finite() && y.is_finite()));
                pieces.try_for_each(|piece| match piece {
                    [] => Ok(()),
                    // A line of one point would not be seen.
                    [point] => area.draw(&Circle::new(*point, *width + 1, style.filled())),
                    _ => area.draw(&PathElement::new(piece, style)),
                })
            }
            Self::Cell { ink, from, to } => area.draw(&Rectangle::new([*from, *to], filled(*ink))),
            Self::Dot { ink, at } => area.draw(&Circle::new(*at, 8, filled(*ink))),
            Self::Label { at, text: words } => {
                let style = text(Ink::TEXT).pos(Pos::new(HPos::Left, VPos::Bottom));
                area.draw(&Text::new(words.as_str(), *at, style))
            }
        }
    }
}

fn text(ink: Ink) -> TextStyle<'static> {
    TextStyle {
        color: ink.color().to_backend_color(),
        ..TextStyle::from(("sans-serif", TEXT_SIZE).into_font())
    }
}

fn filled(ink: Ink) -> ShapeStyle {
    ShapeStyle::from(ink.color()).filled()
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        start + (f64::from(end - start) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.weight() {
            KeyPointWeight::Bold => self.ticks.iter().map(|(at, _)| *at).collect(),
            // Between ticks stands nothing.
            KeyPointWeight::Any => Vec::new(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.ticks.iter().find(|(at, _)| at == value).map(|(_, label)| label.clone()).unwrap_or_default()
    }
}

fn escaped(text: &str) -> String {
    maud::html! { (text) }.into_string()
}
