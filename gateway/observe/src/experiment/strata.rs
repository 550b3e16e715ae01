//! How many units came to each arm, apart for each set of weights.
//!
//! A unit is counted once, in the step in which it came first. That is the only time at which its arm is a fresh draw
//! with the weights of a step: a unit that was seen before a weight was raised is in the arm that it had, or in the
//! grown one, and which of both follows from where it was. Steps are kept apart as counts over all of them would be held
//! against the last weights (a healthy ramp then looks broken). Given what was seen before, the arm of a new unit has
//! the weights of its step, so the e-values of steps multiply.

use pointsman_stats::{Alpha, ExpectedShares, LogE, Prior, multinomial_log_e};
use serde::{Deserialize, Serialize};

/// The most sets of weights that are told apart; units of further ones are not checked.
pub const STRATA_MAX: usize = 64;
/// The level of the check: a split that is right fails it once in a thousand experiments, however often one looks.
const LEVEL: f64 = 0.001;
/// How firmly bets are placed around the expected shares.
const CONCENTRATION: f64 = 100.0;

/// One set of weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stratum {
    /// By arm, in ten-thousandths.
    pub(super) weights: Vec<u16>,
    /// Units by arm.
    pub(super) counts: Vec<u64>,
}

/// All sets of weights there were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Strata {
    strata: Vec<Stratum>,
    /// The one that counts; nothing where there was no room for it.
    current: Option<usize>,
    /// Units that could not be checked.
    unchecked: u64,
}

impl Strata {
    /// From now on units are drawn with these weights.
    pub(super) fn begin(&mut self, weights: &[u16]) {
        self.current = self.strata.iter().position(|stratum| stratum.weights == weights);
        if self.current.is_none() && self.strata.len() < STRATA_MAX {
            self.current = Some(self.strata.len());
            self.strata.push(Stratum { weights: weights.to_vec(), counts: vec![0; weights.len()] });
        }
    }

    /// A new unit has an arm, drawn with this weight. A request that was drawn before the weights changed may end
    /// after that: its unit belongs to the step that its weight says.
    pub(super) fn count(&mut self, arm: usize, weight: u16) {
        let fits = |stratum: &Stratum| stratum.weights.get(arm) == Some(&weight);
        let current = self.current.filter(|at| self.strata.get(*at).is_some_and(fits));
        let at = current.or_else(|| self.strata.iter().rposition(fits));
        match at.and_then(|at| self.strata[at].counts.get_mut(arm)) {
            Some(count) => *count += 1,
            None => self.unchecked += 1,
        }
    }

    pub(super) fn get(&self) -> &[Stratum] {
        &self.strata
    }

    pub(super) fn unchecked(&self) -> u64 {
        self.unchecked
    }

    /// Whether it can be what was kept for so many arms.
    pub(super) fn is_of(&self, arms: usize) -> bool {
        let fits = |stratum: &Stratum| stratum.weights.len() == arms && stratum.counts.len() == arms;
        self.strata.len() <= STRATA_MAX
            && self.strata.iter().all(fits)
            && self.current.is_none_or(|current| current < self.strata.len())
    }

    /// Units by arm.
    pub(super) fn units(&self, arm: usize) -> u64 {
        self.strata.iter().filter_map(|stratum| stratum.counts.get(arm)).sum()
    }

    /// The e-value against "each arm gets the units that it should", and whether that is enough to say that it is not
    /// so. Lindon and Malek, arXiv 2011.03567 (F9).
    pub(super) fn mismatch(&self) -> (LogE, bool) {
        let mut all = LogE::ONE;
        for Stratum { weights, counts } in &self.strata {
            // An arm without weight gets nobody: if it does, that is no chance.
            let lost = weights.iter().zip(counts).any(|(weight, count)| *weight == 0 && *count > 0);
            if lost {
                return (LogE::from(f64::MAX), true);
            }
            let drawn: Vec<(f64, u64)> = weights
                .iter()
                .zip(counts)
                .filter(|(weight, _)| **weight > 0)
                .map(|(weight, count)| (f64::from(*weight) / 10_000.0, *count))
                .collect();
            let (shares, counts): (Vec<f64>, Vec<u64>) = drawn.into_iter().unzip();
            // With one arm there is nothing to check.
            if let Ok(shares) = ExpectedShares::new(&shares)
                && let Ok(log) = multinomial_log_e(&shares, &counts, Prior::Around(CONCENTRATION))
            {
                all = all.and(log);
            }
        }
        let rejected = Alpha::new(LEVEL).is_ok_and(|level| all.rejects(level));
        (all, rejected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(steps: &[([u16; 2], [u64; 2])]) -> Strata {
        let mut strata = Strata::default();
        for (weights, counts) in steps {
            strata.begin(weights);
            for (arm, count) in counts.iter().enumerate() {
                (0..*count).for_each(|_| strata.count(arm, weights[arm]));
            }
        }
        strata
    }

    #[test]
    fn known_answers() {
        for (weights, counts, log, rejected) in [
            ([5000, 5000], [600, 400], 17.098_940, true),
            ([5000, 5000], [550, 450], 3.354_668, false),
            ([9000, 1000], [9100, 900], 3.401_299, false),
        ] {
            let (found, mismatch) = counted(&[(weights, counts)]).mismatch();
            assert!((found.get() - log).abs() < 1e-6 && mismatch == rejected, "{found:?}");
        }
    }

    #[test]
    fn steps_multiply_and_a_healthy_ramp_is_healthy() {
        let ramp = counted(&[([9900, 100], [9905, 95]), ([5000, 5000], [4990, 5010]), ([9900, 100], [9, 1])]);
        assert_eq!(ramp.get().len(), 2, "weights that return are the same step");
        assert_eq!((ramp.units(0), ramp.units(1)), (9905 + 4990 + 9, 95 + 5010 + 1));
        assert!(!ramp.mismatch().1, "{:?}", ramp.mismatch());
        // Held against the last weights alone, it would look broken.
        let pooled = counted(&[([5000, 5000], [14_895, 5105])]);
        assert!(pooled.mismatch().1);
        let both = counted(&[([5000, 5000], [550, 450]), ([9000, 1000], [9100, 900])]).mismatch().0;
        assert!((both.get() - 3.354_668 - 3.401_299).abs() < 1e-6);
    }

    #[test]
    fn a_late_request_belongs_to_the_weights_that_it_was_drawn_with() {
        let mut strata = counted(&[([9900, 100], [0, 0]), ([5000, 5000], [0, 0])]);
        strata.count(0, 9900);
        strata.count(1, 5000);
        strata.count(1, 7);
        let counts: Vec<_> = strata.get().iter().map(|stratum| stratum.counts.clone()).collect();
        assert_eq!((counts, strata.unchecked()), (vec![vec![1, 0], vec![0, 1]], 1));
        assert!(counted(&[([10_000, 0], [5, 0])]).mismatch().0 == LogE::ONE);
        assert!(counted(&[([10_000, 0], [5, 1])]).mismatch().1);
    }

    #[test]
    fn there_are_at_most_so_many_steps() {
        let mut strata = Strata::default();
        for step in 0..STRATA_MAX as u16 + 1 {
            strata.begin(&[10_000 - step, step]);
            strata.count(1, step);
        }
        assert_eq!((strata.get().len(), strata.unchecked()), (STRATA_MAX, 1));
        assert!(strata.is_of(2) && !strata.is_of(3));
    }
}
