//! The sums of an experiment as a document, so that they outlive the process.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::recorder::{Gap, History, Recorder, Times, locked};
use super::setup::Setup;
use super::strata::Strata;
use super::table::ArmTable;
use super::{SHARD_UNITS_MAX, SHARDS};

/// What was kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    setup: Setup,
    strata: Strata,
    history: History,
    counts: [u64; 5],
    arms: Vec<SavedArm>,
    /// Units by part: numbers of eight bytes, little-endian, in base64.
    units: Vec<String>,
    /// When, in milliseconds since 1970.
    saved_ms: u64,
    /// Whether nothing came after it: the gateway stopped.
    is_last: bool,
}

/// The sums of one arm.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedArm {
    /// Doubles, little-endian, in base64: as they were to the last bit, and in a third of their digits.
    rows: String,
    /// Nothing where there were none: the ends of no times are no numbers, and JSON has none for them.
    times: Option<Times>,
}

/// A document that holds no sums.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sums that were kept of an experiment cannot be read: {0}")]
pub struct SavedError(String);

fn packed(numbers: impl Iterator<Item = [u8; 8]>) -> String {
    STANDARD.encode(numbers.flatten().collect::<Vec<u8>>())
}

fn unpacked(text: &str) -> Result<Vec<[u8; 8]>, SavedError> {
    let bytes = STANDARD.decode(text).map_err(|e| SavedError(e.to_string()))?;
    let (numbers, rest) = bytes.as_chunks::<8>();
    if rest.is_empty() { Ok(numbers.to_vec()) } else { Err(SavedError("a number is cut off".into())) }
}

impl Recorder {
    /// Its sums as JSON. `is_last` says that no request will come after this.
    #[must_use]
    pub fn save(&self, now_ms: u64, is_last: bool) -> String {
        let table = self.table();
        let arms = table.arms.into_iter().map(|ArmTable { rows, times }| {
            let rows = packed(rows.into_iter().map(f64::to_le_bytes));
            SavedArm { rows, times: Some(times).filter(|times| times.moments.count() > 0) }
        });
        let units = self.shards().iter().map(|shard| {
            // Copied first: whoever wants the lock does not wait for the text.
            let units: Vec<u64> = locked(shard).units.iter().copied().collect();
            packed(units.into_iter().map(u64::to_le_bytes))
        });
        let saved = Saved {
            setup: self.setup().clone(),
            strata: table.strata,
            history: table.history,
            counts: self.counts().all().map(|counter| counter.load(Ordering::Relaxed)),
            arms: arms.collect(),
            units: units.collect(),
            saved_ms: now_ms,
            is_last,
        };
        // Texts, whole numbers and finite floats are all that it holds.
        serde_json::to_string(&saved).unwrap_or_default()
    }

    /// Goes on with what was kept. What came between its last moment and now is not known, and is told, unless it
    /// was the last.
    ///
    /// # Errors
    /// Where the document is not what it should be.
    pub fn restore(saved: Saved, now_ms: u64) -> Result<Self, SavedError> {
        let odd = |what: &str| SavedError(what.to_owned());
        let weights = saved.history.weights.clone();
        let recorder = Self::new(saved.setup, &weights, String::new(), now_ms)
            .ok_or_else(|| odd("it has too many arms or metrics"))?;
        let arms = saved.arms.into_iter().map(|SavedArm { rows, times }| {
            let rows: Vec<f64> = unpacked(&rows)?.into_iter().map(f64::from_le_bytes).collect();
            let fits = rows.len() == recorder.row_length() && rows.iter().all(|sum| sum.is_finite());
            if fits {
                Ok(ArmTable { rows, times: times.unwrap_or_default() })
            } else {
                Err(odd("its sums are no sums of its arms"))
            }
        });
        let arms = arms.collect::<Result<Vec<_>, _>>()?;
        let count = recorder.setup().arms.len();
        if arms.len() != count || !saved.strata.is_of(count) || saved.units.len() != SHARDS {
            return Err(odd("its parts do not fit together"));
        }
        recorder.take_over(&arms, saved.strata, saved.history);
        for (shard, units) in recorder.shards().iter().zip(&saved.units) {
            let units = unpacked(units)?.into_iter().map(u64::from_le_bytes).take(SHARD_UNITS_MAX);
            locked(shard).units = units.collect();
        }
        for (counter, count) in recorder.counts().all().into_iter().zip(saved.counts) {
            counter.store(count, Ordering::Relaxed);
        }
        if !saved.is_last {
            recorder.lost(Gap { from_ms: saved.saved_ms, to_ms: now_ms });
        }
        Ok(recorder)
    }
}

impl Saved {
    /// Reads a document.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(text: &str) -> Result<Self, SavedError> {
        serde_json::from_str(text).map_err(|e| SavedError(e.to_string()))
    }

    /// What it is of.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }
}
