//! The traffic plan of a model as it is committed, and whether another one can take its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pointsman_core::{Code, ModelName, VersionNumber};
use pointsman_route::{
    Document, Finding, Salts, Settled, Split, Standing, Target, UnitSource, Versions, tag,
};
use serde::{Deserialize, Serialize};

use crate::grant::{FROZEN, Refusal, check_plan};
use crate::model::Model;
use crate::target::breaks_default;

/// The most earlier plans that are remembered.
const HISTORY_MAX: usize = 16;
/// The most arms that are remembered of all experiments that a model has had.
const ARMS_REMEMBERED_MAX: usize = 4096;
/// The most lines that are said about one change of plan.
const CHANGES_MAX: usize = 50;

/// What is committed of a model's plans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plans {
    /// The one that counts.
    pub current: PlanRecord,
    /// Those that a rollback leads to, the oldest first.
    pub history: Vec<PlanRecord>,
    /// The salts of all experiments there were.
    pub salts: Salts,
    /// The declared plan that was taken over last: an operator's word holds until another is declared.
    pub declared: Option<TakenOver>,
}

/// A declared plan that counts, or did until an operator said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenOver {
    /// Its tag, as it is declared.
    pub tag: String,
    /// The revision that it is.
    pub revision: u64,
}

/// A plan with where it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanRecord {
    /// Counts the plans of the model from 1; 0 is the empty one before the first.
    pub revision: u64,
    /// Who wanted it.
    pub by: String,
    /// When it was applied, in milliseconds since 1970.
    pub at_ms: u64,
    /// The plan.
    pub plan: Settled,
}

/// A wish for another plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanWish {
    /// The model.
    pub model: ModelName,
    /// The plan.
    pub to: PlanTo,
    /// The tag that the current plan has to have; any where nothing stands.
    pub if_match: Option<String>,
    /// When it is wished, in milliseconds since 1970.
    pub at_ms: u64,
}

/// Which plan is wished for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanTo {
    /// This one.
    Document(Box<Document>),
    /// The one before.
    Previous,
}

impl Plans {
    /// These, with another plan in the place of the current one.
    fn with(&self, plan: Settled, by: &str, at_ms: u64) -> Self {
        let mut new = self.clone();
        let revision = self.current.revision + 1;
        plan.use_salts(&mut new.salts);
        let before = std::mem::replace(&mut new.current, PlanRecord { revision, by: by.into(), at_ms, plan });
        new.history.push(before);
        let over = new.history.len().saturating_sub(HISTORY_MAX);
        new.history.drain(..over);
        new
    }

    /// These after a rollback: the plan that is left is no more in the history, so that the next one leads further.
    fn back(&self, by: &str, at_ms: u64) -> Option<Self> {
        let mut new = self.clone();
        let plan = new.history.pop()?.plan;
        plan.use_salts(&mut new.salts);
        new.current = PlanRecord { revision: self.current.revision + 1, by: by.into(), at_ms, plan };
        Some(new)
    }

    /// Whether the change to `after` only takes units and requests back.
    pub(crate) fn only_lowers(&self, after: &Self) -> bool {
        self.current.plan.only_lowers(&after.current.plan)
    }

    /// What changes to `after`, a line each.
    pub(crate) fn changes(&self, after: &Self) -> Vec<String> {
        let changes = self.current.plan.document().diff(after.current.plan.document());
        let over = changes.len().saturating_sub(CHANGES_MAX);
        let mut lines: Vec<String> =
            changes.iter().take(CHANGES_MAX).map(|change| format!("plan {change}")).collect();
        if over > 0 {
            lines.push(format!("plan: and {over} changes more"));
        }
        lines
    }
}

/// What would be committed of a wish for another plan.
///
/// # Errors
/// Why the plan is refused: its tag, what is wrong with it, or a version that does not serve.
pub(crate) fn apply(model: &Model, wish: &PlanWish, by: &str) -> Result<Plans, Refusal> {
    let plans = &model.committed.plans;
    let current = plans.current.plan.etag();
    if let Some(expected) = wish.if_match.as_ref().filter(|expected| **expected != current) {
        let reason = format!(
            "the plan of model '{}' has the tag {current}, and not {}: somebody changed it since; look at it, and try again",
            wish.model,
            pointsman_core::shown(expected)
        );
        return Err(Refusal { code: Code::TagMismatch, reason });
    }
    let new = match &wish.to {
        PlanTo::Previous => {
            let new = plans.back(by, wish.at_ms);
            new.ok_or_else(|| Refusal::new(format!("model '{}' had no plan before this one", wish.model)))?
        }
        PlanTo::Document(document) => {
            let settled = settle(&wish.model, document, plans)?;
            if settled == plans.current.plan {
                return Ok(plans.as_ref().clone());
            }
            plans.with(settled, by, wish.at_ms)
        }
    };
    // What only takes back may name what is gone: its units go to the default.
    if !plans.only_lowers(&new) {
        serves(model, &new.current.plan)?;
    }
    Ok(new)
}

/// What would be committed as the configuration declares another plan than it did, or none any more; nothing where it
/// does not, or where no default serves against which arms could be held. One that is not declared any more takes no
/// operator's word with it.
pub(crate) fn declare(model: &Model, name: &ModelName, at_ms: u64) -> Option<Result<Plans, Refusal>> {
    let plans = &model.committed.plans;
    let tag = model.declared.plan.as_ref().map(tag);
    if tag.as_ref() == plans.declared.as_ref().map(|declared| &declared.tag) {
        return None;
    }
    model.ready(model.committed.default?)?;
    if model.committed.wishes.frozen {
        return Some(Err(Refusal::new(FROZEN)));
    }
    let counts = plans.declared.as_ref().is_some_and(|declared| declared.revision == plans.current.revision);
    if tag.is_none() && !counts {
        return Some(Ok(Plans { declared: None, ..plans.as_ref().clone() }));
    }
    let document = model.declared.plan.clone().unwrap_or_default();
    let wish =
        PlanWish { model: name.clone(), to: PlanTo::Document(Box::new(document)), if_match: None, at_ms };
    let new = apply(model, &wish, "configuration").and_then(|new| {
        check_plan(model, name.as_str(), &new)?;
        let revision = new.current.revision;
        Ok(Plans { declared: tag.map(|tag| TakenOver { tag, revision }), ..new })
    });
    Some(new)
}

fn settle(model: &ModelName, document: &Document, plans: &Plans) -> Result<Settled, Refusal> {
    let settled = Settled::new(model.as_str(), document.clone(), &plans.salts)
        .map_err(|findings| refused(Code::BadRequest, &findings))?;
    let mut salts = plans.salts.clone();
    settled.use_salts(&mut salts);
    let arms: usize = salts.values().map(|used| used.anchors.len()).sum();
    if salts != plans.salts && arms > ARMS_REMEMBERED_MAX {
        let reason = format!(
            "the experiments of model '{model}' have had {ARMS_REMEMBERED_MAX} arms, and may have no more; name them \
             as earlier ones"
        );
        return Err(Refusal::new(reason));
    }
    Ok(settled)
}

/// Whether every version that a plan names is warm, and callers who name none can use it.
fn serves(model: &Model, plan: &Settled) -> Result<(), Refusal> {
    let aliases = aliases(model);
    let standing = |number| standing(model, number);
    let versions = Versions { aliases: &aliases, standing: &standing };
    Split::compile(plan, &versions).map_err(|findings| refused(Code::Refused, &findings))?;
    let document = plan.document();
    let alone = document.experiment.iter().flat_map(|experiment| &experiment.units);
    check_units(model, alone.chain(document.layers.iter().flat_map(|layer| &layer.units)))?;
    let arms = document.arms().filter_map(|arm| versions.number(&arm.version));
    match arms.filter_map(|version| Some((version, breaks_default(model, version)?))).next() {
        Some((version, reason)) => Err(Refusal::new(format!("version {version} can have no arm: {reason}"))),
        None => Ok(()),
    }
}

/// Whether every input that is to say a unit is one that callers send: a misspelt one would make each request its own.
pub(crate) fn check_units<'u>(
    model: &Model,
    units: impl Iterator<Item = &'u UnitSource>,
) -> Result<(), Refusal> {
    let promised = model.committed.default.and_then(|default| model.promised(default));
    let Some(signature) = promised else { return Ok(()) };
    let is_missing = |name: &str| !signature.inputs.iter().any(|input| *input.name == *name);
    for unit in units {
        if let UnitSource::Tensor(name, _) = unit
            && is_missing(name)
        {
            let inputs: Vec<&str> = signature.inputs.iter().map(|input| &*input.name).collect();
            return Err(Refusal::new(format!(
                "units = \"{unit}\": the version that serves has no input '{name}'; it has {}",
                inputs.join(", ")
            )));
        }
    }
    Ok(())
}

fn refused(code: Code, findings: &[Finding]) -> Refusal {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Refusal { code, reason: format!("the plan is refused: {}", lines.join(" | ")) }
}

fn standing(model: &Model, number: VersionNumber) -> Standing {
    if model.ready(number).is_some() && !model.is_withdrawn(number) {
        return Standing::Warm;
    }
    let reason = match (model.mark(number), model.failure(number)) {
        (Some(mark), _) => mark.reason.clone(),
        (None, Some(failure)) => failure.reason.clone(),
        (None, None) if model.found.contains_key(&number) => "it is not loaded".into(),
        (None, None) => return Standing::Unknown,
    };
    Standing::NotWarm(reason)
}

/// The aliases as they are committed, in the form that plans take.
pub(crate) fn aliases(model: &Model) -> BTreeMap<Arc<str>, VersionNumber> {
    let aliases = model.committed.aliases.iter();
    aliases.map(|(alias, version)| (alias.as_str().into(), *version)).collect()
}

/// The versions that the plan names, and those that a declared one would: they stay loaded.
pub(crate) fn named(model: &Model) -> BTreeSet<VersionNumber> {
    let plans = &model.committed.plans;
    let declared = model
        .declared
        .plan
        .as_ref()
        .filter(|plan| plans.declared.as_ref().is_none_or(|declared| declared.tag != tag(plan)));
    let targets = declared.into_iter().flat_map(Document::targets);
    let targets = plans.current.plan.document().targets().chain(targets);
    targets.filter_map(|target| number(model, target)).collect()
}

/// Whether the plan that counts names the version.
pub(crate) fn names(model: &Model, version: VersionNumber) -> bool {
    let mut targets = model.committed.plans.current.plan.document().targets();
    targets.any(|target| number(model, target) == Some(version))
}

pub(crate) fn number(model: &Model, target: &Target) -> Option<VersionNumber> {
    match target {
        Target::Number(number) => Some(*number),
        Target::Alias(alias) => model.committed.aliases.get(&**alias).copied(),
    }
}
