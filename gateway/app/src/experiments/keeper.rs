//! Writes the sums of experiments to the state directory, once a minute and at the end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pointsman_control::ExperimentStore;

use super::{Experiments, Key, now_ms};

/// How often it is looked whether an experiment has begun, which is written at once: so that it is told what was lost
/// where the process is killed soon after that.
const LOOK: Duration = Duration::from_secs(2);
/// In how many looks all that have changed are written: a minute may be lost where the process is killed.
const LOOKS: u32 = 30;

/// Which experiments are to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Those that never were.
    New,
    /// Those that have changed.
    Changed,
    /// All, as nothing comes after that.
    Last,
}

/// The thread that writes. Dropped, it writes once more, and says that nothing came after that.
pub(crate) struct Keeper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts it. Without a store it only looks how fast requests come.
    ///
    /// # Errors
    /// Where the system has no more threads.
    pub(crate) fn start(
        experiments: Arc<Experiments>,
        store: Option<ExperimentStore>,
    ) -> std::io::Result<Self> {
        let mut written = BTreeSet::new();
        // From now on what is written is not the last.
        experiments.write(store.as_ref(), &mut written, Due::Changed);
        let (stop, stopped) = channel();
        let run = move || {
            let mut looks = 0;
            while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                looks = (looks + 1) % LOOKS;
                if looks == 0 {
                    experiments.note_pace();
                    experiments.write(store.as_ref(), &mut written, Due::Changed);
                } else {
                    experiments.write(store.as_ref(), &mut written, Due::New);
                }
            }
            experiments.write(store.as_ref(), &mut written, Due::Last);
        };
        let thread = thread::Builder::new().name("pointsman-keeper".into()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // What could not be written is in the log.
            let _ = thread.join();
        }
    }
}

impl Experiments {
    fn note_pace(&self) {
        self.locked().values_mut().for_each(|kept| kept.pace.note(kept.recorder.requests()));
    }

    /// Writes those that are due, and forgets those that were written and are kept no more.
    fn write(&self, store: Option<&ExperimentStore>, written: &mut BTreeSet<Key>, what: Due) {
        let Some(store) = store else { return };
        let due: Vec<_> = {
            let mut kept = self.locked();
            let due = kept.values_mut().filter_map(|kept| {
                let requests = Some(kept.recorder.requests());
                let is_due = match what {
                    Due::New => kept.written.is_none(),
                    Due::Changed => kept.written != requests,
                    Due::Last => true,
                };
                if !is_due {
                    return None;
                }
                kept.written = requests;
                Some(kept.recorder.clone())
            });
            due.collect()
        };
        for recorder in due {
            let (model, name) = (&recorder.setup().model, &recorder.setup().name);
            let key = (model.clone(), name.clone());
            match store.save(model, name, &recorder.save(now_ms(), what == Due::Last)) {
                Ok(()) => drop(written.insert(key)),
                Err(error) => {
                    tracing::warn!(model = %model, "the sums of experiment {name} are not written: {error}");
                    self.locked().entry(key).and_modify(|kept| kept.written = None);
                }
            }
        }
        let gone: Vec<Key> = {
            let kept = self.locked();
            written.iter().filter(|key| !kept.contains_key(*key)).cloned().collect()
        };
        for key in gone {
            match store.remove(&key.0, &key.1) {
                Ok(()) => drop(written.remove(&key)),
                Err(error) => tracing::warn!(model = %key.0, "experiment {} stays written: {error}", key.1),
            }
        }
    }
}
