//! The threads that bring versions up: slow work, at low priority, away from everything that serves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use pointsman_registry::Stamp;

use crate::event::{Event, Load, Loaded};
use crate::loader::{LoadFault, LoadJob, Loader, Warm};
use crate::priority;

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
    under_way: usize,
}

impl Loading {
    pub(crate) fn new(threads_max: usize, events: Sender<Event>) -> Self {
        Self { events, threads_max, under_way: 0 }
    }

    /// Whether another load may begin.
    pub(crate) fn is_free(&self) -> bool {
        self.under_way < self.threads_max
    }

    /// Whether nothing is being loaded.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    /// Begins a load.
    pub(crate) fn begin(&mut self, order: Order) {
        self.under_way += 1;
        let (load, stamp) = (order.load.clone(), order.stamp);
        let events = self.events.clone();
        let work = move || tell(&events, order.load.clone(), order.stamp, || bring_up(&order));
        if let Err(error) = thread::Builder::new().name("pointsman-load".into()).spawn(work) {
            tell(&self.events, load, stamp, || Err(LoadFault::Threads(error.to_string())));
        }
    }

    /// Notes that a load came to its end.
    pub(crate) fn ended(&mut self) {
        self.under_way -= 1;
    }
}

fn bring_up(order: &Order) -> Result<Warm, LoadFault> {
    // The threads of a session take the priority of the one that makes it, and must serve with it.
    if order.loader.session.intra_op_threads == 1 {
        priority::lower();
    }
    let brought_up = catch_unwind(AssertUnwindSafe(|| order.loader.bring_up(&order.job)));
    brought_up.unwrap_or_else(|_| Err(LoadFault::Panicked { engine: "the loader" }))
}

fn tell(
    events: &Sender<Event>,
    load: Load,
    stamp: Stamp,
    bring_up: impl FnOnce() -> Result<Warm, LoadFault>,
) {
    let from = Instant::now();
    let result = bring_up();
    let took: Duration = from.elapsed();
    // Nobody is told where the gateway stopped meanwhile: what was loaded is freed here.
    let _ = events.send(Event::Loaded(Box::new(Loaded { load, stamp, result, took })));
}
