//! What a rate has to hold.

use std::str::FromStr;

use serde::Deserialize;

/// A bound on one quantile of the latency: `p99 < 20ms`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Objective {
    /// 0.99 for p99.
    pub(crate) quantile: f64,
    /// The latency that it stays below.
    pub(crate) below_us: f64,
}

/// Microseconds of the units that a bound can be in.
const UNITS: [(&str, f64); 3] = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];

impl FromStr for Objective {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| format!("{text:?} is no objective: one is \"p99 < 20ms\", in us, ms or s"))
    }
}

impl TryFrom<String> for Objective {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

fn parse(text: &str) -> Option<Objective> {
    let (quantile, bound) = text.split_once('<')?;
    let percent: f64 = quantile.trim().strip_prefix('p')?.parse().ok()?;
    let bound = bound.trim();
    let number = bound.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (_, unit) = UNITS.into_iter().find(|(unit, _)| *unit == bound[number.len()..].trim())?;
    let below_us = number.trim().parse::<f64>().ok()? * unit;
    let fits = percent > 0.0 && percent < 100.0 && below_us > 0.0 && below_us.is_finite();
    fits.then_some(Objective { quantile: percent / 100.0, below_us })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objective_is_a_quantile_and_a_bound() {
        for (text, quantile, below_us) in
            [("p99 < 20ms", 0.99, 20_000.0), ("p50<300us", 0.5, 300.0), ("p99.9 < 1.5 s", 0.999, 1.5e6)]
        {
            let objective: Objective = text.parse().expect(text);
            assert!((objective.quantile - quantile).abs() < 1e-9 && objective.below_us == below_us, "{text}");
        }
        for text in ["p99 > 20ms", "p99 < 20", "99 < 20ms", "p100 < 1s", "p99 < -1ms", "p99 < NaNms", ""] {
            assert!(text.parse::<Objective>().expect_err("it is none").contains("p99 < 20ms"), "{text}");
        }
    }
}
