//! Runs a session that nothing is known of yet: in time, or not at all.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pointsman_core::{Interrupt, RunInputs, RunOutputs, Session, Tensor};
use rustix::time::{ClockId, clock_gettime};

use super::fault::LoadFault;
use super::profile::Took;

/// How long a run that was told to end may take over it. ONNX Runtime ends between two operators.
const GRACE: Duration = Duration::from_secs(2);

/// A session on a thread of its own, so that whoever checks it can stop waiting.
///
/// A run that does not end in time is interrupted. An engine that cannot be interrupted keeps the thread busy
/// until the run ends by itself, if it does; the thread is left behind, and the load fails all the same.
pub(super) struct Runner {
    orders: Sender<Order>,
    answers: Receiver<Answer>,
    interrupt: Arc<dyn Interrupt>,
    thread: JoinHandle<Box<dyn Session>>,
    timeout: Duration,
}

struct Order {
    tensors: Vec<Option<Tensor>>,
    outputs: Vec<usize>,
}

type Answer = (Result<RunOutputs, String>, Took);

/// What one run gave.
pub(super) struct Ran {
    pub(super) outputs: RunOutputs,
    pub(super) took: Took,
}

/// Why a run gave nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RunFault {
    /// It failed; this is what the engine said.
    Failed(String),
    /// It was not waited for any longer.
    TooLong(Duration),
}

impl Runner {
    /// Takes a session over, of which each run may take `timeout`.
    pub(super) fn start(session: Box<dyn Session>, timeout: Duration) -> Result<Self, LoadFault> {
        let interrupt = session.interrupt();
        let (orders, taken) = mpsc::channel();
        let (answered, answers) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("pointsman-check".into())
            .spawn(move || work(session, &taken, &answered))
            .map_err(|e| LoadFault::Threads(e.to_string()))?;
        Ok(Self { orders, answers, interrupt, thread, timeout })
    }

    /// Runs it once, for these outputs.
    pub(super) fn run(&mut self, tensors: &[Option<Tensor>], outputs: &[usize]) -> Result<Ran, RunFault> {
        let gone = || RunFault::Failed("the thread of the check has ended".into());
        let order = Order { tensors: tensors.to_vec(), outputs: outputs.to_vec() };
        self.orders.send(order).map_err(|_| gone())?;
        match self.answers.recv_timeout(self.timeout) {
            Ok((outputs, took)) => Ok(Ran { outputs: outputs.map_err(RunFault::Failed)?, took }),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(gone()),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.interrupt.terminate();
                if self.answers.recv_timeout(GRACE).is_ok() {
                    self.interrupt.reset();
                }
                Err(RunFault::TooLong(self.timeout))
            }
        }
    }

    /// Gives the session back.
    pub(super) fn finish(self) -> Result<Box<dyn Session>, LoadFault> {
        drop(self.orders);
        self.thread.join().map_err(|_| LoadFault::Threads("the thread of the check panicked".into()))
    }
}

/// The processor's time that the calling thread, or the whole process, has taken.
fn cpu_time(of: ClockId) -> Duration {
    let time = clock_gettime(of);
    let whole = |part: i64| u64::try_from(part).unwrap_or_default();
    Duration::from_secs(whole(time.tv_sec)) + Duration::from_nanos(whole(time.tv_nsec))
}

fn work(
    mut session: Box<dyn Session>,
    taken: &Receiver<Order>,
    answered: &Sender<Answer>,
) -> Box<dyn Session> {
    while let Ok(Order { tensors, outputs }) = taken.recv() {
        let inputs = RunInputs { tensors: &tensors, outputs: &outputs };
        let process_from = cpu_time(ClockId::ProcessCPUTime);
        let (from, cpu_from) = (Instant::now(), cpu_time(ClockId::ThreadCPUTime));
        let ran = catch_unwind(AssertUnwindSafe(|| session.run(inputs)));
        let took = Took {
            wall: from.elapsed(),
            cpu: cpu_time(ClockId::ThreadCPUTime).saturating_sub(cpu_from),
            process_cpu: cpu_time(ClockId::ProcessCPUTime).saturating_sub(process_from),
        };
        let ran = match ran {
            // Runtimes break lines where they like; a reason is one.
            Ok(ran) => ran.map_err(|e| e.to_string().split_whitespace().collect::<Vec<_>>().join(" ")),
            Err(_) => Err("the engine panicked".into()),
        };
        if answered.send((ran, took)).is_err() {
            break;
        }
    }
    session
}
