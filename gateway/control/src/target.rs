//! What should serve: a function of what is declared, found, wished for and known.

use std::collections::{BTreeMap, BTreeSet};

use pointsman_core::{BreakingPolicy, VersionNumber};
use pointsman_registry::{Card, FolderState, OnNew, Serve, VersionPolicy, serving};

use crate::committed::Served;
use crate::model::Model;
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

/// What should serve. `asked` are versions that an operator names at this moment: they need not look
/// settled, as somebody vouches for them.
#[must_use]
pub fn target(model: &Model, asked: &BTreeSet<VersionNumber>) -> Target {
    let wishes = &model.committed.wishes;
    if model.tombstone {
        return Target { why: "it has a tombstone in the registry".into(), ..Target::default() };
    }
    if wishes.unloaded {
        return Target {
            why: "it was unloaded; `pointsman load` brings it back".into(),
            ..Target::default()
        };
    }
    let mut target = Target { asked: asked.clone(), ..Target::default() };
    let there = there(model, asked, &mut target.held);
    if wishes.frozen {
        target.why = "frozen".into();
        target.default = model.committed.default;
        target.aliases.clone_from(&model.committed.aliases);
        target.load.extend(there.iter().filter(|version| {
            model.is_reached(**version) || model.ready(**version).is_some() || asked.contains(version)
        }));
        return target;
    }
    let candidates: Vec<VersionNumber> =
        there.iter().copied().filter(|version| is_candidate(model, *version, &mut target.held)).collect();
    let (default, why) = default(model, &there, &candidates, &mut target.held);
    (target.default, target.why) = (default, why);
    target.aliases = aliases(model, &there, &mut target.held);

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
    target.load.extend(target.aliases.values());
    target.load.extend(wishes.load.iter().chain(asked).filter(|version| there.contains(version)));
    // Until the version that should serve is ready, the one that did keeps serving, also over a restart.
    let reached = model.committed.default.into_iter().chain(model.committed.aliases.values().copied());
    let waiting = target.default.is_none_or(|version| model.ready(version).is_none());
    target.load.extend(reached.filter(|version| waiting && there.contains(version)));
    target
}

/// The versions that can be loaded or are: complete, or in the snapshot, or asked for.
fn there(
    model: &Model,
    asked: &BTreeSet<VersionNumber>,
    held: &mut BTreeMap<VersionNumber, String>,
) -> BTreeSet<VersionNumber> {
    let ready = model.versions.iter().filter(|(_, state)| state.ready.is_some()).map(|(version, _)| *version);
    let mut there: BTreeSet<VersionNumber> = ready.collect();
    for (version, found) in &model.found {
        match &found.folder {
            FolderState::Unsettled { reason } if !asked.contains(version) && !there.contains(version) => {
                held.insert(*version, reason.clone());
            }
            _ => {
                there.insert(*version);
            }
        }
    }
    there.retain(|version| {
        let mark = model.mark(*version).filter(|mark| mark.kind.keeps_out() && !asked.contains(version));
        if let Some(mark) = mark {
            held.insert(*version, mark.reason.clone());
        } else if model.has_tombstone(*version) {
            held.insert(*version, "it has a tombstone in the registry".into());
        } else {
            return true;
        }
        false
    });
    there
}

/// Whether `latest` may mean this version.
fn is_candidate(model: &Model, version: VersionNumber, held: &mut BTreeMap<VersionNumber, String>) -> bool {
    if let Some(mark) = model.mark(version) {
        held.insert(version, mark.reason.clone());
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
    held: &mut BTreeMap<VersionNumber, String>,
) -> (Option<VersionNumber>, String) {
    let current = model.committed.default.filter(|version| there.contains(version));
    let declared = model.declared.serve();
    if let Some(pinned) = model.committed.wishes.pinned {
        return (Some(pinned), format!("pinned over serve = {declared}"));
    }
    match model.serve_override() {
        Some(word) => match word.value {
            Served::Version(version) => {
                (Some(version), format!("promoted by {} over serve = {declared}", word.by))
            }
            Served::RolledBack { to, from } => {
                let newer = candidates.iter().copied().filter(|version| *version > from);
                match newer.max().filter(|_| follows_latest(model)) {
                    Some(version) => passes(model, version, current, held, &declared),
                    None => (Some(to), format!("rolled back by {} over serve = {declared}", word.by)),
                }
            }
        },
        None => match &model.declared.card.serve {
            Some(Serve::Number(number)) => passes(model, *number, current, held, &declared),
            Some(Serve::Alias(alias)) => match model.aliases().get(alias) {
                Some(version) => passes(model, *version, current, held, &declared),
                None => (current, format!("serve = {declared} stands for no version")),
            },
            Some(Serve::Latest) | None => latest(model, candidates, current, held),
        },
    }
}

/// Whether new versions take over by themselves.
fn follows_latest(model: &Model) -> bool {
    matches!(model.declared.card.serve, None | Some(Serve::Latest))
        && model.declared.card.on_new() == OnNew::Serve
}

fn latest(
    model: &Model,
    candidates: &[VersionNumber],
    current: Option<VersionNumber>,
    held: &mut BTreeMap<VersionNumber, String>,
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
    if let Some(current) = current.filter(|_| !follows_latest(model)) {
        for version in eligible.iter().filter(|version| **version > current) {
            let promote = "`pointsman promote` lets it serve";
            held.entry(*version).or_insert_with(|| format!("it waits, as on_new = \"hold\"; {promote}"));
        }
        return (Some(current), "on_new = \"hold\"".into());
    }
    let breaks = |version: &VersionNumber| breaking(model, *version, current);
    eligible.retain(|version| match breaks(version) {
        Some(reason) => {
            held.insert(*version, reason);
            false
        }
        None => true,
    });
    // With nothing better there, what serves goes on serving.
    (eligible.into_iter().max().or(current), "serve = latest".into())
}

/// A declared version, unless callers of the current one would break.
fn passes(
    model: &Model,
    version: VersionNumber,
    current: Option<VersionNumber>,
    held: &mut BTreeMap<VersionNumber, String>,
    declared: &str,
) -> (Option<VersionNumber>, String) {
    match breaking(model, version, current) {
        Some(reason) => {
            held.insert(version, reason);
            (current, format!("serve = {declared} would break callers"))
        }
        None => (Some(version), format!("serve = {declared}")),
    }
}

/// What each alias should stand for: where its callers would break, what it stands for now.
fn aliases(
    model: &Model,
    there: &BTreeSet<VersionNumber>,
    held: &mut BTreeMap<VersionNumber, String>,
) -> BTreeMap<String, VersionNumber> {
    let mut aliases = BTreeMap::new();
    for (alias, version) in model.aliases() {
        let current = model.committed.aliases.get(&alias).copied();
        let reason = breaking(model, version, current).filter(|_| model.alias_override(&alias).is_none());
        let version = match reason {
            Some(reason) => {
                held.insert(version, format!("alias {alias}: {reason}"));
                current
            }
            None => Some(version).filter(|version| there.contains(version)).or(current),
        };
        aliases.extend(version.map(|version| (alias, version)));
    }
    aliases
}

/// Why callers of `current` would break on `version`; nothing where they would not, where that cannot
/// be known yet, or where it was allowed.
#[must_use]
pub(crate) fn breaking(
    model: &Model,
    version: VersionNumber,
    current: Option<VersionNumber>,
) -> Option<String> {
    let allowed = model.declared.breaking == BreakingPolicy::Allow
        || model.committed.wishes.breaking.contains(&version);
    let (new, old) = (model.ready(version)?, model.ready(current?)?);
    match compare(&old.signature, &new.signature) {
        Change::Breaking(differences) if !allowed => Some(format!(
            "it would break callers of version {}: {}; allow it with `pointsman promote --allow-breaking` or \
             breaking = \"allow\" in the card",
            current?,
            differences.join(", ")
        )),
        _ => None,
    }
}
