//! From a settled document to a split: names become versions, shares become intervals.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_core::{Arm, VersionNumber, shown};

use super::design::{Design, rest};
use super::{
    ArmIndex, CompiledExperiment, CompiledLayer, CompiledRule, Interval, RuleSource, Shadow, Split, SplitArm,
    Test,
};
use crate::document::{ArmEntry, Experiment, Rule, ShadowEntry};
use crate::finding::{Finding, Findings};
use crate::hash::{Domain, Salted};
use crate::settled::Settled;
use crate::share::Share;
use crate::target::Target;
use crate::unit::UnitSource;

/// What a plan's names stand for, as the caller knows it.
#[derive(Clone, Copy)]
pub struct Versions<'a> {
    /// The aliases of the model.
    pub aliases: &'a BTreeMap<Arc<str>, VersionNumber>,
    /// How each version stands.
    pub standing: &'a dyn Fn(VersionNumber) -> Standing,
}

/// How a version stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can serve at once.
    Warm,
    /// It cannot, for this reason.
    NotWarm(String),
    /// There is none.
    Unknown,
}

impl Versions<'_> {
    /// The version that a name stands for, whether it is warm or not.
    #[must_use]
    pub fn number(&self, target: &Target) -> Option<VersionNumber> {
        match target {
            Target::Number(number) => Some(*number),
            Target::Alias(alias) => self.aliases.get(alias).copied(),
        }
    }

    /// The version, where it is warm.
    fn warm(&self, key: &str, target: &Target, findings: &mut Findings) -> Option<VersionNumber> {
        let key = format!("{key}.version");
        let Some(number) = self.number(target) else {
            let aliases: Vec<&str> = self.aliases.keys().map(AsRef::as_ref).collect();
            let remedy = if aliases.is_empty() {
                "give a version's number: the model has no aliases".into()
            } else {
                format!("give a version's number, or one of the aliases {}", aliases.join(", "))
            };
            findings.report(
                &key,
                format!("= \"{}\", which is no alias of the model", shown(&target.to_string())),
                remedy,
            );
            return None;
        };
        let named = match target {
            Target::Number(number) => format!("= {number}"),
            Target::Alias(alias) => format!("= \"{alias}\", which is version {number}"),
        };
        match (self.standing)(number) {
            Standing::Warm => return Some(number),
            Standing::NotWarm(reason) => {
                let what = format!("{named} and does not serve: {reason}");
                findings.report(&key, what, "load it first, or name one that serves");
            }
            Standing::Unknown => {
                findings.report(
                    &key,
                    format!("{named} and is unknown"),
                    "add it to the registry, or name another",
                );
            }
        }
        None
    }
}

impl Split {
    /// Compiles a plan that is to be applied.
    ///
    /// # Errors
    /// Every name that stands for no version, or for one that is not warm.
    pub fn compile(settled: &Settled, versions: &Versions<'_>) -> Result<Self, Vec<Finding>> {
        let (split, findings) = Self::of_what_serves(settled, versions);
        if findings.is_empty() { Ok(split) } else { Err(findings) }
    }

    /// Compiles a plan that is applied already. Units of arms whose versions are gone go to the default, shadows that
    /// are gone see nothing; the findings say which.
    #[must_use]
    pub fn of_what_serves(settled: &Settled, versions: &Versions<'_>) -> (Self, Vec<Finding>) {
        let document = settled.document();
        let mut findings = Findings::default();
        let mut arms = Vec::new();
        for (key, experiment) in document.experiments() {
            for (at, ArmEntry { name, version, .. }) in experiment.arms.iter().enumerate() {
                let version = versions.warm(&format!("{key}.arms[{at}]"), version, &mut findings);
                arms.push(SplitArm { name: name.as_str().into(), version });
            }
        }
        let index = |name: &str| arms.iter().position(|arm| &*arm.name == name);
        let alone = document.experiment.iter().map(|experiment| {
            compiled_layer(&experiment.salt, &experiment.units, std::slice::from_ref(experiment), &index)
        });
        let layered = document.layers.iter();
        let layered =
            layered.map(|layer| compiled_layer(&layer.salt, &layer.units, &layer.experiments, &index));
        let layers: Box<[CompiledLayer]> = alone.chain(layered).collect();
        let rules: Box<[CompiledRule]> =
            document.rules.iter().filter_map(|rule| compiled_rule(rule, &index)).collect();
        let mut shadows = Vec::new();
        for (at, shadow) in document.shadows.iter().enumerate() {
            if let Some(version) = versions.warm(&format!("shadows[{at}]"), &shadow.version, &mut findings) {
                shadows.push(compiled_shadow(shadow, version));
            }
        }
        let by_parameter = rules.iter().any(|rule| matches!(rule.source, RuleSource::Parameter(_)));
        let in_body = |experiment: &CompiledExperiment| {
            experiment.covariate.as_ref().is_some_and(UnitSource::is_in_body)
        };
        let needs_body = by_parameter
            || layers
                .iter()
                .any(|l| l.units.iter().any(UnitSource::is_in_body) || l.experiments.iter().any(in_body));
        let designs = Design::of(document, &arms);
        let split = Self {
            etag: settled.etag(),
            forced_arm_header: document.forced_arm_header.as_deref().map(Into::into),
            arms: arms.into(),
            rules,
            layers,
            shadows: shadows.into(),
            designs,
            needs_body,
        };
        (split, findings.into_list())
    }
}

fn compiled_layer(
    salt: &Option<String>,
    units: &[UnitSource],
    experiments: &[Experiment],
    index: &dyn Fn(&str) -> ArmIndex,
) -> CompiledLayer {
    let experiments = experiments.iter().filter_map(|experiment| {
        let [from, to] = experiment.segment.unwrap_or([Share::NONE, Share::ALL]);
        let salt = experiment.salt.as_deref().unwrap_or_default();
        let arms = experiment.arms.iter().filter_map(|arm| {
            let anchor = arm.anchor?;
            let end = Share::new(anchor.ten_thousandths().checked_add(arm.weight.ten_thousandths())?)?;
            Some((Interval::new(anchor, end)?, index(&arm.name)?, arm.weight))
        });
        Some(CompiledExperiment {
            name: experiment.name.as_str().into(),
            segment: Interval::new(from, to)?,
            salted: Salted::new(Domain::Arm, salt),
            buckets: Salted::new(Domain::Bucket, salt),
            covariate: experiment.covariate.clone(),
            arms: arms.collect(),
            rest: rest(experiment),
        })
    });
    CompiledLayer {
        salted: Salted::new(Domain::Layer, salt.as_deref().unwrap_or_default()),
        units: units.into(),
        experiments: experiments.collect(),
    }
}

fn compiled_rule(rule: &Rule, index: &dyn Fn(&str) -> ArmIndex) -> Option<CompiledRule> {
    let source = match (&rule.header, &rule.parameter) {
        (Some(header), _) => RuleSource::Header(header.as_str().into()),
        (None, parameter) => RuleSource::Parameter(parameter.as_deref()?.into()),
    };
    let bytes = |text: &String| Box::<[u8]>::from(text.as_bytes());
    let test = match (&rule.exact, &rule.prefix, &rule.one_of) {
        (Some(exact), ..) => Test::Exact(bytes(exact)),
        (None, Some(prefix), _) => Test::Prefix(bytes(prefix)),
        (None, None, values) => {
            let mut values: Vec<Box<[u8]>> = values.as_ref()?.iter().map(bytes).collect();
            values.sort_unstable();
            Test::OneOf(values.into())
        }
    };
    let arm = if rule.arm == Arm::DEFAULT { None } else { Some(index(&rule.arm)?) };
    Some(CompiledRule { source, test, arm })
}

fn compiled_shadow(shadow: &ShadowEntry, version: VersionNumber) -> Shadow {
    Shadow {
        name: shadow.name.as_str().into(),
        version,
        share: shadow.share,
        floor: shadow.floor,
        salted: Salted::new(Domain::Shadow, shadow.salt.as_deref().unwrap_or_default()),
        interval: Interval::new(Share::NONE, shadow.share),
    }
}
