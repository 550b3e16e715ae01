//! What serves at this moment, as one immutable value.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use pointsman_core::{ModelName, PredictError, VersionNumber, VersionSelector, shown};
use pointsman_route::{Facts, Pick, Plan, Refusal};

use crate::record::Record;
use crate::tee::Tee;
use crate::version::Version;
use crate::witness::Witnesses;

/// All models and the versions of them that serve, at one generation.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Counts the snapshots from 1; 0 is the empty one before the first.
    pub generation: u64,
    /// The models, by name.
    pub models: HashMap<ModelName, Arc<ServedModel>>,
}

/// One model in a snapshot.
#[derive(Debug)]
pub struct ServedModel {
    /// Its name.
    pub name: ModelName,
    /// Which version answers whom.
    pub plan: Plan,
    /// The versions that serve.
    pub versions: BTreeMap<VersionNumber, Arc<Version>>,
    /// Versions that are known and do not serve.
    pub unavailable: BTreeMap<VersionNumber, Unavailable>,
    /// What was counted of versions that have served and do not any more, while it is kept.
    pub retired: BTreeMap<VersionNumber, Arc<Record>>,
    /// Versions that serve those who name them, and wait for an operator's word to be more: each with the
    /// reason.
    pub held: BTreeMap<VersionNumber, String>,
    /// The shadows of one of its versions, where it has any.
    pub tee: Option<Arc<Tee>>,
    /// Who is told how requests of its experiments ended.
    pub witnesses: Witnesses,
    /// What is wrong with the model as a whole (its card, say); empty where nothing is.
    pub problem: String,
}

/// A version that is known and does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// Where it is on its way.
    pub standing: Standing,
    /// Why it does not serve.
    pub reason: String,
}

/// Where a version that does not serve is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// To serving.
    Loading,
    /// Out: it answers what it was asked.
    Unloading,
    /// Nowhere.
    Unavailable,
}

impl Standing {
    /// The word in answers, as the V2 repository index has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Loading => "LOADING",
            Self::Unloading => "UNLOADING",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

impl Snapshot {
    /// Finds the version for a request.
    ///
    /// # Errors
    /// [`PredictError`] where the model or version is unknown or does not serve.
    pub fn pick(
        &self,
        model: &str,
        selector: &VersionSelector,
        facts: &impl Facts,
    ) -> Result<(Pick, &Arc<Version>), PredictError> {
        self.served(model)?.pick(selector, facts)
    }

    /// Finds the version that a selector stands for, of which the default has no split.
    ///
    /// # Errors
    /// [`PredictError`] where the model or version is unknown or does not serve.
    pub fn find(&self, model: &str, selector: &VersionSelector) -> Result<&Arc<Version>, PredictError> {
        self.served(model)?.find(selector)
    }

    pub(crate) fn served(&self, model: &str) -> Result<&Arc<ServedModel>, PredictError> {
        self.models.get(model).ok_or_else(|| PredictError::UnknownModel { model: shown(model) })
    }

    /// What was counted of the version that a caller names, or, where none is named, of all versions
    /// of the model; also where they have retired.
    ///
    /// # Errors
    /// Those of [`Snapshot::find`], where nothing is kept of what it names.
    pub fn records(&self, model: &str, selector: &VersionSelector) -> Result<Vec<Arc<Record>>, PredictError> {
        let found = self.find(model, selector);
        let mut records = self.models.get(model).map(|served| served.records()).unwrap_or_default();
        if *selector != VersionSelector::Default {
            let named = self.models.get(model).and_then(|served| served.plan.named(selector).ok());
            records.retain(|record| named == Some(record.number()));
        }
        if records.is_empty() { found.map(|_| records) } else { Ok(records) }
    }
}

impl ServedModel {
    /// Whether the model's default version serves.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.plan.default.is_some_and(|version| self.versions.contains_key(&version))
    }

    /// What was counted of all its versions, those that serve and those that are retired, in order.
    #[must_use]
    pub fn records(&self) -> Vec<Arc<Record>> {
        let serving = self.versions.iter().map(|(&number, version)| (number, version.record().clone()));
        let mut records = self.retired.clone();
        records.extend(serving);
        records.into_values().collect()
    }

    /// As [`Snapshot::pick`].
    pub(crate) fn pick(
        &self,
        selector: &VersionSelector,
        facts: &impl Facts,
    ) -> Result<(Pick, &Arc<Version>), PredictError> {
        let pick = self.plan.pick(selector, facts).map_err(|refusal| self.refused(selector, refusal))?;
        let version = self.version(selector, pick.version)?;
        Ok((pick, version))
    }

    /// As [`Snapshot::find`].
    pub(crate) fn find(&self, selector: &VersionSelector) -> Result<&Arc<Version>, PredictError> {
        let version = self.plan.named(selector).map_err(|refusal| self.refused(selector, refusal))?;
        self.version(selector, version)
    }

    /// A version that serves.
    fn version(
        &self,
        selector: &VersionSelector,
        number: VersionNumber,
    ) -> Result<&Arc<Version>, PredictError> {
        let (model, asked) = (|| self.name.to_string(), || selector.clone());
        match (self.versions.get(&number), self.unavailable.get(&number)) {
            (Some(version), _) => Ok(version),
            (None, Some(Unavailable { reason, .. })) => {
                Err(PredictError::NotReady { model: model(), version: asked(), reason: reason.clone() })
            }
            (None, None) => Err(PredictError::UnknownVersion { model: model(), version: asked() }),
        }
    }

    fn refused(&self, selector: &VersionSelector, refusal: Refusal) -> PredictError {
        let (model, version) = (self.name.to_string(), selector.clone());
        match refusal {
            Refusal::NoDefault => {
                PredictError::NotReady { model, version, reason: self.why_not_ready().to_owned() }
            }
            Refusal::UnknownAlias => PredictError::UnknownVersion { model, version },
            Refusal::UnknownArm { header, name } => PredictError::BadRequest(format!(
                "header '{header}' is '{name}', which is no arm of model '{model}' that serves; give an arm of its plan, \
                 or 'default'"
            )),
        }
    }

    fn why_not_ready(&self) -> &str {
        if !self.problem.is_empty() {
            return &self.problem;
        }
        self.unavailable.values().next_back().map_or("it has no version", |version| &version.reason)
    }
}

/// Creates the cell that holds the snapshot: many may read, one may publish.
#[must_use]
pub fn snapshot_cell() -> (Publisher, Reader) {
    let cell = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
    (Publisher { cell: cell.clone() }, Reader { cell })
}

/// Reads the current snapshot.
#[derive(Clone, Debug)]
pub struct Reader {
    cell: Arc<ArcSwap<Snapshot>>,
}

impl Reader {
    /// The snapshot of this moment, for as long as the guard is held: on the request path, never
    /// over an `await`.
    #[must_use]
    pub fn pin(&self) -> Guard<Arc<Snapshot>> {
        self.cell.load()
    }

    /// The snapshot of this moment, to keep.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.cell.load_full()
    }
}

/// Publishes snapshots. There is one, and it cannot be cloned.
#[derive(Debug)]
pub struct Publisher {
    cell: Arc<ArcSwap<Snapshot>>,
}

impl Publisher {
    /// Publishes the models as the next generation, and gives its number.
    pub fn publish(&mut self, models: HashMap<ModelName, Arc<ServedModel>>) -> u64 {
        let generation = self.cell.load().generation + 1;
        self.cell.store(Arc::new(Snapshot { generation, models }));
        generation
    }
}
