//! What a shadow costs the version that serves: one that is twice as slow, and one that hangs.
//!
//! The same load with the shadow and without it, in turn, on one gateway; and what the gateway says itself, which pauses
//! its shadows at random times to measure that.

mod ran;
mod report;
mod stand;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use self::ran::Ran;
use self::report::{Own, Report, Rounds};
use self::stand::Stand;
use crate::claim::{self, Claim};
use crate::watcher::Watcher;

/// What the command's help says last.
pub(crate) const HELP: &str = "\
The gateway is started over loadtest/versions: version 1 of the model `steady` serves, version 2 does twice its work, and \
version 3 hangs. First a closed loop finds what saturates the machine; then requests leave at --load of that, whether or \
not earlier ones were answered, with the shadow at 100 % and without, in turn. What decides is the median of the rounds' \
ratios. In the part `own` the gateway pauses the slow shadow by itself in half of all windows of half a second, and its \
own ratio has to agree with that of the part `slow`.

Exit code 0: every figure held; 1: one was missed; 2: nothing could be measured.

Examples (build first: cargo build --release && cargo build --release -p pointsman-loadtest):
  the figures, five minutes
      pointsman-loadtest shadow --json shadow.json
  the shadow that hangs alone, at a rate of its own
      pointsman-loadtest shadow --part hung --rate 300
  is a shadow that takes the primary's time noticed?
      pointsman-loadtest shadow --part slow --rounds 3 --fault foreground";

/// What to measure, and what to ask of it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The gateway's binary.
    #[arg(long, default_value = "target/release/pointsman")]
    gateway: PathBuf,
    /// The registry that has the model `steady`.
    #[arg(long, default_value = "loadtest/versions")]
    models: PathBuf,
    /// A part to measure, once for each. [default: all]
    #[arg(long = "part", value_enum, value_name = "PART")]
    parts: Vec<Kind>,
    /// Requests per second. [default: --load of what saturates]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// The share of the rate that saturates at which requests leave.
    #[arg(long, default_value_t = 0.7, value_parser = load)]
    load: f64,
    /// Pairs of times with the shadow and without.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Seconds of each of both.
    #[arg(long, default_value = "6", value_parser = crate::seconds)]
    seconds: Duration,
    /// What random times are drawn from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The most that p99 may be with a shadow that is twice as slow, over that without.
    #[arg(long, default_value_t = 1.10)]
    slow_ratio_max: f64,
    /// The most that p99 may be with a shadow that hangs, over that without.
    #[arg(long, default_value_t = 1.05)]
    hung_ratio_max: f64,
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

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A shadow that does twice the work.
    Slow,
    /// A shadow whose runs end with their deadline, after ten seconds.
    Hung,
    /// What the gateway says of the slow one.
    Own,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// The shadow's work is asked for by requests of their own, as if it ran beside the primary as its equal.
    Foreground,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Slow, Self::Hung, Self::Own];

    fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Hung => "hung",
            Self::Own => "own",
        }
    }

    /// The version that shadows.
    fn version(self) -> u64 {
        match self {
            Self::Slow | Self::Own => 2,
            Self::Hung => 3,
        }
    }

    /// The gateway's configuration. Windows are longer than twice a run's deadline.
    fn settings(self) -> &'static str {
        match self {
            Self::Slow => "[shadow]\nrun_max = \"200ms\"\nwindow_off_share = 0\n",
            Self::Hung => "[shadow]\nrun_max = \"10s\"\nwindow = \"21s\"\nwindow_off_share = 0\n",
            Self::Own => "[shadow]\nrun_max = \"200ms\"\nwindow = \"500ms\"\nwindow_off_share = 0.5\n",
        }
    }
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Foreground => "foreground",
        }
    }
}

/// A share of what saturates.
fn load(text: &str) -> Result<f64, String> {
    let load: f64 = text.parse().map_err(|e| format!("{e}"))?;
    if load > 0.0 && load < 1.0 { Ok(load) } else { Err("it lies between 0 and 1".into()) }
}

/// `shadow`: whether every figure held.
///
/// # Errors
/// Where nothing could be measured.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let mut arguments = arguments.clone();
    if arguments.parts.is_empty() {
        arguments.parts = Kind::ALL.to_vec();
    }
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let report = measure(&arguments, scratch.path())?;
    let control = arguments.fault.map(|_| "a fault that is not caught");
    let held = Claim::missed(&report.claims()).is_empty();
    claim::give(&report, &report.json(), arguments.json.as_deref(), held, control)
}

fn measure(arguments: &Arguments, scratch: &Path) -> Result<Report, String> {
    let watcher = Watcher::new(arguments.quiet, None)?;
    let mut report = Report::new(arguments);
    for &kind in &arguments.parts {
        let mut stand = Stand::start(arguments, kind, &scratch.join(kind.name()), &watcher)?;
        let rate = match report.rate.or(arguments.rate.map(f64::from)) {
            Some(rate) => rate,
            None => {
                let saturated = stand.saturated()?;
                report.saturated = Some(saturated);
                saturated * arguments.load
            }
        };
        report.rate = Some(rate);
        match kind {
            Kind::Slow | Kind::Hung => {
                let (mut rounds, mut ran) = (Vec::new(), Ran::default());
                for round in 0..arguments.rounds {
                    // Each is first in turn, so that what grows over time falls on both.
                    let mut pair = [None, None];
                    for is_on in [round % 2 == 1, round % 2 == 0] {
                        stand.shadow(is_on)?;
                        pair[usize::from(is_on)] = Some(stand.load(rate, is_on)?);
                        if is_on {
                            ran.add(&stand.compared()?);
                        }
                    }
                    let [off, on] = pair;
                    rounds.extend(off.zip(on));
                }
                report.rounds.push(Rounds { kind, rounds, ran });
            }
            Kind::Own => {
                stand.shadow(true)?;
                for _ in 0..arguments.rounds {
                    let loaded = stand.load(rate, true)?;
                    report.counts.push(loaded.counts);
                }
                let compared = stand.compared()?;
                let mut ran = Ran::default();
                ran.add(&compared);
                report.own = Some(Own { ran, cost: compared["run"]["cost"].clone() });
            }
        }
    }
    watcher.finish();
    Ok(report)
}
