//! Processes of this binary that do what may end a process.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The most that is kept of what a child says.
const SAID_MAX: u64 = 64 << 10;

/// How a child ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Why there is nothing to say of how it ended.
#[derive(Debug)]
pub(crate) enum ChildFault {
    /// The system does not start it.
    NotStarted(String),
    /// It took too long, and was killed.
    TooLong,
}

/// A command that starts this binary once more, also where its file has been replaced meanwhile.
#[must_use]
pub(crate) fn this_binary() -> Command {
    Command::new("/proc/self/exe")
}

/// Runs a command to its end, or kills it after `timeout`.
///
/// # Errors
/// [`ChildFault`].
pub(crate) fn run(command: &mut Command, timeout: Duration) -> Result<Ended, ChildFault> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| ChildFault::NotStarted(e.to_string()))?;
    let output = keep(child.stdout.take());
    let errors = keep(child.stderr.take());
    let (Ok(output), Ok(errors)) = (output, errors) else {
        kill(&mut child);
        return Err(ChildFault::NotStarted("the system has no thread to listen to it".into()));
    };
    let deadline = Instant::now() + timeout;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                let said = |listener: JoinHandle<String>| listener.join().unwrap_or_default();
                return Ok(Ended { status, stdout: said(output), stderr: said(errors) });
            }
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            _ => {
                kill(&mut child);
                return Err(ChildFault::TooLong);
            }
        }
    }
}

fn kill(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Listens to a child to the end, so that it never waits for room, and keeps the beginning.
fn keep(from: Option<impl Read + Send + 'static>) -> io::Result<JoinHandle<String>> {
    thread::Builder::new().name("pointsman-child".into()).spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut from) = from {
            let _ = from.by_ref().take(SAID_MAX).read_to_end(&mut kept);
            let _ = io::copy(&mut from, &mut io::sink());
        }
        String::from_utf8_lossy(&kept).into_owned()
    })
}
