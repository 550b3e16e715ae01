//! What the checks of a version found, for people and for programs.

use pointsman_core::Findings;
use serde_json::{Value, json};

/// As JSON: times are in seconds.
#[must_use]
pub(crate) fn as_json(findings: &Findings) -> Value {
    let Findings { golden, batching, warm_up, run_time, warnings } = findings;
    let run_time = run_time.map(|run_time| {
        let (median, spread) = (run_time.median.as_secs_f64(), run_time.spread.as_secs_f64());
        json!({"median_seconds": median, "spread_seconds": spread, "runs": run_time.runs})
    });
    json!({
        "golden_cases": golden,
        "batching": {
            "batched": batching.is_batched(), "finding": batching.name(), "what": batching.to_string(),
        },
        "warm_up": {
            "inputs": warm_up.inputs.name(), "sessions": warm_up.sessions, "rows_max": warm_up.rows_max,
        },
        "run_time": run_time,
        "warnings": warnings,
    })
}

/// In a line, without the warnings.
#[must_use]
pub(crate) fn as_text(findings: &Findings) -> String {
    let Findings { golden, batching, run_time, .. } = findings;
    let run_time = run_time.map(|run_time| format!("; a run takes {:.0?}", run_time.median));
    format!("golden cases: {golden}; batching: {batching}{}", run_time.unwrap_or_default())
}
