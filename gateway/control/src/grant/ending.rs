//! What is committed of a model as a rollout of it begins, moves on and ends, and what makes an end of one from outside.

use pointsman_core::VersionNumber;

use super::{FROZEN, Refusal, hypothetical, mark, promote, settle};
use crate::committed::{Committed, MarkKind, Override, Served};
use crate::model::Model;
use crate::rollout::{Content, Event, OnNewVersion, Phase, Rollout};
use crate::target::arrivals;

/// What is committed of the model once a rollout stands so by an event; nothing where that stays as it is.
///
/// # Errors
/// Why the candidate cannot answer everybody at this moment.
pub(crate) fn after(
    model: &Model,
    event: &Event,
    rollout: &Rollout,
    by: &str,
) -> Result<Option<Committed>, Refusal> {
    let candidate = rollout.spec.candidate;
    let why = match rollout.phase {
        Phase::Running if *event == Event::Start => {
            // It was left for a reason earlier: who lets it take over wants it again.
            let mut new = model.committed.clone();
            new.clear(candidate);
            return Ok((new != model.committed).then_some(new));
        }
        Phase::Created | Phase::Running | Phase::Paused | Phase::Asking => return Ok(None),
        Phase::Promoted => return promoted(model, candidate, by),
        Phase::RolledBack(cause) => format!("rollout {} rolled it back: {}", rollout.id, cause.words()),
        Phase::Aborted => format!("rollout {} of it was aborted by {by}", rollout.id),
        Phase::Superseded(version) => format!("rollout {} gave way to version {version}", rollout.id),
    };
    let mut new = model.committed.clone();
    // What is not even to be loaded stays so.
    if !model.mark(candidate).is_some_and(|mark| mark.kind.keeps_out()) {
        new.marks.insert(candidate, mark(model, candidate, MarkKind::RolledBack, why));
    }
    stays(model, &mut new, rollout);
    Ok(Some(new))
}

/// The candidate answers everybody, as it is loaded: what was seen was seen of that, whatever its folder holds by now.
fn promoted(model: &Model, candidate: VersionNumber, by: &str) -> Result<Option<Committed>, Refusal> {
    if model.committed.default == Some(candidate) {
        return Ok(None);
    }
    if model.committed.wishes.frozen {
        return Err(Refusal::new(FROZEN));
    }
    if model.ready(candidate).is_none() {
        let reason = format!("version {candidate} is not loaded at this moment; try again once it is");
        return Err(Refusal::new(reason));
    }
    let model = Model { rollout: None, ..model.clone() };
    let (mut new, _) = promote(&model, candidate, false, by)?;
    settle(&model, &mut new);
    Ok(Some(new))
}

/// What served goes on serving where the declaration would let the candidate answer everybody that was just taken back, or
/// the version for which a rollout follows.
fn stays(model: &Model, new: &mut Committed, rollout: &Rollout) {
    let Some(to) = new.default else { return };
    let from = rollout.spec.candidate;
    let declared = hypothetical(&Model { rollout: None, ..model.clone() }, new, &[].into()).default;
    if declared.is_none_or(|version| version != from && Some(version) != rollout.follows()) {
        return;
    }
    let known = model.found.keys().chain(model.versions.keys()).copied();
    let above = known.max().map_or(from, |highest| highest.max(from));
    new.wishes.serve = Some(Override {
        value: Served::RolledBack { to, from, above },
        over: model.declared.serve(),
        by: format!("rollout {}", rollout.id),
    });
}

/// What a rollout takes over from, and what takes over, as they are loaded.
pub(crate) fn contents(model: &Model, candidate: VersionNumber) -> [Option<Content>; 2] {
    [model.committed.default, Some(candidate)].map(|version| {
        let version = version?;
        let digest = model.ready(version)?.digest.clone();
        Some(Content { version, digest })
    })
}

/// The newest version that came since a rollout began and that it was not told of, once it is loaded.
pub(crate) fn arrived_since(model: &Model, rollout: &Rollout) -> Option<VersionNumber> {
    let standing = model.rollout.as_ref()?;
    let is_loaded =
        |version: &VersionNumber| model.ready(*version).is_some() && model.mark(*version).is_none();
    let loaded: Vec<VersionNumber> = model.versions.keys().copied().filter(is_loaded).collect();
    let version = arrivals(model, standing, &loaded)?;
    let waits = rollout.queued >= Some(version);
    (rollout.spec.on_new == OnNewVersion::Supersede || !waits).then_some(version)
}

/// Whether the version that takes over is withdrawn, or is not there and is not about to come.
pub(crate) fn cannot_load(model: &Model, candidate: VersionNumber) -> bool {
    let is_lost = || model.failure(candidate).is_some() || !model.found.contains_key(&candidate);
    model.is_withdrawn(candidate) || model.ready(candidate).is_none() && is_lost()
}

/// What makes an end of a rollout that nobody said anything to, and whose doing it is: what it was begun with is not there
/// any more, so that what was seen says nothing of what is.
pub(crate) fn disturbed(model: &Model, rollout: &Rollout) -> Option<(Event, String)> {
    let candidate = rollout.spec.candidate;
    let [of_primary, of_candidate] = rollout.frozen.contents.each_ref().map(Option::as_ref);
    let primary = of_primary?.version;
    if model.committed.default == Some(candidate) {
        return Some((Event::Promote, format!("gateway, as version {primary} was withdrawn")));
    }
    if model.committed.default != Some(primary) {
        return Some((Event::Abort, "gateway, as another version serves".into()));
    }
    let is_other =
        |content: &&Content| model.ready(content.version).is_some_and(|ready| ready.digest != content.digest);
    let other = of_primary.into_iter().chain(of_candidate).find(is_other)?;
    Some((Event::Abort, format!("gateway, as version {} was written over", other.version)))
}
