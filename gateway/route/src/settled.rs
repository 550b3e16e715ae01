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

/// What tells a document from others: 32 hexadecimal digits of XXH3-128 over its JSON.
#[must_use]
pub fn tag(document: &Document) -> String {
    format!("{:032x}", xxh3_128(document.to_json().as_bytes()))
}

/// The salts that experiments have used.
pub type Salts = BTreeMap<String, SaltUse>;

/// What a salt was used for. Another experiment cannot have it, and an arm that returns to its experiment begins where it
/// did before: so it gets the same units again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaltUse {
    /// The name of the experiment.
    pub experiment: String,
    /// Where each arm began that it had, by name.
    pub anchors: BTreeMap<String, Share>,
}

impl Settled {
    /// Checks a document, and fixes what it leaves open. `used` are the salts of all experiments that the model has ever
    /// had: arms that were there keep their anchors.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(model: &str, document: Document, used: &Salts) -> Result<Self, Vec<Finding>> {
        let mut checks = Checks::default();
        checks.document(&document);
        let mut checked = checks.or(document)?;
        fill(model, &mut checked);
        let mut checks = Checks::default();
        checks.salts(&checked, used);
        let keys: Vec<String> = checked.experiments().map(|(key, _)| key).collect();
        for (key, experiment) in keys.iter().zip(experiments_mut(&mut checked)) {
            let known = experiment.salt.as_ref().and_then(|salt| used.get(salt));
            anchors::settle(key, experiment, known, &mut checks.findings);
        }
        checks.or(Self(checked))
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.0
    }

    /// What tells this plan from others: the [`tag`] of its document.
    #[must_use]
    pub fn etag(&self) -> String {
        tag(&self.0)
    }

    /// Adds its experiments and arms to those that have used salts. An arm that moved counts where it is now.
    pub fn use_salts(&self, used: &mut Salts) {
        for (_, experiment) in self.0.experiments() {
            let Some(salt) = &experiment.salt else { continue };
            let SaltUse { experiment: name, anchors } = used.entry(salt.clone()).or_default();
            name.clone_from(&experiment.name);
            anchors.extend(experiment.arms.iter().filter_map(|arm| Some((arm.name.clone(), arm.anchor?))));
        }
    }
}

impl<'de> Deserialize<'de> for Settled {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Document::deserialize(deserializer)?;
        // A settled document names all its salts, so that the model's name adds nothing.
        Self::new("", document, &Salts::new()).map_err(|findings| {
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
