//! A process of the gateway, whatever state it is in.

use std::path::Path;
use std::process::{Child, Command};

use crate::wait::wait_for;

/// A gateway's process. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    pub(crate) child: Child,
    pub(crate) scratch: tempfile::TempDir,
}

/// How a process ended.
#[derive(Debug)]
pub struct Stopped {
    /// The exit code; nothing where a signal killed it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// Its log.
    pub stderr: String,
}

impl Process {
    /// Its id.
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

    /// Whether it still runs.
    ///
    /// # Panics
    /// Where the system does not say.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// Where it does not within half a minute.
    #[must_use]
    pub fn wait(mut self) -> Stopped {
        let status = wait_for("the gateway to end", || self.child.try_wait().expect("a child can be asked"));
        let (stdout, stderr) = (self.stdout(), self.stderr());
        Stopped { code: status.code(), stdout, stderr }
    }

    /// Stops it as an operator would, and gives what it said.
    #[must_use]
    pub fn stop(self) -> Stopped {
        self.signal("TERM");
        self.wait()
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

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn read(scratch: &Path, name: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(scratch.join(name)).unwrap_or_default()).into_owned()
}
