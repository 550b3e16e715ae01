//! Whether the canary errs more often than a margin allows, while its weight changes (F11).
//!
//! Under a ratio ρ of error rates, an error at weight w is the canary's with probability θ(ρ) = wρ / (1 - w + wρ), as
//! of [errors alone](crate::canary_errs_more). Against H0 "the ratio is at most the margin m" the bets are spread
//! evenly over ratios m·r_j above it, r_j = 10^(j/32), j = 1 to 32:
//!
//! log E = logmeanexp_j Σ_s [x_s ln(θ_s(m r_j)/θ_s(m)) + y_s ln((1 - θ_s(m r_j))/(1 - θ_s(m)))]
//!
//! Each step's weight is known before its errors come, so each factor has mean 1 given the steps before where the
//! ratio is the margin, and the product is a martingale. The mean of a factor is linear in the true θ, with a
//! positive slope as all bets lie above the margin: it is at most 1 wherever the true ratio is at or below it, at
//! each step its own. So a canary that is better, or was better for a while, never costs any of alpha, and the rate
//! itself may move as it likes.
//!
//! With w' the weight whose odds are m times those of w, the factors are r_j^x (1 + w'(r_j - 1))^-(x+y).

use serde::{Deserialize, Serialize};

use crate::errors::Errors;
use crate::log_e::{LogE, log_mean_exp};
use crate::number::{Ratio, Weight};

/// How many ratios are bet on. The largest is 10.
const BETS: usize = 32;

/// The online state: one sum for each bet.
///
/// Its floats come back from JSON as they went in where the reader rounds correctly (`float_roundtrip` of
/// serde_json). The sums of steps of one weight do not depend on how they were cut but for the last digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RampTest {
    margin: Ratio,
    sums: [f64; BETS],
}

impl RampTest {
    /// Nothing seen. The margin is the ratio up to which the canary is not worse; 1 to find any difference.
    #[must_use]
    pub const fn new(margin: Ratio) -> Self {
        Self { margin, sums: [0.0; BETS] }
    }

    /// As [`RampTest::new`], with more on some bets than on others: `prior` weighs the logarithm of how many times the
    /// margin a bet is.
    pub(crate) fn weighed(margin: Ratio, prior: impl Fn(f64) -> f64) -> Self {
        let all: f64 = (0..BETS).map(|j| prior(log_ratio(j))).sum();
        // The mean of these is 1, so that nothing seen is still no evidence.
        let sums = std::array::from_fn(|j| (prior(log_ratio(j)) / all * BETS as f64).ln());
        Self { margin, sums }
    }

    /// The ratio that is tolerated.
    #[must_use]
    pub const fn margin(&self) -> Ratio {
        self.margin
    }

    /// Takes in the errors of a step with one weight, and says the e-value of all steps.
    pub fn push(&mut self, weight: Weight, errors: Errors) -> LogE {
        let (canary, all) = (errors.canary as f64, errors.canary as f64 + errors.primary as f64);
        let share = self.tested(weight);
        for (j, sum) in self.sums.iter_mut().enumerate() {
            *sum += gain(share, j, canary, all);
        }
        self.log_e()
    }

    /// The e-value of all steps and one more, with so many errors of the canary among all.
    pub(crate) fn log_e_after(&self, weight: Weight, canary: f64, all: f64) -> LogE {
        let share = self.tested(weight);
        LogE::new(log_mean_exp(BETS, |j| self.sums[j] + gain(share, j, canary, all)))
    }

    /// The probability that an error is the canary's where the ratio is the margin: w'.
    pub(crate) fn tested(&self, weight: Weight) -> f64 {
        let odds = weight.odds() * self.margin.get();
        // Odds may overflow where weight and margin do their utmost: then the canary has every error.
        if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 }
    }

    /// The e-value of all steps. Over time keep it in [`Evidence`](crate::Evidence).
    #[must_use]
    pub fn log_e(&self) -> LogE {
        LogE::new(log_mean_exp(BETS, |j| self.sums[j]))
    }
}

/// What a step adds to the sum of a bet, where `share` is w'.
fn gain(share: f64, bet: usize, canary: f64, all: f64) -> f64 {
    let log_ratio = log_ratio(bet);
    canary * log_ratio - all * (share * log_ratio.exp_m1()).ln_1p()
}

/// The logarithm of the ratio of a bet, over the margin.
fn log_ratio(bet: usize) -> f64 {
    std::f64::consts::LN_10 * (bet + 1) as f64 / BETS as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn test(margin: f64) -> RampTest {
        RampTest::new(Ratio::new(margin).expect("a ratio"))
    }

    fn weight(weight: f64) -> Weight {
        Weight::new(weight).expect("a weight")
    }

    #[test]
    fn known_answers() {
        let mut test = test(1.0);
        assert_eq!(test.log_e().get(), 0.0);
        let steps = [(0.01, 3, 180, -0.457_390), (0.05, 12, 150, -0.150_425), (0.25, 30, 70, -0.061_115)];
        for (w, canary, primary, log) in steps {
            let found = test.push(weight(w), Errors { canary, primary }).get();
            assert!((found - log).abs() < 1e-6, "{w}: {found}");
        }
    }

    #[test]
    fn a_state_goes_on_after_a_journal() {
        let mut here = test(1.25);
        for (w, canary, primary) in [(0.01, 3, 180), (0.05, 12, 151), (0.3, 31, 77)] {
            let mut back: RampTest =
                serde_json::from_str(&serde_json::to_string(&here).expect("JSON")).expect("a state");
            assert_eq!(back, here);
            let errors = Errors { canary, primary };
            assert_eq!(back.push(weight(w), errors), here.push(weight(w), errors));
        }
        assert!(serde_json::to_string(&here).expect("JSON").len() < 1000);
    }

    /// The mean e-value over all ways in which so many errors can fall at each step, where the true ratio is given.
    fn mean(test: &RampTest, steps: &[(f64, f64, u64)], chance: f64) -> f64 {
        let Some(((w, ratio, errors), rest)) = steps.split_first() else {
            return chance * test.log_e().get().exp();
        };
        let share = w * ratio / (1.0 - w + w * ratio);
        let mut sum = 0.0;
        let mut ways = 1.0;
        for x in 0..=*errors {
            let y = errors - x;
            let mut next = test.clone();
            next.push(weight(*w), Errors { canary: x, primary: y });
            let here = ways * share.powf(x as f64) * (1.0 - share).powf(y as f64);
            sum += mean(&next, rest, chance * here);
            ways *= y as f64 / (x + 1) as f64;
        }
        sum
    }

    #[test]
    fn the_mean_is_1_at_the_margin_and_below_under_it() {
        for margin in [1.0, 1.25, 3.0] {
            let at: Vec<_> = [(0.01, 4), (0.05, 6), (0.5, 5)].map(|(w, n)| (w, margin, n)).into();
            let found = mean(&test(margin), &at, 1.0);
            assert!((found - 1.0).abs() < 1e-12, "{margin}: {found}");
            // Better at one step, at the margin at others: each step has a ratio of its own.
            for worst in [1.0, 0.5, 0.01] {
                let mixed = [(0.01, margin, 4), (0.05, margin * worst, 6), (0.5, margin * 0.9, 5)];
                assert!(mean(&test(margin), &mixed, 1.0) < 1.0, "{margin} {worst}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn steps_of_one_weight_may_be_cut_anywhere(
            w in 0.0001_f64..0.9999, m in 0.1_f64..10.0, a in 0..9999_u64, b in 0..9999_u64, c in 0..9999_u64, d in 0..9999_u64,
        ) {
            let (first, second) = (Errors { canary: a, primary: b }, Errors { canary: c, primary: d });
            let mut cut = test(m);
            cut.push(weight(w), first);
            let cut = cut.push(weight(w), second).get();
            let whole = test(m).push(weight(w), first.and(second)).get();
            prop_assert!((cut - whole).abs() <= 1e-9 * whole.abs().max(1.0), "{cut} {whole}");
        }

        #[test]
        fn it_is_a_number_whatever_comes(
            w in f64::MIN_POSITIVE..1.0, m in f64::MIN_POSITIVE..1e308, canary: u64, primary: u64,
        ) {
            let mut test = test(m);
            let log = test.push(weight(w), Errors { canary, primary });
            prop_assert!(log.get().is_finite() && test.sums.iter().all(|sum| sum.is_finite()));
        }

        #[test]
        fn a_wider_margin_never_finds_more(w in 0.001_f64..0.999, x in 0..999_u64, y in 0..9999_u64, m in 0.5_f64..4.0) {
            let errors = Errors { canary: x, primary: y };
            let narrow = test(m).push(weight(w), errors);
            prop_assert!(test(m * 1.1).push(weight(w), errors) <= narrow);
        }
    }
}
