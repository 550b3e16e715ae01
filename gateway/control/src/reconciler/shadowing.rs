//! The shadows of a model's plan: they run beside its default version, for as long as plan and versions have them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_core::ModelName;
use pointsman_predict::{
    Admission, Metrics, Observer, Shadow, ShadowGround, ShadowLimits, ShadowSpec, Tee, Version, Windows,
};

use super::{Reconciler, Tracked, earlier};

/// How long a shadow waits that could not be started.
const RETRY: Duration = Duration::from_secs(10);

/// What shadows are started with.
#[derive(Clone)]
pub struct Shadowing {
    /// The instruments.
    pub metrics: Metrics,
    /// The door, which knows when memory is low.
    pub admission: Arc<Admission>,
    /// Who is told what they answer.
    pub observers: Arc<dyn Observers>,
    /// The bounds of each.
    pub limits: ShadowLimits,
    /// When none of any model runs.
    pub windows: Windows,
}

/// Has an observer for each shadow. Called by the control thread, which must not wait for a shadow's: that may be held up.
pub trait Observers: Send + Sync {
    /// The one for a shadow of these versions.
    fn observer(&self, primary: &Version, shadow: &Version) -> Arc<dyn Observer>;

    /// These shadows do not run beside this version any more, or not all of them: what they cost it up to now is known.
    fn ended(&self, tee: &Tee);
}

/// The shadows of one model.
#[derive(Default)]
pub(super) struct Shadows {
    pub(super) tee: Option<Arc<Tee>>,
    /// Those that could not be started, a line each.
    pub(super) lost: Vec<String>,
    /// When they are tried again.
    retry_at: Option<Instant>,
}

/// A shadow of the plan, with the version that runs.
type Wanted = (pointsman_route::Shadow, Arc<Version>);

impl Shadows {
    /// Starts what is wanted and does not run, and ends what runs and is not wanted. What has not changed goes on as it is.
    fn follow(
        &mut self,
        primary: Option<&Arc<Version>>,
        wanted: &[Wanted],
        shadowing: &Shadowing,
        start: impl Fn(ShadowSpec) -> std::io::Result<Arc<Shadow>>,
    ) {
        self.lost.clear();
        let before = self.tee.take();
        let known: &[Arc<Shadow>] = match (&before, primary) {
            (Some(tee), Some(primary)) if Arc::ptr_eq(tee.primary(), primary) => tee.shadows(),
            _ => &[],
        };
        let mut shadows = Vec::new();
        for (sees, version) in primary.iter().flat_map(|_| wanted) {
            let same =
                |shadow: &&Arc<Shadow>| shadow.seen() == sees && Arc::ptr_eq(shadow.version(), version);
            if let Some(shadow) = known.iter().find(same) {
                shadows.push(shadow.clone());
                continue;
            }
            let Some(primary) = primary.cloned() else { break };
            let spec = ShadowSpec {
                sees: sees.clone(),
                primary,
                version: version.clone(),
                floor: sees.floor,
                limits: shadowing.limits.clone(),
                windows: shadowing.windows,
            };
            match start(spec) {
                Ok(shadow) => shadows.push(shadow),
                Err(error) => self.lost.push(format!(
                    "shadow \"{}\" of version {} does not run: the system has no thread for it ({error}); it is tried again every {} s",
                    sees.name,
                    sees.version,
                    RETRY.as_secs(),
                )),
            }
        }
        self.retry_at = (!self.lost.is_empty()).then(|| Instant::now() + RETRY);
        let unchanged = shadows.len() == known.len()
            && shadows.iter().zip(known).all(|(now, before)| Arc::ptr_eq(now, before));
        self.tee = match (primary, before) {
            (Some(_), Some(before)) if unchanged && !shadows.is_empty() => Some(before),
            (primary, before) => {
                if let Some(before) = before {
                    shadowing.observers.ended(&before);
                }
                let primary = primary.filter(|_| !shadows.is_empty());
                primary
                    .map(|primary| Tee::new(primary.clone(), shadows, shadowing.windows, &shadowing.metrics))
            }
        };
    }
}

impl Shadowing {
    fn start(&self, spec: ShadowSpec) -> std::io::Result<Arc<Shadow>> {
        let observer = self.observers.observer(&spec.primary, &spec.version);
        let (metrics, admission) = (self.metrics.clone(), self.admission.clone());
        Shadow::start(spec, &ShadowGround { metrics, admission, observer })
    }
}

impl Tracked {
    /// Lets the shadows run that the plan has, as far as it is compiled.
    pub(super) fn follow_shadows(&mut self, name: &ModelName, shadowing: &Shadowing) {
        let default = self.model.committed.default;
        let primary = default.and_then(|default| self.versions.get(&default)).cloned();
        let all = self.compiled.split.iter().flat_map(|split| split.all_shadows());
        let wanted: Vec<Wanted> =
            all.filter_map(|sees| Some((sees.clone(), self.versions.get(&sees.version)?.clone()))).collect();
        let lost = self.shadows.lost.clone();
        self.shadows.follow(primary.as_ref(), &wanted, shadowing, |spec| shadowing.start(spec));
        for line in self.shadows.lost.iter().filter(|line| !lost.contains(line)) {
            tracing::warn!(model = %name, "{line}");
        }
    }

    /// Arms and shadows of the plan that do not serve or run, a line each.
    pub(super) fn lost(&self) -> Vec<String> {
        [&*self.compiled.lost, &*self.shadows.lost].concat()
    }
}

impl Reconciler {
    /// Has shadows tried again that could not be started; gives when the next ones are.
    pub(super) fn retry_shadows(&mut self, now: Instant) -> Option<Instant> {
        let mut wake = None;
        for tracked in self.models.values_mut() {
            match tracked.shadows.retry_at {
                Some(at) if at <= now => tracked.changed = true,
                at => wake = earlier(wake, at),
            }
        }
        wake
    }
}

#[cfg(test)]
mod tests;
