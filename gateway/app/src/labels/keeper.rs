//! The thread that does for labels what no other thread may wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pointsman_observe::labels::{LogLine, Verdict};
use pointsman_observe::quality::concerns;

use super::looks::{Looking, Told};
use super::model::Model;
use super::{Labels, Queued, now_ms};

/// How often it looks for what is past its time.
const LOOK: Duration = Duration::from_secs(1);
/// How often figures are computed for metrics, where anything came.
const SHOW: Duration = Duration::from_secs(10);
/// How long a model's figures then rest, for each millisecond that they took: one core is hardly ever busy with them for
/// more than a thirtieth of the time, however many pairs there are.
const REST: Duration = Duration::from_millis(30);
/// How often what was predicted is written down: so much may be lost where the process is killed.
const WRITE: Duration = Duration::from_secs(10);
/// The most that is taken from the queue before it is looked at what else there is to do.
const TAKEN_MAX: usize = 1024;

/// The thread. Dropped, it writes once more and ends.
pub(crate) struct LabelKeeper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _looking: Option<Looking>,
}

impl LabelKeeper {
    /// Starts it.
    ///
    /// # Errors
    /// Where the system has no more threads.
    pub(crate) fn start(labels: Arc<Labels>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let looking = Looking::start(labels.clone())?;
        let run = move || {
            let (mut looked, mut shown, mut written) = (Instant::now(), Instant::now(), Instant::now());
            while !stopped.load(Ordering::Relaxed) {
                labels.take_queued(LOOK / 4);
                if looked.elapsed() >= LOOK {
                    looked = Instant::now();
                    labels.look();
                }
                if shown.elapsed() >= SHOW {
                    shown = Instant::now();
                    labels.show();
                }
                if written.elapsed() >= WRITE {
                    written = Instant::now();
                    labels.take_sums();
                }
            }
            labels.take_queued(Duration::ZERO);
            labels.take_sums();
        };
        let thread = thread::Builder::new().name("pointsman-labels".into()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread), _looking: looking })
    }
}

impl Drop for LabelKeeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What could not be written is in the log.
            let _ = thread.join();
        }
    }
}

impl Labels {
    /// Takes what threads put into the queue that may not wait.
    fn take_queued(&self, wait: Duration) {
        let queued = self.queued.lock();
        let mut lines = Vec::new();
        let mut wait = wait;
        for _ in 0..TAKEN_MAX {
            let labelled = match queued.recv_timeout(wait) {
                Ok(Queued::Shadow(prediction)) => {
                    let (now, id) = (now_ms(), prediction.id);
                    let source = prediction.source.clone();
                    let answers = prediction.answers.clone();
                    let at_ms = prediction.at_ms;
                    let found = self.joiner.predicted(prediction, now);
                    // It is from when the request is that it was shown.
                    let (at_ms, arm) = self.joiner.primary(id).unwrap_or((at_ms, "default".into()));
                    let of_source = self.sums.lock().iter().find(|sums| sums.source == source).cloned();
                    if let Some(sums) = of_source {
                        sums.push(at_ms, &arm, answers.iter());
                    }
                    found
                }
                Ok(Queued::Late(labelled)) => vec![labelled],
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            };
            wait = Duration::ZERO;
            labelled.iter().for_each(|labelled| self.settle(labelled, &mut lines));
        }
        drop(queued);
        // What cannot be written is told, and written with the next labels.
        let _ = self.write(lines);
    }

    /// Lets go what is past its time.
    fn look(&self) {
        let (now, mut lines) = (now_ms(), Vec::new());
        for said in self.joiner.expire(now) {
            // Another gateway may have answered it, whose rows are in the same log.
            let told = self.looks.as_ref().map(|looks| looks.wait(&said, now));
            if told == Some(Told::Full) {
                self.gauges.look("dropped", 1);
            }
            if matches!(told, None | Some(Told::TooOld | Told::Full)) {
                self.gauges.labelled("", Verdict::Unknown);
                lines.push(LogLine::Unfound(said.id, said.row));
            }
        }
        // What cannot be written is told, and written with the next labels.
        let _ = self.write(lines);
        self.gauges.kept(self.joiner.kept());
    }

    /// Shows figures as metrics, of models of which anything came and whose figures did not take long just now.
    pub(crate) fn show(&self) {
        let Some(ask) = Self::concern(None) else { return };
        let changed: Vec<Arc<str>> = {
            let (mut models, now) = (self.models.lock(), Instant::now());
            let is_due =
                |model: &Model| model.is_changed && model.rests_until.is_none_or(|until| until <= now);
            let due = models.iter_mut().filter(|(_, model)| is_due(model));
            due.map(|(name, model)| {
                model.is_changed = false;
                name.clone()
            })
            .collect()
        };
        for model in changed {
            let begun = Instant::now();
            let Ok(report) = self.report(&model, &ask) else { continue };
            self.gauges.show(&report);
            let found = concerns(&report, &self.limits(&model));
            let rests_until =
                Instant::now() + REST * u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
            if let Some(model) = self.models.lock().get_mut(&model) {
                (model.concerns, model.rests_until) = (found, Some(rests_until));
            }
        }
        self.gauges.kept(self.joiner.kept());
    }
}
