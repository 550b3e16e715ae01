//! Profiles of all traffic in windows, and what drifts in them.
//!
//! Small requests are taken in on their own threads, large ones by a thread of this part, as are the rows of many columns
//! that small ones have handed on. It also looks at windows and writes them to the state directory.

mod metrics;
mod store;
mod verdicts;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pointsman_control::Subject;
use pointsman_core::{Code, PredictError, shown};
use pointsman_observe::drift::{Against, Ask, DriftReport, Rules};
use pointsman_observe::profile::{Baseline, Example, Exchange, Layout, Recorder, Reference, Span};
use pointsman_predict::priority;

pub(crate) use self::metrics::DriftGauges;
use self::store::Store;
pub(crate) use self::verdicts::Verdict;
use self::verdicts::Verdicts;
use super::{Part, Seen, Watcher};
use crate::config::Drift;

/// Requests of more rows are left to a thread of their own.
const ROWS_INLINE_MAX: u64 = 256;
/// The most that waits for it, and how much the tensors of such requests may take.
const WAITING_MAX: usize = 64;
const WAITING_BYTES_MAX: usize = 64 << 20;
/// The most versions of which windows are kept in memory, and of these the most that have left. That goes which was loaded
/// longest ago.
const VERSIONS_MAX: usize = 64;
const LEFT_MAX: usize = 8;
/// How often what has changed is written.
const WRITE_EVERY: Duration = Duration::from_secs(30);

/// By model and version.
type Key = (String, u64);

/// The profiles of all versions.
pub(crate) struct Profiles {
    settings: Drift,
    versions: Mutex<BTreeMap<Key, Arc<Profiled>>>,
    store: Option<Store>,
    work: SyncSender<Work>,
    waiting_bytes: AtomicUsize,
    dropped: AtomicU64,
    loaded: AtomicU64,
}

/// One version.
pub(super) struct Profiled {
    model: String,
    version: u64,
    digest: String,
    /// In the order of loading.
    order: u64,
    recorder: Recorder,
    /// Whether the thread is told that rows wait, and has not looked since.
    is_told: AtomicBool,
    rules: Rules,
    verdicts: Mutex<Verdicts>,
}

/// What is left to the thread.
enum Work {
    /// A large request.
    Large(Large),
    /// Rows of small ones.
    TakeIn(Arc<Profiled>),
}

/// A large request that waits.
struct Large {
    to: Arc<Profiled>,
    seen: Arc<Seen>,
    bytes: usize,
}

/// The thread of large requests and of looks. Stopped, it writes all windows once more.
pub(crate) struct Keeper {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// What a report is asked for over the admin listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    pub(crate) version: Option<u64>,
    pub(crate) arm: Option<String>,
    pub(crate) against: Option<Against>,
    pub(crate) window: Option<Duration>,
    pub(crate) since: Option<u64>,
    pub(crate) until: Option<u64>,
}

/// A version in a list.
pub(crate) struct Listed {
    pub(crate) model: String,
    pub(crate) version: u64,
    pub(crate) has_baseline: bool,
    pub(crate) windows: usize,
    pub(crate) rows: u64,
    pub(crate) drifted: Vec<Verdict>,
}

impl Profiles {
    /// Starts the thread, by so much nicer than those that serve connections. Windows are kept below `state` where there is such a directory.
    ///
    /// # Errors
    /// A line on what keeps it from starting.
    pub(crate) fn start(
        settings: &Drift,
        state: Option<&Path>,
        niceness: u32,
    ) -> Result<(Arc<Self>, Keeper), String> {
        let store = state.map(Store::open).transpose()?;
        let (work, works) = sync_channel(WAITING_MAX);
        let profiles = Arc::new(Self {
            settings: settings.clone(),
            versions: Mutex::default(),
            store,
            work,
            waiting_bytes: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            loaded: AtomicU64::new(0),
        });
        let (stop, stopped) = sync_channel(0);
        let own = profiles.clone();
        let run = move || {
            priority::stand_back(niceness);
            own.run(&works, &stopped);
        };
        let thread = thread::Builder::new().name("pointsman-drift".into()).spawn(run);
        let thread = thread.map_err(|e| format!("cannot start the thread of profiles: {e}"))?;
        Ok((profiles, Keeper { stop: Some(stop), thread: Some(thread) }))
    }

    fn run(&self, works: &Receiver<Work>, stopped: &Receiver<()>) {
        // Short enough that nobody waits for the end for long.
        let step = self.settings.look.min(Duration::from_millis(250));
        let (mut looked, mut written) = (Instant::now(), Instant::now());
        loop {
            match works.recv_timeout(step) {
                Ok(work) => self.work(&work),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Empty) {
                // What waits is taken in first.
                works.try_iter().for_each(|work| self.work(&work));
                return self.write();
            }
            if looked.elapsed() >= self.settings.look {
                self.look();
                looked = Instant::now();
            }
            if written.elapsed() >= WRITE_EVERY {
                self.write();
                written = Instant::now();
            }
        }
    }

    fn work(&self, work: &Work) {
        match work {
            Work::Large(large) => {
                large.to.exchange(&large.seen, |exchange| large.to.recorder.record_behind(&exchange));
                self.waiting_bytes.fetch_sub(large.bytes, Ordering::Relaxed);
            }
            Work::TakeIn(of) => {
                of.is_told.store(false, Ordering::Release);
                of.recorder.take_in();
            }
        }
    }

    fn all(&self) -> Vec<Arc<Profiled>> {
        locked(&self.versions).values().cloned().collect()
    }

    /// Judges the windows that have changed.
    fn look(&self) {
        let now = seconds(SystemTime::now());
        for of in self.all() {
            if let Some(kept) = of.recorder.kept() {
                locked(&of.verdicts).look(&kept, &of.rules, of.recorder.span(), now);
            }
        }
    }

    /// Writes the windows that have changed.
    fn write(&self) {
        let Some(store) = &self.store else { return };
        for of in self.all() {
            of.recorder.collect();
            if !of.recorder.take_changed() {
                continue;
            }
            let Some(document) = of.recorder.save(&of.model, of.version) else { continue };
            if let Err(error) = store.write(&of.model, of.version, &document) {
                of.recorder.set_changed();
                tracing::warn!(model = %of.model, version = of.version, "windows of traffic are not kept: {error}");
            }
        }
    }

    /// Rows that were dropped, as too much waited.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// What holds now: every column that has drifted.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let of = |of: &Arc<Profiled>| locked(&of.verdicts).drifted(&of.model, of.version);
        self.all().iter().flat_map(of).collect()
    }

    /// The versions of which something is known.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let listed = |of: &Arc<Profiled>| {
            let kept = of.recorder.kept();
            let windows = kept.iter().flat_map(|kept| &kept.windows);
            Listed {
                model: of.model.clone(),
                version: of.version,
                has_baseline: of.recorder.has_training(),
                windows: windows.clone().count(),
                rows: windows.map(|(_, profile)| profile.rows()).sum(),
                drifted: locked(&of.verdicts).drifted(&of.model, of.version),
            }
        };
        self.all().iter().map(listed).collect()
    }

    /// The report on a model: of the version asked for, or of that which had most rows.
    ///
    /// # Errors
    /// Where nothing is known of it.
    pub(crate) fn report(&self, model: &str, question: &Question) -> Result<DriftReport, PredictError> {
        let not_found = |reason: String| PredictError::Control { code: Code::NotFound, reason };
        let all = self.all();
        let of_model = all.iter().filter(|of| of.model == model);
        let found = match question.version {
            Some(version) => of_model.clone().find(|of| of.version == version),
            None => of_model.clone().max_by_key(|of| {
                let kept = of.recorder.kept();
                let rows = kept
                    .iter()
                    .flat_map(|kept| &kept.windows)
                    .map(|(_, profile)| profile.rows())
                    .sum::<u64>();
                (rows, of.version)
            }),
        };
        let Some(of) = found else {
            let versions: Vec<String> = of_model.map(|of| of.version.to_string()).collect();
            let known = if versions.is_empty() { "none".into() } else { versions.join(", ") };
            let reason = format!(
                "nothing is known of the traffic of model '{}'; its versions here: {known}",
                shown(model)
            );
            return Err(not_found(reason));
        };
        let span = of.recorder.span();
        let kept = of.recorder.kept().ok_or_else(|| {
            not_found(format!(
                "version {} of '{model}' has no baseline.json, and fewer than {} rows: its bins are made from these",
                of.version,
                pointsman_observe::profile::LEARN_ROWS
            ))
        })?;
        let against = question.against.unwrap_or(if kept.training.is_some() {
            Against::Training
        } else {
            Against::Previous
        });
        let ask = Ask {
            model,
            version: of.version,
            arm: question.arm.as_deref(),
            against,
            window: question.window.map(|window| window.as_secs()),
            since: question.since,
            until: question.until,
            span,
            lost: of.recorder.lost(),
        };
        DriftReport::new(&kept, &of.rules, &ask).map_err(|error| not_found(error.to_string()))
    }
}

/// The part of monitoring that profiles.
pub(crate) struct Profiling(pub(crate) Arc<Profiles>);

impl Part for Profiling {
    fn watcher(&self, subject: Subject<'_>, warnings: &mut Vec<String>) -> Option<Arc<dyn Watcher>> {
        let to = self.0.profiled(subject, warnings)?;
        Some(Arc::new(Watching { profiles: self.0.clone(), to }))
    }
}

impl Profiles {
    /// The windows of a version: those that there are, or those that were written, or none.
    fn profiled(&self, subject: Subject<'_>, warnings: &mut Vec<String>) -> Option<Arc<Profiled>> {
        if !self.settings.enabled {
            return None;
        }
        let (model, version) = (subject.model.to_string(), subject.number.get());
        let settings = self.settings.of(&model);
        let schema = subject.schema.cloned();
        let reference = reference(subject, warnings);
        let windows_max = match &reference {
            Some(reference) => self.windows_max(&reference.layout, settings.windows_max, warnings),
            None => settings.windows_max,
        };
        let (seconds, rows_max) = (settings.window.as_secs().max(1), settings.window_rows);
        let span = Span { seconds, rows_max, windows_max };
        let recorder = Recorder::new(span, subject.signature.clone(), schema, reference);
        if let Some(document) = self.document(&model, version, subject.digest)
            && let Err(error) = recorder.resume_from(&document)
        {
            warnings.push(error.to_string());
        }
        let profiled = Arc::new(Profiled {
            model: model.clone(),
            version,
            digest: subject.digest.to_owned(),
            order: self.loaded.fetch_add(1, Ordering::Relaxed),
            recorder,
            is_told: AtomicBool::new(false),
            rules: settings.rules.clone(),
            verdicts: Mutex::default(),
        });
        let mut versions = locked(&self.versions);
        versions.insert((model, version), profiled.clone());
        forget(&mut versions);
        Some(profiled)
    }

    /// What is known of a version: of one that is loaded again what it has, else what was written.
    fn document(&self, model: &str, version: u64, digest: &str) -> Option<String> {
        let before = locked(&self.versions).get(&(model.to_owned(), version)).cloned();
        match before {
            Some(before) if before.digest == digest => before.recorder.save(model, version),
            Some(_) => None,
            None => self.store.as_ref()?.read(model, version),
        }
    }

    /// So many windows as memory allows.
    fn windows_max(&self, layout: &Layout, wanted: usize, warnings: &mut Vec<String>) -> usize {
        let fit = (self.settings.memory_max / layout.profile_bytes().max(1)).max(2);
        if fit < wanted {
            warnings.push(format!(
                "of {wanted} windows of its traffic (drift.windows_max) {fit} are kept, of {} bytes each: more would take \
                 more than drift.memory_max",
                layout.profile_bytes()
            ));
        }
        wanted.min(fit)
    }
}

/// Keeps to the most versions, those that have left first.
fn forget(versions: &mut BTreeMap<Key, Arc<Profiled>>) {
    // The monitor of a version that is loaded holds another one.
    let has_left = |of: &Arc<Profiled>| Arc::strong_count(of) == 1;
    let left = versions.values().filter(|of| has_left(of)).count();
    let over = left.saturating_sub(LEFT_MAX).max(versions.len().saturating_sub(VERSIONS_MAX));
    let mut oldest: Vec<_> =
        versions.iter().map(|(key, of)| (!has_left(of), of.order, key.clone())).collect();
    oldest.sort_unstable();
    for (.., key) in oldest.into_iter().take(over) {
        versions.remove(&key);
    }
}

/// The baseline of a version, where it has one that can be used.
fn reference(subject: Subject<'_>, warnings: &mut Vec<String>) -> Option<Reference> {
    let bytes = subject.baseline?;
    let read = Baseline::read(bytes)
        .and_then(|baseline| baseline.reference(subject.signature, subject.schema.map(|s| &**s), warnings));
    read.map_err(|error| warnings.push(format!("baseline.json: {error}"))).ok()
}

impl Profiled {
    /// Takes in an exchange by `record`. Nothing where it came to no version.
    fn exchange<T>(&self, seen: &Seen, record: impl FnOnce(Exchange<'_>) -> T) -> Option<T> {
        let exchange = &seen.exchange;
        let pick = exchange.pick.as_ref()?;
        let outputs = exchange.outputs.as_deref().ok();
        let example = Example { inputs: &exchange.inputs, outputs, rows: exchange.rows };
        let (at, now) = (seconds(seen.at), seconds(SystemTime::now()));
        Some(record(Exchange { arm: &pick.arm, at, now, example }))
    }
}

/// What a version's monitor tells.
struct Watching {
    profiles: Arc<Profiles>,
    to: Arc<Profiled>,
}

impl Watcher for Watching {
    fn saw(&self, seen: &Arc<Seen>) {
        let exchange = &seen.exchange;
        // What was refused before it was checked has no rows.
        if exchange.rows == 0 {
            return;
        }
        if exchange.rows > ROWS_INLINE_MAX {
            return self.profiles.offer(&self.to, seen);
        }
        let rows_wait = self.to.exchange(seen, |exchange| self.to.recorder.record(&exchange));
        if rows_wait == Some(true) {
            self.profiles.tell(&self.to);
        }
    }
}

impl Profiles {
    /// Tells the thread once that rows of a version wait. Where too much waits for it already, the next ones tell it.
    fn tell(&self, of: &Arc<Profiled>) {
        if !of.is_told.swap(true, Ordering::AcqRel) && self.work.try_send(Work::TakeIn(of.clone())).is_err() {
            of.is_told.store(false, Ordering::Release);
        }
    }

    /// Leaves a large request to the thread, or drops it where too much waits.
    fn offer(&self, to: &Arc<Profiled>, seen: &Arc<Seen>) {
        let inputs = seen.exchange.inputs.iter().flatten();
        let outputs = seen.exchange.outputs.iter().flatten().map(|output| &output.tensor);
        let bytes: usize = inputs.chain(outputs).map(|tensor| tensor.data().len()).sum();
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let large = Large { to: to.clone(), seen: seen.clone(), bytes };
        let large = Work::Large(large);
        let offered = match before.saturating_add(bytes) <= WAITING_BYTES_MAX {
            true => self.work.try_send(large),
            false => Err(TrySendError::Full(large)),
        };
        if offered.is_err() {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.dropped.fetch_add(seen.exchange.rows, Ordering::Relaxed);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.take();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of profiles panicked");
        }
    }
}
