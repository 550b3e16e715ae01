//! From the reconciler's models to the snapshot that requests read, and to the board for people.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use pointsman_core::{ModelName, VersionNumber};
use pointsman_predict::{Publisher, ServedModel, Standing, Unavailable, Witness, Witnesses};
use pointsman_route::Plan;

use super::{Reconciler, Tracked};
use crate::board::{ModelStatus, PlanStatus, Reader, VersionStatus};
use crate::experiments::Experiments;
use crate::grant::rollback_target;

/// What was published last.
pub(super) struct Published {
    publisher: Publisher,
    board: Reader,
    generation: u64,
    served: HashMap<ModelName, Arc<ServedModel>>,
    statuses: BTreeMap<ModelName, Arc<ModelStatus>>,
}

impl Published {
    pub(super) fn new(publisher: Publisher, board: Reader) -> Self {
        Self { publisher, board, generation: 0, served: HashMap::new(), statuses: BTreeMap::new() }
    }

    /// The generation of the snapshot that requests read.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn withdraw_all(&mut self) {
        self.served.clear();
        self.statuses.clear();
        self.generation = self.publisher.publish(HashMap::new());
    }
}

#[cfg(debug_assertions)]
impl Published {
    /// Lets nothing serve for a moment: a fault that tests switch on.
    pub(super) fn withdraw_for_a_moment(&mut self, gap: std::time::Duration) {
        self.publisher.publish(HashMap::new());
        std::thread::sleep(gap);
    }
}

impl Reconciler {
    /// Publishes what has changed, if anything has.
    pub(super) fn publish(&mut self) {
        let published = &mut self.published;
        let before = published.served.len();
        for (name, _) in published.served.extract_if(|name, _| !self.models.contains_key(name)) {
            self.ground.metrics.set_arms(&name, std::iter::empty());
        }
        published.statuses.retain(|name, _| self.models.contains_key(name));
        let mut changed = published.served.len() != before;
        for (name, tracked) in &mut self.models {
            if !std::mem::take(&mut tracked.changed) || !tracked.is_shown() {
                continue;
            }
            changed = true;
            tracked.compile_plan(name);
            tracked.follow_shadows(name, &self.shadowing);
            self.metrics.plan_lost(name, tracked.lost().len());
            let served = tracked.served(name, &*self.experiments);
            // No request is to be counted under an arm before that is known, nor much later than its plan counts.
            self.ground.metrics.set_arms(name, served.plan.arms());
            published.served.insert(name.clone(), Arc::new(served));
            published.statuses.insert(name.clone(), Arc::new(tracked.status(name)));
        }
        if changed {
            published.board.publish(Arc::new(published.statuses.values().cloned().collect()));
            published.generation = published.publisher.publish(published.served.clone());
        }
    }
}

impl Tracked {
    /// Whether there is anything to show: a wish for a model that nobody knows makes none.
    fn is_shown(&self) -> bool {
        self.usable || !self.problem.is_empty()
    }

    fn served(&self, name: &ModelName, experiments: &dyn Experiments) -> ServedModel {
        let committed = &self.model.committed;
        let is_ready = |version: &VersionNumber| self.versions.contains_key(version);
        // Callers are told what they wait for where nothing serves.
        let coming = self.target.default.filter(|version| !is_ready(version));
        let default = committed.default.filter(is_ready).or(coming).or(committed.default);
        let mut aliases = self.model.aliases();
        aliases.extend(self.target.aliases.clone());
        aliases.retain(|_, version| !is_ready(version));
        aliases.extend(
            committed.aliases.iter().filter(|(_, version)| is_ready(version)).map(|(a, v)| (a.clone(), *v)),
        );
        let aliases = aliases.into_iter().map(|(alias, version)| (alias.as_str().into(), version)).collect();
        let plan = Plan { default, aliases, split: self.compiled.split.clone() };
        let mut witnesses: Vec<Arc<dyn Witness>> = Vec::new();
        // Where the candidate does not serve, its units are not counted either, and those of the default alone would look
        // as if it got too few.
        if let Some(under_way) = &self.rollout
            && self.versions.contains_key(&under_way.rollout.spec.candidate)
        {
            witnesses.push(under_way.recorder.clone());
        }
        if plan.default.as_ref().is_some_and(is_ready) {
            witnesses.extend(experiments.witness(name, &plan));
        }
        ServedModel {
            name: name.clone(),
            plan,
            versions: self.versions.clone(),
            unavailable: self.unavailable(),
            retired: self.retired.iter().map(|(number, retired)| (*number, retired.record.clone())).collect(),
            held: self.held(),
            tee: self.shadows.tee.clone(),
            witnesses: Witnesses::new(witnesses),
            problem: self.problem.clone(),
        }
    }

    /// Versions that are loaded and wait.
    fn held(&self) -> BTreeMap<VersionNumber, String> {
        let held = self.target.held.iter().filter(|(number, _)| self.versions.contains_key(number));
        held.map(|(number, reason)| (*number, reason.clone())).collect()
    }

    /// Versions that are known and do not serve.
    fn unavailable(&self) -> BTreeMap<VersionNumber, Unavailable> {
        let known = self.model.found.keys().chain(self.leaving.iter().map(|load| &load.number));
        let known = known.chain(&self.model.committed.default);
        let known = known.filter(|number| !self.versions.contains_key(number));
        known.map(|number| (*number, self.why_unavailable(*number))).collect()
    }

    pub(super) fn why_unavailable(&self, number: VersionNumber) -> Unavailable {
        let state = self.model.versions.get(&number);
        let unavailable = |standing, reason: String| Unavailable { standing, reason };
        if state.is_some_and(|state| state.loading.is_some()) {
            return unavailable(Standing::Loading, "it is being loaded".into());
        }
        if self.leaving.iter().any(|load| load.number == number) {
            return unavailable(Standing::Unloading, "it answers what it was asked, and leaves".into());
        }
        if let Some(failure) = self.model.failure(number) {
            return unavailable(Standing::Unavailable, failure.reason.clone());
        }
        if let Some(held) = self.target.held.get(&number) {
            return unavailable(Standing::Unavailable, held.clone());
        }
        if !self.problem.is_empty() && !self.usable {
            return unavailable(Standing::Unavailable, self.problem.clone());
        }
        if self.target.load.contains(&number) {
            return unavailable(Standing::Loading, "it waits to be loaded".into());
        }
        if self.model.committed.wishes.unloaded || self.model.tombstone {
            return unavailable(Standing::Unavailable, self.target.why.clone());
        }
        if !self.model.found.contains_key(&number) {
            return unavailable(Standing::Unavailable, "its folder is gone from the registry".into());
        }
        let reason = "it is not loaded: neither served nor named by an alias (key `load` of model.toml)";
        unavailable(Standing::Unavailable, reason.into())
    }

    fn status(&self, name: &ModelName) -> ModelStatus {
        let committed = &self.model.committed;
        let wishes = &committed.wishes;
        let numbers = self.model.found.keys().chain(self.versions.keys()).copied();
        let numbers: BTreeSet<VersionNumber> = numbers.collect();
        ModelStatus {
            name: name.clone(),
            default: committed.default.filter(|version| self.versions.contains_key(version)),
            next: self.target.default.filter(|next| Some(*next) != committed.default),
            why: self.target.why.clone(),
            declared: self.model.declared.serve(),
            previous: rollback_target(&self.model),
            pinned: wishes.pinned,
            frozen: wishes.frozen,
            unloaded: wishes.unloaded,
            pending: self.pending.iter().map(|pending| pending.wish.to_string()).collect(),
            versions: numbers.into_iter().map(|number| self.version_status(number)).collect(),
            plan: PlanStatus {
                plans: committed.plans.clone(),
                lost: self.lost(),
                undeclared: self.compiled.undeclared.clone(),
            },
            rollout: self.model.rollout.clone(),
        }
    }

    fn version_status(&self, number: VersionNumber) -> VersionStatus {
        let failure = self.model.failure(number);
        let ready = self.versions.contains_key(&number);
        let note = match (failure, self.target.held.get(&number)) {
            (Some(failure), _) if ready => {
                format!("its folder has changed, and does not load: {}", failure.reason)
            }
            (_, Some(held)) if ready => held.clone(),
            _ if ready && !self.model.found.contains_key(&number) => {
                "its folder is gone from the registry".into()
            }
            _ if ready => String::new(),
            _ => self.why_unavailable(number).reason,
        };
        VersionStatus {
            number,
            note,
            gate: failure.map(|failure| failure.gate),
            attempts: failure.map_or(0, |failure| failure.attempts),
            kept: self.model.versions.get(&number).is_some_and(|state| state.kept_until.is_some()),
        }
    }
}
