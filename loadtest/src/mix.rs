//! Requests of which each identifies itself, so that an answer to the wrong caller is seen.
//!
//! Every number that is sent says which request, row and column it is of, and the models answer with the
//! negative of each. Many requests are under way at a time, over every protocol, so that they are run together.

mod asked;
mod asker;
mod report;
mod tally;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use clap::{Args, ValueEnum};

use self::asked::{MODELS, Shares};
use self::asker::Asker;
use self::report::{Report, Rest};
use self::tally::Tally;
use crate::accounting;
use crate::call::{Manner, Model, Wiring};
use crate::claim::{self, Claim};
use crate::clock::Clock;
use crate::exposition::Meter;
use crate::gateway::{Gateway, Start};
use crate::interrupt;
use crate::schedule::Pattern;
use crate::traffic::{Drive, Lane, Traffic};

/// What the command's help says last.
pub(crate) const HELP: &str = "\
The gateway is started over loadtest/models, whose models answer with the negative of each number. No number is sent \
twice, so an answer says whose it is. Requests are of 1 to --rows-max rows, of more than are run together (--large), of \
several widths, over HTTP/1.1, HTTP/2 and gRPC, in JSON and in binary, some with priorities; shares of them are left by \
their clients, have deadlines that may pass, or fit no model. After the last one the gateway has to be at rest, to \
account for each, and to have run requests together.

Exit code 0: every figure held; 1: one was missed; 2: nothing could be measured.

Examples (build first: cargo build --release && cargo build --release -p pointsman-loadtest):
  the figure: a million requests
      pointsman-loadtest mix --json mix.json
  a quick look, with more that leave
      pointsman-loadtest mix --requests 50000 --cancelled 0.4
  are answers that change places noticed? (a debug build of the gateway: cargo build)
      pointsman-loadtest mix --gateway target/debug/pointsman --fault swap-answers --requests 20000";

/// What to send, and to whom.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The gateway's binary.
    #[arg(long, default_value = "target/release/pointsman")]
    gateway: PathBuf,
    /// The registry that has the models `rows` and `table`.
    #[arg(long, default_value = "loadtest/models")]
    models: PathBuf,
    /// Requests, at least.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..1 << 40))]
    requests: u64,
    /// Threads that send.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// Requests of each thread that are under way at a time.
    #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u16).range(1..=1024))]
    in_flight: u16,
    /// The most rows of a request that is not cut.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=16))]
    rows_max: u8,
    /// The share of requests that their clients leave at a random moment.
    #[arg(long, default_value_t = 0.2, value_parser = share)]
    cancelled: f64,
    /// The share of requests that fit no model.
    #[arg(long, default_value_t = 0.05, value_parser = share)]
    odd: f64,
    /// The share of requests with deadlines that may pass.
    #[arg(long, default_value_t = 0.05, value_parser = share)]
    deadlines: f64,
    /// The share of requests of more rows than are run together.
    #[arg(long, default_value_t = 0.02, value_parser = share)]
    large: f64,
    /// Seconds that an answer may take before it counts as lost.
    #[arg(long, default_value = "10", value_parser = crate::seconds)]
    timeout: Duration,
    /// What is random is drawn from this.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A fault for the gateway to have (debug builds only), to see whether it is caught.
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A fault that debug builds of the gateway can have, by the variable `POINTSMAN_FAULT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Now and then two requests that are run together get each other's answers.
    SwapAnswers,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::SwapAnswers => "swap-answers",
        }
    }
}

impl Arguments {
    fn shares(&self) -> Shares {
        let &Self { cancelled, odd, deadlines, large, rows_max, .. } = self;
        Shares { cancelled, odd, deadlines, large, rows_max: rows_max.into() }
    }
}

/// A share of the command line.
fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|e| format!("{e}"))?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("a share lies between 0 and 1".into()) }
}

/// Streams of each HTTP/2 connection.
const STREAMS: usize = 16;

/// How often the state of the run is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// `mix`: whether every figure held.
///
/// # Errors
/// Where nothing could be measured.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    if arguments.cancelled + arguments.odd + arguments.deadlines > 1.0 {
        return Err(
            "--cancelled, --odd and --deadlines are more than 1 together: each request is of one".into()
        );
    }
    let interrupted = interrupt::flag()?;
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let report = measure(arguments, scratch.path(), &interrupted)?;
    let control = arguments.fault.map(|_| "a fault that is not caught");
    let held = Claim::missed(&report.claims()).is_empty();
    claim::give(&report, &report.json(), arguments.json.as_deref(), held, control)
}

fn measure(arguments: &Arguments, scratch: &Path, interrupted: &AtomicBool) -> Result<Report, String> {
    let fault = arguments.fault.map(|fault| ("POINTSMAN_FAULT", fault.name()));
    let start = Start {
        binary: &arguments.gateway,
        core: None,
        registry: &arguments.models,
        config: None,
        state: Some(&scratch.join("state")),
        scratch,
        variables: fault.as_slice(),
    };
    let mut gateway = start.start()?;
    let clock = Clock::start();
    let drive = Drive { threads: arguments.threads.into(), seed: arguments.seed, until: None };
    let traffic = Traffic::start(vec![lane(arguments, &gateway)?], drive, clock)?;
    let (mut tally, mut problems) = (Tally::default(), Vec::new());
    let mut stopped = false;
    loop {
        match traffic.records().recv_timeout(LOOK) {
            Ok(batch) => batch.into_iter().for_each(|record| match record {
                Ok(record) => tally.add(&record),
                Err(problem) => problems.push(problem),
            }),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if !stopped && !gateway.server.is_running() {
            problems.push(format!("the gateway ended:\n{}", gateway.end_of_log()));
        }
        if interrupted.load(Ordering::Relaxed) {
            return Err("interrupted".into());
        }
        if !stopped && (tally.requests() >= arguments.requests || !problems.is_empty()) {
            traffic.stop();
            stopped = true;
        }
    }
    let time = clock.now();
    let sent: u64 = traffic.end()?.iter().sum();
    // A request without a record was neither answered nor given up in time.
    tally.lost += sent.saturating_sub(tally.requests() + problems.len() as u64);
    let rest = at_rest(&gateway);
    Ok(Report { arguments: arguments.clone(), tally, rest, problems, time })
}

fn lane(arguments: &Arguments, gateway: &Gateway) -> Result<Lane<Asker>, String> {
    let (endpoint, in_flight_max) = (gateway.endpoint(), usize::from(arguments.in_flight));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    let models = MODELS.iter().map(|model| runtime.block_on(Model::read(&endpoint, model, None)));
    let wiring = Wiring {
        connections: in_flight_max.div_ceil(STREAMS),
        streams: STREAMS,
        timeout: arguments.timeout,
        manner: Manner::Normal,
    };
    let asker = Asker {
        models: models.collect::<Result<_, _>>()?,
        endpoint,
        shares: arguments.shares(),
        seed: arguments.seed,
        wiring,
        next: AtomicU64::new(0),
    };
    let (caller, timeout) = (Arc::new(asker), arguments.timeout);
    Ok(Lane { caller, pattern: Pattern::Closed, in_flight_max, timeout })
}

fn at_rest(gateway: &Gateway) -> Result<Rest, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let exposition = runtime.map_err(|e| e.to_string())?.block_on(async {
        let mut meter = Meter::open(gateway.metrics).await?;
        accounting::at_rest(&mut meter).await
    });
    Rest::read(&exposition?)
}
