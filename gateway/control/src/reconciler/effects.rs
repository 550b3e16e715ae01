//! What the reconciler does: every change of what serves, with its entry in the journal.
//!
//! What raises exposure is written before it takes effect. What lowers it takes effect first and is
//! written next; while that is owed, nothing is raised.

use std::time::{Instant, SystemTime};

use pointsman_core::{Code, ModelName, VersionNumber};

use super::{JOURNAL_RETRY, RETIRED_KEPT, Reconciler, Retired, Tracked};
use crate::action::Action;
use crate::committed::Committed;
use crate::event::Load;
#[cfg(debug_assertions)]
use crate::fault::Side;
use crate::grant::Refusal;
use crate::journal::{Entry, JournalError, Step, What};

/// The most entries that are owed; past it one gives way to a later one, and what is committed is kept.
const OWED_MAX: usize = 1000;

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        Self { code: Code::NotJournalled, reason: error.to_string() }
    }
}

impl Reconciler {
    /// Does one step; says whether anything came of it.
    pub(super) fn perform(&mut self, name: &ModelName, action: Action, now: Instant) -> bool {
        match action {
            Action::Wait(_) => false,
            Action::Load(number) => self.order(name, number),
            Action::Unload(number) => self.unload(name, number),
            Action::Serve(to) => self.serve(name, to, now),
            Action::Alias(alias, to) => self.stand_for(name, &alias, to, now),
        }
    }

    /// Makes another version the default, as card, configuration or registry say.
    fn serve(&mut self, name: &ModelName, to: Option<VersionNumber>, now: Instant) -> bool {
        let Some(tracked) = self.models.get(name) else { return false };
        let from = tracked.model.committed.default;
        let mut new = tracked.model.committed.clone();
        new.serve(to);
        let lowers = tracked.model.leads_back(to);
        let withdrawn = from.filter(|from| lowers && tracked.model.is_withdrawn(*from));
        let why = tracked.target.why.clone();
        let why = withdrawn.map_or(why.clone(), |from| format!("version {from} was withdrawn; {why}"));
        let entry = Entry {
            what: What::Swap,
            model: Some(name.clone()),
            version: to,
            from,
            by: "registry".into(),
            why,
            took: None,
            at: SystemTime::now(),
        };
        self.change(name, new, entry, lowers, now).is_ok()
    }

    fn stand_for(&mut self, name: &ModelName, alias: &str, to: Option<VersionNumber>, now: Instant) -> bool {
        let Some(tracked) = self.models.get(name) else { return false };
        let mut new = tracked.model.committed.clone();
        let from = match to {
            Some(to) => new.aliases.insert(alias.to_owned(), to),
            None => new.aliases.remove(alias),
        };
        let entry = Entry {
            what: What::Alias,
            model: Some(name.clone()),
            version: to,
            from,
            by: "registry".into(),
            why: format!("alias {alias}"),
            took: None,
            at: SystemTime::now(),
        };
        self.change(name, new, entry, to.is_none(), now).is_ok()
    }

    /// Lets `new` be what is committed of a model, in the order that the change calls for.
    pub(super) fn change(
        &mut self,
        name: &ModelName,
        mut new: Committed,
        mut entry: Entry,
        lowers: bool,
        now: Instant,
    ) -> Result<(), Refusal> {
        if let Some(tracked) = self.models.get(name) {
            tracked.model.promise(&mut new);
        }
        if lowers {
            self.apply(name, new, now);
            self.publish();
            entry.took.get_or_insert_with(|| now.elapsed());
            self.count_change(&entry);
            self.lowered(entry);
            return Ok(());
        }
        entry.took.get_or_insert_with(|| now.elapsed());
        self.raise(&new, &entry)?;
        self.count_change(&entry);
        self.apply(name, new, now);
        self.publish();
        Ok(())
    }

    /// Lets `new` count in memory.
    pub(super) fn apply(&mut self, name: &ModelName, new: Committed, now: Instant) {
        let previous_kept = self.policy.previous_kept;
        let Some(tracked) = self.models.get_mut(name) else { return };
        let old = std::mem::replace(&mut tracked.model.committed, new);
        tracked.changed = true;
        let new = &tracked.model.committed;
        if old.default == new.default {
            return;
        }
        #[cfg(debug_assertions)]
        if self.fault.loses_requests {
            self.published.withdraw_for_a_moment(crate::fault::GAP);
        }
        tracing::info!(model = %name, from = old.default.map(VersionNumber::get), to = new.default.map(VersionNumber::get), "swapped");
        // The version before stays for a rollback; one that was left for a reason does not.
        let keep = old.default.filter(|old| new.history.last() == Some(old) && !new.marks.contains_key(old));
        for (number, state) in &mut tracked.model.versions {
            state.kept_until = (Some(*number) == keep).then(|| now + previous_kept);
        }
    }

    pub(super) fn count_change(&mut self, entry: &Entry) {
        if let Some(model) = &entry.model {
            self.metrics.changed(model, entry.what);
        }
    }

    /// Takes a version out of the snapshot. Its workers answer what is queued, then free their sessions.
    fn unload(&mut self, name: &ModelName, number: VersionNumber) -> bool {
        let Some(tracked) = self.models.get_mut(name) else { return false };
        #[cfg(debug_assertions)]
        if let Some(version) = tracked.versions.get(&number) {
            self.fault.keep(version);
        }
        tracked.take_out(name, number);
        let why = if tracked.model.is_withdrawn(number) {
            "it was withdrawn"
        } else {
            "nothing asks for it any more"
        };
        let entry = Entry {
            what: What::Unload,
            model: Some(name.clone()),
            version: Some(number),
            from: None,
            by: "gateway".into(),
            why: why.into(),
            took: None,
            at: SystemTime::now(),
        };
        tracing::info!(model = %name, version = number.get(), "unloaded: {why}");
        self.publish();
        self.lowered(entry);
        true
    }

    /// Writes what is to be raised. Nothing may follow from it where this fails.
    pub(super) fn raise(&mut self, committed: &Committed, entry: &Entry) -> Result<(), Refusal> {
        self.may_raise()?;
        self.write(Some(committed), Some(entry), None)
    }

    fn may_raise(&self) -> Result<(), Refusal> {
        if self.owed.is_empty() && self.journal_rests_until.is_none() {
            return Ok(());
        }
        let reason = "the journal could not be written a moment ago; nothing is raised before it can";
        Err(Refusal { code: Code::NotJournalled, reason: reason.into() })
    }

    /// Writes what has taken effect, now or as soon as it can be.
    pub(super) fn lowered(&mut self, entry: Entry) {
        self.lowered_with(Owed { entry: Some(entry), step: None });
    }

    /// As [`Reconciler::lowered`], of a rollout.
    pub(super) fn lowered_step(&mut self, step: Step, entry: Option<Entry>) {
        self.lowered_with(Owed { entry, step: Some(step) });
    }

    fn lowered_with(&mut self, owed: Owed) {
        if !self.owed.is_empty() || self.write_one(&owed).is_err() {
            // Past the limit entries are lost, and never the last of a model: it brings what is committed. Of a rollout
            // there is one at most.
            let is_of_same = |other: &Owed| other.step.is_none() && other.model() == owed.model();
            if self.owed.len() >= OWED_MAX
                && let Some(same) = self.owed.iter().position(is_of_same)
            {
                self.owed.remove(same);
            }
            self.owed.push_back(owed);
            self.metrics.owed(self.owed.len());
        }
    }

    /// Writes what is to be raised by a rollout, or comes of one. Nothing may follow from it where this fails.
    pub(super) fn raise_step(
        &mut self,
        step: &Step,
        committed: Option<&Committed>,
        entry: Option<&Entry>,
    ) -> Result<(), Refusal> {
        self.may_raise()?;
        self.write(committed, entry, Some(step))
    }

    fn write_one(&mut self, owed: &Owed) -> Result<(), Refusal> {
        let committed = owed.model().and_then(|name| self.committed(name));
        self.write(committed.as_ref(), owed.entry.as_ref(), owed.step.as_ref())
    }

    /// What is committed of a model, whether the registry shows it or not.
    fn committed(&self, name: &ModelName) -> Option<Committed> {
        let tracked = self.models.get(name).map(|tracked| &tracked.model.committed);
        tracked.or_else(|| self.unseen.get(name)).cloned()
    }

    /// Writes what is only to be known; it is lost where the journal cannot be written.
    pub(super) fn note(&mut self, entry: Entry) {
        if self.journal_rests_until.is_none() {
            let _ = self.write(None, Some(&entry), None);
        }
    }

    fn write(
        &mut self,
        committed: Option<&Committed>,
        entry: Option<&Entry>,
        step: Option<&Step>,
    ) -> Result<(), Refusal> {
        #[cfg(debug_assertions)]
        self.fault.die(Side::Before, entry);
        let written = match (step, entry) {
            (Some(step), entry) => self.journal.commit_rollout(step, committed, entry),
            (None, Some(entry)) => self.journal.commit(committed, entry),
            (None, None) => Ok(()),
        };
        #[cfg(debug_assertions)]
        self.fault.die(Side::After, entry);
        // That took its core for some tenths of a millisecond, and requests that came meanwhile wait for it.
        std::thread::yield_now();
        written.map_err(|error| {
            tracing::error!("{error}; until it can be written nothing is raised");
            self.metrics.journal_failed();
            self.journal_rests_until = Some(Instant::now() + JOURNAL_RETRY);
            error.into()
        })
    }

    /// Writes what was measured since the last time; it is measured again where that fails.
    pub(super) fn write_profiles(&mut self) {
        let profiles = self.profiles.take_unwritten();
        if !profiles.is_empty()
            && let Err(error) = self.journal.write_profiles(&profiles)
        {
            tracing::warn!("what was measured cannot be kept: {error}");
        }
    }

    /// Tries again to write what is owed.
    pub(super) fn write_owed(&mut self, now: Instant) {
        if self.journal_rests_until.is_some_and(|until| until > now) {
            return;
        }
        self.journal_rests_until = None;
        while let Some(owed) = self.owed.pop_front() {
            if self.write_one(&owed).is_err() {
                self.owed.push_front(owed);
                break;
            }
        }
        self.metrics.owed(self.owed.len());
    }
}

/// What took effect and is not written yet.
pub(super) struct Owed {
    entry: Option<Entry>,
    /// Where it came of a rollout.
    step: Option<Step>,
}

impl Owed {
    fn model(&self) -> Option<&ModelName> {
        self.entry.as_ref()?.model.as_ref()
    }
}

impl Tracked {
    fn take_out(&mut self, name: &ModelName, number: VersionNumber) {
        if let Some(version) = self.versions.remove(&number) {
            let until = Instant::now() + RETIRED_KEPT;
            self.retired.insert(number, Retired { record: version.record().clone(), until });
        }
        self.changed = true;
        let state = self.model.versions.entry(number).or_default();
        state.kept_until = None;
        if let Some(ready) = state.ready.take() {
            self.leaving.push(Load { model: name.clone(), number, incarnation: ready.incarnation });
        }
    }
}
