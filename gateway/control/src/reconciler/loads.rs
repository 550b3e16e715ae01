//! Loads: from the order to a version in the snapshot, or to a failure and the next try.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use pointsman_core::{BreakingPolicy, ModelName, VersionNumber};
use pointsman_registry::{FolderState, Stamp};

use super::Reconciler;
use crate::committed::MarkKind;
use crate::event::{Load, Loaded, Watchman};
use crate::grant::mark;
use crate::journal::{Entry, What};
use crate::loader::{Beside, LoadFault, LoadJob, Warm};
use crate::loading::Order;
use crate::model::{Failure, Ready};
use crate::signature::{Change, compare};
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
        let beside = serving.map(|version| Beside { run_time: version.spec().findings.run_time });
        let job = LoadJob {
            model: name.clone(),
            number,
            settings: tracked.model.declared.settings.clone(),
            bytes: found.bytes,
            beside,
        };
        let load = Load { model: name.clone(), number, incarnation };
        tracked.model.versions.entry(number).or_default().loading = Some(stamp);
        tracked.changed = true;
        self.loading.begin(Order { load, stamp, job, loader: self.policy.loader.clone() });
        true
    }

    pub(super) fn loaded(&mut self, loaded: Loaded) {
        self.loading.ended();
        let Loaded { load, stamp, result, took } = loaded;
        let Some(tracked) = self.models.get_mut(&load.model) else { return };
        tracked.changed = true;
        tracked.model.versions.entry(load.number).or_default().loading = None;
        let gate = result.as_ref().err().map(LoadFault::gate);
        self.metrics.loaded(&load.model, gate, took);
        match result {
            Ok(warm) => match self.admit(&load, stamp, &warm) {
                Ok(()) => self.arrived(load, warm, took),
                Err(fault) => self.failed(&load, stamp, &fault, took),
            },
            Err(fault) => self.failed(&load, stamp, &fault, took),
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
            || model.committed.wishes.breaking.contains(&load.number);
        match model.ready(load.number).map(|ready| compare(&ready.signature, warm.signature())) {
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
        if tracked.model.recognise(*number, stamp, &digest) && !asked {
            return;
        }
        if !tracked.target.load.contains(number) && !asked {
            return;
        }
        let from = tracked.model.ready(*number).map(|_| *number);
        let why = format!("{digest}, batching: {}", warm.findings().batching);
        let entry = Entry {
            what: What::Ready,
            model: Some(name.clone()),
            version: Some(*number),
            from,
            by: "registry".into(),
            why,
            took: Some(took),
            at: SystemTime::now(),
        };
        // What was committed before a start may be reached again whatever becomes of the journal.
        let promised = from.is_none() && tracked.model.is_reached(*number);
        let committed = tracked.model.committed.clone();
        if promised {
            self.note(entry);
        } else if let Err(refusal) = self.raise(&committed, &entry) {
            let fault = LoadFault::NotJournalled(refusal.reason);
            return self.failed(&load, stamp, &fault, took);
        }
        self.let_in(load, warm, took);
    }

    fn let_in(&mut self, load: Load, warm: Warm, took: Duration) {
        let (stamp, digest) = (warm.stamp(), warm.digest().to_owned());
        let signature = warm.signature().clone();
        let watchman = Arc::new(Watchman { load: load.clone(), sender: self.sender.clone() });
        let version = match warm.start(watchman, &self.predict_metrics) {
            Ok(version) => version,
            Err(fault) => return self.failed(&load, stamp, &fault, took),
        };
        let Some(tracked) = self.models.get_mut(&load.model) else { return };
        let engine = version.spec().engine;
        tracing::info!(model = %load.model, version = load.number.get(), engine, took_ms = took.as_millis(), "ready");
        for warning in &version.spec().findings.warnings {
            tracing::warn!(model = %load.model, version = load.number.get(), "{warning}");
        }
        let state = tracked.model.versions.entry(load.number).or_default();
        let before = state.ready.replace(Ready { incarnation: load.incarnation, stamp, digest, signature });
        state.failure = None;
        tracked.retired.remove(&load.number);
        if let Some(before) = before {
            let model = load.model.clone();
            tracked.leaving.push(Load { incarnation: before.incarnation, model, number: load.number });
        }
        tracked.versions.insert(load.number, version);
    }

    /// Notes a failed try, and when the next one is.
    fn failed(&mut self, load: &Load, stamp: Stamp, fault: &LoadFault, took: Duration) {
        let attempts_max = self.policy.attempts_max;
        let Some(tracked) = self.models.get_mut(&load.model) else { return };
        let state = tracked.model.versions.entry(load.number).or_default();
        let before = state.failure.take().filter(|failure| failure.stamp == stamp);
        let (attempts, tries) = before.as_ref().map_or((0, 0), |before| (before.attempts, before.tries));
        let attempts = if fault.is_transient() { attempts } else { attempts + 1 };
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
        if quarantined && !fault.is_incomplete() {
            let told = format!(
                "it failed {attempts} times: {reason}; it is left alone until it changes or `pointsman load` asks for it"
            );
            let mut mark = mark(&tracked.model, load.number, MarkKind::Quarantined, told);
            mark.stamp = Some(stamp);
            // A version that serves is not kept out by what was written over it and does not load.
            if tracked.model.ready(load.number).is_none() {
                tracked.model.committed.marks.insert(load.number, mark);
            }
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

    /// The last worker of a version has ended: its memory goes back to the system.
    pub(super) fn gone(&mut self, load: &Load) {
        self.policy.loader.engines.release_memory();
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
                if !self.predict_metrics.forget(name, *number) {
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
            self.wish_of_the_gateway(&load.model, Wish::Rollback, by);
        }
    }
}
