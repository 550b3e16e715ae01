//! Measurements of servers that speak V2.
//!
//! `run` loads a server as a scenario says, a file or flags; `compare` does so with two servers in turn; and
//! `report` shows again what was found, as a table and as a page with plots. `once` sends single requests.
//! `floor` measures what the gateway adds to the least that is possible: the same bytes through a bare hyper
//! server, and the same run in ONNX Runtime alone. `swap` changes versions under an open loop of traffic and
//! judges every answer. `mix` sends requests that identify themselves,
//! so that an answer to the wrong caller is seen, and `disconnect` has clients that vanish.
//! `shadow`, `canary` and `ab` let versions share the traffic.

mod ab;
mod about;
mod accounting;
mod admin;
mod bare;
mod bench;
mod call;
mod canary;
mod claim;
mod client;
mod clock;
mod compare;
mod crowd;
mod disconnect;
mod exposition;
mod figure;
mod findings;
mod flags;
mod floor;
mod gateway;
mod inputs;
mod interrupt;
mod latency;
mod load;
mod measure;
mod mix;
mod once;
mod output;
mod own;
mod page;
mod process;
mod progress;
mod queue;
mod ratio;
mod raw;
mod readings;
mod references;
mod report;
mod requests;
mod run;
#[cfg(test)]
mod samples;
mod scenario;
mod schedule;
mod search;
mod shadow;
mod start;
mod summary;
mod swap;
mod target;
mod threshold;
mod timer;
mod traffic;
mod units;
mod watcher;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::bare::Speaks;
use crate::raw::Wanted;

/// Measure servers that speak V2.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load a server as a scenario says, or flags alone: throughput, latency and errors over time.
    #[command(after_help = run::HELP)]
    Run(run::Arguments),
    /// Two servers, or two settings of one, in turn: the ratio of each figure, with its interval.
    #[command(after_help = compare::HELP)]
    Compare(compare::Arguments),
    /// The gateway's CPU time per request beside the floor: a bare hyper or tonic server with the same bytes, and
    /// ONNX Runtime alone.
    #[command(after_help = "Example (build the gateway first: cargo build --release):\n  \
        cargo run --release -p pointsman-loadtest -- floor --rounds 5 --seconds 4")]
    Floor(floor::Arguments),
    /// Versions swapped under traffic: failed, wrong and mixed answers, latency during swaps beside
    /// steady, and memory.
    #[command(after_help = swap::HELP)]
    Swap(swap::Arguments),
    /// How long a gateway takes to be ready, and what it holds then, by its number of models.
    #[command(after_help = start::HELP)]
    Start(start::Arguments),
    /// A million requests of which each identifies itself, mixed and partly left: no answer to the wrong caller.
    #[command(after_help = mix::HELP)]
    Mix(mix::Arguments),
    /// Clients that vanish at every stage: what they asked for is let go at once, never run, and leaves nothing behind.
    #[command(after_help = disconnect::HELP)]
    Disconnect(disconnect::Arguments),
    /// What a shadow costs the version that serves: one that is twice as slow, and one that hangs.
    #[command(after_help = shadow::HELP)]
    Shadow(shadow::Arguments),
    /// A version that takes over under traffic: to the end, back by a call, and back where it does harm.
    #[command(after_help = canary::HELP)]
    Canary(canary::Arguments),
    /// An experiment under traffic: who gets which arm, whether everybody keeps it, and what the split costs.
    #[command(after_help = ab::HELP)]
    Ab(ab::Arguments),
    /// A few requests, one after the other, with what came of each: to try a server, a model or a file.
    #[command(after_help = once::HELP)]
    Once(once::Arguments),
    /// Findings that were kept: a summary, a page with plots, and whether thresholds hold.
    #[command(after_help = report::HELP)]
    Report(report::Arguments),
    /// A bare server (hyper, or tonic) that answers every request with the bytes of a file.
    #[command(hide = true)]
    Bare {
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
        /// The body of every answer.
        #[arg(long)]
        body: PathBuf,
        /// The number of bytes of it that are JSON, answered as `Inference-Header-Content-Length`.
        #[arg(long)]
        header_length: Option<usize>,
        /// It speaks gRPC: the body is a `ModelInferResponse`.
        #[arg(long, conflicts_with = "header_length")]
        grpc: bool,
    },
    /// ONNX Runtime alone: microseconds of CPU per run, and of a run after a pause.
    #[command(hide = true)]
    Raw {
        /// The model's folder: `<model>/<version>` of a registry is read from its root.
        #[arg(long)]
        models: PathBuf,
        /// The model.
        #[arg(long)]
        model: String,
        /// How long to run.
        #[arg(long)]
        seconds: f64,
        /// Write how long each run took, in nanoseconds, a line each.
        #[arg(long)]
        times: Option<PathBuf>,
        /// Run at these moments alone, in nanoseconds, a line each; times count from them.
        #[arg(long, requires = "times")]
        due: Option<PathBuf>,
    },
}

/// A time of the command line.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|e| format!("{e}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())
}

fn main() -> ExitCode {
    // SAFETY: the first statement of the process; there is no other thread.
    #[allow(unsafe_code)]
    unsafe {
        pointsman_engine::onnxruntime::disable_telemetry();
    }
    let done = match Cli::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Floor(arguments) => floor::run(&arguments).map(|()| true),
        Command::Swap(arguments) => swap::run(&arguments),
        Command::Start(arguments) => start::run(&arguments),
        Command::Mix(arguments) => mix::run(&arguments),
        Command::Disconnect(arguments) => disconnect::run(&arguments),
        Command::Shadow(arguments) => shadow::run(&arguments),
        Command::Canary(arguments) => canary::run(&arguments),
        Command::Ab(arguments) => ab::run(&arguments),
        Command::Once(arguments) => once::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Bare { listen, body, header_length, grpc } => {
            let speaks = if grpc { Speaks::Grpc } else { Speaks::Http1 { header_length } };
            bare::serve(listen, &body, speaks).map(|()| true)
        }
        Command::Raw { models, model, seconds, times, due } => {
            let wanted = match (times.as_deref(), due.as_deref()) {
                (Some(times), Some(due)) => Wanted::Paced { due, times },
                (Some(times), None) => Wanted::Times(times),
                (None, _) => Wanted::Figures,
            };
            raw::run(&models, &model, seconds, wanted).map(|()| true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("pointsman-loadtest: {problem}");
            ExitCode::from(2)
        }
    }
}
