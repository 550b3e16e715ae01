//! Servers as child processes: bound to a core, and asked for the CPU time that they spent.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server that is killed when dropped.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts a program on one core (with `taskset`, where `core` is given).
    pub(crate) fn start<S: AsRef<OsStr>>(
        core: Option<usize>,
        program: &OsStr,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Self, String> {
        let mut command = on_core(core, program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn().map_err(|e| format!("cannot start {}: {e}", program.display()))?;
        Ok(Self { child })
    }

    /// The first line that it prints.
    pub(crate) fn first_line(&mut self) -> Result<String, String> {
        let stdout = self.child.stdout.as_mut().ok_or("it has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).map_err(|e| e.to_string())?;
        if line.is_empty() {
            Err("a server ended before it said anything".into())
        } else {
            Ok(line.trim().into())
        }
    }

    /// User and system time that it spent so far.
    pub(crate) fn cpu_time(&self) -> Result<Duration, String> {
        cpu_time(&format!("/proc/{}/stat", self.child.id()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command on one core.
pub(crate) fn on_core(core: Option<usize>, program: &OsStr) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(program);
    command
}

/// User and system time of this process.
pub(crate) fn own_cpu_time() -> Result<Duration, String> {
    cpu_time("/proc/self/stat")
}

/// Fields 14 and 15 of proc(5)'s `stat`, in ticks of 10 ms.
fn cpu_time(stat: &str) -> Result<Duration, String> {
    let text = std::fs::read_to_string(stat).map_err(|e| format!("{stat}: {e}"))?;
    // The second field is the program's name in parentheses and may hold anything.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|f| f.parse::<u64>().ok());
    let ticks = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
    Ok(Duration::from_millis(ticks.ok_or_else(|| format!("{stat} cannot be read"))? * 10))
}
