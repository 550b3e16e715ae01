//! Clients that vanish, at every stage of a request.
//!
//! Waves of clients are taken as far as a stage, which the gateway's metrics and sockets have to show; then all of
//! them vanish, and the gateway is looked at until it shows none of them any more.

mod client;
mod driver;
mod plan;
mod report;
mod tally;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;

use self::driver::Driver;
use self::plan::Plan;
use self::report::{End, Report};
use self::tally::Tally;
use self::watch::Watch;
use crate::accounting::{self, Rest};
use crate::claim::{self, Claim};
use crate::exposition::Meter;
use crate::gateway::{Gateway, Start};
use crate::interrupt;
use crate::process::Usage;

/// What the command's help says last.
pub(crate) const HELP: &str = "\
The gateway is started over loadtest/models. Clients vanish while their headers or body come, while they are queued \
behind a run without an end, while they run, while their answer is written and not read, and while their connection is \
idle; over HTTP/1.1, HTTP/2 and gRPC, by closing the connection, by resetting it, and by resetting the stream. Each is \
charged with the time until the gateway has let go of the last of its wave, so that no time is too short. The model \
counts its runs: there may be none but those of which an answer was begun. A stream that is reset while its answer is \
written counts without a time: the gateway has handed the answer on, and holds memory alone.

Exit code 0: every figure held; 1: one was missed; 2: nothing could be measured.

Examples (build first: cargo build --release && cargo build --release -p pointsman-loadtest):
  the figures: ten thousand clients
      pointsman-loadtest disconnect --json disconnect.json
  a quick look
      pointsman-loadtest disconnect --clients 1000
  would it be seen if they were not let go? (clients that stay look to the gateway as if it had not noticed)
      pointsman-loadtest disconnect --stay --clients 1 --wave 2 --give-up 0.2";

/// Who vanishes, and what is asked of the gateway.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The gateway's binary.
    #[arg(long, default_value = "target/release/pointsman")]
    gateway: PathBuf,
    /// The registry that has the models `turns` and `blank`.
    #[arg(long, default_value = "loadtest/models")]
    models: PathBuf,
    /// Clients that vanish, at least; as many in each way. Before them each way is taken once to warm up.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    clients: u64,
    /// Clients that vanish at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    wave: u16,
    /// The most milliseconds within which 99 of 100 have to be let go.
    #[arg(long, default_value_t = 50.0)]
    p99_max_ms: f64,
    /// The most that the gateway's resident memory may grow, in percent.
    #[arg(long, default_value_t = 10.0)]
    rss_growth_max: f64,
    /// Seconds after which a client that vanished counts as not noticed.
    #[arg(long, default_value = "5", value_parser = crate::seconds)]
    give_up: Duration,
    /// A control: the clients stay, which has to be seen.
    #[arg(long)]
    stay: bool,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How long files may take to be closed after the last client: others than sockets come and go.
const FILES_TIMEOUT: Duration = Duration::from_secs(5);

/// How often they are looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// `disconnect`: whether every figure held.
///
/// # Errors
/// Where nothing could be measured.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let interrupted = interrupt::flag()?;
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let report = measure(arguments, scratch.path(), &interrupted)?;
    let control = arguments.stay.then_some("that clients which stay are not seen");
    let held = Claim::missed(&report.claims()).is_empty();
    claim::give(&report, &report.json(), arguments.json.as_deref(), held, control)
}

fn measure(arguments: &Arguments, scratch: &Path, interrupted: &AtomicBool) -> Result<Report, String> {
    let start = Start {
        binary: &arguments.gateway,
        core: None,
        registry: &arguments.models,
        config: None,
        state: Some(&scratch.join("state")),
        scratch,
        variables: &[],
    };
    let gateway = start.start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| e.to_string())?.block_on(vanish(arguments, &gateway, interrupted))
}

async fn vanish(
    arguments: &Arguments,
    gateway: &Gateway,
    interrupted: &AtomicBool,
) -> Result<Report, String> {
    let (wave, process) = (usize::from(arguments.wave), gateway.server.id());
    let watch = Watch { meter: Meter::open(gateway.metrics).await?, process };
    let Arguments { give_up, stay, .. } = *arguments;
    let mut driver = Driver::new(gateway.endpoint(), watch, give_up, false).await?;
    driver.cycle(wave, &mut Tally::new()?).await?;
    driver.stay = stay;
    let (runs_before, before) = (driver.watch.runs().await?, Usage::of(process)?);
    let mut tally = Tally::new()?;
    let of_cycle = (Plan::all().len() * wave) as u64;
    let mut problem = None;
    for _ in 0..arguments.clients.div_ceil(of_cycle) {
        if interrupted.load(Ordering::Relaxed) {
            return Err("interrupted".into());
        }
        problem = driver.cycle(wave, &mut tally).await.err();
        if problem.is_some() {
            break;
        }
    }
    let end = match problem {
        None => {
            let rest = Rest::read(&accounting::at_rest(&mut driver.watch.meter).await?)?;
            let runs = driver.watch.runs().await? - runs_before;
            Some(End { rest, runs, before, after: after(process, &before).await? })
        }
        Some(_) => None,
    };
    Ok(Report { arguments: arguments.clone(), tally, problem, end })
}

/// What a process holds once it has no more files than before, or did not come to that in time.
async fn after(process: u32, before: &Usage) -> Result<Usage, String> {
    let until = tokio::time::Instant::now() + FILES_TIMEOUT;
    loop {
        let usage = Usage::of(process)?;
        if usage.files <= before.files || tokio::time::Instant::now() > until {
            return Ok(usage);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
