//! The experiments of a split as those see them who count what comes of its arms.

use std::sync::Arc;

use pointsman_core::VersionNumber;

use super::{Split, SplitArm};
use crate::document::{ArmEntry, Document, Experiment, MetricEntry};
use crate::share::Share;
use crate::unit::UnitSource;

/// What was drawn and how it is to be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Design {
    /// The name of the experiment.
    pub name: Arc<str>,
    /// What its hash is salted with: another one is another draw.
    pub salt: Box<str>,
    /// Where requests say their units.
    pub units: Box<[UnitSource]>,
    /// The arms beside the default one.
    pub arms: Box<[DesignArm]>,
    /// What they leave to the default arm.
    pub rest: Share,
    /// What is measured in outputs.
    pub metrics: Box<[MetricEntry]>,
    /// Where requests say their covariate.
    pub covariate: Option<UnitSource>,
}

/// An arm beside the default one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesignArm {
    /// Its name.
    pub name: Arc<str>,
    /// Its version; nothing where that does not serve.
    pub version: Option<VersionNumber>,
    /// Its share of the experiment's units.
    pub weight: Share,
}

impl Design {
    pub(super) fn of(document: &Document, arms: &[SplitArm]) -> Box<[Self]> {
        // Arms are in the order of the document.
        let mut arms = arms.iter();
        let alone = document.experiment.iter().map(|experiment| (experiment, &*experiment.units));
        let layered = document
            .layers
            .iter()
            .flat_map(|layer| layer.experiments.iter().map(|experiment| (experiment, &*layer.units)));
        alone.chain(layered).map(|(experiment, units)| Self::new(experiment, units, &mut arms)).collect()
    }

    fn new<'a>(
        experiment: &Experiment,
        units: &[UnitSource],
        arms: &mut impl Iterator<Item = &'a SplitArm>,
    ) -> Self {
        let arm = |(entry, arm): (&ArmEntry, &SplitArm)| DesignArm {
            name: arm.name.clone(),
            version: arm.version,
            weight: entry.weight,
        };
        Self {
            name: experiment.name.as_str().into(),
            salt: experiment.salt.as_deref().unwrap_or_default().into(),
            units: units.into(),
            arms: experiment.arms.iter().zip(arms).map(arm).collect(),
            rest: rest(experiment),
            metrics: experiment.metrics.clone().into(),
            covariate: experiment.covariate.clone(),
        }
    }
}

/// What the arms of an experiment leave to the default one.
pub(super) fn rest(experiment: &Experiment) -> Share {
    let sum: u16 = experiment.arms.iter().map(|arm| arm.weight.ten_thousandths()).sum();
    Share::new(sum).unwrap_or(Share::ALL).rest()
}

impl Split {
    /// Its experiments, layer by layer.
    #[must_use]
    pub fn designs(&self) -> &[Design] {
        &self.designs
    }
}
