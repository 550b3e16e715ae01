//! A running gateway.

use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::paths::binary;
use crate::wait::wait_for;

/// How a gateway is to be started.
#[derive(Debug)]
pub struct Start {
    models: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    config: String,
    removed: Vec<String>,
}

/// A running gateway. Dropped, it is killed.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    scratch: tempfile::TempDir,
    /// REST.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// Metrics.
    pub metrics: SocketAddr,
    /// Control.
    pub admin: SocketAddr,
}

/// How a gateway ended.
#[derive(Debug)]
pub struct Stopped {
    /// The exit code; nothing where a signal killed it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// Its log.
    pub stderr: String,
}

impl Start {
    /// A gateway over this registry: on free ports, draining at once.
    #[must_use]
    pub fn over(models: impl AsRef<Path>) -> Self {
        Self {
            models: models.as_ref().to_owned(),
            arguments: Vec::new(),
            variables: Vec::new(),
            config: "[shutdown]\ndrain_delay = \"0s\"\n".into(),
            removed: Vec::new(),
        }
    }

    /// Replaces the configuration file.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.config = toml.into();
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Takes a variable out of its environment.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.removed.push(name.into());
        self
    }

    fn spawn(&self, scratch: &Path) -> Child {
        let config = scratch.join("pointsman.toml");
        std::fs::write(&config, &self.config).expect("a configuration file");
        let output = |name: &str| Stdio::from(File::create(scratch.join(name)).expect("an output file"));
        let mut command = Command::new(binary());
        command.arg("serve").arg(&self.models).arg("--config").arg(config);
        for listener in ["--http", "--grpc", "--metrics", "--admin"] {
            command.arg(listener).arg("127.0.0.1:0");
        }
        command.arg("--ready-file").arg(scratch.join("ready.json"));
        command.args(&self.arguments).envs(self.variables.iter().cloned());
        for name in &self.removed {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(output("stdout")).stderr(output("stderr"));
        command.spawn().expect("the gateway starts")
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// Where it ends instead, or is not ready within half a minute.
    #[must_use]
    pub fn start(self) -> Gateway {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let mut child = self.spawn(scratch.path());
        let ready = scratch.path().join("ready.json");
        let addresses: Value = wait_for("the gateway to be ready", || {
            if let Some(status) = child.try_wait().expect("a child can be asked") {
                panic!("the gateway ended with {status}:\n{}", read(scratch.path(), "stderr"));
            }
            Some(serde_json::from_slice(&std::fs::read(&ready).ok()?).expect("the ready file is JSON"))
        });
        let address = |name: &str| addresses[name].as_str().expect(name).parse().expect("an address");
        Gateway {
            http: address("http"),
            grpc: address("grpc"),
            metrics: address("metrics"),
            admin: address("admin"),
            child,
            scratch,
        }
    }

    /// Starts it and waits until it ends by itself.
    ///
    /// # Panics
    /// Where it does not end within half a minute.
    #[must_use]
    pub fn run_to_end(self) -> Stopped {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let mut child = self.spawn(scratch.path());
        let status = wait_for("the gateway to end", || child.try_wait().expect("a child can be asked"));
        stopped(status.code(), scratch.path())
    }
}

fn read(scratch: &Path, name: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(scratch.join(name)).unwrap_or_default()).into_owned()
}

fn stopped(code: Option<i32>, scratch: &Path) -> Stopped {
    Stopped { code, stdout: read(scratch, "stdout"), stderr: read(scratch, "stderr") }
}

impl Gateway {
    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        read(self.scratch.path(), "stdout")
    }

    /// Its log so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        read(self.scratch.path(), "stderr")
    }

    /// Sends it a signal, by the name that `kill` knows (`TERM`, `KILL`, `STOP`).
    ///
    /// # Panics
    /// Where that fails.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.expect("kill runs").success(), "the signal {name} was not sent");
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// Where it does not within half a minute.
    #[must_use]
    pub fn wait(mut self) -> Stopped {
        let status = wait_for("the gateway to end", || self.child.try_wait().expect("a child can be asked"));
        stopped(status.code(), self.scratch.path())
    }

    /// Stops it as an operator would, and gives what it said.
    #[must_use]
    pub fn stop(self) -> Stopped {
        self.signal("TERM");
        self.wait()
    }

    /// The sum of the metric's values over the label sets that contain `labels`
    /// (`code="OK"`); 0 where there is none.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = crate::http::get(self.metrics, "/metrics").text();
        let lines = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])) && line.contains(labels)
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Resident memory, in bytes.
    ///
    /// # Panics
    /// Where the system does not say.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a status");
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("VmRSS");
        let kib = line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok());
        kib.expect("a number") * 1024
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
