//! How figures are made, and findings put together.

use crate::bench::Found;
use crate::findings::{About, Figure, Findings, Own};
use crate::measure::lag;
use crate::ratio::Ratio;
use crate::report::FORMAT;
use crate::threshold::Threshold;

impl Figure {
    /// One that nothing is asked of.
    pub(crate) fn of(name: impl Into<String>, value: f64, unit: &str) -> Self {
        Self { name: name.into(), value, interval: None, unit: unit.into(), asked: None, holds: None }
    }

    /// A ratio over several rounds.
    pub(crate) fn ratio(name: impl Into<String>, Ratio { value, interval }: Ratio) -> Self {
        Self { interval, ..Self::of(name, value, "ratio") }
    }

    /// A number that has to be 0.
    pub(crate) fn none(name: impl Into<String>, count: i64) -> Self {
        Self { asked: Some("= 0".into()), holds: Some(count == 0), ..Self::of(name, count as f64, "") }
    }
}

impl Findings {
    /// Everything that was found, with what is asked of its figures.
    pub(crate) fn new(about: About, found: Found, own: Option<Own>, fail_if: &[Threshold]) -> Self {
        let Found { parts, mut figures, mut doubts } = found;
        fail_if.iter().for_each(|threshold| threshold.note(&mut figures));
        doubts.extend(lag::doubts(&parts));
        Self { format: FORMAT, about, parts, figures, own, doubts }
    }
}
