//! What became of clients that vanished, and whether that is what was asked for.

use std::fmt;

use serde_json::{Value, json};

use super::Arguments;
use super::tally::Tally;
use crate::accounting::Rest;
use crate::claim::Claim;
use crate::latency::NAME_WIDTH;
use crate::process::Usage;

/// Everything that a run found.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) arguments: Arguments,
    pub(super) tally: Tally,
    /// What ended the run early.
    pub(super) problem: Option<String>,
    /// How it was at the end; nothing where the run ended early.
    pub(super) end: Option<End>,
}

/// A gateway before the first client, and after the last one.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) rest: Rest,
    pub(super) runs: i64,
    pub(super) before: Usage,
    pub(super) after: Usage,
}

impl Report {
    /// The figures that decide, with their bounds.
    pub(super) fn claims(&self) -> Vec<Claim> {
        let Self { arguments, tally, problem, end } = self;
        let p99 = tally.all().ok().and_then(|all| all.quantile_us(0.99)).map(|us| us / 1e3);
        let bound = arguments.p99_max_ms;
        let mut claims = vec![
            Claim::at_least("clients that vanished", tally.clients(), arguments.clients),
            Claim::none("not noticed", tally.unnoticed),
            Claim::new(
                "noticed within, p99",
                p99.map_or("not measured".into(), |p99| format!("{p99:.2} ms")),
                format!("<= {bound} ms"),
                p99.is_some_and(|p99| p99 <= bound),
            ),
        ];
        if let Some(End { rest, runs, before, after }) = end {
            let undue = runs.abs_diff(tally.runs_due);
            claims.push(Claim::none("runs for clients that are gone", undue));
            claims.extend(rest.claims());
            let files = after.files.saturating_sub(before.files);
            claims.push(Claim::none("files left open", files));
            let (was, is) = (before.resident_bytes as f64, after.resident_bytes as f64);
            let growth = 100.0 * (is - was) / was.max(1.0);
            let bound = format!("<= {} %", arguments.rss_growth_max);
            let held = growth <= arguments.rss_growth_max;
            claims.push(Claim::new("resident memory", format!("{growth:+.1} %"), bound, held));
        }
        claims.push(Claim::none("problems of the run", problem.iter().count() as u64));
        claims
    }

    /// The report for programs.
    pub(super) fn json(&self) -> Value {
        let Self { arguments, tally, problem, end } = self;
        let claims = self.claims();
        let mut detection = json!({"all": tally.all().ok().map(|all| all.json())});
        for (stage, latencies) in &tally.by_stage {
            detection[stage.name()] = latencies.json();
        }
        let usage = |usage: Usage| json!({"resident_bytes": usage.resident_bytes, "threads": usage.threads, "files": usage.files});
        json!({
            "scenario": "disconnect",
            "settings": {"clients": arguments.clients, "wave": arguments.wave, "stay": arguments.stay},
            "held": Claim::missed(&claims).is_empty(),
            "figures": claims.iter().map(Claim::json).collect::<Vec<_>>(),
            "clients": tally.clients(), "not_shown": tally.not_shown, "not_noticed": tally.unnoticed, "detection": detection,
            "runs": end.map(|end| end.runs), "runs_due": tally.runs_due,
            "before": end.map(|end| usage(end.before)), "after": end.map(|end| usage(end.after)),
            "problem": problem,
        })
    }
}

/// The quantiles that are shown.
const SHOWN: &[f64] = &[0.5, 0.9, 0.99, 1.0];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { arguments, tally, problem, .. } = self;
        writeln!(
            f,
            "{} clients that vanish, up to {} at a time, over HTTP/1.1, HTTP/2 and gRPC\n",
            tally.clients(),
            arguments.wave
        )?;
        let [noticed, p50, p90, p99, max] = ["noticed", "p50", "p90", "p99", "max"];
        writeln!(f, "  {:<NAME_WIDTH$} {noticed:>10} {p50:>9} {p90:>9} {p99:>9} {max:>9}", "times in ms")?;
        tally.by_stage.iter().try_for_each(|(stage, latencies)| latencies.line(f, stage.name(), SHOWN))?;
        writeln!(f, "  {:<NAME_WIDTH$} {:>10}", "not shown", tally.not_shown)?;
        tally.all().map_err(|_| fmt::Error)?.line(f, "all", SHOWN)?;
        writeln!(f)?;
        let claims = self.claims();
        claims.iter().try_for_each(|claim| writeln!(f, "{claim}"))?;
        problem.iter().try_for_each(|problem| writeln!(f, "  ! {problem}"))?;
        match (arguments.stay, Claim::missed(&claims).join(", ")) {
            (false, missed) if missed.is_empty() => write!(f, "\nall figures held"),
            (false, missed) => write!(f, "\nmissed: {missed}"),
            (true, missed) if missed.is_empty() => {
                write!(f, "\nclients that stayed were NOT CAUGHT by any figure")
            }
            (true, missed) => write!(f, "\nclients that stayed were caught by: {missed}"),
        }
    }
}
