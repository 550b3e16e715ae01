//! The plan of one model: its default version and its aliases.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_core::{VersionNumber, VersionSelector};

/// Which versions a model's callers reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The version for callers that name none; nothing where none serves.
    pub default: Option<VersionNumber>,
    /// Names that stand for versions wherever a version can stand.
    pub aliases: BTreeMap<Arc<str>, VersionNumber>,
}

/// The way by which a request came to its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arm {
    /// The model's default.
    Default,
    /// The caller named a version or an alias.
    Direct,
}

impl Arm {
    /// The name in answers, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Direct => "direct",
        }
    }
}

/// What a plan decided for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// How the version was reached.
    pub arm: Arm,
    /// The version that is to answer.
    pub version: VersionNumber,
}

/// Why a plan has no version for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The model has no default version.
    NoDefault,
    /// The model has no such alias.
    UnknownAlias,
}

impl Plan {
    /// The version for a selector. Whether that version serves is for the snapshot to say.
    ///
    /// # Errors
    /// [`Refusal`] where the plan names no version.
    pub fn pick(&self, selector: &VersionSelector) -> Result<Pick, Refusal> {
        match selector {
            VersionSelector::Default => {
                let version = self.default.ok_or(Refusal::NoDefault)?;
                Ok(Pick { arm: Arm::Default, version })
            }
            VersionSelector::Number(version) => Ok(Pick { arm: Arm::Direct, version: *version }),
            VersionSelector::Alias(alias) => {
                let version = *self.aliases.get(alias).ok_or(Refusal::UnknownAlias)?;
                Ok(Pick { arm: Arm::Direct, version })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_leads_to_one_version() {
        let version = |n| VersionNumber::new(n).unwrap();
        let plan = Plan { default: Some(version(3)), aliases: [("champion".into(), version(2))].into() };
        let pick = |selector| plan.pick(&VersionSelector::parse(selector).unwrap());
        assert_eq!(pick(""), Ok(Pick { arm: Arm::Default, version: version(3) }));
        assert_eq!(pick("1"), Ok(Pick { arm: Arm::Direct, version: version(1) }));
        assert_eq!(pick("champion"), Ok(Pick { arm: Arm::Direct, version: version(2) }));
        assert_eq!(pick("challenger"), Err(Refusal::UnknownAlias));
        assert_eq!(Plan::default().pick(&VersionSelector::Default), Err(Refusal::NoDefault));
    }
}
