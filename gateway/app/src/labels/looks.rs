//! Labels whose predictions memory has let go, or which are from before the start: they are looked for in the sample log.
//!
//! One thread looks, many labels at once. A look opens the files that were begun around the time at which the requests came,
//! which their ids say, and of them the row groups that may have these ids.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex};
use pointsman_core::RequestId;
use pointsman_observe::labels::{Labelled, LogLine, Logged, Said, Verdict, came_at};
use pointsman_observe::sample_log::{ReadError, Reader};
use pointsman_predict::priority;

use super::{Labels, now_ms};
use crate::config::Config;

/// Labels of one look.
const BATCH: usize = 10_000;
/// How long a look waits for labels that come soon after the first.
const GATHER: Duration = Duration::from_millis(100);
/// How long a look that failed is waited with.
const AGAIN: Duration = Duration::from_secs(10);
/// How often it is seen to whether the gateway ends.
const STOP: Duration = Duration::from_millis(250);
/// How long before a request its file may have been begun, whatever `sample_log.part_age` is now.
const BEFORE: Duration = Duration::from_secs(24 * 3600);
/// And how long after: until it has ended and its row is written.
const BEHIND: Duration = Duration::from_secs(3600);
/// Rows that are read at once.
const ROWS: usize = 1024;

/// A row of a request, in the order in which requests came.
type Key = ([u8; 16], u32);

/// Labels that wait for a look.
pub(super) struct Looks {
    reader: Reader,
    before: Duration,
    back: Duration,
    niceness: u32,
    max: usize,
    waiting: Mutex<BTreeMap<Key, Said>>,
    came: Condvar,
}

/// What comes of a label that is told to wait.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    /// It waits.
    Waits,
    /// It did before.
    Again,
    /// Another one did, in whose place it now waits.
    Instead,
    /// The request is from before the time that is looked through.
    TooOld,
    /// Too many wait.
    Full,
}

fn key(said: &Said) -> Key {
    (said.id.bytes(), said.row)
}

impl Looks {
    /// Those in the sample log of a configuration; nothing where there is none, or it is not to be looked through.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let (settings, log) = (&config.labels, &config.sample_log);
        let directory = log.directory.as_deref().filter(|_| !settings.look_back.is_zero())?;
        let (before, back) = (log.bounds.part_age.max(BEFORE), settings.look_back);
        Some(Self::over(directory, before, back, settings.look_max, log.niceness))
    }

    fn over(directory: &Path, before: Duration, back: Duration, max: usize, niceness: u32) -> Self {
        let (waiting, came) = (Mutex::default(), Condvar::new());
        let reader = Reader::open(directory).batch_rows(ROWS);
        Self { reader, before, back, niceness, max, waiting, came }
    }

    /// Lets a label wait for the next look.
    pub(super) fn wait(&self, said: &Said, now_ms: u64) -> Told {
        let back = u64::try_from(self.back.as_millis()).unwrap_or(u64::MAX);
        if came_at(said.id).is_none_or(|came| came.saturating_add(back) < now_ms) {
            return Told::TooOld;
        }
        let mut waiting = self.waiting.lock();
        let told = match waiting.get(&key(said)) {
            Some(known) if known.value == said.value => return Told::Again,
            Some(_) => Told::Instead,
            None if waiting.len() >= self.max => return Told::Full,
            None => Told::Waits,
        };
        waiting.insert(key(said), said.clone());
        drop(waiting);
        self.came.notify_one();
        told
    }

    /// Lets a label go that was found, or was looked for in vain.
    pub(super) fn settled(&self, id: RequestId, row: u32) {
        self.waiting.lock().remove(&(id.bytes(), row));
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Takes those of one look, of requests that came after each other; waits for a while where there are none.
    fn take(&self) -> Vec<Said> {
        let mut waiting = self.waiting.lock();
        if waiting.is_empty() {
            self.came.wait_for(&mut waiting, STOP);
            if waiting.is_empty() {
                return Vec::new();
            }
            drop(waiting);
            thread::sleep(GATHER);
            waiting = self.waiting.lock();
        }
        std::iter::from_fn(|| waiting.pop_first()).map(|(_, said)| said).take(BATCH).collect()
    }

    /// Puts back those that could not be looked for. What was said meanwhile is newer.
    fn put_back(&self, all: Vec<Said>) {
        let mut waiting = self.waiting.lock();
        for said in all {
            waiting.entry(key(&said)).or_insert(said);
        }
    }

    /// The rows of the requests of labels that the log has.
    ///
    /// # Errors
    /// Where it cannot be looked through. A file that cannot be read is passed over.
    fn look(&self, all: &[Said]) -> Result<HashMap<RequestId, Vec<Logged>>, ReadError> {
        let time = |said: &Said| Some((said.id, UNIX_EPOCH + Duration::from_millis(came_at(said.id)?)));
        let requests: Vec<_> = all.iter().filter_map(time).collect();
        let mut found: HashMap<RequestId, Vec<Logged>> = HashMap::new();
        let wanted: std::collections::HashSet<Key> = all.iter().map(key).collect();
        for batch in self.reader.clone().for_labels(&requests, self.before, BEHIND).batches()? {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::warn!(
                        "a file of the sample log is passed over, in which labels were looked for: {error}"
                    );
                    continue;
                }
            };
            for row in Logged::of(&batch) {
                let of_request = found.entry(row.id).or_default();
                // Of rows that have no label one says how many there are.
                if of_request.is_empty() || wanted.contains(&(row.id.bytes(), row.row)) {
                    of_request.push(row);
                }
            }
        }
        Ok(found)
    }
}

impl Labels {
    /// Lets a label wait that has no prediction in memory: as one that was joined before, or for a look into the sample log.
    pub(super) fn seek(&self, said: &Said, beyond: Labelled, now_ms: u64) -> Labelled {
        if let Some(known) = self.said_before(said, now_ms) {
            return known;
        }
        let Some(looks) = &self.looks else { return beyond };
        if let Err(reason) = said.check_time(0, now_ms) {
            return Labelled { reason: Some(reason), ..Labelled::of(Verdict::Malformed) };
        }
        let verdict = |verdict| Labelled { verdict, is_beyond: false, ..beyond.clone() };
        match looks.wait(said, now_ms) {
            Told::Waits => verdict(Verdict::Pending),
            Told::Again => verdict(Verdict::Duplicate),
            Told::Instead => verdict(Verdict::Contradicting),
            Told::TooOld => beyond,
            Told::Full => {
                self.gauges.look("dropped", 1);
                let reason = format!(
                    "{} labels wait to be looked for (labels.look_max); send it again later",
                    looks.max
                );
                Labelled { reason: Some(reason), ..verdict(Verdict::Unknown) }
            }
        }
    }

    /// What comes of a label of a row that was joined before; nothing where none is known.
    fn said_before(&self, said: &Said, now_ms: u64) -> Option<Labelled> {
        let models = self.models.lock();
        let known = models
            .values()
            .map(|model| model.pairs.of_row(said.id, said.row))
            .find(|known| !known.is_empty())?;
        let first = known.first()?;
        if let Err(reason) = said.check_time(first.at_ms, now_ms) {
            return Some(Labelled { reason: Some(reason), ..Labelled::of(Verdict::Malformed) });
        }
        let (verdict, joined) = match first.source.label(&said.value) {
            None => return Some(Labelled::of_no_class(&first.source, &said.value)),
            Some(label) if label == first.label => (Verdict::Duplicate, Vec::new()),
            Some(_) => {
                let corrected = known.iter().filter_map(|pair| {
                    let label = pair.source.label(&said.value)?;
                    let label_at_ms = said.at_ms.unwrap_or(now_ms);
                    Some(pointsman_observe::labels::Joined { label, label_at_ms, ..(**pair).clone() })
                });
                (Verdict::Contradicting, corrected.collect())
            }
        };
        Some(Labelled { joined, ..Labelled::of(verdict) })
    }

    /// Looks for labels that wait. Whether there were any that could be looked for.
    fn look_in_log(&self, looks: &Looks) -> Result<(), ReadError> {
        let all = looks.take();
        self.gauges.looks_waiting(looks.waiting());
        if all.is_empty() {
            return Ok(());
        }
        let found = match looks.look(&all) {
            Ok(found) => found,
            Err(error) => {
                self.gauges.look("failed", 1);
                looks.put_back(all);
                return Err(error);
            }
        };
        let (now, mut lines) = (now_ms(), Vec::new());
        for said in all {
            let rows = found.get(&said.id).map_or(&[][..], Vec::as_slice);
            let row = rows.iter().find(|row| row.row == said.row).or(rows.first());
            let labelled =
                row.map_or_else(|| Labelled::of(Verdict::Unknown), |row| self.held_against(row, &said, now));
            self.gauges.look(if labelled.joined.is_empty() { "not_found" } else { "found" }, 1);
            self.settle(&labelled, &mut lines);
            if labelled.joined.is_empty() {
                lines.push(LogLine::Unfound(said.id, said.row));
            }
        }
        // What cannot be written is told, and written with the next labels.
        let _ = self.write(lines);
        Ok(())
    }

    /// What comes of a label of a row of the log.
    fn held_against(&self, row: &Logged, said: &Said, now_ms: u64) -> Labelled {
        // It may have been joined while it waited.
        if let Some(known) = self.said_before(said, now_ms) {
            return known;
        }
        let mut labelled = row.label(said, now_ms);
        let is_first = || {
            let models = self.models.lock();
            let model = row.model().and_then(|model| models.get(model));
            model.map_or(Some(true), |model| Some(!model.pairs.has_request(row.id, row.rows)?))
        };
        // A request that may have been told of before is none that a rollout hears of.
        if labelled.drawn.is_some() && is_first() != Some(true) {
            labelled.drawn = None;
        }
        labelled
    }
}

/// The thread that looks. Dropped, it ends after the look that is under way.
pub(super) struct Looking {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Looking {
    /// Starts it; nothing where there is no log.
    ///
    /// # Errors
    /// Where the system has no more threads.
    pub(super) fn start(labels: Arc<Labels>) -> std::io::Result<Option<Self>> {
        if labels.looks.is_none() {
            return Ok(None);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let run = move || {
            let Some(looks) = &labels.looks else { return };
            priority::stand_back(looks.niceness);
            while !stopped.load(Ordering::Relaxed) {
                if let Err(error) = labels.look_in_log(looks) {
                    tracing::warn!("labels cannot be looked for in the sample log: {error}");
                    let failed = Instant::now();
                    while failed.elapsed() < AGAIN && !stopped.load(Ordering::Relaxed) {
                        thread::sleep(STOP);
                    }
                }
            }
        };
        let thread = thread::Builder::new().name("pointsman-looks".into()).spawn(run)?;
        Ok(Some(Self { stop, thread: Some(thread) }))
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What was not looked for is in the log of labels, and waits after the next start.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use pointsman_observe::labels::Value;

    use super::*;

    fn said(id: RequestId, label: f64) -> Said {
        Said { id, row: 0, value: Value::Number(label), at_ms: None, source: None }
    }

    #[test]
    fn as_many_labels_wait_as_may_and_each_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let hour = Duration::from_secs(3600);
        let looks = Looks::over(folder.path(), BEFORE, hour, 2, 0);
        let (one, other, third) = (RequestId::generate(), RequestId::generate(), RequestId::generate());
        let now = now_ms();
        assert_eq!(looks.wait(&said(one, 1.0), now), Told::Waits);
        assert_eq!(looks.wait(&said(one, 1.0), now), Told::Again);
        assert_eq!(looks.wait(&said(one, 0.0), now), Told::Instead);
        assert_eq!(looks.wait(&said(other, 1.0), now), Told::Waits);
        assert_eq!((looks.wait(&said(third, 1.0), now), looks.waiting()), (Told::Full, 2));
        assert_eq!(looks.wait(&said(third, 1.0), now + 2 * 3_600_000), Told::TooOld);
        let foreign = RequestId::parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8").expect("an id");
        assert_eq!(looks.wait(&said(foreign, 1.0), now), Told::TooOld);
        let taken = looks.take();
        assert_eq!((taken.len(), looks.waiting(), taken[0].value.clone()), (2, 0, Value::Number(0.0)));
        // What was said meanwhile stays.
        looks.wait(&said(one, 1.0), now);
        looks.put_back(taken);
        assert_eq!(looks.take().first().map(|said| said.value.clone()), Some(Value::Number(1.0)));
        assert!(looks.look(&[said(one, 1.0)]).expect("an empty log").is_empty());
    }
}
