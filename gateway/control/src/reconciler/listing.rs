//! Taking in what a look at the registry found. What is not there any more changes nothing: only a
//! tombstone, a changed card or a wish takes a version away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pointsman_core::ModelName;
use pointsman_registry::{Card, FolderState, ModelListing, Problem, RegistryError, Scan};

use super::{Reconciler, Tracked};
use crate::committed::MarkKind;
use crate::model::{Declared, Found};
use crate::policy::Policy;

impl Reconciler {
    pub(super) fn looked(&mut self, look: Result<Scan, RegistryError>, answers: u64) {
        // Before the first look every wish waits, also those that need none.
        self.looks_answered = self.looks_answered.max(answers + 1);
        match look {
            Ok(scan) => {
                if std::mem::take(&mut self.registry_failed) {
                    tracing::info!("the registry can be read again");
                }
                self.metrics.looked();
                self.take_in(scan);
            }
            Err(error) => {
                self.metrics.registry_failed();
                if !std::mem::replace(&mut self.registry_failed, true) {
                    tracing::warn!("{error}; what serves goes on serving");
                }
                if let Some(first_pass) = self.first_pass.take_if(|_| self.models.is_empty()) {
                    first_pass(Err(error.to_string()));
                }
            }
        }
    }

    /// Whether the registry was looked at.
    pub(super) fn looks_answered_once(&self) -> bool {
        self.looks_answered > 0
    }

    fn take_in(&mut self, scan: Scan) {
        for problem in scan.problems.iter().filter(|problem| !self.no_models.contains(problem)) {
            tracing::warn!("{problem}");
        }
        self.no_models = scan.problems;
        let mut listed: BTreeMap<ModelName, ModelListing> =
            scan.models.into_iter().map(|listing| (listing.name.clone(), listing)).collect();
        for (name, tracked) in &mut self.models {
            if !listed.contains_key(name) {
                tracked.vanished();
            }
        }
        let (unseen, metrics) = (&mut self.unseen, &self.metrics);
        self.models.retain(|name, tracked| {
            let stays = listed.contains_key(name) || tracked.is_alive();
            if !stays {
                metrics.forget(name);
                unseen.insert(name.clone(), std::mem::take(&mut tracked.model.committed));
            }
            stays
        });
        while let Some((name, listing)) = listed.pop_first() {
            let committed = self.unseen.remove(&name);
            let tracked = self.models.entry(name).or_default();
            if let Some(committed) = committed {
                tracked.model.committed = committed;
            }
            tracked.listed(listing, &self.policy);
        }
    }
}

impl Tracked {
    fn listed(&mut self, mut listing: ModelListing, policy: &Policy) {
        // A card that vanishes, or is empty, takes nothing back of what it said.
        let says = (listing.card.clone(), listing.config.clone());
        let vanished = says == (Card::default(), None);
        if vanished {
            (listing.card, listing.config) = self.said.clone();
        }
        // So does a schema: an empty one has no rules.
        listing.schema = listing.schema.or_else(|| self.model.declared.settings.schema.clone());
        if let Some(configured) = policy.models.get(&listing.name) {
            listing.card = configured.clone().over(listing.card);
        }
        self.tell(&listing);
        let model = &mut self.model;
        let found: BTreeMap<_, _> = listing
            .versions
            .iter()
            .map(|v| (v.number, Found { stamp: v.stamp, bytes: v.bytes, folder: v.folder.clone() }))
            .collect();
        self.changed |= found != model.found || listing.tombstone != model.tombstone;
        model.found = found;
        model.tombstone = listing.tombstone;
        let problems: Vec<String> = listing.problems.iter().map(Problem::to_string).collect();
        let plan = policy.plans.get(&listing.name).cloned();
        let declared = Declared { plan, ..Declared::of(&listing, policy.loader.gates.breaking) };
        if !problems.is_empty() {
            self.settling = None;
        }
        // A card that makes no sense says nothing: the last one that did goes on counting.
        if problems.is_empty() && self.card_settles(&declared, policy.watch.settle) {
            let model = &mut self.model;
            self.changed |= declared != model.declared || !self.usable;
            if declared.settings != model.declared.settings {
                // What failed may pass now.
                model.committed.marks.retain(|_, mark| mark.kind != MarkKind::Quarantined || !self.usable);
                model.versions.values_mut().for_each(|state| state.failure = None);
            }
            model.declared = declared;
            self.usable = true;
            if !vanished {
                self.said = says;
            }
        }
        let wanted = if problems.is_empty() { listing.wanted().problems } else { Vec::new() };
        let problem = problems.into_iter().chain(wanted.iter().map(Problem::to_string));
        let problem = problem.collect::<Vec<_>>().join(" | ");
        self.changed |= problem != self.problem;
        self.problem = problem;
    }

    /// Whether a card counts: the first one does at once; another one has to be the same for the settle
    /// time, as a cut-off file is a card as well.
    fn card_settles(&mut self, declared: &Declared, settle: Duration) -> bool {
        if !self.usable || *declared == self.model.declared {
            self.settling = None;
            return true;
        }
        let now = Instant::now();
        let since = match &self.settling {
            Some((seen, since)) if seen == declared => *since,
            _ => now,
        };
        if now.saturating_duration_since(since) >= settle {
            self.settling = None;
            return true;
        }
        self.settling = Some((declared.clone(), since));
        false
    }

    /// The registry does not show it any more.
    fn vanished(&mut self) {
        if !self.model.found.is_empty() {
            tracing::warn!(
                "the registry does not show the folder of a model any more; what serves goes on serving"
            );
            self.changed = true;
        }
        self.model.found.clear();
        self.model.tombstone = false;
        self.settling = None;
    }

    /// Whether a version of it may become complete by being left alone.
    pub(super) fn is_settling(&self) -> bool {
        let unsettled = |found: &Found| matches!(found.folder, FolderState::Unsettled { .. });
        self.usable && self.model.found.values().any(unsettled)
    }

    /// Whether anything of it is loaded, on its way, waited for or still read.
    pub(super) fn is_alive(&self) -> bool {
        let busy = |state: &crate::model::VersionState| state.ready.is_some() || state.loading.is_some();
        self.model.versions.values().any(busy)
            || !self.pending.is_empty()
            || !self.leaving.is_empty()
            || !self.retired.is_empty()
    }

    /// Says once what the owner should know.
    fn tell(&mut self, listing: &ModelListing) {
        let problems = listing.problems.iter().map(|problem| format!("not served anew: {problem}"));
        let wanted = listing.wanted();
        let warnings = listing.warnings.iter().chain(&wanted.problems).map(Problem::to_string);
        let lines: Vec<String> = problems.chain(warnings).collect();
        for line in lines.iter().filter(|line| !self.told.contains(line)) {
            tracing::warn!(model = %listing.name, "{line}");
        }
        self.told = lines;
    }
}
