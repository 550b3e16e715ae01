//! A bounded sample of pairs of numbers that is a function of their ids, not of their order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use pointsman_core::RequestId;

/// The most pairs that are kept.
pub(crate) const SAMPLE_PAIRS_MAX: usize = 1024;

/// Gives each element of each request a number that looks random: those with the least are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys(u64);

impl Keys {
    /// Those of a request.
    pub(crate) fn of(seed: u64, id: RequestId) -> Self {
        let bytes = u128::from_be_bytes(id.bytes());
        Self(mixed(mixed(seed ^ (bytes >> 64) as u64) ^ bytes as u64))
    }

    /// That of an element.
    pub(crate) fn key(self, element: usize) -> u64 {
        mixed(self.0.wrapping_add((element as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The pairs with the least keys: a uniform sample without replacement (bottom-k; Cohen and Kaplan, 2007).
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    kept: BinaryHeap<Kept>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    key: u64,
    pair: (f64, f64),
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((a, b), (c, d)) = (self.pair, other.pair);
        self.key.cmp(&other.key).then(a.total_cmp(&c)).then(b.total_cmp(&d))
    }
}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Kept {}

impl Sample {
    /// Takes a pair in, where its key is among the least.
    pub(crate) fn push(&mut self, key: u64, pair: (f64, f64)) {
        self.take(Kept { key, pair });
    }

    fn take(&mut self, kept: Kept) {
        if self.kept.len() < SAMPLE_PAIRS_MAX {
            self.kept.push(kept);
        } else if let Some(mut last) = self.kept.peek_mut().filter(|last| kept < **last) {
            *last = kept;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        other.kept.iter().for_each(|kept| self.take(*kept));
    }

    /// The pairs, in the order of their keys: the first ones are a smaller sample.
    pub(crate) fn pairs(&self) -> Vec<(f64, f64)> {
        let mut kept: Vec<Kept> = self.kept.iter().copied().collect();
        kept.sort_unstable();
        kept.into_iter().map(|kept| kept.pair).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_the_same_in_any_order_and_merged() {
        let ids: Vec<RequestId> = (0..40).map(|_| RequestId::generate()).collect();
        let all: Vec<(u64, (f64, f64))> = ids
            .iter()
            .enumerate()
            .flat_map(|(n, id)| (0..100).map(move |e| (Keys::of(7, *id).key(e), (n as f64, e as f64))))
            .collect();
        let sampled = |pairs: &mut dyn Iterator<Item = &(u64, (f64, f64))>| {
            let mut sample = Sample::default();
            pairs.for_each(|(key, pair)| sample.push(*key, *pair));
            sample
        };
        let forwards = sampled(&mut all.iter());
        assert_eq!(forwards.pairs().len(), SAMPLE_PAIRS_MAX);
        assert_eq!(sampled(&mut all.iter().rev()).pairs(), forwards.pairs());
        let (left, right) = all.split_at(1500);
        let mut merged = sampled(&mut left.iter());
        merged.merge(&sampled(&mut right.iter()));
        assert_eq!(merged.pairs(), forwards.pairs());
        // All that there are, where there are no more than may be kept; and not those of the first requests alone.
        assert_eq!(sampled(&mut all[..SAMPLE_PAIRS_MAX].iter()).pairs().len(), SAMPLE_PAIRS_MAX);
        assert_eq!(sampled(&mut all[..SAMPLE_PAIRS_MAX - 1].iter()).pairs().len(), SAMPLE_PAIRS_MAX - 1);
        let late = forwards.pairs().iter().filter(|(n, _)| *n >= 20.0).count();
        assert!((400..624).contains(&late), "{late} of {SAMPLE_PAIRS_MAX} are from the later half");
    }
}
