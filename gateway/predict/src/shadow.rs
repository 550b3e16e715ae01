//! A version that is shown the exchanges of another one, after their callers were answered.
//!
//! The verb is *offer*: it never waits, and may drop, which is counted by its reason. Between those who offer and the
//! thread that runs there are atomics and a queue without a lock, since that thread is of the lowest class and may be
//! held up at any place while others have work. It has sessions of its own, and shares neither worker nor queue nor
//! batch with anybody. What a shadow gives goes to an [`Observer`] and nowhere else: no type leads from there to a
//! caller.

mod breaker;
mod counts;
mod runner;
mod seat;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use pointsman_core::{LoadTenth, Pair, RequestId, ShadowDrop};

use self::breaker::Breaker;
use self::counts::Counts;
pub use self::counts::{Accounting, Drops};
use self::runner::Runner;
use self::seat::Seat;
use self::watch::Watch;
use crate::admission::Admission;
use crate::exchange::Exchange;
use crate::metrics::{Metrics, ShadowMetrics};
use crate::posts::Held;
use crate::priority;
use crate::ring::{Ring, RingFull};
use crate::tee::Windows;
use crate::version::Version;

/// Is told what shadows answer, on the thread of the shadow, which may be held up: whoever takes a lock there must not
/// take it on a thread that serves.
pub trait Observer: Send + Sync {
    /// A shadow has answered, or failed to.
    fn paired(&self, pair: &Pair<'_>);

    /// The shadow has ended: this is what became of all that it was offered.
    fn ended(&self, _accounting: &Accounting) {}
}

/// A shadow.
pub struct ShadowSpec {
    /// Which requests it sees.
    pub sees: pointsman_route::Shadow,
    /// The version whose exchanges it is shown.
    pub primary: Arc<Version>,
    /// The version that runs.
    pub version: Arc<Version>,
    /// Whether a second copy of the primary runs as well, to show how far that is from itself.
    pub floor: bool,
    /// Its bounds.
    pub limits: ShadowLimits,
    /// When it does not run.
    pub windows: Windows,
}

/// The bounds of one shadow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowLimits {
    /// Exchanges that may wait or run.
    pub waiting_max: usize,
    /// Bytes of their tensors.
    pub waiting_bytes_max: usize,
    /// How long one may wait.
    pub wait_max: Duration,
    /// How long a run may take.
    pub run_max: Duration,
    /// The tenth of its queue's limit, from 0 to 9, from which on the primary is too busy for shadows.
    pub shed_from_tenth: usize,
    /// Runs in a row that fail before it rests.
    pub failures_max: u32,
    /// How long it rests the first time, and at most: the time doubles in between.
    pub rest: Duration,
    /// See `rest`.
    pub rest_max: Duration,
}

impl Default for ShadowLimits {
    fn default() -> Self {
        Self {
            waiting_max: 64,
            waiting_bytes_max: 64 << 20,
            wait_max: Duration::from_secs(1),
            run_max: Duration::from_secs(1),
            shed_from_tenth: 5,
            failures_max: 5,
            rest: Duration::from_secs(1),
            rest_max: Duration::from_secs(60),
        }
    }
}

/// What shadows have in common.
#[derive(Clone)]
pub struct ShadowGround {
    /// The instruments.
    pub metrics: Metrics,
    /// The door, which knows when memory is low.
    pub admission: Arc<Admission>,
    /// Who is told.
    pub observer: Arc<dyn Observer>,
}

/// A shadow that runs. Dropped, it ends: its thread frees its sessions and what waits.
pub struct Shadow {
    sees: pointsman_route::Shadow,
    version: Arc<Version>,
    limits: ShadowLimits,
    admission: Arc<Admission>,
    shared: Arc<Shared>,
    /// The thread that runs.
    runner: Thread,
}

/// An exchange that waits.
#[derive(Debug)]
struct Offered {
    exchange: Arc<Exchange>,
    load: LoadTenth,
    offered_at: Instant,
    bytes: usize,
}

/// What the threads of requests and those of the shadow have in common.
struct Shared {
    ring: Ring<Offered>,
    breaker: Breaker,
    watch: Watch,
    counts: Counts,
    metrics: ShadowMetrics,
    closed: AtomicBool,
}

impl Shadow {
    /// Starts the thread that runs, and one that ends runs which do not end.
    ///
    /// # Errors
    /// The system's, where it has no more threads.
    pub fn start(spec: ShadowSpec, ground: &ShadowGround) -> std::io::Result<Arc<Self>> {
        let ShadowSpec { sees, primary, version, floor, limits, windows } = spec;
        let ShadowGround { metrics, admission, observer } = ground.clone();
        let (model, number) = (version.spec().model.clone(), version.spec().number);
        let now = Instant::now();
        let shared = Arc::new(Shared {
            ring: Ring::new(limits.waiting_max, limits.waiting_bytes_max),
            breaker: Breaker::new(limits.failures_max, limits.rest, limits.rest_max, now),
            watch: Watch::new(limits.run_max),
            counts: Counts::default(),
            metrics: metrics.shadow(&model, number),
            closed: AtomicBool::new(false),
        });
        let watching = shared.clone();
        thread::Builder::new().name("shadow-deadline".into()).spawn(move || watching.watch.watch())?;
        // Names of threads are cut at 15 bytes by the system.
        let thread = thread::Builder::new().name(format!("shadow-{number}-{model}"));
        let runner = Runner {
            shared: shared.clone(),
            shadow: Seat::new(&version),
            floor: floor.then(|| Seat::new(&primary)),
            primary: (model, primary.spec().number, primary.signature().clone()),
            wait_max: limits.wait_max,
            windows,
            admission: admission.clone(),
            observer,
        };
        // The process does not end while it has sessions.
        let alive = metrics.worker();
        let posts = Held::new(&primary.share);
        let spawned = thread.spawn(move || {
            priority::lower();
            runner.work();
            drop((posts, alive));
        });
        let runner = spawned.inspect_err(|_| shared.watch.close())?.thread().clone();
        Ok(Arc::new(Self { sees, version, limits, admission, shared, runner }))
    }

    /// The version that runs.
    #[must_use]
    pub fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// Which requests it sees.
    #[must_use]
    pub fn seen(&self) -> &pointsman_route::Shadow {
        &self.sees
    }

    /// What became of all exchanges that were offered.
    #[must_use]
    pub fn accounting(&self) -> Accounting {
        self.shared.accounting()
    }

    /// Whether it rests since it kept failing, or is in a run that does not end.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.shared.is_broken(Instant::now())
    }

    /// Whether it sees a request.
    pub(crate) fn sees(&self, id: RequestId) -> bool {
        self.sees.sees(id)
    }

    /// Offers an exchange whose caller was answered. Never waits.
    pub(crate) fn offer(&self, exchange: &Arc<Exchange>, load: LoadTenth) {
        self.shared.offered();
        let now = Instant::now();
        let offered = if load.index() >= self.limits.shed_from_tenth || self.admission.is_memory_low() {
            Err(ShadowDrop::Shed)
        } else if self.shared.is_broken(now) {
            Err(ShadowDrop::Breaker)
        } else {
            let bytes = exchange.bytes();
            self.shared.take_in(Offered { exchange: exchange.clone(), load, offered_at: now, bytes })
        };
        match offered {
            Ok(()) => self.runner.unpark(),
            Err(reason) => self.shared.dropped(reason, load),
        }
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        // What runs would hold its session, and with it the way down of the gateway, until its deadline.
        self.shared.watch.try_close();
        self.runner.unpark();
    }
}

impl std::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shadow").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Shared {
    fn accounting(&self) -> Accounting {
        self.counts.read(self.ring.held())
    }

    fn is_broken(&self, now: Instant) -> bool {
        self.watch.is_stuck() || self.breaker.is_open(now)
    }

    fn offered(&self) {
        self.counts.offered();
        self.metrics.offered.inc();
    }

    fn take_in(&self, offered: Offered) -> Result<(), ShadowDrop> {
        let bytes = offered.bytes;
        // Before it is there for the other thread, which takes it off again.
        self.metrics.holds(bytes);
        self.ring.push(offered, bytes).map_err(|full| {
            self.metrics.lets_go(bytes);
            match full {
                RingFull::Count => ShadowDrop::Full,
                RingFull::Bytes => ShadowDrop::Bytes,
            }
        })
    }

    fn dropped(&self, reason: ShadowDrop, load: LoadTenth) {
        self.counts.dropped(reason, load);
        self.metrics.dropped[reason as usize].inc();
    }

    fn answered(&self) {
        self.counts.answered();
        self.metrics.answered.inc();
    }

    /// An exchange that was taken out is done with.
    fn release(&self, bytes: usize) {
        self.ring.release(bytes);
        self.metrics.lets_go(bytes);
    }
}
