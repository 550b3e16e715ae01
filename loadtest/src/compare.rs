//! Two servers, or two settings of one, in turn: A B A B.

use std::path::PathBuf;

use clap::Args;

use crate::about::Begun;
use crate::bench::{Bench, Found};
use crate::findings::{Findings, Stream};
use crate::flags::{CourseFlags, LoadFlags};
use crate::output::Output;
use crate::scenario::{Count, Scenario};
use crate::target::{self, Target};
use crate::watcher::Watcher;

/// What the command's help says last.
pub(crate) const HELP: &str = "\
Both get the same requests, made once, and every answer is checked. Each round measures A and then B, so that what the \
machine does meanwhile falls on both. A figure of B over A is the median of its ratios in the rounds, with the interval of \
the sign test: 95 % at least of six rounds or more, lowest to highest of fewer. An interval that holds 1 shows no difference.

Exit codes are those of `run`.

Examples:
  two servers that run
      pointsman-loadtest compare http://127.0.0.1:8000 http://127.0.0.1:9000 --model iris --rate 500 --rounds 5
  how many requests each answers to 32 callers that wait for their answers
      pointsman-loadtest compare http://127.0.0.1:8000 http://127.0.0.1:9000 --model iris --arrivals closed --connections 32
  two configurations of a gateway
      pointsman-loadtest compare --scenario loadtest/scenarios/steady.toml --b-config batching-off.toml
  two builds
      pointsman-loadtest compare --scenario loadtest/scenarios/steady.toml --a-gateway before/pointsman \\
          --b-gateway target/release/pointsman";

/// What to compare.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// Where server A listens for HTTP: `http://HOST:PORT`.
    #[arg(requires = "b", conflicts_with_all = ["a_gateway", "b_gateway", "a_config", "b_config"])]
    a: Option<String>,
    /// Where server B does.
    b: Option<String>,
    /// Where server A listens for gRPC.
    #[arg(long, value_name = "HOST:PORT", requires = "a")]
    a_grpc: Option<String>,
    /// Where server B does.
    #[arg(long, value_name = "HOST:PORT", requires = "a")]
    b_grpc: Option<String>,
    /// A scenario file: one with the same load all the time.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// The binary of gateway A. [default: as the scenario says]
    #[arg(long, value_name = "BINARY")]
    a_gateway: Option<PathBuf>,
    /// The binary of gateway B. [default: as the scenario says]
    #[arg(long, value_name = "BINARY")]
    b_gateway: Option<PathBuf>,
    /// The configuration of gateway A. [default: as the scenario says]
    #[arg(long, value_name = "FILE")]
    a_config: Option<PathBuf>,
    /// The configuration of gateway B. [default: as the scenario says]
    #[arg(long, value_name = "FILE")]
    b_config: Option<PathBuf>,
    /// The registry that both gateways serve. [default: as the scenario says]
    #[arg(long, value_name = "FOLDER", conflicts_with = "a")]
    registry: Option<PathBuf>,
    /// How often both are measured.
    #[arg(long, default_value = "6")]
    rounds: Count<1000>,
    #[command(flatten)]
    load: LoadFlags,
    #[command(flatten)]
    course: CourseFlags,
    #[command(flatten)]
    output: Output,
}

/// What is compared of a stream.
struct Measure {
    name: &'static str,
    of: fn(&Stream) -> Option<f64>,
}

const MEASURES: [Measure; 4] = [
    Measure { name: "p50", of: |stream| stream.latency.quantile(0.5) },
    Measure { name: "p90", of: |stream| stream.latency.quantile(0.9) },
    Measure { name: "p99", of: |stream| stream.latency.quantile(0.99) },
    Measure { name: "goodput", of: |stream| Some(stream.goodput) },
];

/// One side of a round.
struct Side {
    streams: Vec<Stream>,
    /// Microseconds of the gateway's CPU for a request, where it was started here.
    cpu_us: Option<f64>,
}

/// `compare`: whether everything held.
///
/// # Errors
/// Where nothing could be measured.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let mut scenario = arguments.load.scenario(arguments.scenario.as_deref())?;
    arguments.course.apply(&mut scenario);
    arguments.load.apply(&mut scenario)?;
    if scenario.search.is_some()
        || scenario.overload.is_some()
        || scenario.neighbour.is_some()
        || scenario.alone.is_some()
        || scenario.swap.is_some()
    {
        return Err(format!(
            "{}: compare takes a scenario with the same load all the time, as steady.toml",
            scenario.name
        ));
    }
    let [a, b] = sides(arguments, &scenario)?;
    for side in [&a, &b] {
        side.check()?;
    }
    let rounds = arguments.rounds.0;
    let (begun, watcher) = (Begun::now(), Watcher::new(arguments.output.quiet, Some(2 * rounds))?);
    let mut bench_a = Bench::new(&a, Target::start(&a)?, Some("A"), None, &watcher)?;
    let mut bench_b = Bench::new(&b, Target::start(&b)?, Some("B"), Some(&bench_a), &watcher)?;
    let mut found = Found::default();
    let rounds = measure(rounds, &mut bench_a, &mut bench_b, &mut found);
    watcher.finish();
    compare(&rounds?, &mut found);
    found.wrong();
    bench_a.account(&mut found)?;
    bench_b.account(&mut found)?;
    let targets = target::named(&[("A", bench_a.target()), ("B", bench_b.target())]);
    let about = begun.about(&format!("compare, {}", scenario.name), &scenario.purpose, targets);
    arguments.output.give(&Findings::new(about, found, None, &scenario.fail_if), &scenario.fail_if)
}

/// Measures both sides in turn.
fn measure(
    rounds: usize,
    a: &mut Bench<'_>,
    b: &mut Bench<'_>,
    found: &mut Found,
) -> Result<Vec<(Side, Side)>, String> {
    let mut sides = Vec::new();
    for round in 1..=rounds {
        let first = side(a, round, found)?;
        sides.push((first, side(b, round, found)?));
    }
    Ok(sides)
}

/// The scenario of each side.
fn sides(arguments: &Arguments, scenario: &Scenario) -> Result<[Scenario; 2], String> {
    let Arguments { a, b, a_grpc, b_grpc, a_gateway, b_gateway, a_config, b_config, .. } = arguments;
    if let Some((a, b)) = a.as_ref().zip(b.as_ref()) {
        let at = |url: &String, grpc: &Option<String>| Scenario {
            url: Some(url.clone()),
            grpc: grpc.clone(),
            ..scenario.clone()
        };
        return Ok([at(a, a_grpc), at(b, b_grpc)]);
    }
    if [a_gateway, b_gateway, a_config, b_config].iter().all(|given| given.is_none()) {
        return Err(
            "nothing says what differs: name two URLs, or --a-config, --b-config, --a-gateway or --b-gateway"
                .into(),
        );
    }
    let with = |binary: &Option<PathBuf>, config: &Option<PathBuf>| {
        let mut table = scenario.gateway.clone().unwrap_or_default();
        table.binary = binary.clone().unwrap_or(table.binary);
        table.config = config.clone().or(table.config);
        table.registry = arguments.registry.clone().unwrap_or(table.registry);
        Scenario { url: None, grpc: None, gateway: Some(table), ..scenario.clone() }
    };
    Ok([with(a_gateway, a_config), with(b_gateway, b_config)])
}

/// Measures one side of a round.
fn side(bench: &mut Bench<'_>, round: usize, found: &mut Found) -> Result<Side, String> {
    let measured = bench.measure(&format!("round {round} of {}", bench.name()), &bench.loads()?)?;
    let cpu_us = measured.cpu_us;
    Ok(Side { streams: found.keep(measured)?.streams.clone(), cpu_us })
}

/// The figures of B over A.
fn compare(rounds: &[(Side, Side)], found: &mut Found) {
    let Some((first, _)) = rounds.first() else { return };
    for (index, stream) in first.streams.iter().enumerate() {
        let of = if first.streams.len() > 1 { format!(" of {}", stream.name) } else { String::new() };
        for Measure { name, of: measure } in MEASURES {
            let pair = |(a, b): &(Side, Side)| measure(&a.streams[index]).zip(measure(&b.streams[index]));
            found.ratio(format!("{name}{of}, B over A"), rounds.iter().map(pair).collect());
        }
    }
    if first.cpu_us.is_some() {
        let pair = |(a, b): &(Side, Side)| a.cpu_us.zip(b.cpu_us);
        found.ratio("CPU of the gateway for a request, B over A".into(), rounds.iter().map(pair).collect());
    }
}
