//! A plan as people write it: TOML in files and configuration, JSON over the admin API.

use std::fmt::Display;

use serde::{Deserialize, Deserializer, Serialize};

use crate::finding::Finding;
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::share::Share;
use crate::target::Target;
use crate::unit::UnitSource;

/// How the traffic of one model is split. An empty document splits nothing: everybody gets the model's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The header by which testers choose an arm; nobody can where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced_arm_header: Option<String>,
    /// What is looked at before the split, in order: the first that matches gives the arm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// The one experiment, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Experiment>,
    /// Several experiments. A unit takes part in the first that has it, layer by layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    /// Versions that see requests after they were answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadows: Vec<ShadowEntry>,
}

/// Pins an arm by what a request says. Of `header` and `parameter` one is given, and one of `exact`, `prefix` and `one_of`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The header that is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The request parameter that is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// What the value begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Values of which it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<String>>,
    /// The arm: one of the plan, or `default`.
    pub arm: String,
}

/// Experiments of which a unit takes part in one at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// What its hash is salted with; `MODEL/NAME/SALT_VERSION` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// Counts up to draw anew; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt_version: Option<u32>,
    /// Where a request says its unit: the first source that it has counts, the request's id comes last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<UnitSource>,
    /// The experiments.
    pub experiments: Vec<Experiment>,
}

/// Units that are divided among arms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Its name.
    pub name: String,
    /// As [`Layer::salt`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// As [`Layer::salt_version`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt_version: Option<u32>,
    /// As [`Layer::units`]; only without layers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<UnitSource>,
    /// From where to where in its layer it has the units; all of them where it is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<[Share; 2]>,
    /// A number of each request that was known before its arm was: a header or a parameter. What it tells of a metric is
    /// taken out of the comparison of arms; it chooses nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covariate: Option<UnitSource>,
    /// What is measured in outputs, beside what every experiment measures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricEntry>,
    /// The arms beside the default one, which has the rest.
    pub arms: Vec<ArmEntry>,
}

/// Something that is measured in an output, row by row, or by labels that come later. Of `index`, `class` and `label` one is
/// given, and `output` with the first two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricEntry {
    /// Its name.
    pub name: String,
    /// The output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// The place of an element in a row: the metric is its mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// A class: the metric is the share of rows that decide for it, by their highest score or by their label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<u32>,
    /// What labels say of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<LabelMetric>,
}

/// What labels say of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelMetric {
    /// Of classes: the share of labelled requests whose answer was another than the label.
    Wrong,
    /// Of numbers: by how much answers are off, whichever way, in the mean.
    Off,
}

/// One arm of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmEntry {
    /// Its name, which is the only one in the plan.
    pub name: String,
    /// The version that answers.
    pub version: Target,
    /// Its share of the experiment's units.
    pub weight: Share,
    /// Where its share begins; found when the plan is applied first, and fixed from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Share>,
}

/// A version that sees a part of the requests after they were answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowEntry {
    /// Its name.
    pub name: String,
    /// The version.
    pub version: Target,
    /// The share of requests that it sees.
    pub share: Share,
    /// Whether a second copy of the default version runs beside it, to show how far that is from itself: the A/A floor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub floor: bool,
    /// As [`Layer::salt`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// As [`Layer::salt_version`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt_version: Option<u32>,
}

impl Experiment {
    /// The names of what every experiment measures: shares of requests, and seconds.
    pub const METRICS: [&str; 7] =
        ["errors", "invalid", "cancelled", "latency", "latency_p50", "latency_p95", "latency_p99"];
}

impl Document {
    /// Reads a table or an object that is parsed already.
    ///
    /// # Errors
    /// What keeps it from being a document, with its key.
    pub fn read<'de>(parsed: impl Deserializer<'de, Error: Display>) -> Result<Self, Finding> {
        serde_path_to_error::deserialize(parsed)
            .map_err(|error| unreadable(&error.path().to_string(), &error.inner().to_string()))
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// What keeps the text from being a document, with its key and line.
    pub fn from_toml(text: &str) -> Result<Self, Finding> {
        check_size(text)?;
        let message = |error: &toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map(|before| before.bytes().filter(|b| *b == b'\n').count() + 1);
            line.map_or_else(String::new, |line| format!("line {line}: ")) + error.message()
        };
        let deserializer =
            toml::Deserializer::parse(text).map_err(|error| unreadable("", &message(&error)))?;
        serde_path_to_error::deserialize(deserializer)
            .map_err(|error| unreadable(&error.path().to_string(), &message(error.inner())))
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// What keeps the text from being a document, with its key and line.
    pub fn from_json(text: &str) -> Result<Self, Finding> {
        check_size(text)?;
        // A list would be read as the values of the keys in their order.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(unreadable("", "is no JSON object; give one in braces, such as {}"));
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let document = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| unreadable(&error.path().to_string(), &error.inner().to_string()))?;
        deserializer.end().map_err(|error| unreadable("", &error.to_string()))?;
        Ok(document)
    }

    /// Writes TOML that is read as an equal document.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Names, texts and lists of tables are all that it holds: there is nothing that TOML cannot say.
        toml::to_string(self).unwrap_or_default()
    }

    /// Writes JSON that is read as an equal document, in one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// All experiments, each with its key, layer by layer.
    pub(crate) fn experiments(&self) -> impl Iterator<Item = (String, &Experiment)> {
        let alone = self.experiment.iter().map(|experiment| ("experiment".to_owned(), experiment));
        let layers = self.layers.iter().enumerate();
        let layered = layers.flat_map(|(layer, Layer { experiments, .. })| {
            let experiments = experiments.iter().enumerate();
            experiments
                .map(move |(at, experiment)| (format!("layers[{layer}].experiments[{at}]"), experiment))
        });
        alone.chain(layered)
    }

    /// All arms beside the default one.
    pub fn arms(&self) -> impl Iterator<Item = &ArmEntry> {
        let layered = self.layers.iter().flat_map(|layer| &layer.experiments);
        self.experiment.iter().chain(layered).flat_map(|experiment| &experiment.arms)
    }

    /// The versions that arms and shadows name: they have to be warm where the plan is applied.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        let arms = self.arms().map(|arm| &arm.version);
        arms.chain(self.shadows.iter().map(|shadow| &shadow.version))
    }
}

fn check_size(text: &str) -> Result<(), Finding> {
    if text.len() <= DOCUMENT_BYTES_MAX {
        return Ok(());
    }
    let what = format!("has {} bytes", text.len());
    Err(Finding { key: String::new(), what, remedy: format!("give {DOCUMENT_BYTES_MAX} at most") })
}

/// Values that say themselves what they should be come as `= VALUE; REMEDY`.
fn unreadable(key: &str, message: &str) -> Finding {
    let key = if key == "." { "" } else { key };
    let (what, remedy) = match message.split_once("; ") {
        Some((what, remedy)) => (what, remedy),
        None => (message, "mend it as deploy/pointsman.toml and the README show it"),
    };
    Finding { key: key.into(), what: printable(what), remedy: printable(remedy) }
}

/// A message that may repeat what was read, without control characters.
fn printable(text: &str) -> String {
    let bounded = text.chars().take(600);
    bounded.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
        forced_arm_header = "x-arm"
        [[rules]]
        header = "x-team"
        exact = "flowers"
        arm = "challenger"
        [[rules]]
        parameter = "tier"
        one_of = ["gold", "silver"]
        arm = "default"
        [experiment]
        name = "petals"
        units = ["header:x-user-id", "cookie:uid", "parameter:user", "tensor:ids[3]"]
        covariate = "header:x-history"
        metrics = [{ name = "sure", output = "p", index = 1 }, { name = "late", output = "label", class = 2 }]
        [[experiment.arms]]
        name = "challenger"
        version = "next"
        weight = "2.5%"
        [[experiment.arms]]
        name = "third"
        version = 3
        weight = 1
        anchor = 50.5
        [[shadows]]
        name = "dark"
        version = 4
        share = "100%"
        floor = true
    "#;

    #[test]
    fn toml_and_json_say_the_same() {
        let document = Document::from_toml(FULL).expect("a document");
        assert_eq!(Document::from_toml(&document.to_toml()).as_ref(), Ok(&document));
        assert_eq!(Document::from_json(&document.to_json()).as_ref(), Ok(&document));
        assert_eq!(document.arms().count(), 2);
        assert_eq!(document.targets().map(ToString::to_string).collect::<Vec<_>>(), ["next", "3", "4"]);
        assert_eq!(Document::from_toml(""), Ok(Document::default()));
        assert_eq!(Document::default().to_json(), "{}");
    }

    #[test]
    fn what_cannot_be_read_is_named_by_key_value_and_remedy() {
        let arm = |weight: &str| {
            format!(
                "[experiment]\nname = \"e\"\n[[experiment.arms]]\nname = \"a\"\nversion = 1\nweight = {weight}\n"
            )
        };
        for weight in ["nan", "-1", "100.5", "\"5\"", "0.001", "\"-5%\"", "inf"] {
            let finding = Document::from_toml(&arm(weight)).expect_err(weight);
            assert_eq!(finding.key, "experiment.arms[0].weight", "{finding}");
            assert!(finding.what.starts_with("= ") || finding.what.contains(": = "), "{finding}");
            assert!(finding.remedy.starts_with("give percent"), "{finding}");
        }
        let odd = [
            ("waight = 1", "waight"),
            ("experiment = 1", "experiment"),
            ("rules = [{ arm = 1 }]", "rules[0].arm"),
            ("shadows = [{ name = \"s\", version = 0, share = 1 }]", "shadows[0].version"),
            ("layers = [{ name = \"l\", experiments = [], units = [\"x\"] }]", "layers[0].units[0]"),
            ("= x", ""),
            ("a\u{1b}[31m", ""),
        ];
        for (text, key) in odd {
            let finding = Document::from_toml(text).expect_err(text);
            assert_eq!(finding.key, key, "{finding}");
            assert!(!finding.to_string().chars().any(char::is_control), "{finding:?}");
        }
        for text in
            ["", "[]", "{} {}", "{\"rules\": [], \"rules\": []}", "{\"layers\": null}", "nul", "{\"x\":1}"]
        {
            assert!(Document::from_json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_document_past_the_limit_is_not_read() {
        let padded = |bytes: usize| format!("{FULL}#{}", "x".repeat(bytes - FULL.len() - 1));
        assert!(Document::from_toml(&padded(DOCUMENT_BYTES_MAX)).is_ok());
        let finding = Document::from_toml(&padded(DOCUMENT_BYTES_MAX + 1)).expect_err("too long");
        assert!(finding.to_string().contains("262144 at most"), "{finding}");
        assert!(Document::from_json(&" ".repeat(DOCUMENT_BYTES_MAX + 1)).is_err());
    }
}
