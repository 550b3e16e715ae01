//! What a comparison has counted so far, as numbers that only grow: small enough to be handed from one thread to another
//! after each pair.

use serde::{Deserialize, Serialize};

use crate::comparison::Comparison;

/// Counts over all pairs of a comparison. What was added between two looks is the difference of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Pairs that were told.
    pub pairs: u64,
    /// Those in which both answered.
    pub answered: u64,
    /// Those of them in which the two disagree.
    pub disagreed: u64,
    /// Pairs in which the shadow failed.
    pub shadow_errors: u64,
    /// Those of them in which the primary did not.
    pub shadow_errors_alone: u64,
    /// Pairs in which the primary failed.
    pub primary_errors: u64,
    /// Those of them in which the shadow did not.
    pub primary_errors_alone: u64,
    /// Answers of the shadow with a NaN or an infinity, among `answered`.
    pub shadow_invalid: u64,
    /// Those of them in which the primary's has none.
    pub shadow_invalid_alone: u64,
    /// Answers of the primary with a NaN or an infinity, among `answered`.
    pub primary_invalid: u64,
    /// Those of them in which the shadow's has none.
    pub primary_invalid_alone: u64,
    /// Pairs of which a second copy of the primary was told as well, and the three are comparable.
    pub floor_pairs: u64,
    /// Those of them in which that copy disagrees with the primary.
    pub floor_disagreed: u64,
    /// Those of `floor_pairs` in which the shadow does.
    pub floor_shadow_disagreed: u64,
}

impl Comparison {
    /// What it has counted so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let (outcomes, agreed) = (self.outcomes(), self.agreement());
        let (alone, excess) = (self.invalid(), self.excess());
        let invalid = self.shadow.all_invalid;
        Totals {
            pairs: outcomes.ok_ok + outcomes.ok_err + outcomes.err_ok + outcomes.err_err,
            answered: agreed.tries(),
            disagreed: agreed.tries() - agreed.hits(),
            shadow_errors: outcomes.ok_err + outcomes.err_err,
            shadow_errors_alone: outcomes.ok_err,
            primary_errors: outcomes.err_ok + outcomes.err_err,
            primary_errors_alone: outcomes.err_ok,
            shadow_invalid: invalid.canary,
            shadow_invalid_alone: alone.canary,
            primary_invalid: invalid.primary,
            primary_invalid_alone: alone.primary,
            floor_pairs: excess.pairs(),
            floor_disagreed: excess.both + excess.floor,
            floor_shadow_disagreed: excess.both + excess.shadow,
        }
    }
}
