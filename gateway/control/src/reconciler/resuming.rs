//! Rollouts that were under way, or were to follow another one, when the gateway went down.

use std::sync::Arc;

use pointsman_core::ModelName;

use super::rollouts::alarm;
use super::{Reconciler, Tracked};
use crate::journal::Resumed;
use crate::rollout::{Recorder, Rollout, ShadowTotals, Spec};
use crate::wish::{RolloutWish, Wish};

impl Reconciler {
    /// Takes up the rollouts that were under way when the gateway went down, as their models are seen again.
    pub(super) fn resume_rollouts(&mut self) {
        for (name, tracked) in &mut self.models {
            if tracked.rollout.is_some() || !self.resumable.contains_key(name) {
                continue;
            }
            let Some(signature) = tracked.promised_signature() else { continue };
            let Some(Resumed { rollout, records, units }) = self.resumable.remove(name) else { continue };
            let Rollout { id, spec, frozen, .. } = &rollout;
            let alarm = alarm(&self.sender, name);
            let recorder = Arc::new(Recorder::new(*id, spec, frozen, signature, &units, alarm));
            self.labels.lead(name, recorder.clone());
            self.metrics.rollouts().goes_on(name, rollout.phase, rollout.exposure);
            tracked.take_up(rollout, records, recorder, ShadowTotals::default());
        }
        // One that was to follow another, and had not begun as the gateway went down. What was decided of its version
        // since then holds.
        let serves = |tracked: &Tracked| {
            tracked.model.committed.default.and_then(|v| tracked.model.ready(v)).is_some()
        };
        let due: Vec<ModelName> = self
            .to_follow
            .keys()
            .filter(|name| self.models.get(*name).is_some_and(serves))
            .cloned()
            .collect();
        for name in due {
            let Some(Rollout { id, spec, .. }) = self.to_follow.get(&name) else { continue };
            let (by, spec) = (format!("rollout {id}"), spec.clone());
            let next = self.to_follow.remove(&name).and_then(|rollout| rollout.follows());
            let Some(candidate) = next.filter(|next| self.models[&name].model.mark(*next).is_none()) else {
                continue;
            };
            let start = RolloutWish::Start(Box::new(Spec { candidate, ..spec }));
            self.wish_of_the_gateway(&name, Wish::Rollout(start), by);
        }
    }
}
