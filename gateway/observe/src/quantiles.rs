//! Quantiles of numbers, also negative ones, to one part in a hundred.

use serde::{Deserialize, Serialize};
use sketches_ddsketch::{Config, DDSketch};

/// How far a quantile may be from that of the numbers, as a part of it.
pub(crate) const ACCURACY: f64 = 0.01;
/// What is nearer to 0 counts as 0: a nanosecond, where numbers are seconds.
const LEAST: f64 = 1e-9;
/// What is further from 0 counts as this.
const MOST: f64 = 1e6;
/// Enough for all from the least to the most, so that none is ever joined with another: 1 730.
const BINS_MAX: u32 = 2048;

/// A DDSketch (Masson, Rim and Lee, VLDB 2019) of a fixed range, so that its size is bounded and it does not depend on
/// the order of numbers.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Quantiles(DDSketch);

impl Default for Quantiles {
    fn default() -> Self {
        Self(DDSketch::new(Config::new(ACCURACY, BINS_MAX, LEAST)))
    }
}

impl Quantiles {
    /// Takes a number in. What is none is left out.
    pub(crate) fn push(&mut self, number: f64) {
        if !number.is_nan() {
            self.0.add(number.clamp(-MOST, MOST));
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.count() as u64
    }

    /// A quantile, from 0 to 1; nothing where there are no numbers.
    pub(crate) fn at(&self, quantile: f64) -> Option<f64> {
        self.0.quantile(quantile).ok().flatten()
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        // Both have the configuration above, so they can be merged.
        let merged = self.0.merge(&other.0);
        debug_assert!(merged.is_ok(), "two sketches of one configuration");
    }
}

impl std::fmt::Debug for Quantiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quantiles").field("count", &self.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_answers() {
        // γ = 1.02 / 0.98: the middle of the bucket that holds 10 is 10.0746967 in the original, whose buckets begin
        // at 1; within one part in a hundred here.
        let mut quantiles = Quantiles::default();
        [10.0, 100.0, 123.456].into_iter().for_each(|number| quantiles.push(number));
        assert!((quantiles.at(0.5).expect("numbers") / 100.0 - 1.0).abs() <= ACCURACY);
        assert_eq!((quantiles.at(0.0), quantiles.at(1.0), quantiles.count()), (Some(10.0), Some(123.456), 3));
        assert_eq!(Quantiles::default().at(0.5), None);
    }

    #[test]
    fn what_is_out_of_range_is_at_its_end_and_nan_is_nothing() {
        let mut quantiles = Quantiles::default();
        let numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 1e-300];
        numbers.into_iter().for_each(|number| quantiles.push(number));
        assert_eq!((quantiles.count(), quantiles.at(0.0), quantiles.at(1.0)), (4, Some(-MOST), Some(MOST)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn they_are_near_those_of_the_list_in_any_order(
            mut numbers in prop::collection::vec((-9.0..6.0, any::<bool>()), 1..300),
            turn: prop::sample::Index,
            quantile in 0.0..1.0,
        ) {
            let numbers: Vec<f64> = {
                let at = turn.index(numbers.len());
                numbers.rotate_left(at);
                numbers.iter().map(|(size, negative)| 10_f64.powf(*size) * if *negative { -1.0 } else { 1.0 }).collect()
            };
            let (mut left, mut right, mut all) = <(Quantiles, Quantiles, Quantiles)>::default();
            for (index, number) in numbers.iter().enumerate() {
                if index % 2 == 0 { left.push(*number) } else { right.push(*number) }
            }
            numbers.iter().rev().for_each(|number| all.push(*number));
            left.merge(&right);
            prop_assert_eq!(left.at(quantile), all.at(quantile));
            let mut sorted = numbers;
            sorted.sort_by(f64::total_cmp);
            let exact = sorted[(quantile * (sorted.len() - 1) as f64) as usize];
            let found = all.at(quantile).expect("numbers");
            prop_assert!((found - exact).abs() <= ACCURACY * exact.abs() + 2.0 * LEAST, "{} {}", found, exact);
        }
    }
}
