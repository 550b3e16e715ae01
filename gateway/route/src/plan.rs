//! The plan of one model: its default version, its aliases, and how callers who name no version are split.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_core::{Arm, VersionNumber, VersionSelector};

use crate::covariate::Covariate;
use crate::facts::Facts;
use crate::share::Share;
use crate::split::{BUCKETS, Chosen, Split};
use crate::unit::UnitKind;

/// Which versions a model's callers reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The version for callers that name none; nothing where none serves.
    pub default: Option<VersionNumber>,
    /// Names that stand for versions wherever a version can stand.
    pub aliases: BTreeMap<Arc<str>, VersionNumber>,
    /// How callers that name no version are split; nothing where all get the default.
    pub split: Option<Arc<Split>>,
}

/// What a plan decided for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// What the request is counted under beside its version.
    pub arm: Arm,
    /// The version that is to answer.
    pub version: VersionNumber,
    /// How the version was reached.
    pub way: Way,
    /// What was drawn; nothing where nothing was.
    pub assignment: Option<Assignment>,
}

/// How a request came to its arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The caller named a version or an alias.
    Direct,
    /// There is no split, or the unit takes part in no experiment.
    Default,
    /// A tester asked for the arm by header.
    Forced,
    /// A rule pins it.
    Rule,
    /// The unit was drawn in an experiment.
    Experiment,
    /// The arm's version does not serve, so that the default does.
    Fallback,
}

impl Way {
    /// The word in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Default => "default",
            Self::Forced => "forced",
            Self::Rule => "rule",
            Self::Experiment => "experiment",
            Self::Fallback => "fallback",
        }
    }
}

/// The part that a unit has in an experiment. Only what was drawn can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The experiment.
    pub experiment: Arc<str>,
    /// What the unit is.
    pub unit_kind: UnitKind,
    /// With which probability a unit of the experiment gets this arm: the propensity.
    pub weight: Share,
    /// Tells the unit from others, the same for all its requests and independent of the arm (`pm-bkt-1`).
    pub unit: u64,
    /// What was known of it beforehand, where the experiment asks for that and the request says it.
    pub covariate: Option<Covariate>,
}

impl Assignment {
    /// In which of [`BUCKETS`] the unit is counted.
    #[must_use]
    pub fn bucket(&self) -> u16 {
        // The ten highest bits.
        u16::try_from(self.unit >> 54).unwrap_or(BUCKETS)
    }
}

/// Why a plan has no version for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The model has no default version.
    NoDefault,
    /// The model has no such alias.
    UnknownAlias,
    /// The header that forces an arm names none that serves.
    UnknownArm {
        /// The header.
        header: Box<str>,
        /// What it names, as a message may repeat it.
        name: String,
    },
}

impl Plan {
    /// Whether a request has to be decoded before its version can be picked.
    #[must_use]
    pub fn needs_body(&self, selector: &VersionSelector) -> bool {
        *selector == VersionSelector::Default && self.split.as_ref().is_some_and(|split| split.needs_body())
    }

    /// The version for a request. Whether that version serves is for the snapshot to say.
    ///
    /// # Errors
    /// [`Refusal`] where the plan names no version.
    pub fn pick<F: Facts>(&self, selector: &VersionSelector, facts: &F) -> Result<Pick, Refusal> {
        if *selector != VersionSelector::Default {
            let version = self.named(selector)?;
            return Ok(Pick { arm: Arm::Direct, version, way: Way::Direct, assignment: None });
        }
        let chosen = match &self.split {
            Some(split) => split.choose(facts)?,
            None => Chosen { arm: None, way: Way::Default, assignment: None },
        };
        let Chosen { arm, way, assignment } = chosen;
        let (arm, version) = match arm {
            Some((name, version)) => (Arm::Named(name.clone()), version),
            None => (Arm::Default, self.default.ok_or(Refusal::NoDefault)?),
        };
        Ok(Pick { arm, version, way, assignment })
    }

    /// The version that a selector stands for, of which the default has no split.
    ///
    /// # Errors
    /// [`Refusal`] where the plan names no version.
    pub fn named(&self, selector: &VersionSelector) -> Result<VersionNumber, Refusal> {
        match selector {
            VersionSelector::Default => self.default.ok_or(Refusal::NoDefault),
            VersionSelector::Number(version) => Ok(*version),
            VersionSelector::Alias(alias) => self.aliases.get(alias).copied().ok_or(Refusal::UnknownAlias),
        }
    }

    /// The names of all arms that a request can have: the labels that metrics may have.
    pub fn arms(&self) -> impl Iterator<Item = Arm> + '_ {
        let named = self.split.iter().flat_map(|split| split.arms());
        [Arm::Default, Arm::Direct].into_iter().chain(named.map(|name| Arm::Named(name.clone())))
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::RequestId;

    use super::*;
    use crate::facts::Bare;

    #[test]
    fn a_selector_leads_to_one_version() {
        let version = |n| VersionNumber::new(n).unwrap();
        let plan = Plan {
            default: Some(version(3)),
            aliases: [("champion".into(), version(2))].into(),
            ..Plan::default()
        };
        let pick = |selector| {
            let pick = plan.pick(&VersionSelector::parse(selector).unwrap(), &Bare(RequestId::generate()));
            pick.map(|pick| (pick.arm, pick.version))
        };
        assert_eq!(pick(""), Ok((Arm::Default, version(3))));
        assert_eq!(pick("1"), Ok((Arm::Direct, version(1))));
        assert_eq!(pick("champion"), Ok((Arm::Direct, version(2))));
        assert_eq!(pick("challenger"), Err(Refusal::UnknownAlias));
        assert_eq!(plan.arms().collect::<Vec<_>>(), [Arm::Default, Arm::Direct]);
        let bare = Bare(RequestId::generate());
        assert_eq!(Plan::default().pick(&VersionSelector::Default, &bare), Err(Refusal::NoDefault));
    }
}
