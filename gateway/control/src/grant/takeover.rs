//! Whether a rollout can begin, and what cannot be wished for while one is under way.

use std::collections::BTreeSet;

use pointsman_core::{Code, VersionNumber};
use pointsman_route::Settled;

use super::{FROZEN, Grant, Refusal, known};
use crate::model::Model;
use crate::plans::{Plans, check_units, number};
use crate::rollout::{Exposure, Spec, Standing};
use crate::target::breaks_default;
use crate::wish::{RolloutWish, Wish};

/// What comes of a wish about a rollout.
pub(super) fn grant(model: &Model, wish: &RolloutWish) -> Grant {
    let is_under_way = model.rollout.is_some();
    match wish {
        RolloutWish::Start(spec) => match begin(model, spec) {
            Ok(needs) if needs.is_empty() => Grant::Rollout,
            Ok(versions) => Grant::Needs { versions, then: Box::new(model.committed.clone()) },
            Err(refusal) => Grant::Refused(refusal),
        },
        _ if !is_under_way => {
            Grant::Refused(Refusal::new("no rollout is under way; `pointsman rollout start` begins one"))
        }
        RolloutWish::Pause | RolloutWish::Abort => Grant::Rollout,
        _ if model.committed.wishes.frozen => Grant::Refused(Refusal::new(FROZEN)),
        RolloutWish::Resume | RolloutWish::Advance | RolloutWish::Approve | RolloutWish::Promote => {
            Grant::Rollout
        }
    }
}

/// Whether a rollout can begin; the versions that have to be loaded before.
fn begin(model: &Model, spec: &Spec) -> Result<BTreeSet<VersionNumber>, Refusal> {
    let candidate = spec.candidate;
    if let Some(standing) = &model.rollout {
        return Err(Refusal::new(format!(
            "rollout {} of version {} is under way; `pointsman rollout abort {}` ends it",
            standing.id, standing.candidate, spec.model
        )));
    }
    if model.committed.wishes.frozen {
        return Err(Refusal::new(FROZEN));
    }
    known(model, candidate)?;
    let default = model.committed.default.filter(|default| model.ready(*default).is_some());
    let Some(default) = default else {
        let reason = "no version serves from which another one could take over; `pointsman promote` lets one";
        return Err(Refusal::new(reason));
    };
    if default == candidate {
        return Err(Refusal::new(format!(
            "version {candidate} answers callers that name none already; promote the version that it is to take over \
             from first"
        )));
    }
    if let Some(pinned) = model.committed.wishes.pinned {
        return Err(Refusal::new(format!(
            "version {pinned} is pinned; `pointsman unpin` lets another one serve"
        )));
    }
    check_splits(&model.committed.plans)?;
    check_shadows(model, &model.committed.plans, candidate)?;
    check_units(model, spec.units.iter())?;
    for stage in &spec.stages {
        in_plan(&model.committed.plans, spec, stage.exposure)?;
    }
    if model.ready(candidate).is_none() {
        return Ok(BTreeSet::from([candidate]));
    }
    match breaks_default(model, candidate) {
        Some(reason) => Err(Refusal::new(format!("version {candidate} cannot take over: {reason}"))),
        None => Ok(BTreeSet::new()),
    }
}

/// A rollout and an experiment would each want the units of the other.
fn check_splits(plans: &Plans) -> Result<(), Refusal> {
    if plans.current.plan.document().arms().next().is_none() {
        return Ok(());
    }
    let reason = "the model's plan has an experiment, and a rollout splits callers as well; end it first with a plan \
                  without one (`pointsman plan apply`)";
    Err(Refusal::new(reason))
}

/// A shadow of the plan and that of the rollout would be told the same requests, and each be counted twice.
fn check_shadows(model: &Model, plans: &Plans, candidate: VersionNumber) -> Result<(), Refusal> {
    let mut shadows = plans.current.plan.document().shadows.iter();
    match shadows.find(|shadow| number(model, &shadow.version) == Some(candidate)) {
        None => Ok(()),
        Some(shadow) => Err(Refusal::new(format!(
            "the model's plan has version {candidate} as its shadow '{}', and a rollout shows it requests itself: take it \
             out of the plan first (`pointsman plan apply`)",
            shadow.name
        ))),
    }
}

/// Whether the plan goes together with the rollout.
fn in_plan(plans: &Plans, spec: &Spec, exposure: Exposure) -> Result<(), Refusal> {
    let standing = Standing::new(spec, exposure);
    settles(&spec.model, plans, &standing)
}

fn settles(model: &str, plans: &Plans, standing: &Standing) -> Result<(), Refusal> {
    let document = standing.in_plan(plans.current.plan.document());
    Settled::new(model, document, &plans.salts).map(|_| ()).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let reason = format!("the rollout does not go together with the model's plan: {}", lines.join(" | "));
        Refusal { code: Code::Refused, reason }
    })
}

/// A plan must leave the split to a rollout that is under way.
pub(crate) fn check_plan(model: &Model, name: &str, plans: &Plans) -> Result<(), Refusal> {
    let Some(standing) = &model.rollout else { return Ok(()) };
    check_splits(plans).map_err(|_| {
        Refusal::new(format!(
            "rollout {} of version {} is under way, and splits callers itself: give a plan without an experiment, or \
             end the rollout first (`pointsman rollout abort {name}`)",
            standing.id, standing.candidate
        ))
    })?;
    check_shadows(model, plans, standing.candidate)?;
    settles(name, plans, standing)
}

/// What would let another version serve has to wait for the end of a rollout.
pub(super) fn check(model: &Model, wish: &Wish) -> Result<(), Refusal> {
    let Some(Standing { id, candidate, .. }) = &model.rollout else { return Ok(()) };
    if !matches!(wish, Wish::Promote { .. } | Wish::Pin { .. }) {
        return Ok(());
    }
    Err(Refusal::new(format!(
        "rollout {id} of version {candidate} is under way; `pointsman rollout promote` lets it answer everybody, \
         `pointsman rollout abort` ends it"
    )))
}
