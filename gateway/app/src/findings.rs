//! What the checks of a version found, for people and for programs.

use pointsman_core::{Findings, Profile, RunTime, SizeTime};
use serde_json::{Value, json};

/// As JSON: times are in seconds.
#[must_use]
pub(crate) fn as_json(findings: &Findings) -> Value {
    let Findings { golden, batching, warm_up, profile, warnings } = findings;
    let Profile { sizes, batch_rows_max, inline_rows_max } = profile;
    let time = |run_time: &RunTime| {
        let (median, spread) = (run_time.median.as_secs_f64(), run_time.spread.as_secs_f64());
        json!({"median_seconds": median, "spread_seconds": spread, "runs": run_time.runs})
    };
    let size = |size: &SizeTime| {
        let mut value = time(&size.run_time);
        value["rows"] = json!(size.rows);
        value["slowest_cpu_seconds"] = json!(size.slowest.as_secs_f64());
        value
    };
    json!({
        "golden_cases": golden,
        "batching": {
            "batched": batching.is_batched(), "finding": batching.name(), "what": batching.to_string(),
        },
        "warm_up": {
            "inputs": warm_up.inputs.name(), "sessions": warm_up.sessions, "rows_max": warm_up.rows_max,
        },
        "run_time": findings.run_time().as_ref().map(time),
        "profile": {
            "sizes": sizes.iter().map(size).collect::<Vec<_>>(),
            "batch_rows_max": batch_rows_max, "inline_rows_max": inline_rows_max,
        },
        "warnings": warnings,
    })
}

/// In a line, without the warnings.
#[must_use]
pub(crate) fn as_text(findings: &Findings) -> String {
    let Findings { golden, batching, profile, .. } = findings;
    let run_time = findings.run_time().map(|run_time| format!("; a run takes {:.0?}", run_time.median));
    let together = match profile.batch_rows_max {
        rows @ 2.. => format!("; up to {rows} rows are run together"),
        _ => String::new(),
    };
    format!("golden cases: {golden}; batching: {batching}{}{together}", run_time.unwrap_or_default())
}
