//! Whether the canary errs more often than a margin allows, at one level that is known beforehand, and sooner for it.
//!
//! An e-process that rejects at 1/alpha mostly jumps over it, and what lies above is lost. Sequential boosting
//! (Fischer and Ramdas, "Improving Wald's (approximate) sequential probability ratio test by avoiding overshoot",
//! arXiv 2410.16076) gives that up and takes larger steps in return. Where the wealth is M before a look and L would
//! be the factor of [`RampTest`] for it, the factor becomes
//!
//! min(b L, 1/(alpha M)), with the largest b for which its mean is 1 where the ratio is the margin.
//!
//! The mean can be computed: given that n errors come at the look, those of the canary are binomial with n and
//! θ(m) = w', whatever the error rate is. L rises with the errors of the canary, so does the factor, and its mean is
//! smaller for all smaller ratios: the wealth is an e-process for them. b is at least 1. It is about 1 where the
//! threshold is far away or looks are small; so nothing is ever lost but a few of the last digits, and a doubling is
//! found about half a look sooner where looks are large.
//!
//! The bets are those of [`RampTest`], with the more on each the closer it is to 1.8 times the margin (a normal density
//! of the logarithm, with a standard deviation of 0.35): over the default margin of 1.25 that is where a doubling lies.
//! A ratio that is far larger is found at once whatever is bet on it.
//!
//! It depends on how errors were cut into looks and on alpha: who computes it again needs both.

use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

use crate::errors::Errors;
use crate::log_e::LogE;
use crate::number::{Alpha, Ratio, Weight};
use crate::ramp_test::RampTest;
use crate::root::turn;

/// Looks with more errors are taken as they are: they decide by themselves.
const BOOSTED_ERRORS_MAX: f64 = 100_000.0;
/// How many standard deviations around the mean are summed; what lies outside counts as if all of it rejected.
const WIDTH: f64 = 9.0;
/// The ratio over the margin that is bet on most.
const CENTRE: f64 = 1.8;
/// How far around it, as a standard deviation of the logarithm.
const SPREAD: f64 = 0.35;
/// The largest ln b: e^20 times is more than any threshold leaves.
const LOG_BOOST_MAX: f64 = 20.0;

/// The online state.
///
/// Its floats come back from JSON as they went in where the reader rounds correctly (`float_roundtrip` of
/// serde_json).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoostedRampTest {
    alpha: Alpha,
    bets: RampTest,
    wealth: LogE,
}

impl BoostedRampTest {
    /// Nothing seen. The margin is the ratio up to which the canary is not worse.
    #[must_use]
    pub fn new(margin: Ratio, alpha: Alpha) -> Self {
        let prior = |log_ratio: f64| (-0.5 * ((log_ratio - CENTRE.ln()) / SPREAD).powi(2)).exp();
        Self { alpha, bets: RampTest::weighed(margin, prior), wealth: LogE::ONE }
    }

    /// The level.
    #[must_use]
    pub const fn alpha(&self) -> Alpha {
        self.alpha
    }

    /// The wealth: an e-value that is at most 1/alpha, and stays there once it has been.
    #[must_use]
    pub const fn log_e(&self) -> LogE {
        self.wealth
    }

    /// Whether it has ever been certain that the canary is worse than the margin.
    #[must_use]
    pub fn rejects(&self) -> bool {
        self.wealth.rejects(self.alpha)
    }

    /// Takes in the errors of a look at one weight, each of one arm or the other.
    pub fn push(&mut self, weight: Weight, errors: Errors) -> LogE {
        self.take(weight, errors, true)
    }

    /// Takes in the errors of a look at which both versions saw the same requests, as a shadow does: they are
    /// compared at a weight of a half, and where a request fails with both, both have an error. The canary's are not
    /// binomial then, but L has a mean of at most 1 all the same: with A > 1 the factor of an error of the canary and
    /// B < 1 that of the primary, common failures of probability c change the mean by c (A - 1)(B - 1) < 0. So the
    /// factor is not boosted.
    pub fn push_paired(&mut self, errors: Errors) -> LogE {
        if let Ok(half) = Weight::new(0.5) {
            self.take(half, errors, false);
        }
        self.wealth
    }

    fn take(&mut self, weight: Weight, errors: Errors, boosted: bool) -> LogE {
        if self.rejects() {
            return self.wealth;
        }
        let before = self.bets.log_e().get();
        let log_room = self.alpha.log_threshold() - self.wealth.get();
        let boost = if boosted { self.log_boost(weight, errors, log_room) } else { 0.0 };
        let gain = self.bets.push(weight, errors).get() - before;
        self.wealth = if boost + gain >= log_room {
            LogE::from(self.alpha.log_threshold())
        } else {
            LogE::from(self.wealth.get() + boost + gain)
        };
        self.wealth
    }

    /// ln b for a look with so many errors.
    fn log_boost(&self, weight: Weight, errors: Errors, log_room: f64) -> f64 {
        let all = errors.canary as f64 + errors.primary as f64;
        let share = self.bets.tested(weight);
        if all == 0.0 || all > BOOSTED_ERRORS_MAX || share >= 1.0 {
            return 0.0;
        }
        let before = self.bets.log_e().get();
        let spread = WIDTH * (all * share * (1.0 - share)).sqrt() + WIDTH;
        let first = (all * share - spread).max(0.0).ceil();
        let last = (all * share + spread).min(all).floor();
        let gain = |canary: f64| self.bets.log_e_after(weight, canary, all).get() - before;
        // Where not even the last of them would reach the threshold nothing can be gained.
        if gain(last) < log_room {
            return 0.0;
        }
        let mut chance = (ln_gamma(all + 1.0) - ln_gamma(first + 1.0) - ln_gamma(all - first + 1.0)
            + first * share.ln()
            + (all - first) * (-share).ln_1p())
        .exp();
        let (mut outcomes, mut rest, mut canary) = (Vec::new(), 1.0, first);
        while canary <= last {
            let gain = gain(canary);
            // From here on each of them rejects, with or without a boost.
            if gain >= log_room {
                break;
            }
            outcomes.push((chance, gain));
            rest -= chance;
            chance *= (all - canary) / (canary + 1.0) * share / (1.0 - share);
            canary += 1.0;
        }
        let room = log_room.exp();
        let rest = rest.max(0.0) * room;
        let mean = |log_boost: f64| {
            let parts = outcomes.iter().map(|(chance, gain)| chance * (gain + log_boost).exp().min(room));
            parts.sum::<f64>() + rest
        };
        if mean(0.0) >= 1.0 {
            return 0.0;
        }
        turn(0.0, LOG_BOOST_MAX, |log_boost| mean(log_boost) > 1.0).0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn test(margin: f64, alpha: f64) -> BoostedRampTest {
        BoostedRampTest::new(Ratio::new(margin).expect("a ratio"), Alpha::new(alpha).expect("a level"))
    }

    fn weight(weight: f64) -> Weight {
        Weight::new(weight).expect("a weight")
    }

    /// The chance of so many errors of the canary among all, where its share of them is given.
    fn binomial(all: u64, canary: u64, share: f64) -> f64 {
        let (n, x) = (all as f64, canary as f64);
        (ln_gamma(n + 1.0) - ln_gamma(x + 1.0) - ln_gamma(n - x + 1.0)
            + x * share.ln()
            + (n - x) * (1.0 - share).ln())
        .exp()
    }

    /// The mean of the wealth after looks with so many errors at such weights, where the ratio is given.
    fn mean(test: &BoostedRampTest, looks: &[(f64, u64)], ratio: f64) -> f64 {
        let Some(((w, all), rest)) = looks.split_first() else {
            return test.log_e().get().exp();
        };
        let share = w * ratio / (1.0 - w + w * ratio);
        let after = |canary: u64| {
            let mut next = test.clone();
            next.push(weight(*w), Errors { canary, primary: all - canary });
            binomial(*all, canary, share) * mean(&next, rest, ratio)
        };
        (0..=*all).map(after).sum()
    }

    #[test]
    fn the_mean_is_1_at_the_margin_and_below_under_it() {
        for (margin, alpha) in [(1.25, 0.05), (1.0, 0.2), (2.0, 0.01)] {
            let looks = [(0.1, 60), (0.3, 25)];
            let at = mean(&test(margin, alpha), &looks, margin);
            assert!((at - 1.0).abs() < 1e-9, "{margin} {alpha}: {at}");
            for better in [0.9, 0.5, 0.01] {
                let below = mean(&test(margin, alpha), &looks, margin * better);
                assert!(below < 1.0, "{margin} {alpha} {better}: {below}");
            }
        }
    }

    #[test]
    fn requests_that_fail_with_both_versions_do_not_speak_against_the_canary() {
        // Of 6 pairs each is common, the canary's alone, the primary's alone or none; both rates are alike.
        let kinds = [(0.2, (1, 1)), (0.1, (1, 0)), (0.1, (0, 1)), (0.6, (0, 0))];
        let mut sum = 0.0;
        for way in 0..4_usize.pow(6) {
            let (mut chance, mut test, mut rest) = (1.0, test(1.0, 0.05), way);
            for _ in 0..6 {
                let (of_kind, (canary, primary)) = kinds[rest % 4];
                chance *= of_kind;
                test.push_paired(Errors { canary, primary });
                rest /= 4;
            }
            sum += chance * test.log_e().get().exp();
        }
        assert!(sum < 1.0, "{sum}");
    }

    #[test]
    fn it_finds_what_is_worse_sooner_and_stays_where_it_was() {
        // 38 errors of the canary where 24.4 are the most that the margin allows on average.
        let (errors, w) = (Errors { canary: 38, primary: 162 }, weight(0.1));
        let mut plain = RampTest::new(Ratio::new(1.25).expect("a ratio"));
        let mut boosted = test(1.25, 0.05);
        assert!(boosted.push(w, errors) > plain.push(w, errors));
        let mut certain = test(1.25, 0.05);
        certain.push(w, Errors { canary: 80, primary: 120 });
        assert!(certain.rejects());
        assert_eq!(certain.log_e().get(), 20.0_f64.ln());
        certain.push(w, Errors { canary: 0, primary: 10_000 });
        assert!(certain.rejects(), "what was certain stays so");
        let text = serde_json::to_string(&boosted).expect("JSON");
        assert_eq!(serde_json::from_str::<BoostedRampTest>(&text).expect("a state"), boosted);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn one_more_error_of_the_canary_never_speaks_for_it(
            w in 0.01_f64..0.99, m in 0.8_f64..3.0, x in 0..99_u64, y in 0..999_u64, a in 0.001_f64..0.5,
        ) {
            let of = |canary, primary| test(m, a).push(weight(w), Errors { canary, primary }).get();
            prop_assert!(of(x + 1, y) >= of(x, y + 1) - 1e-12);
        }

        #[test]
        fn it_is_a_number_whatever_comes(
            w in f64::MIN_POSITIVE..1.0, m in f64::MIN_POSITIVE..1e308, canary: u64, primary: u64, few in 0..50_u64,
        ) {
            let mut test = test(m, 0.05);
            test.push(weight(w), Errors { canary: few, primary: 50 - few });
            let log = test.push(weight(w), Errors { canary, primary });
            prop_assert!(log.get().is_finite() && log.get() <= 20.0_f64.ln());
        }
    }
}
