//! The sample log of a gateway that runs: which requests are kept is decided on their threads; everything else is done by
//! two threads of its own.
//!
//! ```text
//! thread of a request --Ring--> log thread --spool files--> parts thread --> Parquet
//!                                  ^                            ^
//!        shadow's thread --answers-'          sweep, delete ----'
//! ```
//!
//! A request's thread never waits: it hashes an id, compares, and leaves a reference in a ring without a lock, or counts
//! why it cannot. What hangs behind the ring fills it, and no more.

mod answers;
mod log_thread;
mod metrics;
mod parts_thread;
mod secrets;
mod watcher;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use parking_lot::Mutex;
use pointsman_control::Subject;
use pointsman_core::ModelName;
use pointsman_observe::sample_log::{
    Account, Deleted, Directory, HashKey, Layout, Made, Reader, Sampler, Standing, Store,
    Subject as Deletion, Swept, Writer,
};
use pointsman_predict::Ring;
use pointsman_route::{Domain, Salted};
use prometheus_client::registry::Registry as Instruments;

pub(crate) use self::answers::Answers;
use self::log_thread::{Command, LogThread};
use self::metrics::Exposed;
use self::parts_thread::{Order, PartsThread};
use self::secrets::Secrets;
use self::watcher::{LogWatcher, Offer};
use crate::config;
use crate::monitoring::{Part, Watcher};

/// How long a stop waits for what is still to be written.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a deletion waits for the threads, where the disk hangs.
const DELETE_TIMEOUT: Duration = Duration::from_secs(600);

/// The sample log.
pub(crate) struct SampleLog {
    shared: Arc<Shared>,
    commands: Sender<Command>,
    orders: Sender<Order>,
    /// Ends with the threads.
    ended: Mutex<Receiver<()>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What all threads share.
struct Shared {
    settings: config::SampleLog,
    directory: PathBuf,
    secrets: Secrets,
    ring: Ring<Offer>,
    answers: Arc<Answers>,
    models: Mutex<BTreeMap<ModelName, Kept>>,
    state: Mutex<State>,
    log_thread: Mutex<Option<Thread>>,
    /// Nothing is taken in any more.
    is_closed: AtomicBool,
}

/// What is kept of a model, whatever version serves.
#[derive(Clone)]
struct Kept {
    account: Arc<Account>,
    sampler: Arc<Sampler>,
}

/// How the log stands, as its threads see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// After the last sweep.
    pub(crate) swept: Swept,
    /// Parts that were made.
    pub(crate) parts_made: u64,
    /// Spool files that are to become parts.
    pub(crate) backlog: usize,
    /// Bytes of all spool files.
    pub(crate) spool_bytes: u64,
    /// Whether less is free on the disk than is to stay free.
    pub(crate) is_short: bool,
    /// Spool files that were moved away or deleted while they were written to.
    pub(crate) vanished_files: u64,
    /// What is wrong with writing at the moment, where anything is.
    writing: Option<String>,
    /// What is wrong with making parts and keeping to the bounds.
    parts: Option<String>,
}

impl State {
    /// What is wrong at the moment, where anything is.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.writing.as_deref().or(self.parts.as_deref())
    }
}

impl SampleLog {
    /// Starts the threads; nothing where no directory is named. That the directory cannot be used keeps nothing from
    /// serving: it is tried again and again, and what is lost meanwhile is counted.
    ///
    /// # Errors
    /// Where the secrets cannot be kept in the state directory, or there are no more threads.
    pub(crate) fn start(
        settings: &config::SampleLog,
        state: Option<&Path>,
        instruments: &mut Instruments,
    ) -> Result<Option<Arc<Self>>, String> {
        let Some(directory) = settings.directory.clone() else { return Ok(None) };
        let secrets = Secrets::find(state, settings.salt.as_deref())?;
        let shared = Arc::new(Shared {
            ring: Ring::new(settings.queue_max, settings.queue_bytes_max),
            settings: settings.clone(),
            secrets,
            answers: Arc::default(),
            models: Mutex::default(),
            state: Mutex::default(),
            log_thread: Mutex::default(),
            is_closed: AtomicBool::default(),
            directory,
        });
        instruments.register_collector(Box::new(Exposed::of(&shared)));
        let writer = Writer::new(&shared.directory, &host(), settings.bounds.clone());
        let destination = Arc::new(Directory::new(&shared.directory));
        let store = Store::of(&writer, destination, settings.retention.clone());
        let ((commands, commanded), (orders, ordered), (end, ended)) = (channel(), channel(), channel());
        let parts = PartsThread::new(shared.clone(), store, ordered);
        let log = LogThread::new(shared.clone(), writer, commanded, orders.clone());
        let ends = end.clone();
        let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let builder = thread::Builder::new().name(name.into());
            builder.spawn(run).map_err(|e| format!("cannot start the thread of the sample log: {e}"))
        };
        let threads = vec![
            start(
                "pointsman-parts",
                Box::new(move || {
                    parts.work();
                    drop(ends);
                }),
            )?,
            start(
                "pointsman-log",
                Box::new(move || {
                    log.work();
                    drop(end);
                }),
            )?,
        ];
        *shared.log_thread.lock() = threads.last().map(|thread| thread.thread().clone());
        Ok(Some(Arc::new(Self {
            shared,
            commands,
            orders,
            ended: Mutex::new(ended),
            threads: Mutex::new(threads),
        })))
    }

    /// Where shadows' answers are left.
    pub(crate) fn answers(&self) -> &Arc<Answers> {
        &self.shared.answers
    }

    /// A reader of all that is written.
    pub(crate) fn reader(&self) -> Reader {
        Reader::open(&self.shared.directory)
    }

    /// Where it lies.
    pub(crate) fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// How it stands.
    pub(crate) fn state(&self) -> State {
        self.shared.state.lock().clone()
    }

    /// What became of the records of each model.
    pub(crate) fn standings(&self) -> Vec<(ModelName, Standing)> {
        self.shared.standings()
    }

    /// Requests that wait for its thread, and the bytes of their tensors.
    pub(crate) fn queued(&self) -> (usize, usize) {
        self.shared.ring.held()
    }

    /// Writes what waits, makes parts of it, and ends the threads. Waits for them, though not for ever: either may hang
    /// with its disk. What they do not get to is in the spool, for the next start.
    pub(crate) fn stop(&self) {
        // A thread that is gone has nothing to do any more.
        let _ = self.commands.send(Command::Stop);
        self.shared.wake();
        if self.ended.lock().recv_timeout(STOP_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(
                "the sample log did not end in time: what is in its spool is made parts at the next start"
            );
            return;
        }
        for thread in self.threads.lock().drain(..) {
            // A panic was reported by its hook.
            let _ = thread.join();
        }
    }

    /// Deletes rows, those that wait included. Waits for the threads.
    ///
    /// # Errors
    /// A sentence, where not all could be looked through.
    pub(crate) fn delete(&self, deletion: Deletion) -> Result<Deleted, String> {
        let (answer, answered) = channel();
        let gone = |_| "the sample log has ended".to_owned();
        let late = |_| "the disk of the sample log hangs; ask again later".to_owned();
        self.commands.send(Command::Seal(answer)).map_err(|_| gone(()))?;
        self.shared.wake();
        answered.recv_timeout(DELETE_TIMEOUT).map_err(late)?;
        let (answer, answered) = channel();
        self.orders.send(Order::Delete(deletion, answer)).map_err(|_| gone(()))?;
        answered.recv_timeout(DELETE_TIMEOUT).map_err(late)?
    }
}

impl Shared {
    fn standings(&self) -> Vec<(ModelName, Standing)> {
        let models = self.models.lock();
        models.iter().map(|(model, kept)| (model.clone(), kept.account.standing())).collect()
    }

    /// Lets the log's thread look now.
    fn wake(&self) {
        if let Some(thread) = &*self.log_thread.lock() {
            thread.unpark();
        }
    }
}

impl Part for SampleLog {
    fn watcher(&self, subject: Subject<'_>, warnings: &mut Vec<String>) -> Option<Arc<dyn Watcher>> {
        let Shared { settings, secrets, models, .. } = &*self.shared;
        let sampling = settings.of(subject.model)?;
        let kept = {
            let mut models = models.lock();
            let new = || Kept { account: Arc::default(), sampler: Arc::new(Sampler::new(&sampling.rates)) };
            models.entry(subject.model.clone()).or_insert_with(new).clone()
        };
        let key: &HashKey = &secrets.key;
        let made = Made {
            model: subject.model,
            version: subject.number,
            digest: subject.digest,
            signature: subject.signature,
            schema: subject.schema.map(|schema| &**schema),
            key,
            sampling: &sampling.shown(&secrets.salt, settings.window),
            gateway: crate::version::LONG,
        };
        let layout = Arc::new(Layout::new(made, kept.account, warnings));
        let salted = Salted::new(Domain::Log, &secrets.salt);
        Some(Arc::new(LogWatcher {
            shared: self.shared.clone(),
            layout,
            sampler: kept.sampler,
            salted,
            slow_from: sampling.slow_from,
        }))
    }
}

/// What the machine calls itself.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
