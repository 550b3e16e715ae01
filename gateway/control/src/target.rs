//! What should serve: a function of what is declared, found, wished for and known.

use std::collections::{BTreeMap, BTreeSet};

use pointsman_core::{BreakingPolicy, Signature, VersionNumber};
use pointsman_registry::{Card, FolderState, OnNew, Serve, VersionPolicy, serving};

use crate::committed::{Mark, Override, Served};
use crate::model::Model;
use crate::plans;
use crate::rollout::Standing;
use crate::signature::{Change, compare};

/// What should serve of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The version for callers that name none.
    pub default: Option<VersionNumber>,
    /// Whose word that is.
    pub why: String,
    /// What each alias should stand for.
    pub aliases: BTreeMap<String, VersionNumber>,
    /// The versions that should be loaded.
    pub load: BTreeSet<VersionNumber>,
    /// Versions that are there and wait, each with the reason.
    pub held: BTreeMap<VersionNumber, String>,
    /// Versions that an operator asks for at this moment.
    pub asked: BTreeSet<VersionNumber>,
}

impl Target {
    /// Lets a version wait for somebody's word, loaded: that it waits is known by what it was loaded as.
    fn hold_loaded(&mut self, version: VersionNumber, reason: String) {
        self.held.insert(version, reason);
        self.load.insert(version);
    }
}

/// What should serve. `asked` are versions that an operator names at this moment: they need not look
/// settled, as somebody vouches for them.
#[must_use]
pub fn target(model: &Model, asked: &BTreeSet<VersionNumber>) -> Target {
    let wishes = &model.committed.wishes;
    let mut target = Target { asked: asked.clone(), ..Target::default() };
    let there = there(model, asked, &mut target);
    target.load.extend(asked.intersection(&there));
    if model.tombstone {
        target.why = "it has a tombstone in the registry".into();
        return target;
    }
    if wishes.unloaded {
        target.why = "it was unloaded; `pointsman load` brings it back".into();
        return target;
    }
    if wishes.frozen {
        target.why = "frozen".into();
        let stands = |version: &VersionNumber| !model.is_withdrawn(*version);
        let default = model.committed.default.filter(stands);
        target.default = default.or_else(|| stand_in(model, &model.committed.marks));
        target.aliases.clone_from(&model.committed.aliases);
        let stays =
            |version: &&VersionNumber| model.is_reached(**version) || model.ready(**version).is_some();
        target.load.extend(there.iter().filter(stays));
        return target;
    }
    let candidates: Vec<VersionNumber> =
        there.iter().copied().filter(|version| is_candidate(model, *version, &mut target)).collect();
    let (default, why) = match taking_over(model, &there) {
        Some((current, standing)) => {
            if let Some(version) = arrivals(model, standing, &candidates) {
                let reason = format!("it waits for rollout {}", standing.id);
                target.hold_loaded(version, reason);
            }
            target.load.extend(there.get(&standing.candidate));
            let why = format!("rollout {} of version {} is under way", standing.id, standing.candidate);
            (Some(current), why)
        }
        None => default(model, &there, &candidates, &mut target),
    };
    (target.default, target.why) = (default, why);
    target.aliases = aliases(model, &there, &mut target);

    // The version is decided: what else is to be loaded follows from the rest of the card.
    let serve = target.default.map(Serve::Number);
    let card = Card {
        serve: serve.or(Some(Serve::Latest)),
        aliases: BTreeMap::new(),
        ..model.declared.card.clone()
    };
    let numbers: Vec<VersionNumber> = there.iter().copied().collect();
    let policy = model.declared.config.as_ref();
    let declared = serving(&card, policy, &numbers);
    if target.default.is_some() || !candidates.is_empty() {
        target.load.extend(declared.load);
    }
    target.load.extend(target.aliases.values().filter(|version| there.contains(version)));
    target.load.extend(plans::named(model).intersection(&there));
    target.load.extend(wishes.load.intersection(&there));
    // Until the version that should serve is ready, the one that did keeps serving, also over a restart.
    let reached = model.committed.default.into_iter().chain(model.committed.aliases.values().copied());
    let waiting = target.default.is_none_or(|version| model.ready(version).is_none());
    target.load.extend(reached.filter(|version| waiting && there.contains(version)));
    target
}

/// The version that serves while another one takes over, and how that stands.
fn taking_over<'m>(
    model: &'m Model,
    there: &BTreeSet<VersionNumber>,
) -> Option<(VersionNumber, &'m Standing)> {
    let standing = model.rollout.as_ref()?;
    let current = model.committed.default.filter(|version| there.contains(version));
    // Where that one is withdrawn, one that served before it stands in: nobody knows enough of the candidate yet.
    let stands = |version: &&VersionNumber| {
        there.contains(version) && **version != standing.candidate && model.mark(**version).is_none()
    };
    let current = current.or_else(|| model.committed.history.iter().rev().find(stands).copied())?;
    Some((current, standing))
}

/// The newest version that came since a rollout began, where new versions come by themselves.
pub(crate) fn arrivals(
    model: &Model,
    standing: &Standing,
    candidates: &[VersionNumber],
) -> Option<VersionNumber> {
    let newest = candidates.iter().copied().max().filter(|version| *version > standing.newest);
    newest.filter(|_| follows_latest(model))
}

/// The versions that can be loaded or are: complete, or in the snapshot, or asked for.
fn there(model: &Model, asked: &BTreeSet<VersionNumber>, target: &mut Target) -> BTreeSet<VersionNumber> {
    let ready = model.versions.iter().filter(|(_, state)| state.ready.is_some()).map(|(version, _)| *version);
    let mut there: BTreeSet<VersionNumber> = ready.collect();
    for (version, found) in &model.found {
        match &found.folder {
            FolderState::Unsettled { reason } if !asked.contains(version) && !there.contains(version) => {
                target.held.insert(*version, reason.clone());
            }
            _ => {
                there.insert(*version);
            }
        }
    }
    there.retain(|version| {
        let mark = model.mark(*version).filter(|mark| mark.kind.keeps_out() && !asked.contains(version));
        if let Some(mark) = mark {
            target.held.insert(*version, mark.reason.clone());
        } else if model.has_tombstone(*version) {
            target.held.insert(*version, "it has a tombstone in the registry".into());
        } else {
            return true;
        }
        false
    });
    there
}

/// Whether `latest` may mean this version.
fn is_candidate(model: &Model, version: VersionNumber, target: &mut Target) -> bool {
    if let Some(mark) = model.mark(version) {
        target.held.insert(version, mark.reason.clone());
        return false;
    }
    // A failed reload of a version that serves changes nothing for it.
    model.ready(version).is_some() || model.failure(version).is_none()
}

/// The version for callers that name none, and whose word that is.
fn default(
    model: &Model,
    there: &BTreeSet<VersionNumber>,
    candidates: &[VersionNumber],
    target: &mut Target,
) -> (Option<VersionNumber>, String) {
    let current = model.committed.default.filter(|version| there.contains(version));
    let declared = model.declared.serve();
    // A word for a version that was withdrawn since says nothing.
    let stands = |version: &VersionNumber| !model.is_withdrawn(*version) || target.asked.contains(version);
    if let Some(pinned) = model.committed.wishes.pinned.filter(stands) {
        return (Some(pinned), format!("pinned over serve = {declared}"));
    }
    if let Some(Override { value, by, .. }) = model.serve_override() {
        match *value {
            Served::Version(version) if stands(&version) => {
                return (Some(version), format!("promoted by {by} over serve = {declared}"));
            }
            Served::RolledBack { to, from, above } if stands(&to) => {
                // What is marked is no candidate: the one that was left is again once it is another.
                let newer = candidates.iter().copied().filter(|v| *v > above || *v == from);
                return match newer.max().filter(|_| follows_latest(model)) {
                    Some(version) => passes(model, version, current, target, &declared),
                    None => (Some(to), format!("rolled back by {by} over serve = {declared}")),
                };
            }
            Served::Version(_) | Served::RolledBack { .. } => {}
        }
    }
    match &model.declared.card.serve {
        Some(Serve::Number(number)) if stands(number) => passes(model, *number, current, target, &declared),
        Some(Serve::Number(_)) => (current, format!("serve = {declared} was withdrawn")),
        Some(Serve::Alias(alias)) => match model.aliases().get(alias).copied().filter(stands) {
            Some(version) => passes(model, version, current, target, &declared),
            None => (current, format!("serve = {declared} stands for no version")),
        },
        Some(Serve::Latest) | None => latest(model, there, candidates, current, target),
    }
}

/// The version that may serve while the one that should is not ready: the last default that is loaded
/// and has no mark.
#[must_use]
pub(crate) fn stand_in(model: &Model, marks: &BTreeMap<VersionNumber, Mark>) -> Option<VersionNumber> {
    let usable = |version: &&VersionNumber| {
        model.ready(**version).is_some() && !marks.contains_key(version) && !model.has_tombstone(**version)
    };
    model.committed.history.iter().rev().find(usable).copied()
}

/// Whether new versions take over by themselves.
fn follows_latest(model: &Model) -> bool {
    matches!(model.declared.card.serve, None | Some(Serve::Latest))
        && model.declared.card.on_new() == OnNew::Serve
}

fn latest(
    model: &Model,
    there: &BTreeSet<VersionNumber>,
    candidates: &[VersionNumber],
    current: Option<VersionNumber>,
    target: &mut Target,
) -> (Option<VersionNumber>, String) {
    let specific = match model.declared.config.as_ref().and_then(|config| config.policy.as_ref()) {
        Some(VersionPolicy::Specific(numbers))
            if model.declared.card.serve.is_none() && model.declared.card.load.is_none() =>
        {
            Some(numbers)
        }
        _ => None,
    };
    let mut eligible: Vec<VersionNumber> = candidates
        .iter()
        .copied()
        .filter(|version| specific.is_none_or(|numbers| numbers.contains(version)))
        .collect();
    // Where the one that served is gone, one that served before it takes no promotion.
    let served =
        || model.committed.history.iter().rev().find(|version| candidates.contains(version)).copied();
    if let Some(current) = current.or_else(served).filter(|_| !follows_latest(model)) {
        for version in eligible.iter().filter(|version| **version > current) {
            let promote = "`pointsman promote` lets it serve";
            target
                .held
                .entry(*version)
                .or_insert_with(|| format!("it waits, as on_new = \"hold\"; {promote}"));
        }
        return (Some(current), "on_new = \"hold\"".into());
    }
    let breaks = |version: &VersionNumber| breaks_default(model, *version);
    eligible.retain(|version| match breaks(version) {
        Some(reason) => {
            target.hold_loaded(*version, reason);
            false
        }
        None => true,
    });
    // With nothing better there, what serves goes on serving.
    let latest = eligible.into_iter().max().or(current);
    // What would be later and failed to load is tried again.
    let failed = |version: &VersionNumber| {
        model.failure(*version).is_some() && model.mark(*version).is_none() && Some(*version) > latest
    };
    target.load.extend(there.iter().copied().filter(failed));
    (latest, "serve = latest".into())
}

/// A declared version, unless callers of the current one would break.
fn passes(
    model: &Model,
    version: VersionNumber,
    current: Option<VersionNumber>,
    target: &mut Target,
    declared: &str,
) -> (Option<VersionNumber>, String) {
    match breaks_default(model, version) {
        Some(reason) => {
            target.hold_loaded(version, reason);
            (current, format!("serve = {declared} would break callers"))
        }
        None => (Some(version), format!("serve = {declared}")),
    }
}

/// What each alias should stand for: where its callers would break, what it stands for now.
fn aliases(
    model: &Model,
    there: &BTreeSet<VersionNumber>,
    target: &mut Target,
) -> BTreeMap<String, VersionNumber> {
    let mut aliases = BTreeMap::new();
    for (alias, version) in model.aliases() {
        let current = model.committed.aliases.get(&alias).copied();
        let declared = model.alias_override(&alias).is_none();
        // After a start, what it stood for comes first: what is new is held against it.
        let comes = |current: &VersionNumber| {
            there.contains(current) && model.ready(*current).is_none() && model.failure(*current).is_none()
        };
        if declared && let Some(current) = current.filter(|current| *current != version).filter(comes) {
            aliases.insert(alias, current);
            continue;
        }
        let version = match breaks_alias(model, version, current).filter(|_| declared) {
            Some(reason) => {
                target.hold_loaded(version, format!("alias {alias}: {reason}"));
                current
            }
            None => Some(version).filter(|version| there.contains(version)).or(current),
        };
        aliases.extend(version.map(|version| (alias, version)));
    }
    aliases
}

/// Why callers that name no version would break on this one; nothing where they would not, where that cannot be known
/// yet, or where it was allowed. Where nothing serves, they are still those of what did.
#[must_use]
pub(crate) fn breaks_default(model: &Model, version: VersionNumber) -> Option<String> {
    let default = model.committed.default;
    let promised = default.map_or(model.committed.signature.as_ref(), |default| model.promised(default));
    breaking(model, version, default, promised?)
}

/// As [`breaks_default`], for the callers of an alias that stands for `current`.
#[must_use]
pub(crate) fn breaks_alias(
    model: &Model,
    version: VersionNumber,
    current: Option<VersionNumber>,
) -> Option<String> {
    breaking(model, version, current, model.promised(current?)?)
}

fn breaking(
    model: &Model,
    version: VersionNumber,
    current: Option<VersionNumber>,
    promised: &Signature,
) -> Option<String> {
    let allowed = model.declared.breaking == BreakingPolicy::Allow
        || model.committed.wishes.breaking.contains(&version);
    let whose = current.map_or_else(|| "what served".into(), |current| format!("version {current}"));
    match compare(promised, &model.ready(version)?.signature) {
        Change::Breaking(differences) if !allowed => Some(format!(
            "it would break callers of {whose}: {}; allow it with `pointsman promote --allow-breaking` or \
             breaking = \"allow\" in the card",
            differences.join(", ")
        )),
        _ => None,
    }
}
