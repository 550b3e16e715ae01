//! A plot with what stands around it: its title, its legend, and a note on how to read it.

use maud::{Markup, PreEscaped, html};

use super::plot::Plot;
use super::theme::Ink;

/// A plot and its words.
#[derive(Clone, Debug)]
pub(super) struct Drawing {
    pub(super) plot: Plot,
    /// What each colour is.
    pub(super) legend: Vec<(String, Ink)>,
    /// How to read it, where that is not plain.
    pub(super) note: Option<String>,
}

impl Drawing {
    /// It in the page.
    ///
    /// # Errors
    /// Where the plot cannot be drawn.
    pub(super) fn markup(&self) -> Result<Markup, String> {
        let Self { plot, legend, note } = self;
        let svg = PreEscaped(plot.svg()?);
        Ok(html! {
            figure {
                figcaption {
                    strong { (plot.title) }
                    @if !legend.is_empty() {
                        ul.legend {
                            @for (name, ink) in legend {
                                li { span.swatch style=(format!("background:{}", ink.variable())) {} (name) }
                            }
                        }
                    }
                }
                (svg)
                @if let Some(note) = note { p.note { (note) } }
            }
        })
    }
}
