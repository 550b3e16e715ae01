//! What a shadow has answered, as rollouts look at it.

use pointsman_core::{ModelName, VersionNumber};

use super::evidence::{Arm, Counts, Hard, Hits, Look};

/// Sums over all pairs of answers of two versions since the gateway started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShadowTotals {
    /// Pairs: requests that the shadow saw.
    pub pairs: u64,
    /// Those that both answered.
    pub both: u64,
    /// Those of them that were answered otherwise.
    pub disagreed: u64,
    /// Errors of the shadow.
    pub errors: u64,
    /// Errors of the version that serves.
    pub primary_errors: u64,
    /// Answers of the shadow that are not finite.
    pub invalid: u64,
    /// The same of the version that serves.
    pub primary_invalid: u64,
    /// Requests that a second copy of the version that serves answered as well.
    pub floor_pairs: u64,
    /// Those of them that were answered otherwise.
    pub floor_disagreed: u64,
}

/// Who compares what shadows answer.
pub trait ShadowEvidence: Send + Sync {
    /// What a shadow has answered. It never waits; nothing where that is not known at this moment.
    fn totals(
        &self,
        model: &ModelName,
        primary: VersionNumber,
        shadow: VersionNumber,
    ) -> Option<ShadowTotals>;
}

/// Nobody compares.
impl ShadowEvidence for () {
    fn totals(&self, _: &ModelName, _: VersionNumber, _: VersionNumber) -> Option<ShadowTotals> {
        None
    }
}

impl ShadowTotals {
    /// What came since. Sums that became smaller began anew.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let before = if before.pairs > self.pairs { &Self::default() } else { before };
        Self {
            pairs: self.pairs.saturating_sub(before.pairs),
            both: self.both.saturating_sub(before.both),
            disagreed: self.disagreed.saturating_sub(before.disagreed),
            errors: self.errors.saturating_sub(before.errors),
            primary_errors: self.primary_errors.saturating_sub(before.primary_errors),
            invalid: self.invalid.saturating_sub(before.invalid),
            primary_invalid: self.primary_invalid.saturating_sub(before.primary_invalid),
            floor_pairs: self.floor_pairs.saturating_sub(before.floor_pairs),
            floor_disagreed: self.floor_disagreed.saturating_sub(before.floor_disagreed),
        }
    }

    /// As a look at a stage; nothing where nothing came. `row` are the pairs before it in which the shadow failed in a
    /// row. A pair says something by itself whoever sent it, as both answered the same request: so each counts as a unit.
    pub(crate) fn look(&self, stage: usize, row: &mut u64) -> Option<Look> {
        if self.pairs == 0 {
            return None;
        }
        // Which of them came last is not known: a look without a single answer goes on with the row.
        *row = if self.errors >= self.pairs { *row + self.errors } else { 0 };
        let hits = |count| Hits { requests: count, units: count, own_units: count };
        let arm = |errors, invalid| Arm {
            seen: hits(self.pairs),
            errors: hits(errors),
            invalid: hits(invalid),
            ..Arm::default()
        };
        let counts = Counts {
            canary: arm(self.errors, self.invalid),
            primary: arm(self.primary_errors, self.primary_invalid),
            pairs: self.both,
            disagreed: self.disagreed,
            floor_pairs: self.floor_pairs,
            floor_disagreed: self.floor_disagreed,
            ..Counts::default()
        };
        let hard = Hard {
            errors_in_a_row: *row,
            invalid: self.invalid,
            primary_invalid: self.primary_invalid,
            ..Hard::default()
        };
        Some(Look { stage, counts, hard, ..Look::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_has_what_came_since_the_last_one() {
        let before = ShadowTotals { pairs: 10, both: 9, errors: 1, ..ShadowTotals::default() };
        let all = ShadowTotals { pairs: 15, both: 12, disagreed: 2, errors: 3, ..ShadowTotals::default() };
        let mut row = 4;
        let look = all.since(&before).look(1, &mut row).expect("five pairs");
        let Counts { canary, pairs, disagreed, .. } = look.counts;
        assert_eq!((look.stage, canary.seen.units, canary.errors.requests), (1, 5, 2));
        assert_eq!((pairs, disagreed, row), (3, 2, 0));
        assert_eq!(all.since(&all).look(1, &mut row), None);
        // A gateway that came up again counts from nothing.
        assert_eq!(before.since(&all), before);
    }

    #[test]
    fn a_shadow_that_only_fails_fails_in_a_row() {
        let failed = ShadowTotals { pairs: 4, errors: 4, ..ShadowTotals::default() };
        let mut row = 0;
        let rows = [(); 3].map(|()| failed.look(0, &mut row).expect("pairs").hard.errors_in_a_row);
        assert_eq!(rows, [4, 8, 12]);
    }
}
