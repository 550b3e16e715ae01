//! A rollout as the rest of the control path sees it: which version is exposed to callers, how much, and by what plan.

use pointsman_core::VersionNumber;
use pointsman_route::{ArmEntry, Document, Experiment, ShadowEntry, Share, Target, UnitSource};

use super::spec::{Exposure, Spec};
use super::state::Rollout;

/// What is looked at of a rollout that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its number.
    pub id: u64,
    /// The version that takes over.
    pub candidate: VersionNumber,
    /// How much callers are exposed to it.
    pub exposure: Exposure,
    /// The newest version that there was when it began, or the candidate.
    pub newest: VersionNumber,
    units: Vec<UnitSource>,
    salt: String,
    floor: bool,
}

impl Standing {
    /// The arm and the shadow of a candidate.
    pub const ARM: &str = "candidate";

    /// Of a rollout.
    #[must_use]
    pub fn of(rollout: &Rollout) -> Self {
        Self {
            id: rollout.id,
            candidate: rollout.spec.candidate,
            exposure: rollout.exposure,
            newest: rollout.frozen.newest.max(rollout.spec.candidate),
            units: rollout.spec.units.clone(),
            salt: rollout.frozen.salt.clone(),
            floor: rollout.spec.floor,
        }
    }

    /// Of one that may begin, to see whether it goes together with a plan.
    #[must_use]
    pub(crate) fn new(spec: &Spec, exposure: Exposure) -> Self {
        let id = 0;
        Self {
            id,
            candidate: spec.candidate,
            exposure,
            newest: spec.candidate,
            units: spec.units.clone(),
            salt: Self::salt(&spec.model, id),
            floor: spec.floor,
        }
    }

    /// The experiment in which units are drawn.
    #[must_use]
    pub fn experiment(id: u64) -> String {
        format!("rollout-{id}")
    }

    /// The salt of a rollout's draw, as a plan would choose it: another rollout draws anew.
    #[must_use]
    pub fn salt(model: &str, id: u64) -> String {
        format!("{model}/{}/1", Self::experiment(id))
    }

    /// A plan with the rollout in it. The plan that is committed stays as it is: so there is one place that says how
    /// much callers are exposed, and it is the rollout's.
    #[must_use]
    pub fn in_plan(&self, document: &Document) -> Document {
        let mut document = document.clone();
        let version = Target::Number(self.candidate);
        let (salt, name) = (Some(self.salt.clone()), Self::ARM.to_owned());
        match self.exposure {
            Exposure::None | Exposure::All => {}
            Exposure::Shadow(share) => {
                document.shadows.push(ShadowEntry {
                    name,
                    version,
                    share,
                    salt,
                    salt_version: None,
                    floor: self.floor,
                });
            }
            Exposure::Canary(weight) => {
                document.experiment = Some(Experiment {
                    name: Self::experiment(self.id),
                    salt,
                    salt_version: None,
                    units: self.units.clone(),
                    segment: None,
                    covariate: None,
                    metrics: Vec::new(),
                    // From the first point on: each stage only adds units to those of the stage before.
                    arms: vec![ArmEntry { name, version, weight, anchor: Some(Share::NONE) }],
                });
            }
        }
        document
    }
}
