//! What is shared by all parts of a run: whether it is to end, and where it is shown how far it is.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::interrupt;
use crate::progress::{Progress, Snapshot};

/// Who watches over a run.
pub(crate) struct Watcher {
    interrupted: Arc<AtomicBool>,
    /// Nothing once the run is over.
    progress: RefCell<Option<Progress>>,
    part: Cell<usize>,
    of_parts: Option<usize>,
}

impl Watcher {
    /// Watches over a run of so many parts, where that is known. A signal is from now on a wish that the run ends.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub(crate) fn new(quiet: bool, of_parts: Option<usize>) -> Result<Self, String> {
        let (interrupted, progress) = (interrupt::flag()?, Progress::new(quiet)?);
        Ok(Self { interrupted, progress: RefCell::new(Some(progress)), part: Cell::new(0), of_parts })
    }

    /// Whether the run is to end.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// A part begins.
    pub(crate) fn begin(&self) {
        self.part.set(self.part.get() + 1);
    }

    /// Shows a moment of that part.
    pub(crate) fn show(&self, snapshot: Snapshot) {
        if let Some(progress) = &mut *self.progress.borrow_mut() {
            progress.show(&Snapshot { number: self.part.get(), of_parts: self.of_parts, ..snapshot });
        }
    }

    /// Takes away what is shown.
    pub(crate) fn finish(&self) {
        self.progress.take();
    }
}
