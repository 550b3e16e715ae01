//! Whether the shadow is further from the primary than the primary is from itself.

use pointsman_stats::{Alpha, Errors, LogE, Tally, rate_interval};

use crate::outcomes::shadow_is_worse;

/// The number of pairs at which bounds of rates are tightest.
pub(crate) const PAIRS_BEST: f64 = 1_000.0;

/// Pairs that were also answered by a second copy of the primary, by who of the two disagrees with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excess {
    /// Both.
    pub both: u64,
    /// The shadow alone.
    pub shadow: u64,
    /// The copy alone: noise.
    pub floor: u64,
    /// Neither.
    pub neither: u64,
}

impl Excess {
    pub(crate) fn push(&mut self, shadow_disagrees: bool, floor_disagrees: bool) {
        *match (shadow_disagrees, floor_disagrees) {
            (true, true) => &mut self.both,
            (true, false) => &mut self.shadow,
            (false, true) => &mut self.floor,
            (false, false) => &mut self.neither,
        } += 1;
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.both += other.both;
        self.shadow += other.shadow;
        self.floor += other.floor;
        self.neither += other.neither;
    }

    /// How many pairs.
    #[must_use]
    pub const fn pairs(&self) -> u64 {
        self.both + self.shadow + self.floor + self.neither
    }

    /// The e-value against "the shadow disagrees with the primary at most as often as the primary does with itself".
    /// Pairs in which both or neither disagree say nothing.
    #[must_use]
    pub fn log_e(&self) -> LogE {
        shadow_is_worse(Errors { canary: self.shadow, primary: self.floor })
    }

    /// By how much more often the shadow disagrees, with bounds that hold at any time: those of both rates, each wrong
    /// with a probability of half of alpha. Nothing where there are no pairs.
    #[must_use]
    pub fn rate(&self, alpha: Alpha) -> Option<(f64, f64, f64)> {
        let half = Alpha::new(alpha.get() / 2.0).ok()?;
        let bounds = |hits| {
            let tally = Tally::new(hits, self.pairs()).ok()?;
            let (lower, upper) = rate_interval(tally, half, PAIRS_BEST).ok()?;
            Some((lower, tally.rate()?, upper))
        };
        let (shadow, floor) = (bounds(self.shadow)?, bounds(self.floor)?);
        Some((shadow.0 - floor.2, shadow.1 - floor.1, shadow.2 - floor.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_on_both_sides_is_no_excess() {
        let level = Alpha::new(0.05).expect("a level");
        let noisy = Excess { both: 300, shadow: 50, floor: 52, neither: 9_598 };
        assert!(!noisy.log_e().rejects(level));
        let (lower, rate, upper) = noisy.rate(level).expect("pairs");
        assert!(lower < 0.0 && upper > 0.0 && (rate + 0.0002).abs() < 1e-12);
        // Diffy's example: 80 differences over a noise of 50 among 10 000, none of them on the same pairs.
        let more = Excess { both: 0, shadow: 80, floor: 50, neither: 9_870 };
        let (lower, rate, upper) = more.rate(level).expect("pairs");
        assert!((rate - 0.003).abs() < 1e-12 && lower < rate && rate < upper);
        assert!(Excess { shadow: 200, floor: 50, ..more }.log_e().rejects(level));
        assert_eq!(Excess::default().rate(level), None);
    }

    #[test]
    fn each_pair_is_of_one_kind() {
        let mut excess = Excess::default();
        for (shadow, floor) in [(true, true), (true, false), (false, true), (false, false), (false, false)] {
            excess.push(shadow, floor);
        }
        excess.merge(Excess { shadow: 3, ..Excess::default() });
        assert_eq!(excess, Excess { both: 1, shadow: 4, floor: 1, neither: 2 });
        assert_eq!(excess.pairs(), 8);
    }
}
