//! A scenario, measured once.

mod alone;
mod neighbour;
mod overload;
mod saturation;
mod swaps;

use std::path::PathBuf;

use clap::Args;

use crate::about::Begun;
use crate::bench::{Bench, Found};
use crate::findings::{Figure, Findings, Own};
use crate::flags::{CourseFlags, LoadFlags, TargetFlags};
use crate::output::Output;
use crate::own;
use crate::scenario::Scenario;
use crate::target::{self, Target};
use crate::watcher::Watcher;

/// What the command's help says last.
pub(crate) const HELP: &str = "\
A scenario says what is sent, to where and for how long; loadtest/scenarios/ has some, and steady.toml there explains \
every key. Flags stand in for what it says, or do without it. Requests leave when they are due, whether or not \
earlier ones were answered, and latency counts from when a request was due.

Exit code 0: every figure that was asked for held, and no condition of --fail-if is met; 1: one was missed, or is met; \
2: nothing could be measured, or a condition cannot be told.

Examples (build first: cargo build --release && cargo build --release -p pointsman-loadtest):
  a gateway is started, and loaded
      pointsman-loadtest run loadtest/scenarios/steady.toml --html steady.html
  a server that runs, without a file
      pointsman-loadtest run --url http://127.0.0.1:8000 --model iris --rate 1000
  for CI
      pointsman-loadtest run --url http://127.0.0.1:8000 --model iris --rate 500 --seconds 10 \\
          --fail-if 'p99 > 5ms' --fail-if 'errors > 0.1%' --json findings.json
  answers checked against golden cases, over gRPC
      pointsman-loadtest run --grpc 127.0.0.1:8001 --model iris --transport grpc --body binary \\
          --golden models/iris/3/golden.json --rate 200
  as many as 32 callers that wait for their answers can ask for
      pointsman-loadtest run --url http://127.0.0.1:8000 --model iris --arrivals closed --connections 32";

/// What to measure.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// A scenario file.
    scenario: Option<PathBuf>,
    #[command(flatten)]
    target: TargetFlags,
    #[command(flatten)]
    load: LoadFlags,
    #[command(flatten)]
    course: CourseFlags,
    #[command(flatten)]
    output: Output,
    /// Leave out the second in which the generator is measured alone.
    #[arg(long)]
    no_own: bool,
}

/// `run`: whether everything held.
///
/// # Errors
/// Where nothing could be measured.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let scenario = scenario(arguments)?;
    if let Some(table) = &scenario.swap {
        return swaps::run(&scenario, table, &arguments.output);
    }
    let (begun, watcher) = (Begun::now(), Watcher::new(arguments.output.quiet, parts(&scenario))?);
    let mut bench = Bench::new(&scenario, Target::start(&scenario)?, None, None, &watcher)?;
    let mut found = Found::default();
    let own = match own(arguments, &bench) {
        Ok(own) => own,
        Err(problem) => {
            found.doubts.push(format!("the generator could not be measured alone: {problem}"));
            None
        }
    };
    let measured = measure(&mut bench, &scenario, &mut found);
    watcher.finish();
    measured?;
    found.wrong();
    bench.account(&mut found)?;
    bench.weigh(&mut found)?;
    let targets = target::named(&[("server", bench.target())]);
    let about = begun.about(&scenario.name, &scenario.purpose, targets);
    arguments.output.give(&Findings::new(about, found, own, &scenario.fail_if), &scenario.fail_if)
}

/// What the generator itself costs, with the first stream's requests.
fn own(arguments: &Arguments, bench: &Bench<'_>) -> Result<Option<Own>, String> {
    if arguments.no_own {
        return Ok(None);
    }
    let loads = bench.loads()?;
    loads.first().map(own::measure_own).transpose()
}

/// What the file says, and the flags in its place.
fn scenario(arguments: &Arguments) -> Result<Scenario, String> {
    let file = arguments.scenario.as_deref();
    let mut scenario = arguments.load.scenario(file)?;
    arguments.target.apply(&mut scenario);
    arguments.course.apply(&mut scenario);
    let checked = arguments.load.apply(&mut scenario).and_then(|()| scenario.check());
    match (checked, file) {
        (Err(problem), Some(file)) => Err(format!("{}: {problem}", file.display())),
        (checked, _) => checked.map(|()| scenario),
    }
}

/// How many parts there will be, where that does not depend on what is found.
fn parts(scenario: &Scenario) -> Option<usize> {
    let Scenario { search, overload, neighbour, alone, .. } = scenario;
    let overload = overload.as_ref().map(|table| table.rounds.0 * (2 * table.times.len() + 2) + 1);
    let neighbour = neighbour.as_ref().map(|table| 2 * table.rounds.0);
    let alone = alone.as_ref().map(|table| 3 * table.rounds.0);
    search.is_none().then(|| overload.or(neighbour).or(alone).unwrap_or(1))
}

/// The parts of a scenario, by its tables.
fn measure(bench: &mut Bench<'_>, scenario: &Scenario, found: &mut Found) -> Result<(), String> {
    if let Some(table) = &scenario.alone {
        return alone::run(bench, table, found);
    }
    if let Some(table) = &scenario.neighbour {
        return neighbour::run(bench, table, found);
    }
    if let Some(table) = &scenario.overload {
        return overload::run(bench, table, found);
    }
    if let Some(table) = &scenario.search {
        return saturation::search(bench, table, found);
    }
    let measured = bench.measure(&scenario.name, &bench.loads()?)?;
    let cpu_us = measured.cpu_us;
    found.keep_last(measured)?;
    found.figures.extend(cpu_us.map(|cpu_us| Figure::of("CPU of the gateway for a request", cpu_us, "us")));
    Ok(())
}
