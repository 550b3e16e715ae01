//! Traffic plans: those that are declared, and what becomes of the one that counts as versions come and go.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pointsman_core::{ModelName, VersionNumber};
use pointsman_route::{Document, Settled, Split, Standing, Versions};

use super::{Reconciler, Tracked};
use crate::committed::Committed;
use crate::grant::changes;
use crate::journal::{Entry, What};
use crate::plans;

/// The plan of a model as requests see it.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    pub(super) split: Option<Arc<Split>>,
    /// Arms and shadows whose versions do not serve, with the reasons.
    pub(super) lost: Vec<String>,
    /// Why the declared plan does not count, where it should.
    pub(super) undeclared: String,
    /// What of that was said in the log.
    said: String,
}

impl Reconciler {
    /// Lets a plan count that the configuration declares anew, once its versions serve; says whether it does.
    pub(super) fn declare_plan(&mut self, name: &ModelName, now: Instant) -> bool {
        if !self.owed.is_empty() || self.journal_rests_until.is_some() || self.draining {
            return false;
        }
        let Some(tracked) = self.models.get_mut(name).filter(|tracked| tracked.usable) else { return false };
        let at = SystemTime::now();
        let at_ms = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let declared = plans::declare(&tracked.model, name, u64::try_from(at_ms).unwrap_or(u64::MAX));
        let (plans, problem) = match declared {
            None => (None, String::new()),
            Some(Ok(plans)) => (Some(plans), String::new()),
            Some(Err(refusal)) => (None, refusal.reason),
        };
        // It may still count, and nothing is wrong.
        let said: &str = if tracked.waits_for_plan() { "" } else { &problem };
        if said != tracked.compiled.said {
            if !said.is_empty() {
                tracing::warn!(model = %name, "the declared plan does not count: {said}");
            }
            tracked.compiled.said = said.to_owned();
        }
        if problem != tracked.compiled.undeclared {
            tracked.compiled.undeclared = problem;
            tracked.changed = true;
        }
        let Some(plans) = plans else { return false };
        let lowers = tracked.model.committed.plans.only_lowers(&plans);
        let new = Committed { plans: Arc::new(plans), ..tracked.model.committed.clone() };
        let lines = changes(&tracked.model.committed, &new);
        let said = match (new.plans.declared.is_some(), lines.is_empty()) {
            (true, _) => "another plan is declared",
            (false, false) => "no plan is declared any more",
            (false, true) => "no plan is declared any more, and the operator's counts",
        };
        let entry = Entry {
            what: What::Plan,
            model: Some(name.clone()),
            version: None,
            from: None,
            by: "configuration".into(),
            why: [&[said.to_owned()], &*lines].concat().join("; "),
            took: None,
            at,
        };
        self.change(name, new, entry, lowers, now).is_ok()
    }
}

impl Tracked {
    /// Whether a version that a plan names is still to be loaded.
    fn waits_for_plan(&self) -> bool {
        let mut named = plans::named(&self.model).into_iter();
        named.any(|number| {
            let is_loading = || self.why_unavailable(number).standing == pointsman_predict::Standing::Loading;
            !self.versions.contains_key(&number) && is_loading()
        })
    }

    /// The plan with the rollout in it that is under way.
    fn effective_plan(&self, name: &ModelName) -> Settled {
        let plans = &self.model.committed.plans;
        let plan = &plans.current.plan;
        let Some(standing) = &self.model.rollout else { return plan.clone() };
        let document = standing.in_plan(plan.document());
        Settled::new(name.as_str(), document, &plans.salts).unwrap_or_else(|findings| {
            // Both were held against each other before either counted.
            tracing::error!(model = %name, "a rollout does not go together with the plan: {findings:?}");
            plan.clone()
        })
    }

    /// Compiles the plan against what serves. Units of arms that do not serve go to the default, and that is said.
    pub(super) fn compile_plan(&mut self, name: &ModelName) {
        let plan = &self.effective_plan(name);
        if *plan.document() == Document::default() {
            self.compiled.split = None;
            self.compiled.lost.clear();
            return;
        }
        let aliases = plans::aliases(&self.model);
        let standing = |number: VersionNumber| match self.versions.contains_key(&number) {
            true => Standing::Warm,
            false => Standing::NotWarm(self.why_unavailable(number).reason),
        };
        let (split, lost) = Split::of_what_serves(plan, &Versions { aliases: &aliases, standing: &standing });
        let lost: Vec<String> = lost.iter().map(ToString::to_string).collect();
        for line in lost.iter().filter(|line| !self.compiled.lost.contains(line)) {
            tracing::warn!(model = %name, "an arm of the plan does not serve, its units go to the default: {line}");
        }
        if self.compiled.split.as_deref() != Some(&split) {
            self.compiled.split = Some(Arc::new(split));
        }
        self.compiled.lost = lost;
    }
}
