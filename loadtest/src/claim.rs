//! A figure that a proof stands or falls with.

use std::fmt;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

/// One figure with its bound.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    pub(crate) name: &'static str,
    pub(crate) found: String,
    pub(crate) bound: String,
    pub(crate) held: bool,
}

impl Claim {
    pub(crate) fn new(name: &'static str, found: String, bound: String, held: bool) -> Self {
        Self { name, found, bound, held }
    }

    /// A count that has to be 0.
    pub(crate) fn none(name: &'static str, count: u64) -> Self {
        Self::new(name, count.to_string(), "0".into(), count == 0)
    }

    /// A count that has to be so large.
    pub(crate) fn at_least(name: &'static str, count: u64, least: u64) -> Self {
        Self::new(name, count.to_string(), format!(">= {least}"), count >= least)
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let Self { name, found, bound, held } = self;
        json!({"name": name, "found": found, "bound": bound, "held": held})
    }

    /// The names of those that were missed.
    pub(crate) fn missed(claims: &[Self]) -> Vec<&'static str> {
        claims.iter().filter(|claim| !claim.held).map(|claim| claim.name).collect()
    }
}

/// Gives the report of a proof to whoever reads, and as JSON to a file; whether every figure held.
///
/// # Errors
/// Where the file cannot be written; and where every figure held although a `control` was to make one of them be missed.
pub(crate) fn give(
    report: &impl fmt::Display,
    json: &Value,
    file: Option<&Path>,
    held: bool,
    control: Option<&str>,
) -> Result<bool, String> {
    if let Some(file) = file {
        std::fs::write(file, format!("{json:#}\n")).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    // Whoever reads may have seen enough: the exit code still says how it went.
    let _ = writeln!(std::io::stdout(), "{report}");
    match control {
        Some(control) if held => Err(format!("{control} says that the figures cannot be trusted")),
        _ => Ok(held),
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, found, bound, held } = self;
        let verdict = if *held { "held" } else { "MISSED" };
        write!(f, "  {name:<30} {found:>14}   {bound:<12} {verdict}")
    }
}
