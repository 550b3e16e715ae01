//! What a run found, and whether that is what was asked for.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::driver::Driven;
use super::tally::{ByProtocol, Tally};
use super::{Arguments, Fault};
use crate::claim::Claim;
use crate::latency::NAME_WIDTH;

/// The generator lags where more than one request in a hundred leaves later than this: the latencies
/// are then as much its own as the gateway's.
const LAG_P99_MAX_US: f64 = 2000.0;

/// Everything that a run found.
#[derive(Debug)]
pub(super) struct Report {
    /// What was asked for.
    pub(super) arguments: Arguments,
    pub(super) tally: Tally,
    /// Nothing where the gateway ended before it could be weighed.
    pub(super) driven: Option<Driven>,
    /// Swaps that counted and landed.
    pub(super) swaps: u64,
    /// What ended the run early.
    pub(super) problems: Vec<String>,
    /// How long requests were sent after the warm-up.
    pub(super) measured: Duration,
    /// CPU time of the generator and of the gateway, and the time in which they spent it.
    pub(super) generator_cpu: Duration,
    pub(super) gateway_cpu: Duration,
    pub(super) time: Duration,
}

impl Report {
    /// The figures that decide, with their bounds. Those of swaps are left out where there are none.
    pub(super) fn figures(&self) -> Vec<Claim> {
        let Arguments { swaps, requests, p99_ratio_max, rss_growth_max, .. } = &self.arguments;
        let (failed, wrong, mixed) = (&self.tally.failed, &self.tally.wrong, &self.tally.mixed);
        let measured = self.tally.measured;
        let mut figures = vec![
            Claim::none("failed", failed.count),
            Claim::none("wrong version", wrong.count),
            Claim::none("mixed", mixed.count),
            Claim::at_least("requests", measured, *requests),
        ];
        if *swaps > 0 {
            let failed_swaps = self.driven.as_ref().map_or(0, |driven| driven.failed);
            let all = self.swaps >= *swaps && failed_swaps == 0;
            figures.push(Claim::new("swaps", self.swaps.to_string(), swaps.to_string(), all));
            let ratio = self.p99_ratio();
            let found = ratio.map_or("not measured".into(), |ratio| format!("{ratio:.2}"));
            let held = ratio.is_some_and(|ratio| ratio <= *p99_ratio_max);
            let bound = format!("<= {p99_ratio_max}");
            figures.push(Claim::new("p99 during swaps / steady", found, bound, held));
            let growth = self.growth_percent();
            let found = growth.map_or("not measured".into(), |growth| format!("{growth:+.1} %"));
            let held = growth.is_some_and(|growth| growth <= *rss_growth_max);
            let bound = format!("<= {rss_growth_max} %");
            figures.push(Claim::new("resident memory", found, bound, held));
        }
        figures.push(Claim::none("problems of the run", self.problems.len() as u64));
        figures
    }

    /// The names of the figures that were missed.
    pub(super) fn missed(&self) -> Vec<&'static str> {
        Claim::missed(&self.figures())
    }

    fn p99_ratio(&self) -> Option<f64> {
        let p99 = |latencies: &ByProtocol| latencies.all().ok()?.quantile_us(0.99);
        Some(p99(&self.tally.during)? / p99(&self.tally.steady)?)
    }

    fn growth_percent(&self) -> Option<f64> {
        let Driven { before, after, .. } = self.driven.as_ref()?;
        let (before, after) = (before.resident_bytes as f64, after.resident_bytes as f64);
        (before > 0.0).then(|| 100.0 * (after - before) / before)
    }

    fn lags(&self) -> bool {
        self.tally.lag.quantile_us(0.99).is_some_and(|p99| p99 > LAG_P99_MAX_US)
    }

    /// Requests per second that left after the warm-up.
    fn rate(&self) -> f64 {
        self.tally.measured as f64 / self.measured.as_secs_f64().max(1e-9)
    }

    fn cores(&self, spent: Duration) -> f64 {
        spent.as_secs_f64() / self.time.as_secs_f64().max(1e-9)
    }

    fn messages(&self) -> Vec<&String> {
        let tally = &self.tally;
        let of_swaps = self.driven.iter().flat_map(|driven| &driven.messages);
        let of_requests = [&tally.failed, &tally.wrong, &tally.mixed].into_iter().flat_map(|f| &f.messages);
        self.problems.iter().chain(of_swaps).chain(of_requests).collect()
    }

    /// The report for programs.
    pub(super) fn json(&self) -> Value {
        let Arguments { model, swaps, requests, rate, by, resident, fault, .. } = &self.arguments;
        let protocols: Vec<&str> = self.arguments.protocols.iter().map(|p| p.name()).collect();
        let figures: Vec<Value> = self.figures().iter().map(Claim::json).collect();
        let tally = &self.tally;
        json!({
            "scenario": "swap",
            "settings": {
                "model": model, "swaps": swaps, "requests": requests, "rate": rate, "by": by.name(),
                "resident": resident, "fault": fault.map(Fault::name), "protocols": protocols,
                "arrivals": self.arguments.arrivals.name(), "threads": self.arguments.threads,
                "connections": self.arguments.connections,
            },
            "held": self.missed().is_empty(),
            "figures": figures,
            "requests": tally.requests, "requests_measured": tally.measured,
            "failed": tally.failed.count, "wrong_version": tally.wrong.count, "mixed": tally.mixed.count,
            "swaps": self.swaps, "swaps_failed": self.driven.as_ref().map(|driven| driven.failed),
            "swap_time": self.driven.as_ref().map(|driven| driven.windows.json()),
            "p99_ratio": self.p99_ratio(),
            "latency": {"steady": latency_json(&tally.steady), "during_swaps": latency_json(&tally.during)},
            "memory_growth_percent": self.growth_percent(),
            "gateway": {
                "before": self.driven.as_ref().map(|driven| usage_json(&driven.before)),
                "after": self.driven.as_ref().map(|driven| usage_json(&driven.after)),
                "cores": self.cores(self.gateway_cpu),
            },
            "generator": {
                "rate": self.rate(), "cores": self.cores(self.generator_cpu), "lags": self.lags(),
                "lag": tally.lag.json(), "queued": tally.queued.json(),
            },
            "messages": self.messages(),
        })
    }
}

fn usage_json(usage: &crate::process::Usage) -> Value {
    json!({"resident_bytes": usage.resident_bytes, "threads": usage.threads, "files": usage.files})
}

fn latency_json(latencies: &ByProtocol) -> Value {
    let mut json = json!({"all": latencies.all().ok().map(|all| all.json())});
    for (protocol, latencies) in latencies.each() {
        json[protocol.name()] = latencies.json();
    }
    json
}

/// The quantiles that are shown.
const SHOWN: &[f64] = &[0.5, 0.9, 0.99, 0.999, 1.0];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arguments { model, swaps, rate, by, arrivals, protocols, .. } = &self.arguments;
        let protocols: Vec<&str> = protocols.iter().map(|protocol| protocol.name()).collect();
        let (by, arrivals, protocols) = (by.name(), arrivals.name(), protocols.join(", "));
        let requests = self.tally.requests;
        writeln!(
            f,
            "{model}: {swaps} swaps by {by} under {requests} requests, {rate}/s {arrivals}, {protocols}"
        )?;
        writeln!(f)?;
        self.figures().iter().try_for_each(|figure| writeln!(f, "{figure}"))?;
        writeln!(f)?;
        let columns = ["samples", "p50", "p90", "p99", "p99.9", "max"];
        write!(f, "  {:<NAME_WIDTH$} {:>10}", "times in ms", columns[0])?;
        columns[1..].iter().try_for_each(|column| write!(f, " {column:>9}"))?;
        writeln!(f)?;
        for (name, latencies) in [("steady", &self.tally.steady), ("during swaps", &self.tally.during)] {
            let all = latencies.all().map_err(|_| fmt::Error)?;
            all.line(f, name, SHOWN)?;
            latencies
                .each()
                .try_for_each(|(protocol, of)| of.line(f, &format!("  {}", protocol.name()), SHOWN))?;
        }
        if let Some(driven) = &self.driven {
            driven.windows.line(f, "swaps", SHOWN)?;
        }
        self.tally.lag.line(f, "requests left late", SHOWN)?;
        self.tally.queued.line(f, "waited to be sent", SHOWN)?;
        writeln!(f)?;
        if let Some(Driven { before, after, .. }) = &self.driven {
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            writeln!(
                f,
                "  gateway    {:.1} -> {:.1} MiB resident, {} -> {} threads, {} -> {} files, {:.2} cores",
                mib(before.resident_bytes),
                mib(after.resident_bytes),
                before.threads,
                after.threads,
                before.files,
                after.files,
                self.cores(self.gateway_cpu)
            )?;
        }
        writeln!(
            f,
            "  generator  {:.1} requests/s, {:.2} cores",
            self.rate(),
            self.cores(self.generator_cpu)
        )?;
        if self.lags() {
            writeln!(
                f,
                "  THE GENERATOR LAGGED: latencies are partly its own; use fewer requests/s or more cores"
            )?;
        }
        for message in self.messages() {
            writeln!(f, "  ! {message}")?;
        }
        self.conclusion(f)
    }
}

impl Report {
    fn conclusion(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missed = self.missed().join(", ");
        match (self.arguments.fault, missed.is_empty()) {
            (None, true) => write!(f, "\nall figures held"),
            (None, false) => write!(f, "\nmissed: {missed}"),
            (Some(fault), true) => write!(f, "\nthe fault {} was NOT CAUGHT by any figure", fault.name()),
            (Some(fault), false) => write!(f, "\nthe fault {} was caught by: {missed}", fault.name()),
        }
    }
}

#[cfg(test)]
mod tests;
