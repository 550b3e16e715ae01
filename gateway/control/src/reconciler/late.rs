//! Labels that come after a rollout ended with a promotion: it is too late to hold it, and not to say so.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pointsman_core::ModelName;

use super::rollouts::{UnderWay, alarm};
use super::{Reconciler, Tracked};
use crate::journal::{Entry, Resumed, What};
use crate::rollout::{LateFinding, Moment, Notice, Phase, Question, Recorder, Rollout, Seen};

/// How long labels of a rollout that is over are waited for, from the start of its last stage on.
const WAITED: Duration = Duration::from_secs(90 * 24 * 3600);

/// A rollout that ended with a promotion.
pub(super) struct Late {
    rollout: Rollout,
    recorder: Arc<Recorder>,
    looked_at: Instant,
    /// What was seen and could not be written yet: units, and whether there is anything.
    kept: Seen,
    /// Whether labels have proved the version wrong.
    is_proved: bool,
}

impl Late {
    pub(super) fn of(under_way: &UnderWay) -> Self {
        let mut late = Self::over(under_way.rollout.clone(), under_way.recorder.clone());
        late.kept.units.clone_from(&under_way.kept.units);
        late
    }

    fn over(rollout: Rollout, recorder: Arc<Recorder>) -> Self {
        let is_proved = is_wrong(&rollout);
        Self { rollout, recorder, looked_at: Instant::now(), kept: Seen::default(), is_proved }
    }

    fn is_over(&self, now: Moment) -> bool {
        now.since(self.rollout.place.since) > WAITED
    }

    /// Takes in what came since the last look; says whether there was anything.
    fn take(&mut self, now: Moment) -> bool {
        let Seen { looks, mut units } = self.recorder.take();
        let is_new = !looks.is_empty();
        let Rollout { spec, frozen, evidence, .. } = &mut self.rollout;
        // What answers say no more, labels alone do.
        evidence.push(spec, frozen, &looks, now);
        self.kept.units.append(&mut units);
        self.kept.compact();
        is_new
    }
}

fn is_wrong(rollout: &Rollout) -> bool {
    rollout.evidence.harm.tests(Question::Labels).iter().any(|test| test.rejects())
}

fn moment() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Reconciler {
    /// Takes in labels of rollouts that ended with a promotion, and writes what is known by them. Where they prove the version
    /// wrong at the level of the rollout's guard, the journal, the log and who is told of the rollout say so, once, and an
    /// alert holds until the version serves no more. It is not led back by itself: what served before may be gone, and what
    /// is promoted is a person's again.
    pub(super) fn look_at_late_labels(&mut self, now: Instant) {
        let (every, at) = (self.policy.rollout_look, moment());
        let mut names = Vec::new();
        let models = &self.models;
        self.late.retain(|name, late| {
            let default = models.get(name).and_then(|tracked| tracked.model.committed.default);
            // Where the registry does not show the model for now, nothing is known of it.
            default.is_none_or(|default| default == late.rollout.spec.candidate) && !late.is_over(at)
        });
        for (name, late) in &mut self.late {
            if now.duration_since(late.looked_at) >= every {
                late.looked_at = now;
                if late.take(at) || !late.kept.units.is_empty() {
                    names.push(name.clone());
                }
            }
        }
        for name in names {
            self.keep_late(&name);
        }
        if !self.resumable_late.is_empty() && self.first_pass.is_some() {
            return;
        }
        let finding = |late: &Late| late.is_proved.then(|| LateFinding::of(&late.rollout));
        let found = self.late.iter().filter_map(|(name, late)| Some((name.clone(), finding(late)?)));
        self.labels.found(found.collect());
    }

    /// When labels of rollouts that are over are looked at next.
    pub(super) fn next_late_look(&self) -> Option<Instant> {
        self.late.values().map(|late| late.looked_at + self.policy.rollout_look).min()
    }

    /// Takes up a rollout of before the start that ended with a promotion of what serves, so that its labels go on to count.
    pub(super) fn resume_late(&mut self) {
        for (name, tracked) in &mut self.models {
            if tracked.rollout.is_some() || !self.resumable_late.contains_key(name) {
                continue;
            }
            let Some(signature) = tracked.promised_signature() else { continue };
            let Some(Resumed { rollout, units, .. }) = self.resumable_late.remove(name) else { continue };
            let serves = |tracked: &Tracked| tracked.model.committed.default == Some(rollout.spec.candidate);
            if !serves(tracked) || self.late.contains_key(name) {
                continue;
            }
            let Rollout { id, spec, frozen, .. } = &rollout;
            let alarm = alarm(&self.sender, name);
            let recorder = Arc::new(Recorder::new(*id, spec, frozen, signature, &units, alarm));
            self.labels.lead(name, recorder.clone());
            self.late.insert(name.clone(), Late::over(rollout, recorder));
        }
    }

    /// Writes what labels say of a rollout that is over; says it where it has just turned out that its version is worse.
    fn keep_late(&mut self, name: &ModelName) {
        let Some(late) = self.late.get_mut(name) else { return };
        let proves = !late.is_proved && is_wrong(&late.rollout);
        let (rollout, units) = (late.rollout.clone(), late.kept.units.clone());
        let (id, version) = (rollout.id, rollout.spec.candidate);
        let entry = proves.then(|| Entry {
            what: What::Rollout,
            model: Some(name.clone()),
            version: Some(version),
            from: None,
            by: "evidence".into(),
            why: LateFinding::of(&rollout).says,
            took: None,
            at: SystemTime::now(),
        });
        if let Err(error) = self.journal.write_late(&rollout, &units, entry.as_ref()) {
            // It is kept, and written with the next labels.
            tracing::warn!(model = %name, rollout = id, "what late labels say cannot be written: {error}");
        } else if let Some(late) = self.late.get_mut(name) {
            late.kept = Seen::default();
        }
        if proves {
            self.say_wrong(name, &rollout);
        }
    }

    fn say_wrong(&mut self, name: &ModelName, rollout: &Rollout) {
        if let Some(late) = self.late.get_mut(name) {
            late.is_proved = true;
        }
        tracing::warn!(model = %name, rollout = rollout.id, "{}", LateFinding::of(rollout).says);
        if let Some(address) = &rollout.spec.webhook {
            let standing = (Phase::Promoted, rollout.exposure);
            let notice = Notice {
                rollout: rollout.id,
                model: name.to_string(),
                candidate: rollout.spec.candidate,
                from: standing,
                to: standing,
                event: "late labels".into(),
                at: moment(),
            };
            (self.notify)(address, &notice);
        }
    }
}
