//! The one writer of what serves: it takes one event after the other, and after each does what
//! [`next_action`] says until there is nothing more to do.

mod effects;
mod late;
mod listing;
mod loads;
mod plans;
mod publishing;
mod resuming;
mod rollouts;
mod shadowing;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use pointsman_core::{ModelName, VersionNumber};
use pointsman_predict::{Ground, Publisher, Record, Version};
use pointsman_registry::{Card, Problem, Registry, TritonConfig};

use crate::action::{Action, May, next_action};
use crate::board;
use crate::committed::Committed;
use crate::event::{Event, Handle, Load};
use crate::experiments::Experiments;
use crate::grant::Refusal;
use crate::journal::{Entry, Journal, JournalError, Resumed, What};
use crate::loading::Loading;
use crate::metrics::Metrics;
use crate::model::{Declared, Model};
use crate::policy::Policy;
use crate::profiles::Profiles;
use crate::rollout::{LabelSinks, Rollout, ShadowEvidence};
use crate::target::{Target, target};
use crate::watching::Watching;

use self::effects::Owed;
use self::late::Late;
use self::plans::Compiled;
use self::publishing::Published;
pub use self::rollouts::Notify;
use self::rollouts::UnderWay;
use self::shadowing::Shadows;
pub use self::shadowing::{Observers, Shadowing};
use self::wishes::Pending;

/// How long statistics and series of a version that left stay readable: clients take differences.
const RETIRED_KEPT: Duration = Duration::from_secs(10 * 60);
/// How long the journal is left alone after it could not be written.
const JOURNAL_RETRY: Duration = Duration::from_secs(1);
/// How much longer than the settle time the first pass waits for versions that may yet settle.
const SETTLE_MARGIN: Duration = Duration::from_millis(500);
/// The most steps after one event before the next one is looked at.
const STEPS_MAX: usize = 10_000;

/// What the reconciler is made with.
pub struct Parts {
    /// Where models come from.
    pub registry: Arc<dyn Registry>,
    /// What was decided before.
    pub journal: Journal,
    /// What the configuration says of models.
    pub policy: Policy,
    /// Loads at a time.
    pub loads_max: usize,
    /// What versions have in common: instruments and cores.
    pub ground: Ground,
    /// The instruments of the control path.
    pub metrics: Metrics,
    /// Where snapshots go.
    pub publisher: Publisher,
    /// What shadows answer, as rollouts look at it.
    pub shadowed: Arc<dyn ShadowEvidence>,
    /// Whom transitions of rollouts are told.
    pub notify: Notify,
    /// What shadows are started with.
    pub shadowing: Shadowing,
    /// Who counts what comes of experiments.
    pub experiments: Arc<dyn Experiments>,
}

/// How the first pass ended: with what was found and is no model.
pub type FirstPass = Box<dyn FnOnce(Result<Vec<Problem>, String>) + Send>;

/// The one that decides what serves.
pub struct Reconciler {
    events: Receiver<Event>,
    sender: Sender<Event>,
    watching: Watching,
    loading: Loading,
    journal: Journal,
    policy: Policy,
    metrics: Metrics,
    ground: Ground,
    published: Published,
    shadowing: Shadowing,
    experiments: Arc<dyn Experiments>,
    /// What is committed of models that the registry has not shown yet.
    unseen: BTreeMap<ModelName, Committed>,
    models: BTreeMap<ModelName, Tracked>,
    /// What took effect and is not written yet; nothing is raised meanwhile.
    owed: VecDeque<Owed>,
    journal_rests_until: Option<Instant>,
    /// The look at the registry up to which all that were asked for are answered.
    looks_answered: u64,
    registry_failed: bool,
    no_models: Vec<Problem>,
    incarnations: u64,
    profiles: Profiles,
    /// Rollouts that were under way when the gateway went down, and whose models were not seen yet.
    resumable: BTreeMap<ModelName, Resumed>,
    /// Rollouts that are over, and after which another one was to begin that never did.
    to_follow: BTreeMap<ModelName, Rollout>,
    /// Where labels of requests of rollouts go.
    labels: LabelSinks,
    /// Rollouts that ended with a promotion, of whose requests labels may still come.
    late: BTreeMap<ModelName, Late>,
    /// Rollouts that ended with a promotion before the start, by model.
    resumable_late: BTreeMap<ModelName, Resumed>,
    shadowed: Arc<dyn ShadowEvidence>,
    notify: Notify,
    /// The gateway is asked to stop: nothing new is begun.
    draining: bool,
    /// Set once everything is withdrawn.
    stopping: Arc<AtomicBool>,
    started_at: Instant,
    first_pass: Option<FirstPass>,
    #[cfg(debug_assertions)]
    fault: crate::fault::Fault,
}

/// A model, and what hangs on it that no decision looks at.
#[derive(Default)]
struct Tracked {
    model: Model,
    /// Whether the registry ever said how it is to be served.
    usable: bool,
    /// What the registry said about it that counts.
    said: (Card, Option<TritonConfig>),
    /// A card that may yet change, and since when it has been as it is.
    settling: Option<(Declared, Instant)>,
    /// What keeps it from being served, on one line.
    problem: String,
    /// What was said about it last, so that it is said once.
    told: Vec<String>,
    versions: BTreeMap<VersionNumber, Arc<Version>>,
    /// Versions that left and whose workers have not all ended.
    leaving: Vec<Load>,
    /// Versions that left a while ago.
    retired: BTreeMap<VersionNumber, Retired>,
    pending: Vec<Pending>,
    target: Target,
    /// The rollout that is under way.
    rollout: Option<UnderWay>,
    /// Something of it does not wait for the next look.
    alarmed: bool,
    /// The plan as requests see it.
    compiled: Compiled,
    /// The shadows of that plan.
    shadows: Shadows,
    /// Whether the snapshot may differ from this.
    changed: bool,
}

/// A version that left, and of which statistics and series are still read.
struct Retired {
    record: Arc<Record>,
    until: Instant,
}

impl Reconciler {
    /// Starts to look at the registry. `first_pass` is called once everything that can be served is.
    ///
    /// # Errors
    /// A line where the journal cannot be read or the system has no more threads.
    pub fn start(parts: Parts, first_pass: FirstPass) -> Result<(Self, Handle), String> {
        let (sender, events) = channel();
        let unseen = parts.journal.committed().map_err(|e| e.to_string())?;
        let no_thread = |e: std::io::Error| format!("cannot start the thread that watches the registry: {e}");
        let watching =
            Watching::start(parts.registry, parts.policy.watch, sender.clone()).map_err(no_thread)?;
        let board = board::Reader::default();
        let profiles = Profiles::of(parts.journal.profiles().map_err(|e| e.to_string())?);
        let journal = parts.journal.reader().map_err(|e| e.to_string())?;
        let resumable = resumable(&parts.journal).map_err(|e| e.to_string())?;
        let promoted = parts.journal.rollouts_promoted().map_err(|e| e.to_string())?.into_iter();
        let resumable_late =
            promoted.filter_map(|it| Some((ModelName::new(&it.rollout.spec.model).ok()?, it))).collect();
        let to_follow = to_follow(&parts.journal).map_err(|e| e.to_string())?;
        let waiting = Arc::new(AtomicUsize::new(0));
        let labels = LabelSinks::default();
        let handle =
            Handle { sender: sender.clone(), board: board.clone(), journal, waiting, labels: labels.clone() };
        let reconciler = Self {
            events,
            loading: Loading::new(parts.loads_max, sender.clone()),
            sender,
            watching,
            journal: parts.journal,
            policy: parts.policy,
            metrics: parts.metrics,
            ground: parts.ground,
            published: Published::new(parts.publisher, board),
            shadowing: parts.shadowing,
            experiments: parts.experiments,
            unseen,
            models: BTreeMap::new(),
            owed: VecDeque::new(),
            journal_rests_until: None,
            looks_answered: 0,
            registry_failed: false,
            no_models: Vec::new(),
            incarnations: 0,
            profiles,
            resumable,
            to_follow,
            labels,
            late: BTreeMap::new(),
            resumable_late,
            shadowed: parts.shadowed,
            notify: parts.notify,
            draining: false,
            stopping: Arc::default(),
            started_at: Instant::now(),
            first_pass: Some(first_pass),
            #[cfg(debug_assertions)]
            fault: crate::fault::Fault::of_environment(),
        };
        Ok((reconciler, handle))
    }

    /// Takes events until one says to stop; then withdraws every version.
    pub fn run(mut self) {
        self.note_start();
        let mut wake = None;
        loop {
            let event = match wake {
                None => self.events.recv().ok(),
                Some(at) => match self.events.recv_timeout(until(at)) {
                    Ok(event) => Some(event),
                    Err(RecvTimeoutError::Disconnected) => None,
                    Err(RecvTimeoutError::Timeout) => {
                        let converged = self.supervised(|this| this.converge(Instant::now()));
                        wake = converged.unwrap_or(Some(Instant::now() + JOURNAL_RETRY));
                        continue;
                    }
                },
            };
            match event {
                None | Some(Event::Stop) => break,
                Some(event) => {
                    wake = self
                        .supervised(|this| {
                            this.take(event);
                            this.converge(Instant::now())
                        })
                        .unwrap_or(Some(Instant::now() + JOURNAL_RETRY));
                }
            }
        }
        self.withdraw_all();
    }

    /// A panic while one event is taken is a bug: it is counted, and the next event is taken.
    fn supervised<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(|| act(self)));
        if done.is_err() {
            self.metrics.panicked();
            tracing::error!("the control thread panicked; it goes on with the next event");
        }
        done.ok()
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Looked { look, answers } => self.looked(look, answers),
            Event::Loaded(loaded) => self.loaded(*loaded),
            Event::Wished(wished) => self.wished(*wished),
            Event::Configured(policy) => self.configured(*policy),
            Event::Gone(load) => self.gone(&load),
            Event::Crashing { load, crashes } => self.crashing(&load, crashes),
            Event::Alarmed(name) => self.alarmed(&name),
            Event::Draining => self.drain(),
            Event::Stop => {}
        }
    }

    /// Does what there is to do; gives when something is due by itself.
    fn converge(&mut self, now: Instant) -> Option<Instant> {
        self.write_owed(now);
        self.forget_retired(now);
        self.give_up_late(now);
        let mut wake = None;
        self.resume_rollouts();
        self.resume_late();
        self.look_at_late_labels(now);
        for _ in 0..STEPS_MAX {
            let mut acted = false;
            wake = self.journal_rests_until;
            let names: Vec<ModelName> = self.models.keys().cloned().collect();
            for name in names {
                acted |= self.settle_wishes(&name, now);
                acted |= self.declare_plan(&name, now);
                acted |= self.look_at_rollout(&name, now);
                match self.decide(&name, now) {
                    Action::Wait(at) => wake = earlier(wake, at),
                    action => acted |= self.perform(&name, action, now),
                }
            }
            if !acted {
                break;
            }
        }
        self.retry_shadows(now);
        self.publish();
        wake = earlier(wake, self.retry_shadows(now));
        wake = earlier(wake, self.journal_rests_until);
        wake = earlier(wake, self.end_first_pass(now));
        wake = earlier(wake, self.loading.next_late(self.policy.load_timeout));
        wake = earlier(wake, self.look_at_cards(now));
        wake = earlier(wake, self.next_look());
        wake = earlier(wake, self.next_late_look());
        let retired = self.models.values().flat_map(|tracked| tracked.retired.values());
        let retired = retired.map(|retired| retired.until).min();
        earlier(wake, retired)
    }

    fn decide(&mut self, name: &ModelName, now: Instant) -> Action {
        let raise = self.owed.is_empty() && self.journal_rests_until.is_none();
        let may = May { load: self.loading.is_free() && raise && !self.draining, raise };
        let Some(tracked) = self.models.get_mut(name).filter(|tracked| tracked.usable) else {
            return Action::Wait(None);
        };
        let asked: BTreeSet<VersionNumber> =
            tracked.pending.iter().flat_map(|pending| pending.needs.iter().copied()).collect();
        let target = target(&tracked.model, &asked);
        if target != tracked.target {
            tracked.target = target;
            tracked.changed = true;
        }
        next_action(&tracked.model, &tracked.target, now, may)
    }

    /// Ends the first pass once everything is loaded that can be; gives when that has to be asked again.
    fn end_first_pass(&mut self, now: Instant) -> Option<Instant> {
        self.first_pass.as_ref()?;
        if !self.looks_answered_once() || !self.loading.is_idle() {
            return None;
        }
        // What was written a moment before the start is waited for until it has settled.
        let settled_by = self.started_at + self.policy.watch.settle + SETTLE_MARGIN;
        if now < settled_by && self.models.values().any(Tracked::is_settling) {
            return Some(settled_by);
        }
        if let Some(first_pass) = self.first_pass.take() {
            first_pass(Ok(self.no_models.clone()));
        }
        None
    }

    /// Has the registry looked at when a changed card may count; gives when the next one may.
    fn look_at_cards(&mut self, now: Instant) -> Option<Instant> {
        if self.registry_failed {
            // The next look comes by itself.
            return None;
        }
        let settle = self.policy.watch.settle;
        let due =
            self.models.values().filter_map(|tracked| Some(tracked.settling.as_ref()?.1 + settle)).min()?;
        if due > now {
            return Some(due);
        }
        self.watching.look();
        // The look itself is the next event.
        None
    }

    fn configured(&mut self, policy: Policy) {
        self.watching.follow(policy.watch);
        self.policy = policy;
        let entry = self.entry(What::Gateway, "configuration", "the configuration was read again");
        self.note(entry);
    }

    fn note_start(&mut self) {
        let entry = self.entry(What::Gateway, "gateway", "the gateway started");
        self.note(entry);
    }

    /// An entry about the gateway itself.
    fn entry(&self, what: What, by: &str, why: &str) -> Entry {
        Entry {
            what,
            model: None,
            version: None,
            from: None,
            by: by.into(),
            why: why.into(),
            took: None,
            at: SystemTime::now(),
        }
    }

    /// Publishes that nothing serves. Workers answer what is queued and free their sessions.
    fn withdraw_all(&mut self) {
        self.journal_rests_until = None;
        self.write_owed(Instant::now());
        for pending in self.models.values_mut().flat_map(|tracked| tracked.pending.drain(..)) {
            pending.end(&Refusal::stopping());
        }
        self.models.clear();
        self.stopping.store(true, Ordering::Relaxed);
        self.published.withdraw_all();
        // Nobody may wait for an answer that never comes.
        while let Ok(event) = self.events.try_recv() {
            event.refuse();
        }
    }
}

/// The rollouts that go on, by model. There is one at most of each.
fn resumable(journal: &Journal) -> Result<BTreeMap<ModelName, Resumed>, JournalError> {
    let under_way = journal.rollouts_under_way()?.into_iter();
    let named = under_way.filter_map(|it| Some((ModelName::new(&it.rollout.spec.model).ok()?, it)));
    Ok(named.collect())
}

/// Rollouts after which another one was to begin, by model.
fn to_follow(journal: &Journal) -> Result<BTreeMap<ModelName, Rollout>, JournalError> {
    let over = journal.last_rollouts_over()?.into_iter().filter(|rollout| rollout.follows().is_some());
    Ok(over.filter_map(|rollout| Some((ModelName::new(&rollout.spec.model).ok()?, rollout))).collect())
}

fn until(at: Instant) -> Duration {
    at.saturating_duration_since(Instant::now())
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
