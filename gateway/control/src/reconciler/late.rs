//! Labels that come after a rollout ended with a promotion: it is too late to hold it, and not to say so.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pointsman_core::ModelName;

use super::Reconciler;
use super::rollouts::UnderWay;
use crate::journal::{Entry, What};
use crate::rollout::{Moment, Notice, Phase, Question, Recorder, Rollout};

/// How long labels of a rollout that is over are waited for.
const WAITED: Duration = Duration::from_secs(90 * 24 * 3600);

/// A rollout that ended with a promotion.
pub(super) struct Late {
    rollout: Rollout,
    recorder: Arc<Recorder>,
    looked_at: Instant,
    since: Instant,
}

impl Late {
    pub(super) fn of(under_way: &UnderWay) -> Self {
        let now = Instant::now();
        let recorder = under_way.recorder.clone();
        Self { rollout: under_way.rollout.clone(), recorder, looked_at: now, since: now }
    }
}

fn moment() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Reconciler {
    /// Takes in labels of rollouts that ended with a promotion. Where they prove the version wrong at the level of the
    /// rollout's guard, the journal, the log and who is told of the rollout say so, once. It is not led back by itself:
    /// what served before may be gone, and what is promoted is a person's again.
    pub(super) fn look_at_late_labels(&mut self, now: Instant) {
        let every = self.policy.rollout_look;
        let mut proved = Vec::new();
        self.late.retain(|name, late| {
            if now.duration_since(late.since) > WAITED {
                return false;
            }
            if now.duration_since(late.looked_at) < every {
                return true;
            }
            late.looked_at = now;
            let Rollout { spec, frozen, evidence, .. } = &mut late.rollout;
            // What answers say no more, labels alone do.
            evidence.push(spec, frozen, &late.recorder.take().looks, moment());
            let is_wrong = evidence.harm.tests(Question::Labels).iter().any(|test| test.rejects());
            if is_wrong {
                proved.push((name.clone(), late.rollout.clone()));
            }
            !is_wrong
        });
        for (name, rollout) in proved {
            self.say_wrong(&name, &rollout);
        }
    }

    /// When labels of rollouts that are over are looked at next.
    pub(super) fn next_late_look(&self) -> Option<Instant> {
        self.late.values().map(|late| late.looked_at + self.policy.rollout_look).min()
    }

    fn say_wrong(&mut self, name: &ModelName, rollout: &Rollout) {
        let (id, version) = (rollout.id, rollout.spec.candidate);
        let why = format!(
            "rollout {id}: labels that came after its promotion prove version {version} worse than the one before; \
             `pointsman rollback {name}` leads back to it"
        );
        tracing::warn!(model = %name, rollout = id, "{why}");
        self.note(Entry {
            what: What::Rollout,
            model: Some(name.clone()),
            version: Some(version),
            from: None,
            by: "evidence".into(),
            why,
            took: None,
            at: SystemTime::now(),
        });
        if let Some(address) = &rollout.spec.webhook {
            let standing = (Phase::Promoted, rollout.exposure);
            let notice = Notice {
                rollout: id,
                model: name.to_string(),
                candidate: version,
                from: standing,
                to: standing,
                event: "late labels".into(),
                at: moment(),
            };
            (self.notify)(address, &notice);
        }
    }
}
