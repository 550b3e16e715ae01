//! What to do next, one step at a time: a function of what is and what should be.

use std::time::Instant;

use pointsman_core::VersionNumber;
use pointsman_registry::FolderState;

use crate::model::Model;
use crate::target::Target;

/// The next step for one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a version that is ready the default; nothing where none is to be.
    Serve(Option<VersionNumber>),
    /// Let an alias stand for a version that is ready, or take it away.
    Alias(String, Option<VersionNumber>),
    /// Take a version out of the snapshot.
    Unload(VersionNumber),
    /// Bring a version up.
    Load(VersionNumber),
    /// Nothing before this moment, or before something happens.
    Wait(Option<Instant>),
}

/// What may be done at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct May {
    /// Another load may begin.
    pub load: bool,
    /// More may be exposed: the journal can be written.
    pub raise: bool,
}

/// What to do next for a model. Availability comes first: what serves is let go only when what is to
/// follow is ready, or when somebody said so. Among the rest, memory is given back before more is taken.
#[must_use]
pub fn next_action(model: &Model, target: &Target, now: Instant, may: May) -> Action {
    let committed = &model.committed;
    let is_ready = |version: VersionNumber| model.ready(version).is_some();
    // After a start, what was committed comes first: what is new is held against it.
    let comes = |version: VersionNumber| {
        !is_ready(version) && needs_load_or_loads(model, target, version) && model.failure(version).is_none()
    };
    let may = May { raise: may.raise && !committed.default.is_some_and(comes), ..may };
    let may_serve = may.raise || model.leads_back(target.default);
    if may_serve && target.default != committed.default && target.default.is_some_and(is_ready) {
        return Action::Serve(target.default);
    }
    for (alias, version) in &target.aliases {
        if may.raise && committed.aliases.get(alias) != Some(version) && is_ready(*version) {
            return Action::Alias(alias.clone(), Some(*version));
        }
    }
    let gone = |alias: &&String| !target.aliases.contains_key(*alias);
    if let Some(alias) = committed.aliases.keys().find(gone) {
        return Action::Alias(alias.clone(), None);
    }
    let ready = || model.versions.iter().filter(|(_, state)| state.ready.is_some());
    for (&version, state) in ready() {
        // What somebody asks for at this moment waits, loaded, for the rest of what is asked for.
        if model.is_withdrawn(version) && !target.asked.contains(&version) {
            if committed.default == Some(version) {
                return Action::Serve(None);
            }
            return Action::Unload(version);
        }
        let wanted = target.load.contains(&version) || model.is_reached(version);
        let kept = state.kept_until.is_some_and(|until| until > now);
        if !wanted && !kept && state.loading.is_none() {
            return Action::Unload(version);
        }
    }
    if may.load
        && let Some(version) = to_load(model, target, now)
    {
        return Action::Load(version);
    }
    Action::Wait(wake_at(model, target, now))
}

/// The most urgent version that is to be loaded: first what callers were promised, then what should
/// serve, then the rest from the highest down.
fn to_load(model: &Model, target: &Target, now: Instant) -> Option<VersionNumber> {
    let due =
        |version: &VersionNumber| needs_load(model, target, *version) && !is_put_off(model, *version, now);
    let urgency = |version: &VersionNumber| {
        let unserved = model.ready(*version).is_none();
        let promised = unserved && model.is_reached(*version);
        (promised, Some(*version) == target.default, *version)
    };
    target.load.iter().copied().filter(due).max_by_key(urgency)
}

/// Whether the version is wanted, and on its way or about to be.
fn needs_load_or_loads(model: &Model, target: &Target, version: VersionNumber) -> bool {
    let loads = model.versions.get(&version).is_some_and(|state| state.loading.is_some());
    target.load.contains(&version) && (loads || needs_load(model, target, version))
}

/// Whether the version is not loaded, or its folder now holds something else that is to take its place, or its schema
/// was edited.
fn needs_load(model: &Model, target: &Target, version: VersionNumber) -> bool {
    let Some(found) = model.found.get(&version) else { return false };
    if found.folder == FolderState::Tombstone {
        return false;
    }
    let state = model.versions.get(&version);
    if state.is_some_and(|state| state.loading.is_some()) {
        return false;
    }
    match state.and_then(|state| state.ready.as_ref()) {
        Some(ready) if ready.stamp == found.stamp => {
            found.folder == FolderState::Complete && model.takes_schema(version)
        }
        Some(_) => {
            let by_itself = found.folder == FolderState::Complete && model.takes_overwritten(version);
            by_itself || target.asked.contains(&version)
        }
        None => true,
    }
}

/// Whether an earlier failure says to wait.
fn is_put_off(model: &Model, version: VersionNumber, now: Instant) -> bool {
    model.failure(version).is_some_and(|failure| failure.retry_at.is_none_or(|at| at > now))
}

/// When something becomes due by itself.
fn wake_at(model: &Model, target: &Target, now: Instant) -> Option<Instant> {
    let retries = target.load.iter().filter_map(|version| model.failure(*version)?.retry_at);
    let kept = model.versions.values().filter(|state| state.ready.is_some()).filter_map(|s| s.kept_until);
    retries.chain(kept).filter(|at| *at > now).min()
}
