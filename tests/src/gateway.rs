//! A running gateway.

use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::paths::binary;
use crate::process::{Process, Stopped};
use crate::wait::wait_for;

/// How a gateway is to be started.
#[derive(Debug)]
pub struct Start {
    models: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    config: String,
    config_file: Option<PathBuf>,
    removed: Vec<String>,
    directory: Option<PathBuf>,
}

/// A running gateway. Dropped, it is killed.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    /// REST.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// Metrics.
    pub metrics: SocketAddr,
    /// Control.
    pub admin: SocketAddr,
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
            config_file: None,
            removed: Vec::new(),
            directory: None,
        }
    }

    /// Replaces the configuration file.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.config = toml.into();
        self
    }

    /// Has it read this file, which the test may change, as its configuration.
    #[must_use]
    pub fn config_file(mut self, file: &Path) -> Self {
        self.config_file = Some(file.to_owned());
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

    /// Starts it in this directory.
    #[must_use]
    pub fn current_directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// The configuration. A test's registry was written a moment ago, and nobody writes to it any more:
    /// unless the test says otherwise it counts as settled.
    fn full_config(&self) -> String {
        let settled = if self.config.contains("[registry]") { "" } else { "\n[registry]\nsettle = \"0s\"\n" };
        format!("{}{settled}", self.config)
    }

    /// Starts it and waits for nothing.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn launch(self) -> Process {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let config = self.config_file.clone().unwrap_or_else(|| {
            let config = scratch.path().join("pointsman.toml");
            std::fs::write(&config, self.full_config()).expect("a configuration file");
            config
        });
        let output =
            |name: &str| Stdio::from(File::create(scratch.path().join(name)).expect("an output file"));
        let mut command = Command::new(binary());
        command.arg("serve").arg(&self.models).arg("--config").arg(config);
        for listener in ["--http", "--grpc", "--metrics", "--admin"] {
            if !self.arguments.iter().any(|argument| argument == listener) {
                command.arg(listener).arg("127.0.0.1:0");
            }
        }
        command.arg("--ready-file").arg(scratch.path().join("ready.json"));
        command.args(&self.arguments).envs(self.variables.iter().cloned());
        for name in &self.removed {
            command.env_remove(name);
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.stdin(Stdio::null()).stdout(output("stdout")).stderr(output("stderr"));
        let child = command.spawn().expect("the gateway starts");
        Process { child, scratch }
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// Where it ends instead, or is not ready within half a minute.
    #[must_use]
    pub fn start(self) -> Gateway {
        let mut process = self.launch();
        let ready = process.scratch.path().join("ready.json");
        let mut unready = 0;
        let addresses: Value = wait_for("the gateway to be ready", || {
            assert!(process.is_running(), "the gateway ended:\n{}", process.stderr());
            // The file follows the table at once, or never.
            unready += u32::from(process.stdout().contains("/models"));
            assert!(unready < 200, "nothing serves:\n{}", process.stdout());
            Some(serde_json::from_slice(&std::fs::read(&ready).ok()?).expect("the ready file is JSON"))
        });
        let address = |name: &str| addresses[name].as_str().expect(name).parse().expect("an address");
        Gateway {
            http: address("http"),
            grpc: address("grpc"),
            metrics: address("metrics"),
            admin: address("admin"),
            process,
        }
    }

    /// Starts it and waits until its start-up table is printed, ready or not.
    ///
    /// # Panics
    /// Where it ends instead, or prints nothing within half a minute.
    #[must_use]
    pub fn start_unready(self) -> Gateway {
        let mut process = self.launch();
        let table = wait_for("the start-up table", || {
            assert!(process.is_running(), "the gateway ended:\n{}", process.stderr());
            Some(process.stdout()).filter(|table| table.contains("/models"))
        });
        let address = |name: &str| {
            let line = table.lines().find(|line| line.starts_with(name)).expect(name);
            let word = line.split_whitespace().nth(1).expect("an address");
            let word = word.trim_start_matches("http://");
            word.split('/').next().and_then(|address| address.parse().ok()).expect("an address")
        };
        Gateway {
            http: address("http "),
            grpc: address("grpc "),
            metrics: address("metrics "),
            admin: address("admin "),
            process,
        }
    }

    /// Starts it and waits until it ends by itself.
    ///
    /// # Panics
    /// Where it does not end within half a minute.
    #[must_use]
    pub fn run_to_end(self) -> Stopped {
        self.launch().wait()
    }
}

impl Deref for Gateway {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Gateway {
    /// Waits until it has ended.
    ///
    /// # Panics
    /// Where it does not within half a minute.
    #[must_use]
    pub fn wait(self) -> Stopped {
        self.process.wait()
    }

    /// Stops it as an operator would, and gives what it said.
    #[must_use]
    pub fn stop(self) -> Stopped {
        self.process.stop()
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

    /// Waits until the metric has a value that `wanted` accepts.
    ///
    /// # Panics
    /// Where it does not get one within half a minute.
    pub fn wait_for_metric(&self, name: &str, labels: &str, wanted: impl Fn(f64) -> bool) {
        wait_for(name, || wanted(self.metric(name, labels)).then_some(()));
    }

    /// Waits until a request is in flight, none waits and a worker has a core for a run.
    ///
    /// # Panics
    /// Where none is within half a minute.
    pub fn wait_for_run(&self) {
        self.wait_for_metric("pointsman_requests_in_flight", "", |requests| requests > 0.0);
        self.wait_for_metric("pointsman_cores_busy", "", |cores| cores > 0.0);
        self.wait_for_metric("pointsman_queue_depth", "", |depth| depth == 0.0);
    }
}
