//! What is estimated of the values of a column: how many there are, and which texts beside the known ones are frequent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datasketches::frequencies::{ErrorType, FrequentItemsSketch};
use datasketches::hll::{HllSketch, HllType, HllUnion};
use serde::{Deserialize, Serialize};

use super::categories::CATEGORY_BYTES_MAX;

/// 2^10 registers: a relative standard error of 3 %.
const REGISTERS_LOG: u8 = 10;
/// The most unknown texts that are told apart.
const TEXTS_MAX: usize = 64;
/// The most that are named in a report.
pub const NAMED_MAX: usize = 10;

/// The sketches of one column.
#[derive(Clone, Debug)]
pub(super) struct Sketches {
    distinct: HllSketch,
    /// Nothing until one comes, and where unknown texts are not to be kept.
    unknown: Option<Box<FrequentItemsSketch<String>>>,
}

/// The same in documents.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedSketches {
    distinct: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

impl Default for Sketches {
    fn default() -> Self {
        Self { distinct: distinct(), unknown: None }
    }
}

#[allow(clippy::expect_used)]
fn distinct() -> HllSketch {
    HllSketch::new(REGISTERS_LOG, HllType::Hll4).expect("from 4 to 21 is allowed")
}

impl Sketches {
    pub(super) fn number(&mut self, number: f64) {
        self.distinct.update(number.to_bits());
    }

    /// A text; `is_named` says that it is none of those that are known, and may be kept.
    pub(super) fn text(&mut self, text: &[u8], is_named: bool) {
        self.distinct.update(text);
        let Some(text) =
            std::str::from_utf8(text).ok().filter(|text| is_named && text.len() <= CATEGORY_BYTES_MAX)
        else {
            return;
        };
        let Ok(new) = FrequentItemsSketch::new(TEXTS_MAX) else { return };
        self.unknown.get_or_insert_with(|| Box::new(new)).update(text.to_owned());
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if let Ok(mut union) = HllUnion::new(REGISTERS_LOG) {
            union.update(&self.distinct);
            union.update(&other.distinct);
            self.distinct = union.to_sketch(HllType::Hll4);
        }
        match (&mut self.unknown, &other.unknown) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
            (_, None) => {}
        }
    }

    /// About how many different values there are.
    pub(super) fn distinct(&self) -> u64 {
        self.distinct.estimate().round() as u64
    }

    /// The unknown texts that are most frequent, with how often they were there at least.
    pub(super) fn unknown(&self) -> Vec<(String, u64)> {
        let rows =
            self.unknown.iter().flat_map(|unknown| unknown.frequent_items(ErrorType::NoFalseNegatives));
        let mut found: Vec<(String, u64)> =
            rows.map(|row| (row.item().clone(), row.lower_bound().max(1))).collect();
        found.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found.truncate(NAMED_MAX);
        found
    }

    pub(super) fn saved(&self) -> SavedSketches {
        SavedSketches {
            distinct: STANDARD.encode(self.distinct.serialize()),
            unknown: self.unknown.as_ref().map(|unknown| STANDARD.encode(unknown.serialize())),
        }
    }

    pub(super) fn restore(saved: &SavedSketches) -> Result<Self, String> {
        let bytes = |text: &str| STANDARD.decode(text).map_err(|e| e.to_string());
        let distinct = HllSketch::deserialize(&bytes(&saved.distinct)?).map_err(|e| e.to_string())?;
        if distinct.lg_config_k() != REGISTERS_LOG {
            return Err(format!(
                "a sketch has 2^{} registers, not 2^{REGISTERS_LOG}",
                distinct.lg_config_k()
            ));
        }
        let unknown = saved.unknown.as_deref().map(bytes).transpose()?;
        let unknown = unknown.map(|bytes| FrequentItemsSketch::deserialize(&bytes)).transpose();
        Ok(Self { distinct, unknown: unknown.map_err(|e| e.to_string())?.map(Box::new) })
    }
}
