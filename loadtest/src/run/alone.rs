//! A model beside ONNX Runtime alone on the gateway's core.
//!
//! ONNX Runtime in a loop is as much as a server of one core can do; a queue before it, simulated with the same
//! arrivals and its run times, is as quick as one can be.

use std::path::Path;
use std::time::Duration;

use crate::bench::{Bench, Found};
use crate::findings::Figure;
use crate::queue::sojourns;
use crate::raw;
use crate::scenario::{Alone, ArrivalsKind, Scenario, Stream};
use crate::schedule::Schedule;

/// The quantile that is compared.
const TAIL: f64 = 0.99;

/// Measures runs alone, the gateway at saturation, and at a share of it with both kinds of arrivals, in turn.
///
/// # Errors
/// Where nothing could be measured.
pub(super) fn run(bench: &mut Bench<'_>, table: &Alone, found: &mut Found) -> Result<(), String> {
    let scenario = bench.scenario();
    let gateway = scenario.gateway.as_ref().ok_or("[alone] starts a gateway: describe it in [gateway]")?;
    let stream = &scenario.streams[0];
    let (mut saturations, mut poissons, mut constants) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=table.rounds.0 {
        let of_rounds = if table.rounds.0 > 1 { format!(", round {round}") } else { String::new() };
        let times = Times::measured(gateway.core, &gateway.registry, &stream.model, scenario.time())?;
        let capacity = 1.0 / times.mean().as_secs_f64();
        let measured =
            bench.measure(&format!("saturation{of_rounds}"), &bench.loads_as(0, &stream.closed())?)?;
        saturations.push(Some((capacity, found.keep(measured)?.streams[0].goodput)));
        for (arrivals, pairs) in
            [(ArrivalsKind::Poisson, &mut poissons), (ArrivalsKind::Constant, &mut constants)]
        {
            let paced = stream.spread(arrivals, capacity * table.share.0);
            let at_best = match arrivals {
                ArrivalsKind::Poisson => times.queued(scenario, &paced)?,
                ArrivalsKind::Constant | ArrivalsKind::Closed => times.quantile(0.5),
            };
            let name = format!("{:.0} %, {}{of_rounds}", table.share.0 * 100.0, paced.arrivals_name());
            let measured = bench.measure(&name, &bench.loads_as(0, &paced)?)?;
            let tail = found.keep(measured)?.streams[0].latency.quantile(TAIL);
            pairs.push(tail.map(|tail| (at_best.as_secs_f64() * 1e6, tail)));
        }
        found.figures.push(Figure::of(
            format!("a run alone{of_rounds}"),
            times.mean().as_secs_f64() * 1e6,
            "us",
        ));
    }
    found.ratio("throughput at saturation over ONNX Runtime alone".into(), saturations);
    found.ratio("p99 of poisson arrivals over a simulated queue".into(), poissons);
    found.ratio("p99 of constant arrivals over a run".into(), constants);
    Ok(())
}

/// How long runs took, one after the other, ascending.
struct Times(Vec<Duration>);

impl Times {
    fn measured(core: Option<usize>, registry: &Path, model: &str, time: Duration) -> Result<Self, String> {
        let mut times = raw::times(core, registry, model, time)?;
        times.sort_unstable();
        if times.is_empty() { Err(format!("{model} was not run")) } else { Ok(Self(times)) }
    }

    fn mean(&self) -> Duration {
        let count = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.iter().sum::<Duration>() / count
    }

    fn quantile(&self, quantile: f64) -> Duration {
        quantile_of(&self.0, quantile)
    }

    /// The tail of a queue with the arrivals of a stream, before a server that takes these times.
    fn queued(&self, scenario: &Scenario, stream: &Stream) -> Result<Duration, String> {
        let pattern = stream.pattern(scenario.warm_up)?;
        let (threads, from) = (scenario.threads.0, scenario.warm_up.0);
        let until = from + scenario.time();
        let mut arrivals: Vec<Duration> = (0..threads)
            .flat_map(|thread| {
                let schedule = Schedule::of_thread(&pattern, thread, threads, scenario.seed);
                schedule.take_while(|due| *due < until)
            })
            .collect();
        arrivals.sort_unstable();
        let mut random = fastrand::Rng::with_seed(scenario.seed);
        let service = || self.0[random.usize(..self.0.len())];
        let sojourns = sojourns(arrivals.iter().copied(), service);
        let mut measured: Vec<Duration> =
            arrivals.iter().zip(sojourns).filter(|(due, _)| **due >= from).map(|(_, time)| time).collect();
        measured.sort_unstable();
        if measured.is_empty() {
            Err("no request is due while it is measured".into())
        } else {
            Ok(quantile_of(&measured, TAIL))
        }
    }
}

/// The time at this quantile of sorted ones, of which there is one at least.
fn quantile_of(sorted: &[Duration], quantile: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * quantile) as usize]
}
