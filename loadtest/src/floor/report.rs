//! The figures of a measurement, and what they say together.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Exchange, Model, Target};
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

/// A run of a model in ONNX Runtime alone, in one round.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawRun {
    /// Microseconds of CPU of one that follows the one before at once.
    pub(super) cpu_us: f64,
    /// Microseconds by the clock of one after a pause, as a single caller makes it.
    pub(super) paused_us: f64,
}

/// All rounds.
#[derive(Default)]
pub(super) struct Report {
    raw: Vec<(Model, RawRun)>,
    rounds: Vec<(Target, Figures)>,
}

impl Report {
    pub(super) fn raw(&mut self, model: Model, run: RawRun) {
        self.raw.push((model, run));
    }

    pub(super) fn add(&mut self, target: Target, figures: Figures) {
        self.rounds.push((target, figures));
    }

    /// The CPU times of a run alone, a round each.
    fn run(&self, model: Model) -> Vec<f64> {
        self.raw_of(model, |run| run.cpu_us)
    }

    fn raw_of(&self, model: Model, figure: fn(&RawRun) -> f64) -> Vec<f64> {
        self.raw.iter().filter(|(m, _)| *m == model).map(|(_, run)| figure(run)).collect()
    }

    /// A figure of one target, a round each.
    fn of(&self, target: Target, figure: fn(&Figures) -> f64) -> Vec<f64> {
        self.rounds.iter().filter(|(t, _)| *t == target).map(|(_, figures)| figure(figures)).collect()
    }

    fn cpu(&self, target: Target) -> Vec<f64> {
        self.of(target, |figures| figures.cpu_us)
    }

    /// Round by round, the CPU time of the floor: a bare server, and a run where there is one.
    fn floor(&self, exchange: Exchange) -> Vec<f64> {
        let bare = self.cpu(Target::Bare(exchange));
        if !exchange.model.runs() {
            return bare;
        }
        bare.iter().zip(self.run(exchange.model)).map(|(bare, run)| bare + run).collect()
    }

    /// Round by round, the gateway's CPU time over that of the floor.
    fn ratios(&self, exchange: Exchange) -> Vec<f64> {
        let gateway = self.cpu(Target::Gateway(exchange));
        gateway.iter().zip(self.floor(exchange)).map(|(gateway, floor)| gateway / floor).collect()
    }

    /// Round by round, what the gateway adds to the median latency of a bare server and a run after a pause.
    fn added_p50(&self, exchange: Exchange) -> Vec<f64> {
        let p50 = |target| self.of(target, |figures| figures.p50_us);
        let run = match exchange.model.runs() {
            true => self.raw_of(exchange.model, |run| run.paused_us),
            false => vec![0.0; self.rounds.len()],
        };
        let pairs = p50(Target::Gateway(exchange)).into_iter().zip(p50(Target::Bare(exchange)));
        pairs.zip(run).map(|((gateway, bare), run)| gateway - bare - run).collect()
    }

    pub(super) fn json(&self) -> Value {
        let targets: Vec<Value> =
            Target::all().map(|t| json!({"target": t.name(), "cpu_us": self.cpu(t)})).collect();
        let ratios: Vec<Value> = Exchange::all()
            .map(|e| {
                json!({
                    "exchange": e.name(), "gateway_over_floor": self.ratios(e), "added_p50_us": self.added_p50(e),
                })
            })
            .collect();
        let raw = |model: Model| {
            let paused = self.raw_of(model, |run| run.paused_us);
            json!({"model": model.name(), "cpu_us": self.run(model), "paused_us": paused})
        };
        let raw: Vec<Value> = Model::ALL.into_iter().filter(|model| model.runs()).map(raw).collect();
        json!({"onnxruntime_runs": raw, "targets": targets, "ratios": ratios})
    }
}

/// The middle one of several figures.
fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "CPU time per request in us, medians of the rounds, lowest to highest of the ratio, and what is"
        )?;
        writeln!(f, "added to the median latency:")?;
        let head = ["", "gateway", "bare", "run", "ratio", "", "added p50"];
        writeln!(
            f,
            "  {:<18} {:>8} {:>8} {:>8} {:>7} {:^14} {:>10}",
            head[0], head[1], head[2], head[3], head[4], head[5], head[6]
        )?;
        for exchange in Exchange::all() {
            let ratios = self.ratios(exchange);
            let ends = ratios.iter().copied().reduce(f64::min).zip(ratios.iter().copied().reduce(f64::max));
            let (Some(ratio), Some((low, high))) = (median(ratios), ends) else { continue };
            let of = |figures| median(figures).map_or_else(|| "-".into(), |figure| format!("{figure:.2}"));
            writeln!(
                f,
                "  {:<18} {:>8} {:>8} {:>8} {ratio:>7.2} ({low:.2} to {high:.2}) {:>7}",
                exchange.name(),
                of(self.cpu(Target::Gateway(exchange))),
                of(self.cpu(Target::Bare(exchange))),
                of(self.run(exchange.model)),
                of(self.added_p50(exchange)),
            )?;
        }
        Ok(())
    }
}
