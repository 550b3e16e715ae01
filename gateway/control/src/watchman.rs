//! What a version's workers tell the reconciler, and what is done on their threads when they leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use pointsman_predict::{Supervisor, priority};

use crate::engines::Engines;
use crate::event::{Event, Load};

/// Watches over the workers of one load of a version.
pub(crate) struct Watchman {
    pub(crate) load: Load,
    pub(crate) sender: Sender<Event>,
    pub(crate) engines: Engines,
    /// Set once the gateway withdraws everything: then its end waits for the workers.
    pub(crate) stopping: Arc<AtomicBool>,
}

impl Supervisor for Watchman {
    fn crashing(&self, crashes: u32) {
        let _ = self.sender.send(Event::Crashing { load: self.load.clone(), crashes });
    }

    /// To free a session takes milliseconds that those who serve must not wait for.
    fn retiring(&self) {
        if !self.stopping.load(Ordering::Relaxed) {
            priority::lower();
        }
    }

    /// Memory goes back to the system here and not on the control thread, which would be held up by it.
    fn gone(&self) {
        self.engines.release_memory();
        let _ = self.sender.send(Event::Gone(self.load.clone()));
    }
}
