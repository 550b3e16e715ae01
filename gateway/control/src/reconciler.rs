//! Brings what serves in line with what the registry wants.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use pointsman_core::{ModelName, VersionNumber};
use pointsman_predict::{Metrics, Publisher, ServedModel, Unavailable, Version};
use pointsman_registry::{FolderState, ModelListing, Problem, RegistryError, VersionListing, Wanted};
use pointsman_route::Plan;

use crate::loader::{LoadJob, Loader};

/// The one that decides what serves.
pub struct Reconciler {
    loader: Loader,
    metrics: Metrics,
    publisher: Publisher,
    models: BTreeMap<ModelName, Model>,
}

/// One model as it stands.
struct Model {
    listing: ModelListing,
    wanted: Wanted,
    versions: BTreeMap<VersionNumber, Arc<Version>>,
    unavailable: BTreeMap<VersionNumber, Unavailable>,
}

impl Reconciler {
    /// A reconciler with nothing loaded.
    #[must_use]
    pub fn new(loader: Loader, metrics: Metrics, publisher: Publisher) -> Self {
        Self { loader, metrics, publisher, models: BTreeMap::new() }
    }

    /// Looks at the registry and loads what it wants, publishing each version as soon as it is warm.
    /// What is wrong with a model or a version is in the snapshot and in the log; the others serve.
    /// Gives what was found and is no model.
    ///
    /// # Errors
    /// [`RegistryError`] where the registry as a whole cannot be read.
    pub fn pass(&mut self) -> Result<Vec<Problem>, RegistryError> {
        let scan = self.loader.registry.scan()?;
        for problem in &scan.problems {
            tracing::warn!("{problem}");
        }
        self.models =
            scan.models.into_iter().map(|listing| (listing.name.clone(), Model::found(listing))).collect();
        self.publish();
        let wanted: Vec<(ModelName, VersionNumber)> = self.wanted();
        for (name, number) in wanted {
            self.load(&name, number);
            self.publish();
        }
        Ok(scan.problems)
    }

    fn wanted(&self) -> Vec<(ModelName, VersionNumber)> {
        let versions = |(name, model): (&ModelName, &Model)| {
            let name = name.clone();
            model.wanted.load.clone().into_iter().map(move |number| (name.clone(), number))
        };
        self.models.iter().flat_map(versions).collect()
    }

    fn load(&mut self, name: &ModelName, number: VersionNumber) {
        let Some(model) = self.models.get_mut(name) else { return };
        let from = Instant::now();
        let job = LoadJob {
            model: name.clone(),
            number,
            settings: model.listing.settings(),
            bytes: 0,
            beside: None,
        };
        let loaded = self.loader.bring_up(&job).and_then(|warm| warm.start(Arc::new(()), &self.metrics));
        match loaded {
            Ok(version) => {
                let (engine, took_ms) = (version.spec().engine, from.elapsed().as_millis());
                tracing::info!(model = %name, version = number.get(), engine, took_ms, "serving");
                for warning in &version.spec().findings.warnings {
                    tracing::warn!(model = %name, version = number.get(), "{warning}");
                }
                model.unavailable.remove(&number);
                model.versions.insert(number, version);
            }
            Err(fault) => {
                let (gate, reason) = (fault.gate().name(), fault.to_string());
                tracing::warn!(model = %name, version = number.get(), gate, "not served: {reason}");
                model.unavailable.insert(number, Unavailable { loading: false, reason });
            }
        }
    }

    fn publish(&mut self) {
        let models: HashMap<_, _> =
            self.models.iter().map(|(name, model)| (name.clone(), Arc::new(model.served()))).collect();
        self.publisher.publish(models);
    }

    /// Publishes that nothing serves. Workers answer what is queued and free their sessions.
    pub fn withdraw_all(&mut self) {
        self.models.clear();
        self.publish();
    }
}

impl Model {
    /// A model before any of its versions is loaded.
    fn found(listing: ModelListing) -> Self {
        for problem in listing.problems.iter() {
            tracing::warn!(model = %listing.name, "not served: {problem}");
        }
        for warning in &listing.warnings {
            tracing::warn!(model = %listing.name, "{warning}");
        }
        let wanted = listing.wanted();
        for problem in &wanted.problems {
            tracing::warn!(model = %listing.name, "{problem}");
        }
        let problem = joined(listing.problems.iter());
        let state = |version: &VersionListing| {
            let loading = wanted.load.contains(&version.number);
            let reason = match (&version.folder, loading, problem.is_empty()) {
                (FolderState::Tombstone, ..) => "it is withdrawn: its folder has a tombstone",
                _ if listing.tombstone => "it is withdrawn: its model's folder has a tombstone",
                (FolderState::Unsettled { reason }, ..) => reason,
                (FolderState::Complete, true, _) => "it is being loaded",
                (FolderState::Complete, false, true) => {
                    "it is not loaded: neither served nor named by an alias (key `load` of model.toml)"
                }
                (FolderState::Complete, false, false) => &problem,
            };
            (version.number, Unavailable { loading, reason: reason.into() })
        };
        let unavailable = listing.versions.iter().map(state).collect();
        Self { listing, wanted, versions: BTreeMap::new(), unavailable }
    }

    fn served(&self) -> ServedModel {
        let aliases =
            self.listing.card.aliases.iter().map(|(alias, &number)| (alias.as_str().into(), number));
        let problems = self.listing.problems.iter().chain(&self.wanted.problems);
        ServedModel {
            name: self.listing.name.clone(),
            plan: Plan { default: self.wanted.default, aliases: aliases.collect() },
            versions: self.versions.clone(),
            unavailable: self.unavailable.clone(),
            retired: BTreeMap::new(),
            problem: joined(problems),
        }
    }
}

/// Problems on one line.
fn joined<'p>(problems: impl Iterator<Item = &'p Problem>) -> String {
    problems.map(Problem::to_string).collect::<Vec<_>>().join(" | ")
}
