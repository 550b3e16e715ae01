//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Config;

/// An inference gateway for ONNX models: V2 REST and gRPC, V1 and TF-Serving REST.
#[derive(Debug, Parser)]
#[command(
    name = "pointsman",
    version = crate::version::LONG,
    after_help = "Examples:\n  pointsman                                  serve the models in ./models\n  \
                  pointsman serve /srv/models --http 0.0.0.0:8000\n  \
                  pointsman check /srv/models                say what is wrong with them, exit code 1 if anything is\n  \
                  pointsman models                           what a running gateway serves\n  \
                  pointsman predict iris --input request.json"
)]
pub(crate) struct Cli {
    /// What to do; without one, `serve`.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the models of a registry.
    #[command(after_help = "Examples:\n  pointsman serve models\n  \
        pointsman serve models --http 127.0.0.1:0 --ready-file /tmp/ready.json\n  \
        POINTSMAN_HTTP=0.0.0.0:8000 pointsman serve --config deploy/pointsman.toml")]
    Serve(Serve),
    /// Check the configuration and a registry (also one of Triton's) without serving it.
    #[command(after_help = "Exit code: 0 nothing wrong, 1 a problem was found, 2 wrong usage.")]
    Check(Check),
    /// List what a running gateway serves.
    Models(Client),
    /// Ask a running gateway for a prediction.
    #[command(after_help = "Examples:\n  \
        echo '{\"inputs\":[{\"name\":\"X\",\"shape\":[1,4],\"datatype\":\"FP32\",\"data\":[5.1,3.5,1.4,0.2]}]}' |\n    \
        pointsman predict iris --input -\n  \
        pointsman predict iris --version 2 --input request.json --json")]
    Predict(Predict),
    /// Say which engines are there, and why others are not.
    Engines(Engines),
    /// Load a library of ONNX Runtime for its version alone, in this process.
    #[command(hide = true)]
    ProbeOnnxruntime {
        /// The library.
        path: PathBuf,
    },
}

/// Where the configuration comes from, and what overrides it.
#[derive(Debug, Default, Args)]
pub(crate) struct Settings {
    /// The registry: a directory of `<model>/<version>/model.onnx` [default: models].
    #[arg(env = "POINTSMAN_MODELS")]
    pub(crate) models: Option<PathBuf>,
    /// A configuration file; deploy/pointsman.toml lists all keys.
    #[arg(long, env = "POINTSMAN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The ONNX Runtime library to use.
    #[arg(long, env = "POINTSMAN_ONNXRUNTIME", value_name = "FILE")]
    pub(crate) onnxruntime: Option<PathBuf>,
}

/// `pointsman serve`.
#[derive(Debug, Default, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// REST, and gRPC by content type [default: 127.0.0.1:8000].
    #[arg(long, env = "POINTSMAN_HTTP", value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    /// gRPC alone [default: 127.0.0.1:8001].
    #[arg(long, env = "POINTSMAN_GRPC", value_name = "ADDR")]
    pub(crate) grpc: Option<SocketAddr>,
    /// /metrics [default: 127.0.0.1:8002].
    #[arg(long, env = "POINTSMAN_METRICS", value_name = "ADDR")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Control [default: 127.0.0.1:8003].
    #[arg(long, env = "POINTSMAN_ADMIN", value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,
    /// Where state is kept; without it nothing is written.
    #[arg(long, env = "POINTSMAN_STATE", value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Gets the bound addresses as JSON once the gateway is ready.
    #[arg(long, env = "POINTSMAN_READY_FILE", value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
}

/// `pointsman check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `pointsman engines`.
#[derive(Debug, Args)]
pub(crate) struct Engines {
    /// A configuration file.
    #[arg(long, env = "POINTSMAN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The ONNX Runtime library to look at first.
    #[arg(long, env = "POINTSMAN_ONNXRUNTIME", value_name = "FILE")]
    pub(crate) onnxruntime: Option<PathBuf>,
    /// Answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What clients of a running gateway have in common.
#[derive(Debug, Args)]
pub(crate) struct Client {
    /// The gateway's HTTP listener.
    #[arg(long, env = "POINTSMAN_URL", value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub(crate) url: String,
    /// The gateway's admin listener.
    #[arg(long, env = "POINTSMAN_ADMIN_URL", value_name = "URL", default_value = "http://127.0.0.1:8003")]
    pub(crate) admin_url: String,
    /// Answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `pointsman predict`.
#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// The model.
    pub(crate) model: String,
    /// The version or alias; without one, what the model's plan serves.
    #[arg(long = "version", value_name = "VERSION")]
    pub(crate) model_version: Option<String>,
    /// A V2 request as JSON; - reads standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// Reads the command line. Without a command it is `serve`, and the variables of `serve` count.
pub(crate) fn read() -> Command {
    let named = Cli::parse().command;
    let serve = || Cli::parse_from(std::env::args_os().take(1).chain(["serve".into()])).command;
    named.or_else(serve).unwrap_or_else(|| Command::Serve(Serve::default()))
}

impl Settings {
    /// The configuration that file, variables and flags make together.
    ///
    /// # Errors
    /// Every problem, a line each.
    pub(crate) fn config(&self) -> Result<Config, Vec<String>> {
        let mut config = read_config(self.config.as_deref())?;
        if let Some(models) = &self.models {
            config.models.clone_from(models);
        }
        if self.onnxruntime.is_some() {
            config.onnxruntime_library.clone_from(&self.onnxruntime);
        }
        Ok(config)
    }
}

impl Serve {
    /// The configuration that file, variables and flags make together.
    ///
    /// # Errors
    /// Every problem, a line each.
    pub(crate) fn config(&self) -> Result<Config, Vec<String>> {
        let mut config = self.settings.config()?;
        let listen = &mut config.listen;
        let addresses = [
            (&mut listen.http, self.http),
            (&mut listen.grpc, self.grpc),
            (&mut listen.metrics, self.metrics),
            (&mut listen.admin, self.admin),
        ];
        for (address, flag) in addresses {
            *address = flag.unwrap_or(*address);
        }
        if self.state.is_some() {
            config.state.clone_from(&self.state);
        }
        Ok(config)
    }
}

impl Engines {
    /// The configuration that file, variables and flags make together.
    ///
    /// # Errors
    /// Every problem, a line each.
    pub(crate) fn config(&self) -> Result<Config, Vec<String>> {
        let settings =
            Settings { models: None, config: self.config.clone(), onnxruntime: self.onnxruntime.clone() };
        settings.config()
    }
}

fn read_config(path: Option<&std::path::Path>) -> Result<Config, Vec<String>> {
    let Some(path) = path else { return Ok(Config::default()) };
    let text = std::fs::read_to_string(path).map_err(|e| vec![format!("{}: {e}", path.display())])?;
    Config::read(&text)
        .map_err(|problems| problems.iter().map(|p| format!("{}: {p}", path.display())).collect())
}
