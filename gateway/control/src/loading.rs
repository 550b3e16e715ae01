//! The threads that bring versions up: slow work, at low priority, away from everything that serves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use pointsman_predict::priority;
use pointsman_registry::Stamp;

use crate::event::{Event, Load, Loaded};
use crate::loader::{LoadFailure, LoadFault, LoadJob, Loader, Warm};

/// A load to be done.
pub(crate) struct Order {
    pub(crate) load: Load,
    /// The folder as it is now.
    pub(crate) stamp: Stamp,
    pub(crate) job: LoadJob,
    pub(crate) loader: Arc<Loader>,
}

/// Loads under way: one thread for each, and no more than a few at a time.
pub(crate) struct Loading {
    events: Sender<Event>,
    threads_max: usize,
    under_way: Vec<UnderWay>,
}

/// A load that has not come to its end.
#[derive(Clone, Debug)]
pub(crate) struct UnderWay {
    pub(crate) load: Load,
    pub(crate) stamp: Stamp,
    pub(crate) since: Instant,
}

impl Loading {
    pub(crate) fn new(threads_max: usize, events: Sender<Event>) -> Self {
        Self { events, threads_max, under_way: Vec::new() }
    }

    /// Whether another load may begin.
    pub(crate) fn is_free(&self) -> bool {
        self.under_way.len() < self.threads_max
    }

    /// Whether nothing is being loaded.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Begins a load.
    pub(crate) fn begin(&mut self, order: Order) {
        let (load, stamp) = (order.load.clone(), order.stamp);
        self.under_way.push(UnderWay { load: load.clone(), stamp, since: Instant::now() });
        let events = self.events.clone();
        let work = move || tell(&events, order.load.clone(), order.stamp, || bring_up(&order));
        if let Err(error) = thread::Builder::new().name("pointsman-load".into()).spawn(work) {
            tell(&self.events, load, stamp, || Err(LoadFault::Threads(error.to_string()).into()));
        }
    }

    /// Notes that a load came to its end. Says whether anybody still waited for it.
    pub(crate) fn ended(&mut self, load: &Load) -> bool {
        let place = self.under_way.iter().position(|under_way| under_way.load == *load);
        place.map(|place| self.under_way.swap_remove(place)).is_some()
    }

    /// Gives up a load that takes longer than it may, if there is one. Its thread is left behind: no engine can be
    /// told to stop loading.
    pub(crate) fn give_up(&mut self, timeout: Duration, now: Instant) -> Option<UnderWay> {
        let late = |under_way: &UnderWay| now.saturating_duration_since(under_way.since) >= timeout;
        let place = self.under_way.iter().position(late)?;
        Some(self.under_way.swap_remove(place))
    }

    /// When the next load will have taken longer than it may.
    pub(crate) fn next_late(&self, timeout: Duration) -> Option<Instant> {
        self.under_way.iter().map(|under_way| under_way.since + timeout).min()
    }
}

fn bring_up(order: &Order) -> Result<Warm, LoadFailure> {
    // The threads of a session take the priority of the one that makes it, and must serve with it.
    if order.loader.session.intra_op_threads == 1 {
        priority::lower();
    } else {
        priority::stand_back(order.loader.workers.niceness);
    }
    let brought_up = catch_unwind(AssertUnwindSafe(|| order.loader.bring_up(&order.job)));
    let brought_up = brought_up.unwrap_or_else(|_| Err(LoadFault::Panicked { engine: "the loader" }.into()));
    if brought_up.is_err() {
        // What it took before it failed.
        order.loader.engines.release_memory();
    }
    brought_up
}

fn tell(
    events: &Sender<Event>,
    load: Load,
    stamp: Stamp,
    bring_up: impl FnOnce() -> Result<Warm, LoadFailure>,
) {
    let from = Instant::now();
    let result = bring_up();
    let took: Duration = from.elapsed();
    // Nobody is told where the gateway stopped meanwhile: what was loaded is freed here.
    let _ = events.send(Event::Loaded(Box::new(Loaded { load, stamp, result, took })));
}
