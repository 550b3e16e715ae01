//! Single requests to any V2 server, and what came of them.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::task::LocalSet;

use crate::call::{
    Body, Call, Connections, Endpoint, Form, Kind, Manner, Model, Source, Transport, Verdict, Wiring,
};
use crate::clock::Clock;

/// What the command's help says last.
pub(crate) const HELP: &str = "\
Inputs are made up from what the server says the model takes, unless golden cases or a file are named. A line is \
printed for each request: right, refused (for load), failed, wrong or lost, with a code and a reason.

Exit code 0: all answers were right; 1: one was not; 2: nothing could be sent.

Examples:
  pointsman-loadtest once --url http://127.0.0.1:8000 --model iris --golden models/iris/3/golden.json
  pointsman-loadtest once --url http://127.0.0.1:8001 --transport grpc --body binary --model iris --version 2
  pointsman-loadtest once --url http://127.0.0.1:8000 --form tf-serving --model iris --rows 8 --requests 100
  pointsman-loadtest once --url http://127.0.0.1:8000 --model iris --slow-send 50";

/// What to send to where.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The server's listener, as http://HOST:PORT; with --transport grpc, that for gRPC.
    #[arg(long)]
    url: String,
    /// The model.
    #[arg(long)]
    model: String,
    /// The version, or an alias of one. [default: what the server takes by default]
    #[arg(long)]
    version: Option<String>,
    /// Path and JSON of the requests.
    #[arg(long, value_enum, default_value_t = Form::V2)]
    form: Form,
    /// What carries them.
    #[arg(long, value_enum, default_value_t = Transport::Http1)]
    transport: Transport,
    /// How tensors are written.
    #[arg(long, value_enum, default_value_t = Body::Json)]
    body: Body,
    /// Send the inputs of this golden.json, and compare the answers with its outputs.
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    golden: Option<PathBuf>,
    /// Send the requests of this file: the JSON body of a V2 request on each line.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Rows of inputs that are made up.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,
    /// The size of their other dimensions that may have any.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    size: u64,
    /// What their values are drawn from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many requests to send. [default: one for each golden case or line, else one]
    #[arg(short = 'n', long)]
    requests: Option<usize>,
    /// Seconds that an answer may take.
    #[arg(long, default_value = "30", value_parser = crate::seconds)]
    timeout: Duration,
    /// Send so many bytes a second.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..), group = "manner")]
    slow_send: Option<u32>,
    /// Read so many bytes a second.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..), group = "manner")]
    slow_read: Option<u32>,
    /// Go away so many seconds after each request was sent.
    #[arg(long, value_name = "SECONDS", value_parser = crate::seconds, group = "manner")]
    vanish: Option<Duration>,
}

impl Arguments {
    fn source(&self) -> Source {
        match (&self.golden, &self.replay) {
            (Some(path), _) => Source::Golden(path.clone()),
            (None, Some(path)) => Source::File(path.clone()),
            (None, None) => Source::Metadata { rows: self.rows, size: self.size, seed: self.seed },
        }
    }

    fn manner(&self) -> Manner {
        match (self.slow_send, self.slow_read, self.vanish) {
            (Some(bytes_per_second), ..) => Manner::SlowSend { bytes_per_second },
            (_, Some(bytes_per_second), _) => Manner::SlowRead { bytes_per_second },
            (.., Some(after)) => Manner::Vanish { after },
            _ => Manner::Normal,
        }
    }
}

/// `once`: whether all answers were right.
///
/// # Errors
/// Where nothing could be sent.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    LocalSet::new().block_on(&runtime, send(arguments))
}

async fn send(arguments: &Arguments) -> Result<bool, String> {
    let Arguments { form, transport, body, .. } = *arguments;
    let kind = Kind { form, transport, body };
    let endpoint = Endpoint::at(&arguments.url, transport == Transport::Grpc)?;
    let model = Model::read(&endpoint, &arguments.model, arguments.version.as_deref()).await?;
    let source = arguments.source();
    let calls = source.inputs(&model)?;
    let calls = calls.iter().map(|input| Call::prepare(&endpoint, &model, kind, input));
    let calls: Vec<Call> = calls.collect::<Result<_, _>>()?;
    let wiring =
        Wiring { connections: 1, streams: 1, timeout: arguments.timeout, manner: arguments.manner() };
    let clock = Clock::start();
    let connections = Connections::open(&endpoint, transport, &wiring, clock).await?;
    let several = !matches!(source, Source::Metadata { .. });
    let requests = arguments.requests.unwrap_or(if several { calls.len() } else { 1 });
    let mut out = std::io::stdout();
    // Whoever reads may have seen enough: the exit code still says how it went.
    let _ = writeln!(out, "{} of {} as {}", requests, model.name, kind.name());
    let mut all_right = true;
    for (number, call) in calls.iter().cycle().take(requests).enumerate() {
        let sent = connections.send(call).await;
        let took = (clock.now() - sent.at).as_secs_f64() * 1e3;
        let version = sent.version.map(|version| format!("version {version}, ")).unwrap_or_default();
        let _ = writeln!(out, "{:>6}  {version}{took:.3} ms  {}", number + 1, sent.verdict);
        all_right &= sent.verdict == Verdict::Right;
    }
    Ok(all_right)
}
