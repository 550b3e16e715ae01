//! Whether a wish can be granted, and what it makes of what is committed.

mod ending;
mod takeover;

use std::collections::BTreeSet;
use std::sync::Arc;

use pointsman_core::{Code, VersionNumber, VersionSelector};
use pointsman_registry::{FolderState, Serve};

use crate::committed::{Committed, Mark, MarkKind, Override, Served, Wishes};
use crate::model::Model;
use crate::plans::{self, PlanWish};
use crate::target::{Target, breaks_alias, breaks_default, stand_in, target};
use crate::wish::Wish;

pub(crate) use self::ending::{after, arrived_since, cannot_load, contents, disturbed};
pub(crate) use self::takeover::check_plan;

/// What comes of a wish as things stand.
#[derive(Clone, Debug, PartialEq)]
pub enum Grant {
    /// It cannot be, and trying again changes nothing by itself.
    Refused(Refusal),
    /// It is so already.
    Unchanged,
    /// It can be once these versions are loaded and have passed their gates.
    Needs {
        /// The versions.
        versions: BTreeSet<VersionNumber>,
        /// What would be committed then.
        then: Box<Committed>,
    },
    /// This is to be committed.
    Now(Box<Committed>),
    /// A rollout can begin, or be told something.
    Rollout,
}

/// Why a wish is not granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The code for the caller.
    pub code: Code,
    /// The sentence, with the remedy.
    pub reason: String,
}

impl Refusal {
    /// A wish that cannot be granted as things stand.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { code: Code::Refused, reason: reason.into() }
    }

    /// Nothing is granted any more.
    pub(crate) fn stopping() -> Self {
        Self { code: Code::ShuttingDown, reason: "the gateway is shutting down".into() }
    }

    pub(crate) fn unknown(version: VersionNumber) -> Self {
        let reason =
            format!("the registry has no version {version}; add its folder, or name another version");
        Self { code: Code::UnknownVersion, reason }
    }
}

/// Why a model that is frozen does not change.
pub(crate) const FROZEN: &str = "the model is frozen; `pointsman unfreeze` lets it change again";

/// A wish applied: what would be committed, and what has to be ready before.
type Applied = Result<(Committed, BTreeSet<VersionNumber>), Refusal>;

/// What comes of a wish of `by`, as things stand.
#[must_use]
pub fn grant(model: &Model, wish: &Wish, by: &str) -> Grant {
    if let Wish::Rollout(wish) = wish {
        return takeover::grant(model, wish);
    }
    let (mut new, mut needs) = match apply(model, wish, by) {
        Ok(applied) => applied,
        Err(refusal) => return Grant::Refused(refusal),
    };
    needs.retain(|version| needs_load(model, *version, wish));
    if !needs.is_empty() {
        return Grant::Needs { versions: needs, then: Box::new(new) };
    }
    // What lowers exposure takes effect before it is written: nothing that raises it may come along.
    if !wish.lowers() && !matches!(wish, Wish::Plan(_)) {
        settle(model, &mut new);
    }
    if new == model.committed { Grant::Unchanged } else { Grant::Now(Box::new(new)) }
}

/// Whether a version has to be loaded for a wish. `load` and `promote` also read a folder again that has
/// changed: who names a version means what the registry has.
fn needs_load(model: &Model, version: VersionNumber, wish: &Wish) -> bool {
    let Some(ready) = model.ready(version) else { return true };
    let changed = model.found.get(&version).is_some_and(|found| found.stamp != ready.stamp);
    changed && matches!(wish, Wish::Load { .. } | Wish::Promote { .. })
}

/// What follows from new wishes at once, as the versions for it are ready: one commit, one swap.
fn settle(model: &Model, new: &mut Committed) {
    let target = hypothetical(model, new, &BTreeSet::new());
    if let Some(default) = target.default.filter(|version| model.ready(*version).is_some()) {
        new.serve(Some(default));
    }
    for (alias, version) in target.aliases {
        if model.ready(version).is_some() {
            new.aliases.insert(alias, version);
        }
    }
}

/// What should serve if `committed` were.
fn hypothetical(model: &Model, committed: &Committed, asked: &BTreeSet<VersionNumber>) -> Target {
    target(&Model { committed: committed.clone(), ..model.clone() }, asked)
}

fn apply(model: &Model, wish: &Wish, by: &str) -> Applied {
    let frozen = model.committed.wishes.frozen;
    let is_plan = matches!(wish, Wish::Plan(_));
    if frozen && !wish.lowers() && !is_plan && *wish != Wish::Unfreeze {
        return Err(Refusal::new(FROZEN));
    }
    takeover::check(model, wish)?;
    let mut new = model.committed.clone();
    match wish {
        Wish::Promote { version, allow_breaking } => promote(model, *version, *allow_breaking, by),
        Wish::Rollback => rollback(model, by),
        Wish::Load { version: Some(version) } => load(model, *version),
        Wish::Load { version: None } => {
            new.wishes.unloaded = false;
            new.marks.retain(|_, mark| mark.kind != MarkKind::Quarantined);
            let target = hypothetical(model, &new, &BTreeSet::new());
            let Some(default) = target.default else {
                let reason = format!(
                    "no version of it can serve ({}); `pointsman promote` lets one by its number",
                    target.why
                );
                return Err(Refusal::new(reason));
            };
            // Of the others that the card wants loaded, those that were tried and do not load hold nothing up.
            let mut needs = target.load;
            needs.retain(|version| model.failure(*version).is_none());
            needs.insert(default);
            Ok((new, needs))
        }
        Wish::Unload { version: Some(version) } => unload(model, *version, by),
        Wish::Unload { version: None } => {
            new.wishes.unloaded = true;
            new.serve(None);
            // Nothing is promised any more: the operator said so.
            new.signature = None;
            new.aliases.clear();
            Ok((new, BTreeSet::new()))
        }
        Wish::Alias { alias, version: Some(version), allow_breaking } => {
            move_alias(model, alias, *version, *allow_breaking, by)
        }
        Wish::Alias { alias, version: None, .. } => remove_alias(model, alias, by),
        Wish::Pin { version } => {
            let version = version.or(model.committed.default);
            let version =
                version.ok_or_else(|| Refusal::new("nothing serves that could be pinned; name a version"))?;
            known(model, version)?;
            if let Some(reason) = breaks_default(model, version) {
                return Err(Refusal::new(reason));
            }
            new.clear(version);
            new.wishes.unloaded = false;
            new.wishes.pinned = Some(version);
            new.serve(Some(version));
            Ok((new, BTreeSet::from([version])))
        }
        Wish::Unpin => {
            new.wishes.pinned = None;
            Ok((new, BTreeSet::new()))
        }
        Wish::Freeze | Wish::Unfreeze => {
            new.wishes.frozen = *wish == Wish::Freeze;
            Ok((new, BTreeSet::new()))
        }
        Wish::Plan(wish) => plan(model, wish, by, frozen),
        Wish::Rollout(_) => Ok((new, BTreeSet::new())),
        Wish::Reset => {
            new.wishes = Wishes::default();
            Ok((new, BTreeSet::new()))
        }
    }
}

/// A frozen model can be given a plan that only takes back, and no other.
fn plan(model: &Model, wish: &PlanWish, by: &str, frozen: bool) -> Applied {
    let plans = plans::apply(model, wish, by)?;
    takeover::check_plan(model, wish.model.as_str(), &plans)?;
    if frozen && !model.committed.plans.only_lowers(&plans) {
        return Err(Refusal::new(FROZEN));
    }
    let new = Committed { plans: Arc::new(plans), ..model.committed.clone() };
    Ok((new, BTreeSet::new()))
}

/// A version that can be asked for: it is in the registry or loaded, and has no tombstone.
fn known(model: &Model, version: VersionNumber) -> Result<(), Refusal> {
    if model.has_tombstone(version) {
        return Err(Refusal::new(format!(
            "version {version} has a tombstone in the registry; remove it first"
        )));
    }
    let found = model.found.contains_key(&version) || model.ready(version).is_some();
    if found { Ok(()) } else { Err(Refusal::unknown(version)) }
}

/// A model that was unloaded as a whole is brought back before there is anything more to say about it.
fn check_served(model: &Model) -> Result<(), Refusal> {
    if model.committed.wishes.unloaded {
        let reason = "the whole model is unloaded; `pointsman load` without a version brings it back";
        return Err(Refusal::new(reason));
    }
    Ok(())
}

fn promote(model: &Model, version: VersionNumber, allow_breaking: bool, by: &str) -> Applied {
    known(model, version)?;
    if let Some(pinned) = model.committed.wishes.pinned.filter(|pinned| *pinned != version) {
        return Err(Refusal::new(format!(
            "version {pinned} is pinned; `pointsman unpin` lets another one serve"
        )));
    }
    let mut new = model.committed.clone();
    new.clear(version);
    new.wishes.unloaded = false;
    if allow_breaking {
        new.wishes.breaking.insert(version);
    } else if let Some(reason) = breaks_default(model, version) {
        return Err(Refusal::new(reason));
    }
    // Where the declaration would choose the same, it goes on counting: no word has to stand in its place.
    new.wishes.serve = None;
    new.serve(Some(version));
    let declares = match &model.declared.card.serve {
        Some(Serve::Number(number)) => *number == version,
        Some(Serve::Alias(alias)) => model.aliases().get(alias) == Some(&version),
        Some(Serve::Latest) | None => {
            hypothetical(model, &new, &BTreeSet::from([version])).default == Some(version)
        }
    };
    if !declares {
        new.wishes.serve =
            Some(Override { value: Served::Version(version), over: model.declared.serve(), by: by.into() });
    }
    Ok((new, BTreeSet::from([version])))
}

fn rollback(model: &Model, by: &str) -> Applied {
    let from = model.committed.default;
    let from = from.ok_or_else(|| Refusal::new("no version serves that could be left"))?;
    let place = place_before(model);
    let place = place.ok_or_else(|| Refusal::new(format!("no version served before version {from}")))?;
    let to = model.committed.history[place];

    let mut new = model.committed.clone();
    new.history.truncate(place);
    new.default = Some(to);
    new.wishes.pinned = None;
    new.wishes.breaking.remove(&from);
    let known = model.found.keys().chain(model.versions.keys()).copied();
    let above = known.max().map_or(from, |highest| highest.max(from));
    new.wishes.serve = Some(Override {
        value: Served::RolledBack { to, from, above },
        over: model.declared.serve(),
        by: by.into(),
    });
    new.marks.insert(from, mark(model, from, MarkKind::RolledBack, format!("it was rolled back by {by}")));
    Ok((new, BTreeSet::from([to])))
}

/// The version that a rollback leads to.
#[must_use]
pub(crate) fn rollback_target(model: &Model) -> Option<VersionNumber> {
    model.committed.history.get(place_before(model)?).copied()
}

/// The place in the history of the last default that can serve again.
fn place_before(model: &Model) -> Option<usize> {
    let usable = |version: &VersionNumber| {
        model.committed.default != Some(*version)
            && model.mark(*version).is_none()
            && known(model, *version).is_ok()
    };
    model.committed.history.iter().rposition(usable)
}

fn load(model: &Model, version: VersionNumber) -> Applied {
    known(model, version)?;
    check_served(model)?;
    let mut new = model.committed.clone();
    if model.mark(version).is_some_and(|mark| mark.kind.keeps_out()) {
        new.clear(version);
    }
    new.wishes.load.insert(version);
    Ok((new, BTreeSet::from([version])))
}

fn unload(model: &Model, version: VersionNumber, by: &str) -> Applied {
    known(model, version)
        .or_else(|refusal| if model.has_tombstone(version) { Ok(()) } else { Err(refusal) })?;
    if model.committed.wishes.pinned == Some(version) {
        return Err(Refusal::new(format!("version {version} is pinned; `pointsman unpin` first")));
    }
    let mut new = model.committed.clone();
    new.wishes.load.remove(&version);
    if new.wishes.serve.as_ref().is_some_and(|word| word.value == Served::Version(version)) {
        new.wishes.serve = None;
    }
    let mut withdrawn = mark(model, version, MarkKind::Withdrawn, format!("it was unloaded by {by}"));
    // What was written over it since is withdrawn with it.
    if let Some(found) = model.found.get(&version).filter(|found| Some(found.stamp) != withdrawn.stamp) {
        withdrawn.stamp = Some(found.stamp);
        withdrawn.digest = None;
    }
    new.marks.insert(version, withdrawn);
    if new.default == Some(version) {
        let next = hypothetical(model, &new, &BTreeSet::new()).default;
        let next = next.filter(|next| *next != version && model.ready(*next).is_some());
        new.serve(next.or_else(|| stand_in(model, &new.marks)));
    }
    Ok((new, BTreeSet::new()))
}

fn move_alias(model: &Model, alias: &str, version: VersionNumber, allow_breaking: bool, by: &str) -> Applied {
    if !matches!(VersionSelector::parse(alias), Ok(VersionSelector::Alias(_))) || alias == "latest" {
        let reason = format!(
            "{alias:?} can be no alias: 1 to 128 of A-Z a-z 0-9 _ . -, no dot first, no number, not \"latest\""
        );
        return Err(Refusal { code: Code::BadRequest, reason });
    }
    known(model, version)?;
    check_served(model)?;
    let mut new = model.committed.clone();
    if model.mark(version).is_some_and(|mark| mark.kind.keeps_out()) {
        new.clear(version);
    }
    if allow_breaking {
        new.wishes.breaking.insert(version);
    } else if let Some(reason) = breaks_alias(model, version, model.committed.aliases.get(alias).copied()) {
        return Err(Refusal::new(reason));
    }
    if model.declared.card.aliases.get(alias) == Some(&version) {
        new.wishes.aliases.remove(alias);
    } else {
        let word = Override { value: Some(version), over: model.declared.alias(alias), by: by.into() };
        new.wishes.aliases.insert(alias.to_owned(), word);
    }
    new.aliases.insert(alias.to_owned(), version);
    Ok((new, BTreeSet::from([version])))
}

fn remove_alias(model: &Model, alias: &str, by: &str) -> Applied {
    if model.declared.card.serve == Some(Serve::Alias(alias.to_owned())) {
        return Err(Refusal::new(format!(
            "serve = {alias:?} names it; let serve name another version first"
        )));
    }
    if !model.aliases().contains_key(alias) && !model.committed.aliases.contains_key(alias) {
        return Err(Refusal {
            code: Code::UnknownVersion,
            reason: format!("the model has no alias {alias:?}"),
        });
    }
    let mut new = model.committed.clone();
    new.aliases.remove(alias);
    new.wishes.aliases.remove(alias);
    if model.declared.card.aliases.contains_key(alias) {
        let word = Override { value: None, over: model.declared.alias(alias), by: by.into() };
        new.wishes.aliases.insert(alias.to_owned(), word);
    }
    Ok((new, BTreeSet::new()))
}

/// A mark on what the version is now.
pub(crate) fn mark(model: &Model, version: VersionNumber, kind: MarkKind, reason: String) -> Mark {
    let ready = model.ready(version);
    let found = model.found.get(&version).filter(|found| found.folder != FolderState::Tombstone);
    Mark {
        kind,
        stamp: ready.map(|ready| ready.stamp).or(found.map(|found| found.stamp)),
        digest: ready.map(|ready| ready.digest.clone()),
        reason,
    }
}

/// What changes from one to the other, a line each, for a dry run and for the journal.
#[must_use]
pub(crate) fn changes(old: &Committed, new: &Committed) -> Vec<String> {
    let shown = |version: Option<VersionNumber>| version.map_or_else(|| "none".into(), |v| v.to_string());
    let mut lines = Vec::new();
    if old.default != new.default {
        lines.push(format!("default {} -> {}", shown(old.default), shown(new.default)));
    }
    let aliases: BTreeSet<&String> = old.aliases.keys().chain(new.aliases.keys()).collect();
    for alias in aliases {
        let (before, after) = (old.aliases.get(alias).copied(), new.aliases.get(alias).copied());
        if before != after {
            lines.push(format!("alias {alias} {} -> {}", shown(before), shown(after)));
        }
    }
    for (version, mark) in &new.marks {
        if old.marks.get(version) != Some(mark) {
            lines.push(format!("version {version} does not come by itself: {}", mark.reason));
        }
    }
    for version in old.marks.keys().filter(|version| !new.marks.contains_key(version)) {
        lines.push(format!("version {version} may come by itself again"));
    }
    let (was, is) = (&old.wishes, &new.wishes);
    for version in is.load.difference(&was.load) {
        lines.push(format!("version {version} stays loaded"));
    }
    for version in was.load.difference(&is.load) {
        lines.push(format!("version {version} is loaded only where card or configuration say so"));
    }
    if was.pinned != is.pinned {
        lines.push(format!("pinned {} -> {}", shown(was.pinned), shown(is.pinned)));
    }
    for (changed, line) in [
        (
            was.unloaded != is.unloaded,
            if is.unloaded { "the model is unloaded" } else { "the model is served" },
        ),
        (was.frozen != is.frozen, if is.frozen { "frozen" } else { "not frozen any more" }),
    ] {
        lines.extend(changed.then(|| line.to_owned()));
    }
    match (&was.serve, &is.serve) {
        (Some(_), None) => lines.push("the declared serve counts again".into()),
        (before, Some(word)) if before.as_ref() != Some(word) => {
            lines.push(format!("an operator's word holds over serve = {}", word.over));
        }
        _ => {}
    }
    lines.extend(old.plans.changes(&new.plans));
    lines
}
