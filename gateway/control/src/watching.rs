//! The thread that looks at the registry: when files change, when somebody asks, and every now and then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pointsman_predict::priority;
use pointsman_registry::{Registry, RegistryError, Scan, Settling, Watch};

use crate::event::Event;

/// How long further events are waited for after the first: copies come in bursts.
const BURST: Duration = Duration::from_millis(50);
/// How long a burst may hold a look up.
const BURST_MAX: Duration = Duration::from_millis(500);
/// The shortest and the longest time between two looks where no event comes, whatever is configured.
const POLL_MIN: Duration = Duration::from_millis(100);
const POLL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// When the registry is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchPolicy {
    /// How long a folder without a manifest has to be quiet before it counts as complete.
    pub settle: Duration,
    /// How often it is looked at where no event came.
    pub poll: Duration,
}

/// What the thread is told.
enum Call {
    /// Files changed.
    Changed,
    /// Somebody waits for a look that begins after this.
    Look(u64),
    /// Look by these rules.
    Follow(WatchPolicy),
}

/// The watching thread; it ends once nobody takes its looks any more.
pub(crate) struct Watching {
    calls: Sender<Call>,
    asked: u64,
}

impl Watching {
    /// Starts the thread, and with it the first look.
    pub(crate) fn start(
        registry: Arc<dyn Registry>,
        policy: WatchPolicy,
        events: Sender<Event>,
    ) -> std::io::Result<Self> {
        let (calls, incoming) = channel();
        let wake = calls.clone();
        let run = move || {
            priority::lower();
            watch(registry.as_ref(), policy, &incoming, &wake, &events);
        };
        thread::Builder::new().name("pointsman-watch".into()).spawn(run)?;
        Ok(Self { calls, asked: 0 })
    }

    /// Asks for a look now; gives the number by which its answer is known.
    pub(crate) fn look(&mut self) -> u64 {
        self.asked += 1;
        let _ = self.calls.send(Call::Look(self.asked));
        self.asked
    }

    /// Changes when it looks.
    pub(crate) fn follow(&self, policy: WatchPolicy) {
        let _ = self.calls.send(Call::Follow(policy));
    }
}

fn watch(
    registry: &dyn Registry,
    mut policy: WatchPolicy,
    calls: &Receiver<Call>,
    wake: &Sender<Call>,
    events: &Sender<Event>,
) {
    let mut settling = Settling::default();
    let mut watch: Option<Watch> = None;
    let mut told = false;
    let mut answers = 0;
    loop {
        if watch.as_ref().is_none_or(|watch: &Watch| !watch.holds()) {
            let wake = wake.clone();
            // Before the look, so that nothing falls between the two.
            watch = start_watch(registry, move || drop(wake.send(Call::Changed)), &mut told);
        }
        let mut look = scan(registry);
        let mut next = Instant::now() + policy.poll.clamp(POLL_MIN, POLL_MAX);
        if let Ok(scan) = &mut look {
            let settled = settling.settle(scan, Instant::now(), SystemTime::now(), policy.settle);
            next = settled.map_or(next, |settled| settled.min(next));
        }
        if events.send(Event::Looked { look, answers }).is_err() {
            return;
        }
        match wait(calls, next, &mut policy) {
            Some(asked) => answers = asked.max(answers),
            None => return,
        }
    }
}

/// Looks at the registry. A panic is a bug that costs one look.
fn scan(registry: &dyn Registry) -> Result<Scan, RegistryError> {
    catch_unwind(AssertUnwindSafe(|| registry.scan())).unwrap_or_else(|_| {
        let reason = "looking at it panicked; this is a bug of the gateway".into();
        Err(RegistryError { place: "as a whole".into(), reason })
    })
}

/// Asks for file events; says once, and again after they came, that there are none.
fn start_watch(
    registry: &dyn Registry,
    wake: impl Fn() + Send + Sync + 'static,
    told: &mut bool,
) -> Option<Watch> {
    match registry.watch(Box::new(wake)) {
        Ok(watch) => {
            *told = false;
            Some(watch)
        }
        Err(error) => {
            if !std::mem::replace(told, true) {
                tracing::warn!("{error}");
            }
            None
        }
    }
}

/// Waits for a reason to look again; gives the highest look that was asked for meanwhile, and nothing
/// when nobody wants any more.
fn wait(calls: &Receiver<Call>, next: Instant, policy: &mut WatchPolicy) -> Option<u64> {
    let mut until = next;
    let mut asked = 0;
    let mut burst_ends: Option<Instant> = None;
    loop {
        match calls.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Call::Changed) => {
                let now = Instant::now();
                let latest = *burst_ends.get_or_insert(now + BURST_MAX);
                until = (now + BURST).min(latest).min(next);
            }
            Ok(Call::Look(number)) => {
                asked = asked.max(number);
                until = Instant::now();
            }
            Ok(Call::Follow(new)) => {
                *policy = new;
                until = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) => return Some(asked),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}
