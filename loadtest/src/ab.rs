//! An experiment under traffic: who gets which arm, whether everybody keeps it, and what the split costs.

mod report;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::report::{Report, Round, Share};
use crate::admin::Admin;
use crate::call::{Manner, Wiring};
use crate::claim::{self, Claim};
use crate::client::Protocol;
use crate::clock::Clock;
use crate::crowd::{Crowd, Flow, TIMEOUT, UNIT, Units, Window};
use crate::gateway::{Gateway, Start};
use crate::swap::{STREAMS, SwapRegistry, Work, work};
use crate::watcher::Watcher;

/// What the command's help says last.
pub(crate) const HELP: &str = "\
The gateway serves version 3 of iris. First come times without an experiment and with one, in turn, which give what the \
split costs. Then the units of an experiment with three arms ask over JSON, binary and gRPC in turn, and while they do so \
the weight of one arm is raised. Every answer is compared, bit by bit, with that of the version that it names, which has to \
be that of the arm that it names; a unit has one arm, whatever the protocol; and with the larger weight only units of the \
default may have moved, and to that arm alone. The shares are held against the weights by Pearson's chi-squared test.

Exit code 0: every figure held; 1: one was missed; 2: nothing could be measured.

Examples (build first: cargo build --release && cargo build --release -p pointsman-loadtest):
  the figures, two minutes
      pointsman-loadtest ab --json ab.json
  many units, and no look at the cost
      pointsman-loadtest ab --rounds 0 --units 100000 --seconds 60
  are units that change their arms noticed?
      pointsman-loadtest ab --rounds 0 --fault redraw";

/// What to measure, and what to ask of it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The gateway's binary.
    #[arg(long, default_value = "target/release/pointsman")]
    gateway: PathBuf,
    /// The registry that iris is copied from.
    #[arg(long, default_value = "models")]
    models: PathBuf,
    /// Requests per second.
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Units that ask, again and again.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    units: u32,
    /// Seconds with each of both weights: enough for every unit to come over each protocol.
    #[arg(long, default_value = "24", value_parser = crate::seconds)]
    seconds: Duration,
    /// Pairs of times without the experiment and with it.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(0..=1000))]
    rounds: u16,
    /// Seconds of each of both.
    #[arg(long, default_value = "4", value_parser = crate::seconds)]
    round_seconds: Duration,
    /// The most that the median latency may be with the experiment, over that without.
    #[arg(long, default_value_t = 1.1)]
    p50_ratio_max: f64,
    /// The most that the gateway's CPU time per request may be with it, over that without.
    #[arg(long, default_value_t = 1.1)]
    cpu_ratio_max: f64,
    /// Something that goes wrong, to see whether it is caught.
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// Show nothing while it runs.
    #[arg(long)]
    quiet: bool,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// All units are drawn anew as the weight is raised.
    Redraw,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Redraw => "redraw",
        }
    }
}

/// The model.
const MODEL: &str = "iris";

/// All versions are loaded, and none comes by itself.
const CARD: &str = "serve = 3\nload = \"all\"\non_new = \"hold\"\n";

/// The arms: name, version, and the weight in percent before and after. What they leave has the default.
const ARMS: [(&str, u64, u32, u32); 2] = [("second", 2, 30, 30), ("third", 1, 20, 35)];

/// The arm of who is in no other, and its version; and the one that grows.
const DEFAULT: (&str, u64) = ("default", 3);
const GROWS: &str = "third";

/// Traffic before anything is measured, and after a change before it counts.
const WARM_UP: Duration = Duration::from_secs(1);
const SETTLING: Duration = Duration::from_millis(300);

/// `ab`: whether every figure held.
///
/// # Errors
/// Where nothing could be measured.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let report = measure(arguments, scratch.path())?;
    let control = arguments.fault.map(|_| "a fault that is not caught");
    let held = Claim::missed(&report.claims()).is_empty();
    claim::give(&report, &report.json(), arguments.json.as_deref(), held, control)
}

fn measure(arguments: &Arguments, scratch: &Path) -> Result<Report, String> {
    let (watcher, clock) = (Watcher::new(true, None)?, Clock::start());
    let say = |what: &str| {
        if !arguments.quiet {
            eprintln!("{what}");
        }
    };
    let registry = SwapRegistry::new(&arguments.models, MODEL, scratch.join("models"))?;
    registry.write_card(CARD)?;
    let start = Start {
        binary: &arguments.gateway,
        core: None,
        registry: registry.root(),
        config: None,
        state: Some(&scratch.join("state")),
        scratch,
        variables: &[],
    };
    let mut gateway = start.start()?;
    let admin = Admin::new(gateway.admin)?;
    let asked = work(&gateway, &arguments.models, MODEL, registry.sources())?;
    let mut flow = Flow::start(crowd(arguments, &gateway, asked), arguments.rate, clock, &watcher)?;
    flow.pause(WARM_UP, &mut gateway)?;
    let mut rounds = Vec::new();
    for round in 0..arguments.rounds {
        say(&format!("{} of {}: without the experiment, and with it", round + 1, arguments.rounds));
        let mut pair = [None, None];
        // Each is first in turn, so that what grows over time falls on both.
        for is_on in [round % 2 == 1, round % 2 == 0] {
            admin.apply(MODEL, &if is_on { plan(false, 1) } else { json!({}) })?;
            flow.pause(SETTLING, &mut gateway)?;
            let (from, before) = (clock.now(), gateway.server.cpu_time()?);
            flow.pause(arguments.round_seconds, &mut gateway)?;
            let window = Window { from, to: clock.now() };
            let cpu = gateway.server.cpu_time()?.saturating_sub(before);
            pair[usize::from(is_on)] = Some((window, cpu));
        }
        let [off, on] = pair;
        rounds.extend(off.zip(on).map(|(off, on)| Round { off, on }));
    }
    let mut windows = Vec::new();
    for is_raised in [false, true] {
        let [_, third] = shares(is_raised);
        say(&format!("{} units in three arms, of which {GROWS} has {} %", arguments.units, third.percent));
        let is_redrawn = is_raised && arguments.fault == Some(Fault::Redraw);
        admin.apply(MODEL, &plan(is_raised, if is_redrawn { 2 } else { 1 }))?;
        let from = clock.now();
        flow.pause(arguments.seconds, &mut gateway)?;
        windows.push(Window { from, to: clock.now() });
    }
    Ok(Report { arguments: arguments.clone(), flown: flow.end()?, rounds, windows })
}

/// The weights of the arms but the default.
fn shares(is_raised: bool) -> [Share; 2] {
    ARMS.map(|(arm, _, before, after)| Share { arm, percent: if is_raised { after } else { before } })
}

fn plan(is_raised: bool, salt_version: u32) -> Value {
    let arms = shares(is_raised).into_iter().zip(ARMS).map(|(Share { arm, percent }, (_, version, ..))| {
        json!({"name": arm, "version": version, "weight": format!("{percent}%")})
    });
    let arms: Vec<Value> = arms.collect();
    json!({"experiment": {"name": "petals", "units": [UNIT], "arms": arms, "salt_version": salt_version}})
}

fn crowd(arguments: &Arguments, gateway: &Gateway, asked: Work) -> Crowd {
    let Work { model, inputs, references } = asked;
    Crowd {
        endpoint: gateway.endpoint(),
        model,
        inputs,
        references: Some(references),
        protocols: Protocol::ALL.to_vec(),
        wiring: Wiring { connections: 8, streams: STREAMS, timeout: TIMEOUT, manner: Manner::Normal },
        units: Units::Few(arguments.units.into()),
        next: AtomicU64::new(0),
    }
}
