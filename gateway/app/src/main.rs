//! The binary `pointsman`: the gateway, and the command line that talks to it.

mod admin;
mod check;
mod cli;
mod client;
mod config;
mod engines;
mod exchange;
mod findings;
mod gateway;
mod grpc;
mod http;
mod listen;
mod loader;
mod metrics;
mod serve;
mod table;
mod telemetry;
mod version;

use std::process::ExitCode;

use crate::cli::Command;

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
        Command::Predict(arguments) => client::predict(&arguments),
        Command::Engines(arguments) => engines::show(&arguments),
        Command::ProbeOnnxruntime { path } => engines::probe(&path),
    };
    ExitCode::from(end as u8)
}
