//! Swaps under traffic: versions change places while requests are answered.
//!
//! Three threads and a child process: generators send on a schedule ([`crate::traffic`]), a driver
//! swaps and weighs the gateway ([`driver`]), and this thread judges every answer ([`tally`]).

mod answered;
mod caller;
mod course;
mod driver;
mod operator;
mod record;
mod registry;
mod report;
mod tally;
mod timeline;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use clap::{Args, ValueEnum};

use self::caller::{Asker, Calls};
pub(crate) use self::caller::{Lines, STREAMS, judge, kind};
use self::course::Course;
use self::driver::Driver;
use self::operator::Operator;
pub(crate) use self::record::{Work, work};
pub(crate) use self::registry::SwapRegistry;
use self::report::Report;
use self::watch::Watch;
use crate::call::{Manner, Wiring};
use crate::claim;
use crate::client::Protocol;
use crate::clock::Clock;
use crate::gateway::{Gateway, Start};
use crate::interrupt;
use crate::process::own_cpu_time;
use crate::schedule::{Arrivals, Pattern, Rates};
use crate::traffic::{Drive, Lane, Traffic};

/// What the command's help says last.
pub(crate) const HELP: &str = "\
The gateway is started over copies of the model's versions 1, 2, 3, ..., each of which answers otherwise. Every \
answer is compared, bit by bit, with what the version that it names answered before; and that version has to have \
been the default one while the request was under way. Latencies count from when a request was due. Those \
during swaps are of requests that were due between a swap's call and 50 ms after its final answer.

Exit code 0: every figure held; 1: one was missed; 2: nothing could be measured.

Examples (build first: cargo build --release && cargo build --release -p pointsman-loadtest):
  the figures: 1000 swaps under 1000000 requests, six minutes
      pointsman-loadtest swap --json swap.json
  a quick look
      pointsman-loadtest swap --swaps 50 --requests 50000
  versions dropped into the registry instead of promoted by a call
      pointsman-loadtest swap --by drop
  both versions stay loaded: what the swap alone costs
      pointsman-loadtest swap --resident
  steady traffic alone, over one protocol, as unrelated callers send
      pointsman-loadtest swap --swaps 0 --requests 30000 --protocol http-json --arrivals poisson
  is a session that is not freed noticed? (a debug build of the gateway: cargo build)
      pointsman-loadtest swap --gateway target/debug/pointsman --fault leak-session \\
          --swaps 300 --requests 10000 --rate 300 --p99-ratio-max 1000";

/// What to measure, and what to ask of it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The gateway's binary.
    #[arg(long, default_value = "target/release/pointsman")]
    gateway: PathBuf,
    /// The registry that the model is copied from.
    #[arg(long, default_value = "models")]
    models: PathBuf,
    /// The model; its versions 1, 2, 3, ... take turns, and its golden cases are the requests.
    #[arg(long, default_value = "iris")]
    model: String,
    /// Swaps, evenly over the run; before them each version is swapped in once to warm up.
    #[arg(long, default_value_t = 1000)]
    swaps: u64,
    /// How the default version is changed.
    #[arg(long, value_enum, default_value_t = By::Promote)]
    by: By,
    /// Keep all versions loaded, so that a swap loads nothing.
    #[arg(long)]
    resident: bool,
    /// Folders that stay in the registry with --by drop; older versions are removed from it.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(2..=100))]
    kept: u64,
    /// Requests after the warm-up, at least.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    requests: u64,
    /// Requests per second.
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// How requests are spread over time.
    #[arg(long, value_enum, default_value_t = Arrivals::Constant)]
    arrivals: Arrivals,
    /// What random times are drawn from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A protocol to use, once for each; they take turns. [default: all]
    #[arg(long = "protocol", value_enum, value_name = "PROTOCOL")]
    protocols: Vec<Protocol>,
    /// Threads that send.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// Connections of each protocol on each thread; gRPC runs 16 streams on each.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Seconds that an answer may take before it counts as lost.
    #[arg(long, default_value = "10", value_parser = crate::seconds)]
    timeout: Duration,
    /// Seconds of traffic before the first swap.
    #[arg(long, default_value = "3", value_parser = crate::seconds)]
    warm_up: Duration,
    /// The most that the p99 latency during swaps may be of the steady one in the same run.
    #[arg(long, default_value_t = 1.5)]
    p99_ratio_max: f64,
    /// The most that the gateway's resident memory may grow, in percent.
    #[arg(long, default_value_t = 5.0)]
    rss_growth_max: f64,
    /// A fault for the gateway to have (debug builds only), to see whether it is caught.
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How the default version is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// `POST /models/M/promote` on the admin listener.
    Promote,
    /// `POST /models/M/alias`: the card serves an alias, which is moved.
    Alias,
    /// A new version folder in the registry, each time with a higher number.
    Drop,
}

/// A fault that debug builds of the gateway can have, by the variable `POINTSMAN_FAULT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// A request is lost at a swap.
    LoseRequest,
    /// The session of each retired version stays.
    LeakSession,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Alias => "alias",
            Self::Drop => "drop",
        }
    }
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::LoseRequest => "lose-request",
            Self::LeakSession => "leak-session",
        }
    }
}

/// Requests of a generator thread that may be without an answer: as many as a gateway takes by default.
const IN_FLIGHT_MAX: usize = 4096;

/// `swap`: whether every figure held.
///
/// # Errors
/// Where nothing could be measured.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let mut arguments = arguments.clone();
    if arguments.protocols.is_empty() {
        arguments.protocols = Protocol::ALL.to_vec();
    }
    if arguments.resident && arguments.by == By::Drop {
        return Err("--resident makes no sense with --by drop: what is dropped in is new each time".into());
    }
    let interrupted = interrupt::flag()?;
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let report = measure(&arguments, scratch.path(), &interrupted)?;
    let control = arguments.fault.map(|_| "a fault that is not caught");
    let held = report.missed().is_empty();
    claim::give(&report, &report.json(), arguments.json.as_deref(), held, control)
}

fn measure(arguments: &Arguments, scratch: &Path, interrupted: &AtomicBool) -> Result<Report, String> {
    let Arguments { models, model, by, .. } = arguments;
    let registry = SwapRegistry::new(models, model, scratch.join("models"))?;
    registry.write_card(&registry.policy(*by, true))?;
    let work = {
        // A gateway of its own, which never swaps, says what is right.
        let gateway = start(arguments, &registry, scratch, "reference", "", &[])?;
        work(&gateway, models, model, registry.sources())?
    };
    registry.write_card(&registry.policy(*by, arguments.resident))?;
    let settings = settings(arguments);
    let fault = arguments.fault.map(|fault| ("POINTSMAN_FAULT", fault.name()));
    let gateway = start(arguments, &registry, scratch, "gateway", &settings, fault.as_slice())?;
    let (clock, first) = (Clock::start(), registry.sources());
    let operator = Operator::new(*by, gateway.admin, model, registry, arguments.kept)?;
    let default = operator.default_version()?;
    if default != first {
        return Err(format!("the gateway serves version {default} of {model} at first, not {first}"));
    }
    let course = Arc::new(Course::new(clock, first));
    let (done, cancelled) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let driver = Driver {
        operator,
        course: course.clone(),
        process: gateway.server.id(),
        swaps: arguments.swaps,
        interval: interval(arguments),
        warm_up: arguments.warm_up,
        done: done.clone(),
        cancelled: cancelled.clone(),
    };
    let before = (clock.now(), own_cpu_time()?, gateway.server.cpu_time()?);
    let drive = Drive { threads: arguments.threads.into(), seed: arguments.seed, until: None };
    let traffic = Traffic::start(vec![lane(arguments, &gateway, work)?], drive, clock)?;
    let driver = std::thread::Builder::new().name("driver".into()).spawn(move || driver.run());
    let driver = driver.map_err(|e| e.to_string())?;
    let watch = Watch { arguments, course: &course, done: &done, cancelled: &cancelled, interrupted, clock };
    watch.to_the_end(gateway, traffic, driver, before)
}

/// Starts a gateway with a folder of its own for what it writes.
fn start(
    arguments: &Arguments,
    registry: &SwapRegistry,
    scratch: &Path,
    name: &str,
    settings: &str,
    variables: &[(&str, &str)],
) -> Result<Gateway, String> {
    let scratch = scratch.join(name);
    std::fs::create_dir_all(&scratch).map_err(|e| e.to_string())?;
    let config = scratch.join("pointsman.toml");
    std::fs::write(&config, settings).map_err(|e| e.to_string())?;
    let start = Start {
        binary: &arguments.gateway,
        core: None,
        registry: registry.root(),
        config: Some(&config),
        state: Some(&scratch.join("state")),
        scratch: &scratch,
        variables,
    };
    start.start()
}

/// The gateway's configuration: what left does not stay loaded, so that every swap loads, and no prediction waits for a
/// label, which would look like a leak.
fn settings(arguments: &Arguments) -> String {
    let kept =
        if arguments.swaps > 0 && !arguments.resident { "[registry]\nprevious_kept = \"0s\"\n" } else { "" };
    format!("{kept}[labels]\nrequests_max = 1\n")
}

/// The time from one swap to the next.
fn interval(arguments: &Arguments) -> Duration {
    let seconds = arguments.requests as f64 / f64::from(arguments.rate) / arguments.swaps.max(1) as f64;
    Duration::from_secs_f64(seconds)
}

fn lane(arguments: &Arguments, gateway: &Gateway, work: Work) -> Result<Lane<Asker>, String> {
    let (timeout, endpoint, manner) = (arguments.timeout, gateway.endpoint(), Manner::Normal);
    let Work { model, inputs, references } = work;
    let calls = inputs.iter().map(|input| Calls::prepare(&endpoint, &model, input));
    let calls = calls.collect::<Result<_, _>>()?;
    let wiring = Wiring { connections: arguments.connections.into(), streams: STREAMS, timeout, manner };
    let asker = Asker { endpoint, calls, references, protocols: arguments.protocols.clone(), wiring };
    let pattern = Pattern::Rates(Rates::constant(arguments.rate.into()), arguments.arrivals);
    Ok(Lane { caller: Arc::new(asker), pattern, in_flight_max: IN_FLIGHT_MAX, timeout })
}
