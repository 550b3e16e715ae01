//! A document that is checked and says everything: every salt, every unit, every anchor.

mod anchors;
mod check;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use self::check::Checks;
use crate::document::{Document, Experiment};
use crate::finding::Finding;
use crate::share::Share;
use crate::unit::UnitSource;

/// A document in its canonical form, in which nothing is left to a default. What people gave is found in it again, and
/// a change of a default changes no plan that is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Settled(Document);

/// The salts that experiments have used, each with the name of its experiment.
pub type Salts = BTreeMap<String, String>;

impl Settled {
    /// Checks a document, and fixes what it leaves open. Arms that `before` has keep their anchors; `used` are the
    /// salts of all experiments that the model has ever had.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(
        model: &str,
        document: Document,
        before: Option<&Self>,
        used: &Salts,
    ) -> Result<Self, Vec<Finding>> {
        let mut checks = Checks::default();
        checks.document(&document);
        let mut checked = checks.or(document)?;
        fill(model, &mut checked);
        let mut checks = Checks::default();
        checks.salts(&checked, used);
        let previous = |experiment: &Experiment| {
            let known = before.into_iter().flat_map(|before| before.0.experiments());
            let mut same = known.map(|(_, known)| known).filter(|known| known.name == experiment.name);
            same.find(|known| known.salt == experiment.salt)
        };
        let keys: Vec<String> = checked.experiments().map(|(key, _)| key).collect();
        for (key, experiment) in keys.iter().zip(experiments_mut(&mut checked)) {
            let previous = previous(experiment);
            anchors::settle(key, experiment, previous, &mut checks.findings);
        }
        checks.or(Self(checked))
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.0
    }

    /// What tells this plan from others: 32 hexadecimal digits of XXH3-128 over its JSON.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("{:032x}", xxh3_128(self.0.to_json().as_bytes()))
    }

    /// The salts of its experiments, to be added to those that were used.
    #[must_use]
    pub fn salts(&self) -> Salts {
        let experiments = self.0.experiments();
        experiments.filter_map(|(_, e)| Some((e.salt.clone()?, e.name.clone()))).collect()
    }
}

impl<'de> Deserialize<'de> for Settled {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Document::deserialize(deserializer)?;
        // A settled document names all its salts, so that the model's name adds nothing.
        Self::new("", document, None, &Salts::new()).map_err(|findings| {
            let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
            serde::de::Error::custom(findings.join("; "))
        })
    }
}

fn experiments_mut(document: &mut Document) -> impl Iterator<Item = &mut Experiment> {
    let layered = document.layers.iter_mut().flat_map(|layer| &mut layer.experiments);
    document.experiment.iter_mut().chain(layered)
}

/// Says what the document leaves to defaults, anchors left out.
fn fill(model: &str, document: &mut Document) {
    let fill_salt = |salt: &mut Option<String>, version: &mut Option<u32>, name: &str| {
        let version = version.take().unwrap_or(1);
        salt.get_or_insert_with(|| format!("{model}/{name}/{version}"));
    };
    let lower = |name: &mut Option<String>| *name = name.take().map(|name| name.to_ascii_lowercase());
    let last = |units: &mut Vec<UnitSource>| {
        if units.last() != Some(&UnitSource::RequestId) {
            units.push(UnitSource::RequestId);
        }
    };
    lower(&mut document.forced_arm_header);
    for rule in &mut document.rules {
        lower(&mut rule.header);
    }
    if let Some(experiment) = &mut document.experiment {
        last(&mut experiment.units);
        experiment.segment.get_or_insert([Share::NONE, Share::ALL]);
    }
    for layer in &mut document.layers {
        last(&mut layer.units);
        fill_salt(&mut layer.salt, &mut layer.salt_version, &layer.name);
    }
    for experiment in experiments_mut(document) {
        fill_salt(&mut experiment.salt, &mut experiment.salt_version, &experiment.name);
    }
    for shadow in &mut document.shadows {
        fill_salt(&mut shadow.salt, &mut shadow.salt_version, &shadow.name);
    }
}

#[cfg(test)]
mod tests;
