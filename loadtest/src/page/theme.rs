//! The colours of the page, light and dark, and how plots come by them.
//!
//! A plot is drawn once, for both: each ink stands in it as a colour that nothing else has, which is replaced by the
//! name of a variable when the plot is put into the page.

use std::fmt::Write;

use plotters::style::RGBColor;

/// A colour of the page, by its place in [`INKS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink(u8);

/// The name of an ink's variable, its light and its dark colour.
type Shades = (&'static str, &'static str, &'static str);

const INKS: [Shades; 20] = [
    ("paper", "#ffffff", "#15181c"),
    ("panel", "#f4f6f8", "#1e2329"),
    ("text", "#1b1f24", "#e6e9ed"),
    ("muted", "#57606a", "#a0aab5"),
    ("grid", "#dfe3e8", "#333a43"),
    ("right", "#0b7a5b", "#45c99d"),
    ("refused", "#9a5b00", "#eeb04a"),
    ("failed", "#bd2130", "#ff8079"),
    ("line-1", "#1d5fc4", "#70b3ff"),
    ("line-2", "#0b7a5b", "#45c99d"),
    ("line-3", "#b5278a", "#ff93cf"),
    ("line-4", "#9a5b00", "#eeb04a"),
    ("line-5", "#6b3fc0", "#bfa0ff"),
    ("line-6", "#46707e", "#8fc3d3"),
    ("heat-1", "#d5e5f5", "#1b3044"),
    ("heat-2", "#a9cbe9", "#1f4a6e"),
    ("heat-3", "#6faad8", "#2a6b9c"),
    ("heat-4", "#3b82bf", "#4a93c9"),
    ("heat-5", "#175a9c", "#8cc1ea"),
    ("heat-6", "#08305f", "#e0f0fd"),
];

impl Ink {
    pub(super) const PAPER: Self = Self(0);
    pub(super) const TEXT: Self = Self(2);
    pub(super) const MUTED: Self = Self(3);
    pub(super) const GRID: Self = Self(4);
    pub(super) const RIGHT: Self = Self(5);
    pub(super) const REFUSED: Self = Self(6);
    pub(super) const FAILED: Self = Self(7);
    /// For lines that mean nothing by their colour.
    pub(super) const LINES: [Self; 6] = [Self(8), Self(9), Self(10), Self(11), Self(12), Self(13)];
    /// From few to many.
    pub(super) const HEAT: [Self; 6] = [Self(14), Self(15), Self(16), Self(17), Self(18), Self(19)];

    /// The line of this number; they repeat.
    pub(super) fn line(number: usize) -> Self {
        Self::LINES[number % Self::LINES.len()]
    }

    /// What stands for it while a plot is drawn.
    pub(super) fn color(self) -> RGBColor {
        RGBColor(0, 0, self.0 + 1)
    }

    /// How a style names it.
    pub(super) fn variable(self) -> String {
        format!("var(--{})", INKS[usize::from(self.0)].0)
    }
}

/// A plot with the names of variables where inks stood. Text cannot be taken for one: its quotes are escaped.
pub(super) fn themed(svg: &str) -> String {
    (0..INKS.len() as u8).map(Ink).fold(svg.to_owned(), |svg, ink| {
        let RGBColor(red, green, blue) = ink.color();
        svg.replace(&format!("=\"#{red:02X}{green:02X}{blue:02X}\""), &format!("=\"{}\"", ink.variable()))
    })
}

/// The styles of the page, colours first.
pub(super) fn styles() -> String {
    let variables = |color: fn(&Shades) -> &'static str| {
        INKS.iter().fold(String::new(), |mut text, ink| {
            let _ = write!(text, "--{}:{};", ink.0, color(ink));
            text
        })
    };
    let (light, dark) = (variables(|ink| ink.1), variables(|ink| ink.2));
    format!(
        ":root{{color-scheme:light dark;{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{}",
        include_str!("style.css")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, as WCAG 2 defines it.
    fn luminance(color: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&color[at..at + 2], 16).expect("hexadecimal")) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn everything_can_be_told_from_the_paper_it_stands_on() {
        let of = |ink: Ink| INKS[usize::from(ink.0)];
        let [paper, panel] = [of(Ink::PAPER), INKS[1]];
        let texts = [Ink::TEXT, Ink::MUTED, Ink::RIGHT, Ink::REFUSED, Ink::FAILED];
        for (least, inks) in [(4.5, &texts[..]), (3.0, &Ink::LINES)] {
            for (name, light, dark) in inks.iter().map(|ink| of(*ink)) {
                for (color, paper) in [(light, paper.1), (light, panel.1), (dark, paper.2), (dark, panel.2)] {
                    assert!(contrast(color, paper) >= least, "{name} {color} on {paper}");
                }
            }
        }
    }

    #[test]
    fn heat_rises_from_the_paper() {
        for color in [|ink: &Shades| ink.1, |ink: &Shades| ink.2] {
            let paper = color(&INKS[0]);
            let levels: Vec<f64> =
                Ink::HEAT.iter().map(|ink| contrast(color(&INKS[usize::from(ink.0)]), paper)).collect();
            assert!(levels.windows(2).all(|pair| pair[0] < pair[1]), "{levels:?}");
        }
    }

    #[test]
    fn inks_become_variables_and_text_stays() {
        let svg = themed(r##"<text fill="#000003">=&quot;#000003&quot;</text><line stroke="#000005"/>"##);
        assert_eq!(
            svg,
            r##"<text fill="var(--text)">=&quot;#000003&quot;</text><line stroke="var(--grid)"/>"##
        );
    }
}
