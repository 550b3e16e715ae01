//! Servers as child processes: bound to a core, watched, and killed at the end.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A server that is killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
}

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Resident memory, in bytes.
    pub(crate) resident_bytes: u64,
    /// Its threads.
    pub(crate) threads: u64,
    /// Its open file descriptors.
    pub(crate) files: u64,
}

impl Server {
    /// Starts a command, without standard input.
    pub(crate) fn start(mut command: Command) -> Result<Self, String> {
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.map_err(|e| format!("cannot start {}: {e}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// The first line that it prints, where its output is piped.
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

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// User and system time that it spent so far.
    pub(crate) fn cpu_time(&self) -> Result<Duration, String> {
        cpu_time(&format!("/proc/{}/stat", self.child.id()))
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Usage {
    /// What a process holds now.
    pub(crate) fn of(process: u32) -> Result<Self, String> {
        let path = format!("/proc/{process}/status");
        let status = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        let files = format!("/proc/{process}/fd");
        let files = std::fs::read_dir(&files).map_err(|e| format!("{files}: {e}"))?.count() as u64;
        let field = |name| field(&status, name).ok_or_else(|| format!("{path} has no {name}"));
        Ok(Self { resident_bytes: field("VmRSS:")? * 1024, threads: field("Threads:")?, files })
    }
}

/// How many sockets a process has open, those it listens on among them.
pub(crate) fn sockets(process: u32) -> Result<u64, String> {
    let files = format!("/proc/{process}/fd");
    let files = std::fs::read_dir(&files).map_err(|e| format!("{files}: {e}"))?.flatten();
    // One that was closed meanwhile has no link any more.
    let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    Ok(links.filter(|link| link.as_os_str().as_encoded_bytes().starts_with(b"socket:")).count() as u64)
}

/// The number behind a name in proc(5)'s `status`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A command on one core, by `taskset`, where one is named. The calling thread, and those that it starts from then on,
/// leave that core to it.
pub(crate) fn on_core(core: Option<usize>, program: &OsStr) -> Command {
    let Some(core) = core else { return Command::new(program) };
    leave(core);
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(program);
    command
}

/// Keeps the calling thread off a core, where there are others.
fn leave(core: usize) {
    let Ok(mut cores) = sched_getaffinity(None) else { return };
    if core < CpuSet::MAX_CPU {
        cores.unset(core);
    }
    if cores.count() > 0
        && let Err(error) = sched_setaffinity(None, &cores)
    {
        eprintln!("pointsman-loadtest: what measures cannot leave core {core}: {error}");
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_can_be_asked_what_it_holds() {
        let usage = Usage::of(std::process::id()).expect("this process runs");
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
        assert!(usage.threads >= 1 && usage.files >= 3, "{usage:?}");
    }

    #[test]
    fn sockets_are_told_from_other_files() {
        let count = || sockets(std::process::id()).expect("this process runs");
        let listeners = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("a listener"));
        let with = count();
        drop(listeners);
        assert!(with >= 3 && Usage::of(std::process::id()).expect("it runs").files >= with, "{with}");
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "VmRSSx:\t 1 kB\nVmRSS:\t  2048 kB\nThreads:\t7\n";
        assert_eq!(field(status, "VmRSS:"), Some(2048));
        assert_eq!(field(status, "Threads:"), Some(7));
        assert_eq!(field(status, "FDSize:"), None);
    }
}
