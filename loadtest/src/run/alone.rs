//! A model beside ONNX Runtime alone on the gateway's core.
//!
//! ONNX Runtime in a loop is as much as a server of one core can do; a queue before it, simulated with the same
//! arrivals and its run times, is as quick as one can be. A run takes longer after a pause, and the machine has tails of
//! its own: what ONNX Runtime alone comes to with the same arrivals is measured as well.

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
    let alone = raw::Alone { core: gateway.core, registry: &gateway.registry, model: &stream.model };
    let runs = || Times::of(alone.times(scenario.time() / 2)?);
    let mut saturations = Vec::new();
    let mut pacings = [ArrivalsKind::Poisson, ArrivalsKind::Constant].map(Pacing::new);
    // What is measured here may take half as long again from one second to the next, whoever runs it: each part stands between
    // two measurements of ONNX Runtime alone, and is held against both.
    let mut before = runs()?;
    for round in 1..=table.rounds.0 {
        let of_rounds = if table.rounds.0 > 1 { format!(", round {round}") } else { String::new() };
        let measured =
            bench.measure(&format!("saturation{of_rounds}"), &bench.loads_as(0, &stream.closed())?)?;
        let after = runs()?;
        saturations.push(Some((before.with(&after).rate(), found.keep(measured)?.streams[0].goodput)));
        let rate = after.rate() * table.share.0;
        for pacing in &mut pacings {
            let paced = stream.spread(pacing.arrivals, rate);
            let name = format!("{:.0} %, {}{of_rounds}", table.share.0 * 100.0, paced.arrivals_name());
            let arrivals = Arrivals::of(scenario, &paced)?;
            let at_best = || arrivals.measured(alone.paced(&arrivals.due)?);
            let at_best_before = at_best()?;
            let measured = bench.measure(&name, &bench.loads_as(0, &paced)?)?;
            let at_best = at_best_before.with(&at_best()?);
            let tail = found.keep(measured)?.streams[0].latency.quantile(TAIL);
            pacing.tails.push(tail);
            pacing.alone.push(at_best.quantile(TAIL));
        }
        before = runs()?;
        let times = after.with(&before);
        let [poisson, constant] = &mut pacings;
        let arrivals = Arrivals::of(scenario, &stream.spread(poisson.arrivals, rate))?;
        poisson.asked.push(arrivals.measured(times.queued(&arrivals.due, scenario.seed))?.quantile(TAIL));
        constant.asked.push(times.quantile(0.5));
        found.figures.push(Figure::of(format!("a run alone{of_rounds}"), 1e6 / times.rate(), "us"));
    }
    found.ratio("throughput at saturation over ONNX Runtime alone".into(), saturations);
    let [poisson, constant] = pacings;
    found.ratio("p99 of poisson arrivals over a simulated queue".into(), poisson.over(&poisson.asked));
    found.ratio("p99 of constant arrivals over a run".into(), constant.over(&constant.asked));
    for pacing in [&poisson, &constant] {
        let name = stream.spread(pacing.arrivals, 1.0).arrivals_name();
        found.ratio(format!("p99 of {name} arrivals over ONNX Runtime alone"), pacing.over(&pacing.alone));
    }
    Ok(())
}

/// Arrivals of one kind, and what was found of them, round by round.
struct Pacing {
    arrivals: ArrivalsKind,
    /// Tails of the gateway's latency, in microseconds.
    tails: Vec<Option<f64>>,
    /// What is asked of them is a multiple of this: the tail of a simulated queue, or a run.
    asked: Vec<Duration>,
    /// Tails of ONNX Runtime alone with the same arrivals.
    alone: Vec<Duration>,
}

impl Pacing {
    fn new(arrivals: ArrivalsKind) -> Self {
        Self { arrivals, tails: Vec::new(), asked: Vec::new(), alone: Vec::new() }
    }

    /// The gateway's tails beside these, in microseconds.
    fn over(&self, others: &[Duration]) -> Vec<Option<(f64, f64)>> {
        let pair = |(tail, other): (&Option<f64>, &Duration)| tail.map(|t| (other.as_secs_f64() * 1e6, t));
        self.tails.iter().zip(others).map(pair).collect()
    }
}

/// When the requests of a stream are due, those of all threads together.
struct Arrivals {
    due: Vec<Duration>,
    /// How many of them are of the warm-up.
    first: usize,
}

impl Arrivals {
    fn of(scenario: &Scenario, stream: &Stream) -> Result<Self, String> {
        let pattern = stream.pattern(scenario.warm_up)?;
        let (threads, from) = (scenario.threads.0, scenario.warm_up.0);
        let until = from + scenario.time();
        let of_thread = |thread| {
            let schedule = Schedule::of_thread(&pattern, thread, threads, scenario.seed);
            schedule.take_while(|due| *due < until)
        };
        let mut due: Vec<Duration> = (0..threads).flat_map(of_thread).collect();
        due.sort_unstable();
        let first = due.partition_point(|due| *due < from);
        Ok(Self { due, first })
    }

    /// What each of them took, without the warm-up.
    fn measured(&self, mut times: Vec<Duration>) -> Result<Times, String> {
        Times::of(times.split_off(self.first.min(times.len())))
    }
}

/// How long runs took, or how long after they were due they were done; ascending, and one at least.
struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Result<Self, String> {
        times.sort_unstable();
        if times.is_empty() { Err("the model was not run".into()) } else { Ok(Self(times)) }
    }

    /// Both.
    fn with(&self, other: &Self) -> Self {
        let mut times = [&*self.0, &*other.0].concat();
        times.sort_unstable();
        Self(times)
    }

    /// Runs in a second.
    fn rate(&self) -> f64 {
        self.0.len() as f64 / self.0.iter().sum::<Duration>().as_secs_f64()
    }

    fn quantile(&self, quantile: f64) -> Duration {
        self.0[((self.0.len() - 1) as f64 * quantile) as usize]
    }

    /// The time that each request which is due then spends in a queue before one server that takes these times.
    fn queued(&self, due: &[Duration], seed: u64) -> Vec<Duration> {
        let mut random = fastrand::Rng::with_seed(seed);
        let service = || self.0[random.usize(..self.0.len())];
        sojourns(due.iter().copied(), service).collect()
    }
}
