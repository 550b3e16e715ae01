//! Whether one of two versions is right more often on the same inputs, looked at once: McNemar's test.
//!
//! Inputs on which both are right or both wrong say nothing. To look again and again take
//! [`errors_differ`](crate::errors_differ) with the two counts and a weight of a half.

use crate::goodness_of_fit::ChiSquared;
use crate::special::ln_lower_tail;

/// Inputs on which exactly one of two versions is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discordant {
    /// Only the first.
    pub first: u64,
    /// Only the second.
    pub second: u64,
}

impl Discordant {
    /// The exact two-sided p-value: of a fair coin (McNemar, 1947).
    #[must_use]
    pub fn exact_p(self) -> f64 {
        let less = self.first.min(self.second) as f64;
        let more = self.first.max(self.second) as f64;
        // P(X <= less) = I_½(more, less + 1); with nothing seen there is no tail.
        if more <= 0.0 { 1.0 } else { (2.0 * ln_lower_tail(more, less + 1.0, 0.5).exp()).min(1.0) }
    }

    /// The statistic with the correction for continuity (Edwards, 1948).
    #[must_use]
    pub fn corrected(self) -> ChiSquared {
        let all = self.first as f64 + self.second as f64;
        let apart = (self.first.abs_diff(self.second) as f64 - 1.0).max(0.0);
        ChiSquared { statistic: if all > 0.0 { apart * apart / all } else { 0.0 }, degrees: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        let found = Discordant { first: 25, second: 10 };
        assert!((found.exact_p() - 0.016_673_8).abs() < 1e-7, "{}", found.exact_p());
        assert!((found.corrected().statistic - 5.6).abs() < 1e-12);
        // 2 (1 + 6)/64.
        assert!((Discordant { first: 1, second: 5 }.exact_p() - 14.0 / 64.0).abs() < 1e-12);
    }

    #[test]
    fn no_difference_is_no_evidence() {
        for (first, second) in [(0, 0), (7, 7), (0, 1)] {
            let found = Discordant { first, second };
            assert!((found.exact_p() - 1.0).abs() < 1e-12, "{found:?}");
            assert_eq!(found.corrected().p(), 1.0, "{found:?}");
        }
        assert!(Discordant { first: u64::MAX, second: 0 }.exact_p() < 1e-300);
    }
}
