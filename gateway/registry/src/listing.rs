//! What a registry holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pointsman_core::{
    BatchingPolicy, BreakingPolicy, DivisionPolicy, EngineChoice, ModelName, Nonfinite, QueueDelay, Schema,
    VersionNumber,
};

use crate::card::Card;
use crate::problem::Problem;
use crate::stamp::Stamp;
use crate::tolerance::Tolerance;
use crate::triton::TritonConfig;
use crate::wanted::{Wanted, serving};

/// The bytes of a response cache that is asked for without a bound, as `config.pbtxt` does.
const CACHE_BYTES: usize = 64 << 20;

/// One look at a registry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scan {
    /// The models found, by name.
    pub models: Vec<ModelListing>,
    /// What was found and is no model.
    pub problems: Vec<Problem>,
}

/// One model of a registry.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelListing {
    /// Its name.
    pub name: ModelName,
    /// What its owner says about it; the default where there is no card or a bad one.
    pub card: Card,
    /// What its Triton configuration says, where it has a good one.
    pub config: Option<TritonConfig>,
    /// What the values of its columns are expected to be, where it has a good `schema.toml`.
    pub schema: Option<Arc<Schema>>,
    /// Its versions, ascending.
    pub versions: Vec<VersionListing>,
    /// Whether its folder has a tombstone: then nothing of it is wanted.
    pub tombstone: bool,
    /// What keeps it from being served.
    pub problems: Vec<Problem>,
    /// What its owner should know.
    pub warnings: Vec<Problem>,
}

/// One version of a model, as its folder looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionListing {
    /// Its number.
    pub number: VersionNumber,
    /// The state that its folder is in.
    pub stamp: Stamp,
    /// The bytes of its files together, read or not.
    pub bytes: u64,
    /// Whether it may be loaded.
    pub folder: FolderState,
    /// What [`Settling`](crate::Settling) judges by.
    pub traces: Traces,
}

/// Whether a version may be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderState {
    /// All of it seems to be there. Reading it is the proof.
    Complete,
    /// It is not all there, or is still being written.
    Unsettled {
        /// Why, in one line that names the file.
        reason: String,
    },
    /// Its folder has a tombstone: it is withdrawn.
    Tombstone,
}

/// What a version's folder shows of copies into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Whether a manifest lists its files, so that reading it shows a half one.
    pub proven: bool,
    /// The newest time stamp of anything in it, of writing or of change; nothing where not all are known.
    pub newest: Option<SystemTime>,
    /// What has the name of a file that a tool has not finished, where there is any.
    pub unfinished: Option<Unfinished>,
}

/// Files with the names that tools give to what they have not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The first of them, relative to the registry's root.
    pub file: String,
    /// The state that all of them are in.
    pub stamp: Stamp,
    /// Their newest time stamp; nothing where not all are known.
    pub newest: Option<SystemTime>,
}

/// How a model is to be served: the card, and where it says nothing the Triton configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The engine asked for; nothing leaves it to the gateway's configuration.
    pub engine: Option<EngineChoice>,
    /// Worker threads of each version.
    pub workers: Option<usize>,
    /// Requests that may wait for each version.
    pub queue_max: Option<usize>,
    /// How NaN and infinities are said in JSON.
    pub nonfinite: Option<Nonfinite>,
    /// The most rows that may be run at once.
    pub max_batch_size: Option<usize>,
    /// How long they may, where ever more come; nothing leaves it to the gateway's configuration.
    pub queue_delay: Option<QueueDelay>,
    /// How many priorities requests can have, and that of one which says none.
    pub priorities: Option<(usize, usize)>,
    /// Numbers of rows that are run together as soon as they are there, ascending.
    pub batch_rows_preferred: Arc<[u64]>,
    /// How long a request waits for others to be run with.
    pub batch_delay: Duration,
    /// Whether they may be joined at all.
    pub batching: BatchingPolicy,
    /// The most rows of several requests that are run together; nothing leaves it to what runs take.
    pub batch_rows_max: Option<usize>,
    /// How far the answers of rows that are run together may lie from those alone, as a part of them.
    pub batch_rtol: Option<Tolerance>,
    /// How far they may lie in any case.
    pub batch_atol: Option<Tolerance>,
    /// Bytes of requests and answers that each version keeps, to answer equal requests without a run; nothing
    /// for no such cache.
    pub cache_bytes_max: Option<usize>,
    /// What becomes of a version that divides integers of a request; nothing leaves it to the gateway's
    /// configuration.
    pub integer_division: Option<DivisionPolicy>,
    /// What becomes of a version that callers of the serving one cannot use; nothing leaves it to the
    /// gateway's configuration.
    pub breaking: Option<BreakingPolicy>,
    /// Inputs that a request may leave out.
    pub optional_inputs: BTreeSet<String>,
    /// Names of the columns of an input, by the input's name.
    pub features: BTreeMap<String, Arc<[String]>>,
    /// Names of the classes of an output, by the output's name.
    pub labels: BTreeMap<String, Arc<[String]>>,
    /// What the values of its columns are expected to be.
    pub schema: Option<Arc<Schema>>,
}

impl ModelListing {
    /// Those of its versions that may be loaded, ascending.
    #[must_use]
    pub fn complete(&self) -> Vec<VersionNumber> {
        let complete = self.versions.iter().filter(|version| version.folder == FolderState::Complete);
        complete.map(|version| version.number).collect()
    }

    /// Which of its complete versions are to be loaded, and which answers requests that name none.
    /// Of a model with problems or a tombstone nothing is wanted.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let complete = self.complete();
        let none_yet = complete.is_empty() && !self.versions.is_empty(); // each of them says why
        if self.tombstone || none_yet || !self.problems.is_empty() {
            return Wanted::default();
        }
        let mut wanted = serving(&self.card, self.config.as_ref(), &complete);
        for problem in &mut wanted.problems {
            let separator = if problem.file.is_empty() { "" } else { "/" };
            problem.file = format!("{}{separator}{}", self.name, problem.file);
        }
        wanted
    }

    /// How it is to be served.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let card = self.card.clone();
        let config = self.config.clone().unwrap_or_default();
        let batching = config.batching.unwrap_or_default();
        let priorities = priorities(&card).or(batching.priorities);
        let mut labels = config.labels;
        labels.extend(card.labels);
        let of_config = config.response_cache.then_some(CACHE_BYTES);
        Settings {
            engine: card.engine,
            workers: card.workers.or(config.workers),
            queue_max: card.queue_max.or(config.queue_max),
            nonfinite: card.nonfinite,
            max_batch_size: config.max_batch_size,
            queue_delay: card.queue_delay,
            priorities,
            batch_rows_preferred: card.batch_rows_preferred.unwrap_or_else(|| batching.preferred_rows.into()),
            batch_delay: card.batch_delay.unwrap_or(batching.queue_delay_max),
            batching: card.batching.unwrap_or_default(),
            batch_rows_max: card.batch_rows_max,
            batch_rtol: card.batch_rtol,
            batch_atol: card.batch_atol,
            cache_bytes_max: card.cache_bytes_max.or(of_config).filter(|&bytes| bytes > 0),
            integer_division: card.integer_division,
            breaking: card.breaking,
            optional_inputs: config.optional_inputs,
            features: card.features,
            labels,
            schema: self.schema.clone(),
        }
    }
}

/// Those that the card says: one in the middle is the default where it says none.
fn priorities(card: &Card) -> Option<(usize, usize)> {
    let levels = card.priority_levels?;
    Some((levels, card.priority_default.unwrap_or(levels.div_ceil(2))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_comes_before_the_configuration() {
        let labels = |names: &[&str]| -> Arc<[String]> { names.iter().map(ToString::to_string).collect() };
        let mut listing = ModelListing {
            name: ModelName::new("iris").expect("a name"),
            card: Card {
                workers: Some(1),
                labels: BTreeMap::from([("a".into(), labels(&["card"]))]),
                ..Card::default()
            },
            config: Some(TritonConfig {
                workers: Some(8),
                queue_max: Some(64),
                response_cache: true,
                labels: BTreeMap::from([
                    ("a".into(), labels(&["triton"])),
                    ("b".into(), labels(&["triton"])),
                ]),
                ..TritonConfig::default()
            }),
            schema: None,
            versions: Vec::new(),
            tombstone: false,
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        let settings = listing.settings();
        assert_eq!((settings.workers, settings.queue_max), (Some(1), Some(64)));
        assert_eq!(settings.cache_bytes_max, Some(CACHE_BYTES));
        listing.card.cache_bytes_max = Some(0);
        assert_eq!(listing.settings().cache_bytes_max, None);
        listing.card.cache_bytes_max = Some(1 << 20);
        assert_eq!(listing.settings().cache_bytes_max, Some(1 << 20));
        assert_eq!(settings.labels["a"][0], "card");
        assert_eq!(settings.labels["b"][0], "triton");
    }
}
