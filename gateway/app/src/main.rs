//! The binary `pointsman`: the gateway, and the command line that talks to it.

#[macro_use]
mod output;

mod admin;
mod alerts;
mod apart;
mod baseline;
mod check;
mod child;
mod cli;
mod client;
mod clock;
mod comparisons;
mod config;
mod control;
mod engines;
mod exchange;
mod experiments;
mod facts;
mod files;
mod findings;
mod gateway;
mod grpc;
mod http;
mod io_threads;
mod known;
mod labels;
mod listen;
mod loader;
mod logged;
mod memory_watch;
mod metrics;
mod monitoring;
mod refusals;
mod reload;
mod score;
mod serve;
mod skew;
mod sweep;
mod table;
mod telemetry;
mod trial;
mod version;
mod webhook;

use std::process::ExitCode;

use crate::cli::Command;
use crate::client::Wished;

/// Faster than the system's for the many small, short-lived allocations of requests.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How a command ended, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It did what was asked.
    Done = 0,
    /// It could not, or found a problem.
    Refused = 1,
    /// It was asked wrongly.
    Usage = 2,
}

fn main() -> ExitCode {
    #[cfg(feature = "onnxruntime")]
    #[allow(unsafe_code)]
    // SAFETY: this is the first statement of the process; there is no other thread.
    unsafe {
        pointsman_engine::onnxruntime::disable_telemetry();
    }
    let end = match cli::read() {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Models(arguments) => client::models(&arguments),
        Command::Profile(arguments) if arguments.sweep.sweep => sweep::run(&arguments),
        Command::Profile(arguments) => client::profile(&arguments),
        Command::Predict(arguments) => client::predict(&arguments),
        Command::Promote(arguments) => client::wish(Wished::promote(&arguments)),
        Command::Rollback(arguments) => client::wish(Wished::of_model("rollback", &arguments)),
        Command::Load(arguments) => client::wish(Wished::of_version("load", &arguments)),
        Command::Unload(arguments) => client::wish(Wished::of_version("unload", &arguments)),
        Command::Alias(arguments) => client::wish(Wished::alias(&arguments)),
        Command::Pin(arguments) => client::wish(Wished::of_version("pin", &arguments)),
        Command::Unpin(arguments) => client::wish(Wished::of_model("unpin", &arguments)),
        Command::Freeze(arguments) => client::wish(Wished::of_model("freeze", &arguments)),
        Command::Unfreeze(arguments) => client::wish(Wished::of_model("unfreeze", &arguments)),
        Command::Reset(arguments) => client::wish(Wished::of_model("reset", &arguments)),
        Command::Plan(arguments) => client::plan(&arguments.verb),
        Command::Rollout(arguments) => client::rollout(&arguments.verb),
        Command::Replay(arguments) => client::replay(&arguments),
        Command::Compare(arguments) => client::compare(&arguments),
        Command::Drift(arguments) => client::drift(&arguments),
        Command::Skew(arguments) => skew::run(&arguments.verb),
        Command::Baseline(arguments) => baseline::run(&arguments.verb),
        Command::Score(arguments) => client::score(&arguments),
        Command::Alerts(arguments) => client::alerts(&arguments),
        Command::Experiment(arguments) => client::experiment(&arguments.verb),
        Command::Schema(arguments) => client::schema(&arguments),
        Command::Labels(arguments) => client::labels(&arguments.verb),
        Command::Quality(arguments) => client::quality(&arguments),
        Command::Log(arguments) => client::log(&arguments.verb),
        Command::Journal(arguments) => client::journal(&arguments),
        Command::Config(arguments) => client::config(&arguments),
        Command::Engines(arguments) => engines::show(&arguments),
        Command::ProbeOnnxruntime { path } => engines::probe(&path),
        Command::TrialLoad(arguments) => trial::run(&arguments),
    };
    ExitCode::from(end as u8)
}
