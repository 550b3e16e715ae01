//! The gateway as a child process: on free ports, over a registry, its log in a file.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::call::Endpoint;
use crate::process::{Server, on_core};

/// How long the gateway may take to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// How much of the log's end is shown where the gateway ended early, in bytes.
const LOG_SHOWN_MAX: usize = 2000;

/// How a gateway is to be started.
#[derive(Clone, Debug)]
pub(crate) struct Start<'a> {
    /// The binary.
    pub(crate) binary: &'a Path,
    /// The core that it is bound to.
    pub(crate) core: Option<usize>,
    /// The registry that it serves.
    pub(crate) registry: &'a Path,
    /// Its configuration file.
    pub(crate) config: Option<&'a Path>,
    /// Its state directory.
    pub(crate) state: Option<&'a Path>,
    /// A folder for its log and its ready file, of no other gateway.
    pub(crate) scratch: &'a Path,
    /// Variables of its environment.
    pub(crate) variables: &'a [(&'a str, &'a str)],
}

/// A running gateway, killed when dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// Its process.
    pub(crate) server: Server,
    /// REST.
    pub(crate) http: SocketAddr,
    /// gRPC.
    pub(crate) grpc: SocketAddr,
    /// Metrics.
    pub(crate) metrics: SocketAddr,
    /// Control.
    pub(crate) admin: SocketAddr,
    log: PathBuf,
}

impl Start<'_> {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// Where the binary is not there, ends, or is not ready in time; with the end of its log.
    pub(crate) fn start(&self) -> Result<Gateway, String> {
        let binary = self.binary.display();
        if !self.binary.exists() {
            return Err(format!("{binary} is not there: cargo build --release, or name it with --gateway"));
        }
        let ready = self.scratch.join("ready.json");
        let log = self.scratch.join("gateway.log");
        let file = File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        // That of an earlier gateway says nothing of this one.
        let _ = std::fs::remove_file(&ready);
        let mut command = on_core(self.core, self.binary.as_os_str());
        command.arg("serve").arg(self.registry).arg("--ready-file").arg(&ready);
        for listener in ["--http", "--grpc", "--metrics", "--admin"] {
            command.args([listener, "127.0.0.1:0"]);
        }
        for (flag, path) in [("--config", self.config), ("--state", self.state)] {
            if let Some(path) = path {
                command.arg(flag).arg(path);
            }
        }
        command.envs(self.variables.iter().copied()).stdout(Stdio::null()).stderr(file);
        let mut server = Server::start(command)?;
        let until = Instant::now() + READY_TIMEOUT;
        while !ready.exists() {
            if !server.is_running() {
                return Err(format!("{binary} ended before it was ready:\n{}", end_of(&log)));
            }
            if Instant::now() > until {
                let end = end_of(&log);
                return Err(format!("{binary} was not ready within {READY_TIMEOUT:?}:\n{end}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let text = std::fs::read_to_string(&ready).map_err(|e| e.to_string())?;
        let addresses: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        let address = |name: &str| {
            let text = addresses[name].as_str().unwrap_or_default();
            text.parse::<SocketAddr>().map_err(|e| format!("the ready file's {name}: {e}"))
        };
        let (http, grpc) = (address("http")?, address("grpc")?);
        let (metrics, admin) = (address("metrics")?, address("admin")?);
        Ok(Gateway { server, http, grpc, metrics, admin, log })
    }
}

impl Gateway {
    /// Where requests go.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint { http: Some(self.http), grpc: Some(self.grpc), host: self.http.to_string() }
    }

    /// The end of its log.
    pub(crate) fn end_of_log(&self) -> String {
        end_of(&self.log)
    }
}

fn end_of(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(LOG_SHOWN_MAX)..]).into_owned()
}
