//! Commands of the binary that end by themselves.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::paths::binary;
use crate::process::Stopped;

/// One call of the binary.
#[derive(Debug)]
pub struct Pointsman {
    command: Command,
}

impl Pointsman {
    /// The binary with these arguments.
    #[must_use]
    pub fn new<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self::of(binary(), arguments)
    }

    /// The same of another copy of the binary.
    #[must_use]
    pub fn of<A: Into<OsString>>(
        binary: impl Into<OsString>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut command = Command::new(binary.into());
        command.args(arguments.into_iter().map(Into::into)).stdin(Stdio::null());
        Self { command }
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// Takes a variable out of its environment.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Gives it something to read.
    #[must_use]
    pub fn input(mut self, file: std::fs::File) -> Self {
        self.command.stdin(file);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn run(mut self) -> Stopped {
        let output = self.command.output().expect("the binary starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Stopped { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}
