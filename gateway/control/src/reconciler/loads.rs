//! Loads: from the order to a version in the snapshot, or to a failure and the next try.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pointsman_core::{BreakingPolicy, ModelName, VersionNumber};
use pointsman_predict::priority;
use pointsman_registry::{FolderState, Stamp};

use super::{Reconciler, Tracked};
use crate::committed::{Mark, MarkKind};
use crate::event::{Load, Loaded};
use crate::journal::{Entry, What};
use crate::loader::{Beside, Gate, LoadFailure, LoadFault, LoadJob, Quarantined, Warm};
use crate::loading::{Order, UnderWay};
use crate::model::{Failure, Ready};
use crate::rollout::Event;
use crate::signature::{Change, compare};
use crate::watchman::Watchman;
use crate::wish::Wish;

/// How long the first new try waits; each further one twice as long as the one before.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// How long the forgetting of a version waits that still has requests.
const FORGET_RETRY: Duration = Duration::from_secs(10);
/// How long a new try waits at most.
const RETRY_MAX: Duration = Duration::from_secs(300);

impl Reconciler {
    /// Begins to bring a version up.
    pub(super) fn order(&mut self, name: &ModelName, number: VersionNumber) -> bool {
        self.incarnations += 1;
        let incarnation = self.incarnations;
        let Some(tracked) = self.models.get_mut(name) else { return false };
        let Some(found) = tracked.model.found.get(&number) else { return false };
        let stamp = found.stamp;
        let serving = tracked.model.committed.default.and_then(|default| tracked.versions.get(&default));
        let beside = serving.map(|version| Beside { run_time: version.spec().findings.run_time() });
        let job = LoadJob {
            model: name.clone(),
            number,
            settings: tracked.model.declared.settings.clone(),
            bytes: found.bytes,
            beside,
            profiles: self.profiles.clone(),
            quarantined: tracked.quarantined(number),
        };
        let load = Load { model: name.clone(), number, incarnation };
        tracked.model.versions.entry(number).or_default().loading = Some(stamp);
        tracked.changed = true;
        self.loading.begin(Order { load, stamp, job, loader: self.policy.loader.clone() });
        true
    }

    pub(super) fn loaded(&mut self, loaded: Loaded) {
        let Loaded { load, stamp, result, took } = loaded;
        if !self.loading.ended(&load) {
            // It was given up, and comes too late.
            return self.discard(result.ok());
        }
        let gate = result.as_ref().err().map(|failure| failure.fault.gate());
        self.metrics.loaded(&load.model, gate, took);
        self.write_profiles();
        let Some(tracked) = self.models.get_mut(&load.model) else { return self.discard(result.ok()) };
        tracked.not_loading(load.number);
        match result {
            Ok(warm) => match self.admit(&load, stamp, &warm) {
                Ok(()) => self.arrived(load, warm, took),
                Err(fault) => {
                    self.discard(Some(warm));
                    self.failed(&load, stamp, &fault.into(), took);
                }
            },
            Err(failure) => self.failed(&load, stamp, &failure, took),
        }
    }

    /// Gives loads up that take longer than they may.
    pub(super) fn give_up_late(&mut self, now: Instant) {
        let limit = self.policy.load_timeout;
        while let Some(UnderWay { load, stamp, since }) = self.loading.give_up(limit, now) {
            let what = "loading it".into();
            let fault = LoadFault::TooLong { gate: Gate::Engine, what, limit };
            let took = now.saturating_duration_since(since);
            self.metrics.loaded(&load.model, Some(fault.gate()), took);
            if let Some(tracked) = self.models.get_mut(&load.model) {
                tracked.not_loading(load.number);
                self.failed(&load, stamp, &fault.into(), took);
            }
        }
    }

    /// Holds what was read against what was ordered, and against what it would replace.
    fn admit(&mut self, load: &Load, ordered: Stamp, warm: &Warm) -> Result<(), LoadFault> {
        let Some(tracked) = self.models.get(&load.model) else { return Ok(()) };
        let model = &tracked.model;
        let seen = model.found.get(&load.number);
        let settled =
            seen.is_some_and(|found| found.stamp == warm.stamp() && found.folder == FolderState::Complete);
        if warm.stamp() != ordered && !settled {
            // It began to change after it was looked at: nobody has judged what was read.
            self.watching.look();
            return Err(LoadFault::Moved);
        }
        let allowed = model.declared.breaking == BreakingPolicy::Allow
            || model.committed.wishes.breaking.contains(&load.number)
            || tracked.pending.iter().any(|pending| pending.allows_breaking(load.number));
        match model.promised(load.number).map(|promised| compare(promised, warm.signature())) {
            Some(Change::Breaking(differences)) if !allowed => Err(LoadFault::Breaking(differences)),
            _ => Ok(()),
        }
    }

    /// Lets a version that passed its gates into the snapshot, unless it is not wanted any more.
    fn arrived(&mut self, load: Load, warm: Warm, took: Duration) {
        let Load { model: name, number, .. } = &load;
        let Some(tracked) = self.models.get_mut(name) else { return };
        let (stamp, digest) = (warm.stamp(), warm.digest().to_owned());
        let asked = tracked.pending.iter().any(|pending| pending.needs.contains(number));
        let kept_out = tracked.model.recognise(*number, stamp, &digest);
        if !asked && (kept_out || !tracked.target.load.contains(number)) {
            return self.discard(Some(warm));
        }
        let before = tracked.model.ready(*number).map(|ready| ready.digest.clone());
        let entry = |what, from, why| Entry {
            what,
            model: Some(name.clone()),
            version: Some(*number),
            from,
            by: "registry".into(),
            why,
            took: Some(took),
            at: SystemTime::now(),
        };
        let from = before.as_ref().map(|_| *number);
        let ready = entry(What::Ready, from, format!("{digest}, batching: {}", warm.findings().batching));
        let is_default = tracked.model.committed.default == Some(*number);
        let written_over = before.filter(|_| is_default).map(|before| {
            let why = if before == digest {
                "its files are the same, its schema or folder was written anew".to_owned()
            } else {
                format!("its folder was written over: {before} -> {digest}")
            };
            entry(What::Swap, from, why)
        });
        // What was committed before a start may be reached again whatever becomes of the journal.
        let promised = from.is_none() && tracked.model.is_reached(*number);
        if is_default {
            tracked.model.committed.signature = Some(warm.signature().clone());
        }
        let committed = tracked.model.committed.clone();
        if promised {
            self.note(ready);
        } else if let Err(refusal) = self.raise(&committed, &ready).and_then(|()| match &written_over {
            Some(swap) => self.raise(&committed, swap),
            None => Ok(()),
        }) {
            self.discard(Some(warm));
            let fault = LoadFault::NotJournalled(refusal.reason);
            return self.failed(&load, stamp, &fault.into(), took);
        }
        if let Some(swap) = &written_over {
            self.count_change(swap);
        }
        self.let_in(load, warm, took);
    }

    fn let_in(&mut self, load: Load, warm: Warm, took: Duration) {
        let (stamp, digest) = (warm.stamp(), warm.digest().to_owned());
        let (signature, schema) = (warm.signature().clone(), warm.schema().map(str::to_owned));
        let watchman = Arc::new(Watchman {
            load: load.clone(),
            sender: self.sender.clone(),
            engines: self.policy.loader.engines.clone(),
            stopping: self.stopping.clone(),
        });
        let version = match warm.start(watchman, &self.ground) {
            Ok(version) => version,
            Err(fault) => return self.failed(&load, stamp, &fault.into(), took),
        };
        let Some(tracked) = self.models.get_mut(&load.model) else { return };
        let engine = version.spec().engine;
        tracing::info!(model = %load.model, version = load.number.get(), engine, took_ms = took.as_millis(), "ready");
        for warning in &version.spec().findings.warnings {
            tracing::warn!(model = %load.model, version = load.number.get(), "{warning}");
        }
        let state = tracked.model.versions.entry(load.number).or_default();
        let incarnation = load.incarnation;
        let before = state.ready.replace(Ready { incarnation, stamp, digest, signature, schema });
        state.failure = None;
        tracked.retired.remove(&load.number);
        if let Some(before) = before {
            let model = load.model.clone();
            tracked.leaving.push(Load { incarnation: before.incarnation, model, number: load.number });
        }
        tracked.versions.insert(load.number, version);
    }

    /// Frees a version that nobody wants, away from this thread.
    fn discard(&self, warm: Option<Warm>) {
        let Some(warm) = warm else { return };
        let engines = self.policy.loader.engines.clone();
        let free = move || {
            priority::lower();
            drop(warm);
            engines.release_memory();
        };
        // Where the system has no thread for that, it is freed here.
        let _ = thread::Builder::new().name("pointsman-free".into()).spawn(free);
    }

    /// Notes a failed try, and when the next one is.
    fn failed(&mut self, load: &Load, stamp: Stamp, failure: &LoadFailure, took: Duration) {
        let attempts_max = self.policy.attempts_max;
        let Some(tracked) = self.models.get_mut(&load.model) else { return };
        let LoadFailure { fault, contents } = failure;
        let contents = contents.map(|contents| contents.to_string());
        if let LoadFault::Quarantined(_) = **fault {
            // The same files as ever, in a folder that was touched: they go on being left alone.
            if let Some(mark) = tracked.model.committed.marks.get_mut(&load.number) {
                mark.stamp = Some(stamp);
            }
            tracked.changed = true;
            return;
        }
        let state = tracked.model.versions.entry(load.number).or_default();
        let before = state.failure.take().filter(|failure| failure.stamp == stamp);
        let (attempts, tries) = before.as_ref().map_or((0, 0), |before| (before.attempts, before.tries));
        let attempts = match &**fault {
            fault if fault.is_transient() => attempts,
            // Its thread is left behind, and another one would be as well.
            LoadFault::TooLong { gate: Gate::Engine, .. } => attempts_max,
            _ => attempts + 1,
        };
        let quarantined = attempts >= attempts_max;
        let delay = RETRY_FIRST.saturating_mul(1 << tries.min(16)).min(RETRY_MAX);
        let retry_at = (!quarantined).then(|| Instant::now() + delay);
        let reason = fault.to_string();
        let again = before.is_some_and(|before| before.gate == fault.gate() && before.attempts == attempts);
        tracing::warn!(model = %load.model, version = load.number.get(), gate = fault.gate().name(), attempts, "not served: {reason}");
        state.failure = Some(Failure {
            stamp,
            attempts,
            tries: tries + 1,
            retry_at,
            gate: fault.gate(),
            reason: reason.clone(),
        });
        tracked.changed = true;
        // A version that serves is not kept out by what was written over it and does not load.
        // What else was said of it counts for longer.
        let other_mark =
            tracked.model.mark(load.number).is_some_and(|mark| mark.kind != MarkKind::Quarantined);
        let ready = tracked.model.ready(load.number).is_some();
        if quarantined && !fault.is_incomplete() && !ready && !other_mark {
            let told = format!(
                "it failed {attempts} times: {reason}; it is left alone until it changes or `pointsman load` asks for it"
            );
            let kind = MarkKind::Quarantined;
            let mark = Mark { kind, stamp: Some(stamp), digest: contents, reason: told };
            tracked.model.committed.marks.insert(load.number, mark);
        }
        let entry = Entry {
            what: What::Refused,
            model: Some(load.model.clone()),
            version: Some(load.number),
            from: None,
            by: "registry".into(),
            why: format!("{}: {reason}", fault.gate()),
            took: Some(took),
            at: SystemTime::now(),
        };
        if quarantined {
            self.lowered(entry);
        } else if !again {
            self.note(entry);
        }
    }

    /// The last worker of a version has ended, and its memory is free.
    pub(super) fn gone(&mut self, load: &Load) {
        let Some(tracked) = self.models.get_mut(&load.model) else { return };
        tracked.leaving.retain(|leaving| leaving != load);
        tracked.changed = true;
        self.metrics.gone();
    }

    /// Forgets what was counted of versions that left long ago.
    pub(super) fn forget_retired(&mut self, now: Instant) {
        for (name, tracked) in &mut self.models {
            tracked.retired.retain(|number, retired| {
                if retired.until > now {
                    return true;
                }
                if !self.ground.metrics.forget(name, *number) {
                    // A request is left that still counts there.
                    retired.until = now + FORGET_RETRY;
                    return true;
                }
                tracked.changed = true;
                false
            });
        }
    }

    /// A version keeps crashing: callers are led back to the one before, where there is one.
    pub(super) fn crashing(&mut self, load: &Load, crashes: u32) {
        tracing::error!(model = %load.model, version = load.number.get(), crashes, "its sessions keep panicking");
        let Some(tracked) = self.models.get(&load.model) else { return };
        let is_current =
            tracked.model.ready(load.number).is_some_and(|ready| ready.incarnation == load.incarnation);
        if is_current && tracked.model.committed.default == Some(load.number) {
            let by = format!("the gateway, as it crashed {crashes} times");
            if tracked.rollout.is_some() {
                let _ = self.turn(&load.model, &Event::Abort, &by, Instant::now());
            }
            self.wish_of_the_gateway(&load.model, Wish::Rollback, by);
        }
    }
}

impl Tracked {
    /// What failed under this number again and again, unless an operator asks for it now.
    fn quarantined(&self, number: VersionNumber) -> Option<Quarantined> {
        let mark = self.model.committed.marks.get(&number)?;
        let asked = self.pending.iter().any(|pending| pending.needs.contains(&number));
        let counts = mark.kind == MarkKind::Quarantined && !asked;
        let contents = mark.digest.clone().filter(|_| counts)?;
        Some(Quarantined { contents, reason: mark.reason.clone() })
    }

    /// A load of this version came to its end, or is not waited for any more.
    fn not_loading(&mut self, number: VersionNumber) {
        self.changed = true;
        self.model.versions.entry(number).or_default().loading = None;
    }
}
