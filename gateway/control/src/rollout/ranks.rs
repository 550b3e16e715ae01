//! Pairs of examples of one arm, one that happened and one that did not: whether they are in order.
//!
//! The probability that they are is the area under the ROC curve. So a version that ranks by chance is caught even where
//! what happens is so rare that none of its decisions is ever another than the best constant one. Each example is in one
//! pair, so that pairs say something each by itself; those of the rarer kind set how many there are, of which the candidate
//! has its weight's share in the long run and at the beginning rather less, as its first ones wait for their partner.

use std::collections::VecDeque;

/// The most examples of one kind that wait for a partner; past it the oldest goes.
const WAITING_MAX: usize = 256;

/// Examples of one arm at one stage that wait for a partner.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    happened: VecDeque<f64>,
    others: VecDeque<f64>,
}

impl Ranks {
    /// Takes in an example. Says whether the pair that it makes is in disorder; nothing where it waits. Of equal scores
    /// half is, by the `coin`: what gives the same to all ranks by chance.
    pub(super) fn push(&mut self, score: f64, happened: bool, coin: bool) -> Option<bool> {
        if !score.is_finite() {
            return None;
        }
        let (own, partners) = if happened {
            (&mut self.happened, &mut self.others)
        } else {
            (&mut self.others, &mut self.happened)
        };
        let Some(partner) = partners.pop_front() else {
            if own.len() >= WAITING_MAX {
                own.pop_front();
            }
            own.push_back(score);
            return None;
        };
        let (high, low) = if happened { (score, partner) } else { (partner, score) };
        Some(high < low || (high == low && coin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_example_is_in_one_pair() {
        let mut ranks = Ranks::default();
        assert_eq!(ranks.push(0.9, true, false), None);
        assert_eq!(ranks.push(0.1, false, false), Some(false));
        assert_eq!(ranks.push(0.4, false, false), None);
        assert_eq!(ranks.push(0.3, true, false), Some(true));
        for coin in [true, false] {
            assert_eq!(ranks.push(0.5, true, coin), None);
            assert_eq!(ranks.push(0.5, false, coin), Some(coin));
        }
        assert_eq!(ranks.push(f64::NAN, true, true), None);
        for at in 0..WAITING_MAX + 9 {
            assert_eq!(ranks.push(at as f64, true, false), None);
        }
        assert_eq!(ranks.happened.len(), WAITING_MAX);
        assert_eq!(ranks.push(8.5, false, false), Some(false), "the oldest are gone");
    }
}
