//! A version that takes over under traffic: to the end, back by an operator's word, and back where it does harm.

mod aborts;
mod bad;
mod report;
mod rise;
mod stand;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use self::report::Report;
use self::stand::Stand;
use crate::claim::{self, Claim};
use crate::clock::Clock;
use crate::watcher::Watcher;

/// What the command's help says last.
pub(crate) const HELP: &str = "\
`rise`: version 3 of iris takes over from version 2 by the stages of --canary, until it is promoted. Every answer is compared, \
bit by bit, with that of the version that it names, which has to be that of the arm that it names; units keep their arm \
within a stage, and from stage to stage only join the candidate. What each stage took is shown beside what the gateway had \
said before. `aborts`: rollouts to half of the units, each of which is ended by a call; from then on the candidate may \
answer no request that begins later than --rollback-max. `bad`: candidates of loadtest/versions that begin to give NaN, and \
to fail, at 1 %: how long until the last one that they answer.

Exit code 0: every figure held; 1: one was missed; 2: nothing could be measured.

Examples (build first: cargo build --release && cargo build --release -p pointsman-loadtest):
  the figures, about four minutes
      pointsman-loadtest canary --json canary.json
  rollbacks alone
      pointsman-loadtest canary --part aborts --aborts 300
  is a rollback that comes late noticed?
      pointsman-loadtest canary --part aborts --aborts 20 --fault late-abort";

/// What to measure, and what to ask of it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The gateway's binary.
    #[arg(long, default_value = "target/release/pointsman")]
    gateway: PathBuf,
    /// The registry that iris is copied from.
    #[arg(long, default_value = "models")]
    models: PathBuf,
    /// The registry that has the model `fickle`.
    #[arg(long, default_value = "loadtest/versions")]
    bad_models: PathBuf,
    /// A part to measure, once for each. [default: all]
    #[arg(long = "part", value_enum, value_name = "PART")]
    parts: Vec<Kind>,
    /// Requests per second, half of which are of new units.
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// The stages, in percent of the units.
    #[arg(long, default_value = "1,5,25,50")]
    canary: String,
    /// A guard, as `pointsman rollout start --guard` has it, once for each. [default: the gateway's]
    #[arg(long = "guard", value_name = "GUARD")]
    guards: Vec<String>,
    /// Up to where latency is never held against a candidate, as `50ms`.
    #[arg(long, default_value = "50ms")]
    latency_objective: String,
    /// Seconds that the rise may take.
    #[arg(long, default_value = "600", value_parser = crate::seconds)]
    rise_max: Duration,
    /// Rollouts that are aborted.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    aborts: u32,
    /// Seconds within which the last request of a candidate may begin after the call that aborts it.
    #[arg(long, default_value = "0.010", value_parser = crate::seconds)]
    rollback_max: Duration,
    /// Seconds from the first NaN of a candidate to its last answer.
    #[arg(long, default_value = "0.1", value_parser = crate::seconds)]
    nan_max: Duration,
    /// Answers of a candidate that fails, before it is taken back.
    #[arg(long, default_value_t = 15)]
    failures_max: u64,
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
    /// A rollout from its start to promotion.
    Rise,
    /// Rollouts that are aborted at 50 %.
    Aborts,
    /// Candidates that begin to do harm.
    Bad,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Who aborts is held up for 50 ms.
    LateAbort,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Rise, Self::Aborts, Self::Bad];
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::LateAbort => "late-abort",
        }
    }
}

/// `canary`: whether every figure held.
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
    let watcher = Watcher::new(true, None)?;
    let (clock, has) = (Clock::start(), |kind| arguments.parts.contains(&kind));
    let say = |what: &str| {
        if !arguments.quiet {
            eprintln!("{what}");
        }
    };
    let mut report = Report::new(arguments);
    if has(Kind::Rise) || has(Kind::Aborts) {
        let mut stand = Stand::start(arguments, scratch, clock)?;
        let mut flow = stand.flow(&watcher)?;
        if has(Kind::Rise) {
            say(&format!("version 3 of iris takes over by {} %", arguments.canary));
            report.rise = Some(rise::rise(arguments, &mut stand, &mut flow)?);
        }
        if has(Kind::Aborts) {
            say(&format!("{} rollouts are aborted at 50 %", arguments.aborts));
            let promoted = report.rise.as_ref().is_some_and(|rise| rise.promoted.is_some());
            report.aborts = aborts::aborts(arguments, &mut stand, &mut flow, promoted)?;
        }
        report.flown = flow.end()?;
    }
    if has(Kind::Bad) {
        for version in [bad::NAN, bad::FAILING] {
            say(&format!("version {version} of fickle begins to do harm at 1 %"));
            report.bad.push(bad::bad(arguments, scratch, version, clock, &watcher)?);
        }
    }
    Ok(report)
}
