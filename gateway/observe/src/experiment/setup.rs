//! What an experiment is: what has to stay as it is for sums to go on.

use serde::{Deserialize, Serialize};

/// The most arms, with the default one.
pub const ARMS_MAX: usize = 17;
/// The most metrics of outputs.
pub const OUTPUT_METRICS_MAX: usize = 8;

/// An experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The model.
    pub model: String,
    /// Its name.
    pub name: String,
    /// What units are hashed with.
    pub salt: String,
    /// Where requests say their units.
    pub units: Vec<String>,
    /// The arms, the default one first; [`ARMS_MAX`] at most.
    pub arms: Vec<ArmSetup>,
    /// What is measured in outputs; [`OUTPUT_METRICS_MAX`] at most.
    pub metrics: Vec<OutputMetric>,
    /// Where requests say their covariate.
    pub covariate: Option<String>,
}

/// An arm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmSetup {
    /// Its name.
    pub name: String,
    /// The version that answers.
    pub version: u64,
}

/// Something that is measured in an output, row by row, or by labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputMetric {
    /// Its name.
    pub name: String,
    /// The output; empty of labels.
    pub output: String,
    /// What of a row.
    pub place: Place,
}

/// What of a row is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The element at this place.
    Index(u32),
    /// Whether the row decides for this class: by its highest score, or as its label.
    Class(u32),
    /// Nothing of an output: whether the answer was another than the label that came later.
    Wrong,
    /// Nothing of an output: by how much the answer was off, by the label that came later.
    Off,
}

impl Setup {
    /// Whether it can be recorded.
    #[must_use]
    pub fn fits(&self) -> bool {
        (2..=ARMS_MAX).contains(&self.arms.len()) && self.metrics.len() <= OUTPUT_METRICS_MAX
    }

    /// Why sums that were kept for `before` do not go on for this; nothing where they do.
    ///
    /// Sums of two versions behind one arm would compare a mixture of both with the default. And as the mixture
    /// changed over time, with every other arm the times would be compared as well. So all arms begin anew.
    #[must_use]
    pub fn begins_anew(&self, before: &Self) -> Option<String> {
        let names = |setup: &Self| setup.arms.iter().map(|arm| arm.name.clone()).collect::<Vec<_>>();
        if names(self) != names(before) {
            return Some(format!(
                "the arms were {}, and are {}",
                names(before).join(", "),
                names(self).join(", ")
            ));
        }
        for (now, was) in self.arms.iter().zip(&before.arms) {
            if now.version != was.version {
                let (name, now, was) = (&now.name, now.version, was.version);
                return Some(format!("arm {name} was version {was}, and is version {now}"));
            }
        }
        if (&self.salt, &self.units) != (&before.salt, &before.units) {
            return Some("units are drawn another way".into());
        }
        let measures = (&self.metrics, &self.covariate) != (&before.metrics, &before.covariate);
        measures.then(|| "something else is measured".into())
    }
}
