//! What becomes of a rollout when something happens, and in which order that is written down and done.

use pointsman_core::VersionNumber;
use serde::{Deserialize, Serialize};

use super::decide::{Answered, Cause, Decision, Place, Verdict, decide};
use super::evidence::{Evidence, Frozen, Look};
use super::spec::{Exposure, OnNewVersion, Spec};
use super::time::Moment;

/// How a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It has not begun.
    Created,
    /// It moves by itself.
    Running,
    /// Somebody holds it. What does harm is rolled back all the same.
    Paused,
    /// The time is up, and somebody is asked.
    Asking,
    /// The candidate answers everybody.
    Promoted,
    /// The candidate was led back.
    RolledBack(Cause),
    /// Somebody ended it.
    Aborted,
    /// A newer version took its place.
    Superseded(VersionNumber),
}

impl Phase {
    /// The words of all.
    pub const WORDS: [&str; 8] =
        ["created", "running", "paused", "asking", "promoted", "rolled_back", "aborted", "superseded"];

    /// The word in metrics and answers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Asking => "asking",
            Self::Promoted => "promoted",
            Self::RolledBack(_) => "rolled_back",
            Self::Aborted => "aborted",
            Self::Superseded(_) => "superseded",
        }
    }

    /// Whether nothing more happens.
    #[must_use]
    pub fn is_over(self) -> bool {
        match self {
            Self::Created | Self::Running | Self::Paused | Self::Asking => false,
            Self::Promoted | Self::RolledBack(_) | Self::Aborted | Self::Superseded(_) => true,
        }
    }
}

/// A rollout. It is written down whole, and goes on from there after a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// Its number.
    pub id: u64,
    /// What was asked for.
    pub spec: Spec,
    /// What was fixed at its start.
    pub frozen: Frozen,
    /// How it stands.
    pub phase: Phase,
    /// Where it is.
    pub place: Place,
    /// How much callers may be exposed: they never are more than this says.
    pub exposure: Exposure,
    /// What was seen.
    pub evidence: Evidence,
    /// The newest version that waits for its end.
    pub queued: Option<VersionNumber>,
}

impl Rollout {
    /// One that has not begun, of a spec that was checked.
    #[must_use]
    pub fn new(id: u64, spec: Spec, frozen: Frozen, now: Moment) -> Self {
        let evidence = Evidence::new(&spec);
        let place = Place { stage: 0, since: now, started: now, approved: false, answered: Answered::No };
        Self {
            id,
            spec,
            frozen,
            phase: Phase::Created,
            place,
            exposure: Exposure::None,
            evidence,
            queued: None,
        }
    }

    /// The version whose rollout begins as this one is over; nothing where none does.
    #[must_use]
    pub fn follows(&self) -> Option<VersionNumber> {
        match self.phase {
            Phase::Superseded(version) => Some(version),
            _ => self.queued,
        }
    }

    fn enter(&mut self, stage: usize, now: Moment) {
        self.place.stage = stage;
        self.place.since = now;
        self.place.approved = false;
        self.exposure = self.spec.stages.get(stage).map_or(self.exposure, |stage| stage.exposure);
    }

    fn end(&mut self, phase: Phase, exposure: Exposure) {
        self.phase = phase;
        self.exposure = exposure;
    }
}

/// What happens to a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It begins.
    Start,
    /// This was seen since the last time: one look for each stage of which something came. None where only time went
    /// by.
    Looked(Vec<Look>),
    /// Somebody holds it.
    Pause,
    /// Somebody lets it go on.
    Resume,
    /// Somebody wants the next stage, whatever is known.
    Advance,
    /// Somebody approves of what follows this stage.
    Approve,
    /// Somebody wants the candidate to answer everybody, whatever is known.
    Promote,
    /// Somebody ends it.
    Abort,
    /// The registry has this version.
    NewVersion(VersionNumber),
    /// The gateway came up again.
    Restarted,
}

impl Event {
    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Looked(_) => "look",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Advance => "advance",
            Self::Approve => "approve",
            Self::Promote => "promote",
            Self::Abort => "abort",
            Self::NewVersion(_) => "new version",
            Self::Restarted => "restart",
        }
    }
}

/// What is written and what is done, in this order. There is no other way from one exposure to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Callers are exposed as before: it is written before anything is raised the next time.
    Keep(Box<Rollout>),
    /// Callers are exposed more: it is written first, and done once that has succeeded.
    Raise {
        /// What is written.
        commit: Box<Rollout>,
        /// What is done then.
        then: Exposure,
    },
    /// Callers are exposed less: it is done first, and written next. Until that has succeeded nothing is raised.
    Lower {
        /// What is done.
        first: Exposure,
        /// What is written then.
        commit: Box<Rollout>,
    },
}

impl Change {
    fn new(before: Exposure, after: Rollout) -> Self {
        let exposure = after.exposure;
        let commit = Box::new(after);
        if exposure > before {
            Self::Raise { commit, then: exposure }
        } else if exposure < before {
            Self::Lower { first: exposure, commit }
        } else {
            Self::Keep(commit)
        }
    }

    /// The rollout as it is from now on.
    #[must_use]
    pub fn rollout(&self) -> &Rollout {
        match self {
            Self::Keep(rollout)
            | Self::Raise { commit: rollout, .. }
            | Self::Lower { commit: rollout, .. } => rollout,
        }
    }
}

/// What whoever wants to know is told, of every transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The number of the rollout.
    pub rollout: u64,
    /// Its model.
    pub model: String,
    /// Its candidate.
    pub candidate: VersionNumber,
    /// How it stood.
    pub from: (Phase, Exposure),
    /// How it stands.
    pub to: (Phase, Exposure),
    /// What happened.
    pub event: String,
    /// When.
    pub at: Moment,
}

/// What comes of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// What is written and done.
    pub change: Change,
    /// What was decided, where something was seen.
    pub verdict: Option<Verdict>,
    /// Who is told, if it stands otherwise than before.
    pub notice: Option<Notice>,
}

/// Why an event is refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event}: {reason}")]
pub struct Refused {
    event: &'static str,
    reason: String,
}

/// What becomes of a rollout.
///
/// # Errors
/// Where it cannot happen as the rollout stands.
pub fn transition(rollout: &Rollout, event: &Event, now: Moment) -> Result<Transition, Refused> {
    let refuse = |reason: &str| Err(Refused { event: event.name(), reason: reason.into() });
    let mut after = rollout.clone();
    let mut verdict = None;
    let last = rollout.spec.stages.len().saturating_sub(1);
    match (event, rollout.phase) {
        // What comes late changes nothing any more, and the registry and the gateway go their ways.
        (Event::Looked(_) | Event::NewVersion(_) | Event::Restarted, phase) if phase.is_over() => {}
        (_, phase) if phase.is_over() => return refuse("the rollout is over; start another one"),
        (Event::Start, Phase::Created) => {
            after.phase = Phase::Running;
            after.place.started = now;
            after.enter(0, now);
        }
        (Event::Start, _) => return refuse("the rollout has begun"),
        (Event::Abort, _) => after.end(Phase::Aborted, Exposure::None),
        (Event::NewVersion(version), _) => newer(&mut after, *version),
        (Event::Restarted | Event::Looked(_), Phase::Created) => {}
        (_, Phase::Created) => return refuse("the rollout has not begun; start it first"),
        (Event::Looked(looks), _) => {
            after.evidence.push(&rollout.spec, &rollout.frozen, looks, now);
            let decided = decide(&rollout.spec, &rollout.frozen, &rollout.place, &after.evidence, now);
            follow(&mut after, &decided.decision, now);
            verdict = Some(decided);
        }
        (Event::Pause, Phase::Running) => after.phase = Phase::Paused,
        (Event::Pause, _) => return refuse("the rollout does not move; resume it, or abort it"),
        (Event::Resume, Phase::Paused) => after.phase = Phase::Running,
        (Event::Resume, Phase::Asking) => {
            after.phase = Phase::Running;
            after.place.answered = Answered::GoOn;
        }
        (Event::Resume, _) => return refuse("the rollout is not held"),
        (Event::Advance, _) if rollout.place.stage < last => after.enter(rollout.place.stage + 1, now),
        (Event::Advance, _) => return refuse("there is no next stage; promote it"),
        (Event::Approve, _) => after.place.approved = true,
        (Event::Promote, _) => after.end(Phase::Promoted, Exposure::All),
        (Event::Restarted, _) => {
            // It is to be seen for as long as it should be, and its caches are cold again.
            after.place.since = now;
            after.evidence.first = None;
        }
    }
    let standing = |rollout: &Rollout| (rollout.phase, rollout.exposure);
    let notice = (standing(rollout) != standing(&after)).then(|| Notice {
        rollout: rollout.id,
        model: rollout.spec.model.clone(),
        candidate: rollout.spec.candidate,
        from: standing(rollout),
        to: standing(&after),
        event: event.name().into(),
        at: now,
    });
    Ok(Transition { change: Change::new(rollout.exposure, after), verdict, notice })
}

/// Does what was decided. What is held by somebody is led back where it does harm, and nothing else.
fn follow(rollout: &mut Rollout, decision: &Decision, now: Moment) {
    match (decision, rollout.phase) {
        (Decision::Rollback(cause), _) => rollout.end(Phase::RolledBack(*cause), Exposure::None),
        (Decision::Advance, Phase::Running) => rollout.enter(rollout.place.stage + 1, now),
        (Decision::Promote, Phase::Running) => rollout.end(Phase::Promoted, Exposure::All),
        (Decision::Ask, Phase::Running) => rollout.phase = Phase::Asking,
        (Decision::Advance | Decision::Promote | Decision::Ask | Decision::Hold(_), _) => {}
    }
}

fn newer(rollout: &mut Rollout, version: VersionNumber) {
    if version <= rollout.spec.candidate {
        return;
    }
    match rollout.spec.on_new {
        OnNewVersion::Supersede => rollout.end(Phase::Superseded(version), Exposure::None),
        OnNewVersion::Queue => rollout.queued = rollout.queued.max(Some(version)),
    }
}
