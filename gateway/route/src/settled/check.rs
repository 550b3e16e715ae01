//! What has to be true of a document by itself.

use std::collections::{BTreeMap, BTreeSet};

use pointsman_core::{Arm, shown};

use super::Salts;
use crate::document::{Document, Experiment, Layer, MetricEntry, Rule};
use crate::finding::{Finding, Findings};
use crate::limits::{
    ARMS_MAX, EXPERIMENT_ARMS_MAX, EXPERIMENTS_MAX, LAYERS_MAX, METRIC_INDEX_MAX, METRICS_MAX,
    NAME_BYTES_MAX, RULE_VALUES_MAX, RULES_MAX, SHADOWS_MAX, TEXT_BYTES_MAX, UNITS_MAX,
};
use crate::share::Share;
use crate::unit::{UnitSource, is_text, is_token};

/// Checks, and what they found.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) findings: Findings,
}

impl Checks {
    pub(super) fn or<T>(self, value: T) -> Result<T, Vec<Finding>> {
        self.findings.or(value)
    }

    /// Everything but salts and anchors, which are compared when they are all known.
    pub(super) fn document(&mut self, document: &Document) {
        if let Some(header) = &document.forced_arm_header {
            self.token("forced_arm_header", header);
        }
        if document.experiment.is_some() && !document.layers.is_empty() {
            let remedy = "move the experiment into a layer, with a segment of its own";
            self.findings.report("experiment", "stands beside layers", remedy);
        }
        if let Some(experiment) = &document.experiment {
            self.units("experiment", &experiment.units);
            self.segment("experiment", experiment);
        }
        self.layers(&document.layers);
        let mut arms = BTreeSet::new();
        let mut names = BTreeSet::new();
        for (key, experiment) in document.experiments() {
            self.experiment(&key, experiment, &mut arms);
            self.unique(&format!("{key}.name"), &experiment.name, &mut names);
        }
        self.findings.count("arms of all experiments", document.arms().count(), ARMS_MAX);
        self.findings.count("rules", document.rules.len(), RULES_MAX);
        for (at, rule) in document.rules.iter().enumerate() {
            self.rule(&format!("rules[{at}]"), rule, &arms);
        }
        self.shadows(document);
    }

    fn layers(&mut self, layers: &[Layer]) {
        self.findings.count("layers", layers.len(), LAYERS_MAX);
        let mut names = BTreeSet::new();
        for (at, layer) in layers.iter().enumerate() {
            let key = format!("layers[{at}]");
            self.name(&format!("{key}.name"), &layer.name);
            self.unique(&format!("{key}.name"), &layer.name, &mut names);
            self.salt(&key, layer.salt.as_deref(), layer.salt_version);
            self.units(&key, &layer.units);
            self.findings.count(&format!("{key}.experiments"), layer.experiments.len(), EXPERIMENTS_MAX);
            for (at, experiment) in layer.experiments.iter().enumerate() {
                let key = format!("{key}.experiments[{at}]");
                if experiment.segment.is_none() {
                    let remedy = "give where it begins and ends, such as [\"0%\", \"50%\"]";
                    self.findings.report(&format!("{key}.segment"), "is missing", remedy);
                }
                if !experiment.units.is_empty() {
                    let remedy =
                        "give the units of the layer: experiments that differ in them could share one";
                    self.findings.report(&format!("{key}.units"), "stands within a layer", remedy);
                }
                self.segment(&key, experiment);
            }
            self.segments(&key, &layer.experiments);
        }
    }

    /// No unit takes part in two experiments of a layer.
    fn segments(&mut self, key: &str, experiments: &[Experiment]) {
        let segments = experiments.iter().enumerate().filter_map(|(at, e)| Some((e.segment?, at)));
        let mut segments: Vec<([Share; 2], usize)> = segments.filter(|([from, to], _)| from < to).collect();
        segments.sort_unstable();
        for pair in segments.windows(2) {
            let (([_, end], first), ([start, _], second)) = (pair[0], pair[1]);
            if start < end {
                let what = format!("begins at {start}, within that of {:?}", experiments[first].name);
                let remedy = format!("let it begin at {end} or later: segments of a layer do not overlap");
                self.findings.report(&format!("{key}.experiments[{second}].segment"), what, remedy);
            }
        }
    }

    fn segment(&mut self, key: &str, experiment: &Experiment) {
        if let Some([from, to]) = experiment.segment
            && from >= to
        {
            let what = format!("= [\"{from}\", \"{to}\"]");
            self.findings.report(&format!("{key}.segment"), what, "let it end behind where it begins");
        }
    }

    /// What is measured of an experiment.
    fn measures(&mut self, key: &str, experiment: &Experiment) {
        if let Some(source @ (UnitSource::Cookie(_) | UnitSource::Tensor(..) | UnitSource::RequestId)) =
            &experiment.covariate
        {
            let remedy = "give \"header:NAME\" or \"parameter:NAME\", whose values are numbers";
            self.findings.refuse(&format!("{key}.covariate"), &source.to_string(), remedy);
        }
        self.findings.count(&format!("{key}.metrics"), experiment.metrics.len(), METRICS_MAX);
        let mut names = BTreeSet::new();
        for (at, metric) in experiment.metrics.iter().enumerate().take(METRICS_MAX) {
            let key = format!("{key}.metrics[{at}]");
            self.metric(&key, metric);
            self.unique(&format!("{key}.name"), &metric.name, &mut names);
        }
    }

    fn metric(&mut self, key: &str, metric: &MetricEntry) {
        self.name(&format!("{key}.name"), &metric.name);
        if Experiment::METRICS.contains(&metric.name.as_str()) {
            let remedy = "give another: every experiment has a metric of that name";
            self.findings.refuse(&format!("{key}.name"), &metric.name, remedy);
        }
        let (place, number) = match (metric.index, metric.class, metric.label) {
            (Some(index), None, None) => ("index", index),
            (None, Some(class), None) => ("class", class),
            (None, None, Some(_)) => {
                if !metric.output.is_empty() {
                    let remedy = "leave it out: labels are held against what the model answers";
                    self.findings.refuse(&format!("{key}.output"), &metric.output, remedy);
                }
                return;
            }
            _ => {
                let remedy = "give one of the three";
                return self.findings.report(key, "has not one of index, class and label", remedy);
            }
        };
        self.text(&format!("{key}.output"), &metric.output);
        if number > METRIC_INDEX_MAX {
            let remedy = format!("give a whole number from 0 to {METRIC_INDEX_MAX}");
            self.findings.refuse(&format!("{key}.{place}"), &number.to_string(), remedy);
        }
    }

    fn experiment<'a>(&mut self, key: &str, experiment: &'a Experiment, arms: &mut BTreeSet<&'a str>) {
        self.name(&format!("{key}.name"), &experiment.name);
        self.salt(key, experiment.salt.as_deref(), experiment.salt_version);
        self.measures(key, experiment);
        self.findings.count(&format!("{key}.arms"), experiment.arms.len(), EXPERIMENT_ARMS_MAX);
        if experiment.arms.is_empty() {
            let remedy = "give one at least: a name, a version and a weight, which may be 0";
            self.findings.report(&format!("{key}.arms"), "is empty", remedy);
        }
        for (at, arm) in experiment.arms.iter().enumerate() {
            let key = format!("{key}.arms[{at}].name");
            self.name(&key, &arm.name);
            if [Arm::DEFAULT, Arm::DIRECT].contains(&arm.name.as_str()) {
                self.findings.refuse(&key, &arm.name, "give another: the gateway uses these two itself");
            }
            self.unique(&key, &arm.name, arms);
        }
        let sum: u32 = experiment.arms.iter().map(|arm| u32::from(arm.weight.ten_thousandths())).sum();
        if sum > u32::from(Share::WHOLE) {
            let weights: Vec<String> = experiment.arms.iter().map(|arm| arm.weight.to_string()).collect();
            let what = format!("has weights of more than 100%: {}", weights.join(" + "));
            self.findings.report(
                &format!("{key}.arms"),
                what,
                "lower some: the default arm has what they leave",
            );
        }
    }

    fn rule(&mut self, key: &str, rule: &Rule, arms: &BTreeSet<&str>) {
        match (&rule.header, &rule.parameter) {
            (Some(header), None) => self.token(&format!("{key}.header"), header),
            (None, Some(parameter)) => self.text(&format!("{key}.parameter"), parameter),
            _ => self.findings.report(key, "has not one of header and parameter", "give one of the two"),
        }
        match (&rule.exact, &rule.prefix, &rule.one_of) {
            (Some(exact), None, None) => self.text(&format!("{key}.exact"), exact),
            (None, Some(prefix), None) => self.text(&format!("{key}.prefix"), prefix),
            (None, None, Some(values)) => {
                self.findings.count(&format!("{key}.one_of"), values.len(), RULE_VALUES_MAX);
                if values.is_empty() {
                    self.findings.report(&format!("{key}.one_of"), "is empty", "give the values that match");
                }
                for (at, value) in values.iter().enumerate().take(RULE_VALUES_MAX) {
                    self.text(&format!("{key}.one_of[{at}]"), value);
                }
            }
            _ => {
                let what = "has not one of exact, prefix and one_of";
                self.findings.report(key, what, "give one of the three");
            }
        }
        if rule.arm != Arm::DEFAULT && !arms.contains(rule.arm.as_str()) {
            let remedy = "give \"default\" or an arm of an experiment of this plan: it may have the weight 0";
            self.findings.refuse(&format!("{key}.arm"), &rule.arm, remedy);
        }
    }

    fn shadows(&mut self, document: &Document) {
        self.findings.count("shadows", document.shadows.len(), SHADOWS_MAX);
        let mut names = BTreeSet::new();
        for (at, shadow) in document.shadows.iter().enumerate() {
            let key = format!("shadows[{at}]");
            self.name(&format!("{key}.name"), &shadow.name);
            self.unique(&format!("{key}.name"), &shadow.name, &mut names);
            self.salt(&key, shadow.salt.as_deref(), shadow.salt_version);
        }
    }

    /// Of a document in which every salt is said: none serves two experiments, layers or shadows.
    pub(super) fn salts(&mut self, document: &Document, used: &Salts) {
        let mut known: BTreeMap<&str, &str> =
            used.iter().map(|(salt, used)| (salt.as_str(), used.experiment.as_str())).collect();
        for (key, experiment) in document.experiments() {
            self.own_salt(&key, experiment.salt.as_deref(), &experiment.name, &mut known);
        }
        let mut known = BTreeMap::new();
        for (at, layer) in document.layers.iter().enumerate() {
            self.own_salt(&format!("layers[{at}]"), layer.salt.as_deref(), &layer.name, &mut known);
        }
        let mut known = BTreeMap::new();
        for (at, shadow) in document.shadows.iter().enumerate() {
            self.own_salt(&format!("shadows[{at}]"), shadow.salt.as_deref(), &shadow.name, &mut known);
        }
    }

    fn own_salt<'a>(
        &mut self,
        key: &str,
        salt: Option<&'a str>,
        name: &'a str,
        known: &mut BTreeMap<&'a str, &'a str>,
    ) {
        let key = format!("{key}.salt");
        let salt = salt.unwrap_or_default();
        self.text(&key, salt);
        if let Some(other) = known.insert(salt, name).filter(|other| *other != name) {
            let what = format!("= \"{}\", which is or was that of \"{}\"", shown(salt), shown(other));
            let remedy = "give one of its own: with the same salt, the same units would be together again";
            self.findings.report(&key, what, remedy);
        }
    }

    fn salt(&mut self, key: &str, salt: Option<&str>, version: Option<u32>) {
        match (salt, version) {
            (Some(_), Some(version)) => {
                let what = format!("= {version} stands beside a salt");
                self.findings.report(&format!("{key}.salt_version"), what, "give one of the two");
            }
            (Some(salt), None) => self.text(&format!("{key}.salt"), salt),
            (None, Some(0)) => {
                self.findings.report(&format!("{key}.salt_version"), "= 0", "give a whole number from 1 on");
            }
            (None, _) => {}
        }
    }

    fn units(&mut self, key: &str, units: &[UnitSource]) {
        let key = format!("{key}.units");
        self.findings.count(&key, units.len(), UNITS_MAX);
        let mut seen = Vec::new();
        for (at, unit) in units.iter().enumerate() {
            if seen.contains(&unit) {
                self.findings.refuse(&format!("{key}[{at}]"), &unit.to_string(), "take out the second");
            }
            if *unit == UnitSource::RequestId && at + 1 < units.len() {
                let remedy = "let it be the last: every request has one, and what follows is never asked for";
                self.findings.refuse(&format!("{key}[{at}]"), &unit.to_string(), remedy);
            }
            seen.push(unit);
        }
    }

    fn unique<'a>(&mut self, key: &str, name: &'a str, names: &mut BTreeSet<&'a str>) {
        if !names.insert(name) {
            self.findings.refuse(key, name, "give another: it is there already");
        }
    }

    fn name(&mut self, key: &str, name: &str) {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(allowed) {
            let remedy = format!("give 1 to {NAME_BYTES_MAX} characters of A-Z a-z 0-9 _ . -");
            self.findings.refuse(key, name, remedy);
        }
    }

    fn token(&mut self, key: &str, name: &str) {
        if !is_token(name) {
            let remedy = format!("give the name of a header, of {TEXT_BYTES_MAX} bytes at most");
            self.findings.refuse(key, name, remedy);
        }
    }

    fn text(&mut self, key: &str, text: &str) {
        if !is_text(text) {
            let remedy = format!("give 1 to {TEXT_BYTES_MAX} bytes without control characters");
            self.findings.refuse(key, text, remedy);
        }
    }
}
