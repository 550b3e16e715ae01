//! The comparison of a version with the one that serves, on the same inputs.

use std::sync::Arc;

use pointsman_core::{InputTensor, LoadTenth, ModelName, Pair, RequestId, ShadowDrop, VersionNumber};
use pointsman_stats::{Errors, Tally};

use crate::excess::Excess;
use crate::outcomes::Outcomes;
use crate::settings::{Settings, SettingsError};
use crate::sums::Sums;

/// What is held against what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pairing {
    /// The model.
    pub model: ModelName,
    /// The version that serves.
    pub primary: VersionNumber,
    /// The version that is looked at.
    pub shadow: VersionNumber,
}

/// Sums over pairs of answers, of a fixed size however many there are.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub(crate) pairing: Pairing,
    pub(crate) settings: Settings,
    pub(crate) shadow: Sums,
    /// A second copy of the primary against it.
    pub(crate) floor: Sums,
    pub(crate) excess: Excess,
    /// Pairs of other versions, which are not taken in.
    pub(crate) mispaired: u64,
    pub(crate) dropped: [[u64; LoadTenth::COUNT]; ShadowDrop::ALL.len()],
}

/// Two comparisons that are not of the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// They are of other versions.
    #[error("the two comparisons are of other versions")]
    Pairing,
    /// They hold answers to other tolerances.
    #[error("the two comparisons have other settings")]
    Settings,
}

impl Comparison {
    /// An empty one.
    ///
    /// # Errors
    /// Where the settings cannot be used.
    pub fn new(pairing: Pairing, settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            pairing,
            settings,
            shadow: Sums::default(),
            floor: Sums::default(),
            excess: Excess::default(),
            mispaired: 0,
            dropped: Default::default(),
        })
    }

    /// What it is of.
    #[must_use]
    pub fn pairing(&self) -> &Pairing {
        &self.pairing
    }

    /// Takes a pair in. One of other versions is counted, and not taken in: so a comparison stays that of two versions
    /// when another one serves meanwhile.
    pub fn push(&mut self, pair: &Pair<'_>) {
        let Pairing { model, primary, shadow } = &self.pairing;
        if pair.model != model || pair.primary.version != *primary || pair.shadow.version != *shadow {
            self.mispaired += 1;
            return;
        }
        let disagrees = self.shadow.push(pair, &pair.shadow, Some(&pair.inputs), &self.settings);
        if let Some(floor) = &pair.floor {
            let noise = self.floor.push(pair, floor, None, &self.settings);
            // Where one of the three failed, that says nothing of how far answers of the same version are apart.
            let answered = [&pair.primary, &pair.shadow, floor].iter().all(|side| side.outputs.is_ok());
            if let (Some(disagrees), Some(noise), true) = (disagrees, noise, answered) {
                self.excess.push(disagrees, noise);
            }
        }
    }

    /// So many exchanges that were offered at this load have no pair.
    pub fn dropped(&mut self, reason: ShadowDrop, load: LoadTenth, count: u64) {
        self.dropped[reason as usize][load.index()] += count;
    }

    /// Takes in all that another one of the same versions has.
    ///
    /// # Errors
    /// Where they are not of the same.
    pub fn merge(&mut self, other: &Self) -> Result<(), MergeError> {
        if self.pairing != other.pairing {
            return Err(MergeError::Pairing);
        }
        if self.settings != other.settings {
            return Err(MergeError::Settings);
        }
        self.shadow.merge(&other.shadow);
        self.floor.merge(&other.floor);
        self.excess.merge(other.excess);
        self.mispaired += other.mispaired;
        let cells = self.dropped.iter_mut().flatten().zip(other.dropped.iter().flatten());
        cells.for_each(|(here, there)| *here += there);
        Ok(())
    }

    /// Pairs in which the two answered alike, among those in which both answered: what a guard on disagreement looks
    /// at.
    #[must_use]
    pub fn agreement(&self) -> Tally {
        self.shadow.agreed
    }

    /// How pairs ended.
    #[must_use]
    pub fn outcomes(&self) -> Outcomes {
        self.shadow.outcomes
    }

    /// Answers with something that is not finite, of one side alone: those of the shadow are the canary's.
    #[must_use]
    pub fn invalid(&self) -> Errors {
        self.shadow.invalid
    }

    /// What was asked in an example that it keeps; nothing where it keeps none of this id, or not its inputs.
    #[must_use]
    pub fn inputs(&self, id: RequestId) -> Option<&Arc<[InputTensor]>> {
        self.shadow.worst.inputs(id).or_else(|| self.shadow.failed.inputs(id))
    }

    /// The examples whose inputs are kept, those that are furthest apart first.
    pub fn replayable(&self) -> impl Iterator<Item = RequestId> {
        let ids = self.shadow.worst.iter().chain(self.shadow.failed.iter()).map(|example| example.id);
        ids.filter(|id| self.inputs(*id).is_some())
    }

    /// The shadow against a second copy of the primary; empty where there is none.
    #[must_use]
    pub fn excess(&self) -> Excess {
        self.excess
    }
}
