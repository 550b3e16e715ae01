//! What the gateway adds to the least that is possible.
//!
//! Each round measures every target in turn, so that whatever else the machine does falls on all of
//! them. CPU time is that of the server's process, user and system, over the requests answered.

mod exchange;
mod report;
mod servers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use self::exchange::{Exchanges, Recorded};
use self::report::{Figures, Report};
use self::servers::{bare, raw_run, registry};
use crate::client::Protocol;
use crate::gateway::Start;
use crate::latency::Latencies;
use crate::load;
use crate::process::Server;

/// What to measure, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The gateway's binary.
    #[arg(long, default_value = "target/release/pointsman")]
    gateway: PathBuf,
    /// A configuration for the gateway, to measure what a setting costs.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The registry that holds the models `digits` and `iris`.
    #[arg(long, default_value = "models")]
    models: PathBuf,
    /// An ONNX file whose one output is of its one input's datatype, for the echo engine.
    #[arg(long, default_value = "tests/fixtures/ort_sigmoid/model.onnx")]
    echo: PathBuf,
    /// Connections (gRPC: streams) that send at the same time.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How often all targets are measured in turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each target is measured in a round.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The core that the servers are bound to (with `taskset`); without it nothing is bound.
    #[arg(long)]
    core: Option<usize>,
    /// Measure only the targets whose name holds this.
    #[arg(long)]
    only: Option<String>,
    /// Write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// A bare server with the bytes of the gateway's exchange.
    Bare(Exchange),
    /// The gateway.
    Gateway(Exchange),
}

/// One request with its answer: a model, over a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exchange {
    model: Model,
    protocol: Protocol,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    /// A small neural network, 64 numbers in.
    Digits,
    /// A small classifier, 4 numbers in.
    Iris,
    /// The echo engine: 60 numbers in and out, and nothing is run.
    Echo,
}

impl Model {
    const ALL: [Self; 3] = [Self::Digits, Self::Iris, Self::Echo];

    fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Iris => "iris",
            Self::Echo => "echo",
        }
    }

    /// Whether a runtime runs it.
    fn runs(self) -> bool {
        self != Self::Echo
    }
}

impl Exchange {
    fn all() -> impl Iterator<Item = Self> {
        let of = |model| Protocol::ALL.map(|protocol| Self { model, protocol });
        Model::ALL.into_iter().flat_map(of)
    }

    fn name(self) -> String {
        format!("{} {}", self.model.name(), self.protocol.name())
    }
}

impl Target {
    /// All of them, each beside its floor.
    fn all() -> impl Iterator<Item = Self> {
        Exchange::all().flat_map(|exchange| [Self::Bare(exchange), Self::Gateway(exchange)])
    }

    fn name(self) -> String {
        match self {
            Self::Bare(exchange) => format!("bare, bytes of {}", exchange.name()),
            Self::Gateway(exchange) => format!("gateway, {}", exchange.name()),
        }
    }
}

/// `floor`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let registry = registry(&arguments.models, &arguments.echo, scratch.path())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    let gateway = Start {
        binary: &arguments.gateway,
        core: arguments.core,
        registry: &registry,
        config: arguments.config.as_deref(),
        state: None,
        scratch: scratch.path(),
        variables: &[],
    };
    let gateway = gateway.start()?;
    let exchanges = runtime.block_on(Exchanges::record(gateway.http, gateway.grpc))?;
    let (connections, time) = (arguments.connections, Duration::from_secs_f64(arguments.seconds));
    let mut report = Report::default();
    let wanted = |t: &Target| arguments.only.as_ref().is_none_or(|only| t.name().contains(only.as_str()));
    let load = |exchange: Exchange, address: SocketAddr| match exchanges.of(exchange) {
        Recorded::Http { request, .. } => {
            runtime.block_on(load::http(address, request.clone(), connections, time))
        }
        Recorded::Grpc { message, .. } => {
            runtime.block_on(load::grpc(address, message.clone(), connections, time))
        }
    };
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        for model in Model::ALL.into_iter().filter(|model| model.runs()) {
            let run = raw_run(arguments.core, &registry, model, arguments.seconds)?;
            let name = format!("ONNX Runtime alone, {}", model.name());
            eprintln!("  {name:<40} {:6.2} us CPU, {:.1} us after a pause", run.cpu_us, run.paused_us);
            report.raw(model, run);
        }
        for target in Target::all().filter(wanted) {
            let figures = match target {
                Target::Bare(exchange) => {
                    let recorded = exchanges.of(exchange);
                    let (server, address) = bare(arguments.core, recorded, scratch.path())?;
                    measure(&server, || load(exchange, address))
                }
                Target::Gateway(exchange) => {
                    let over_grpc = exchange.protocol == Protocol::Grpc;
                    let address = if over_grpc { gateway.grpc } else { gateway.http };
                    measure(&gateway.server, || load(exchange, address))
                }
            }?;
            eprintln!("  {:<40} {figures}", target.name());
            report.add(target, figures);
        }
    }
    println!("{report}");
    match &arguments.json {
        Some(file) => std::fs::write(file, format!("{}\n", report.json()))
            .map_err(|e| format!("{}: {e}", file.display())),
        None => Ok(()),
    }
}

/// Loads a server, and takes the CPU time that it spent meanwhile.
fn measure(server: &Server, load: impl FnOnce() -> Result<Latencies, String>) -> Result<Figures, String> {
    let before = server.cpu_time()?;
    let answered = load()?;
    let spent = server.cpu_time()? - before;
    Figures::of(&answered, spent)
}
