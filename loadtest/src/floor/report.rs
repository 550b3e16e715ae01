//! The figures of a measurement, and what they say together.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Exchange, Target};
use crate::latency::Latencies;

/// One target in one round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// Microseconds of the server's CPU per request.
    cpu_us: f64,
    /// Requests per second of the server's CPU: what one core could do at most.
    per_cpu_second: f64,
    p50_us: f64,
    p99_us: f64,
}

impl Figures {
    pub(super) fn of(answered: &Latencies, spent: Duration) -> Result<Self, String> {
        let quantiles = answered.quantile_us(0.5).zip(answered.quantile_us(0.99));
        let Some((p50_us, p99_us)) = quantiles.filter(|_| !spent.is_zero()) else {
            return Err("nothing was answered".into());
        };
        let cpu_us = spent.as_secs_f64() * 1e6 / answered.samples() as f64;
        Ok(Self { cpu_us, per_cpu_second: 1e6 / cpu_us, p50_us, p99_us })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:6.2} us CPU  {:8.0} requests per CPU second  p50 {:6.0} us  p99 {:6.0} us",
            self.cpu_us, self.per_cpu_second, self.p50_us, self.p99_us
        )
    }
}

/// All rounds.
#[derive(Default)]
pub(super) struct Report {
    raw_us: Vec<f64>,
    rounds: Vec<(Target, Figures)>,
}

impl Report {
    pub(super) fn raw(&mut self, microseconds: f64) {
        self.raw_us.push(microseconds);
    }

    pub(super) fn add(&mut self, target: Target, figures: Figures) {
        self.rounds.push((target, figures));
    }

    /// The CPU times of one target, a round each.
    fn cpu(&self, target: Target) -> Vec<f64> {
        self.rounds.iter().filter(|(t, _)| *t == target).map(|(_, f)| f.cpu_us).collect()
    }

    /// Round by round, the gateway's CPU time over that of the floor.
    fn ratios(&self, exchange: Exchange) -> Vec<f64> {
        let with_run = exchange == Exchange::DigitsBinary;
        let gateway = self.cpu(Target::Http(exchange));
        let floor = self.cpu(Target::Bare(exchange));
        let floor =
            floor.iter().zip(&self.raw_us).map(|(bare, run)| if with_run { bare + run } else { *bare });
        gateway.iter().zip(floor).map(|(gateway, floor)| gateway / floor).collect()
    }

    pub(super) fn json(&self) -> Value {
        let targets = super::TARGETS.map(|t| json!({"target": t.name(), "cpu_us": self.cpu(t)}));
        let exchanges = [Exchange::DigitsBinary, Exchange::EchoJson, Exchange::EchoBinary];
        let ratios = exchanges.map(|e| json!({"exchange": e.name(), "gateway_over_floor": self.ratios(e)}));
        json!({"onnxruntime_run_us": self.raw_us, "targets": targets, "ratios": ratios})
    }
}

/// The middle one of several figures.
fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "CPU time per request, median of the rounds:")?;
        if let Some(run) = median(self.raw_us.clone()) {
            writeln!(f, "  {:<44} {run:6.2} us", "ONNX Runtime alone, digits, one row")?;
        }
        for target in super::TARGETS {
            if let Some(cpu) = median(self.cpu(target)) {
                writeln!(f, "  {:<44} {cpu:6.2} us", target.name())?;
            }
        }
        writeln!(f, "gateway over its floor, median of the rounds (lowest to highest):")?;
        for (exchange, floor) in [
            (Exchange::DigitsBinary, "bare hyper + raw run"),
            (Exchange::EchoJson, "bare hyper"),
            (Exchange::EchoBinary, "bare hyper"),
        ] {
            let ratios = self.ratios(exchange);
            let ends = ratios.iter().copied().reduce(f64::min).zip(ratios.iter().copied().reduce(f64::max));
            if let (Some(middle), Some((low, high))) = (median(ratios), ends) {
                let name = format!("{} / ({floor})", exchange.name());
                writeln!(f, "  {name:<44} {middle:6.2}  ({low:.2} to {high:.2})")?;
            }
        }
        Ok(())
    }
}
