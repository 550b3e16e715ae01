//! How two settings compare: the ratio of a figure, round by round, with its interval.

use statrs::distribution::{Binomial, DiscreteCDF};

/// A ratio over several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    /// The median.
    pub(crate) value: f64,
    /// Its interval: 95 % at least of six rounds or more, lowest to highest of fewer; nothing where there is one round.
    pub(crate) interval: Option<(f64, f64)>,
}

/// How often the interval may not hold the median.
const ERROR: f64 = 0.05;

/// Of pairs that were measured one after the other, the second over the first.
///
/// Paired, so that what the machine does in a round falls on both; the median, as what it does to one side of a round knows
/// no bounds. The interval is that of the sign test: between the order statistics beyond which the median lies with a
/// chance of 2.5 % at most, whatever the distribution (Conover, Practical Nonparametric Statistics, 1999, 3.2). A over B
/// and B over A say the same, but for the two that are in the middle of an even number of rounds. Nothing where a figure is
/// not above 0.
pub(crate) fn ratio(pairs: &[(f64, f64)]) -> Option<Ratio> {
    let mut ratios: Vec<f64> = pairs.iter().map(|(a, b)| b / a).collect();
    if ratios.iter().any(|ratio| !(ratio.is_finite() && *ratio > 0.0)) {
        return None;
    }
    ratios.sort_by(f64::total_cmp);
    let last = ratios.len().checked_sub(1)?;
    let beyond = ranks_beyond(ratios.len());
    let interval = (last > 0).then(|| (ratios[beyond], ratios[last - beyond]));
    Some(Ratio { value: median(ratios)?, interval })
}

/// The ranks at either end of so many sorted numbers which are outside the interval of their median.
fn ranks_beyond(rounds: usize) -> usize {
    let Ok(below) = Binomial::new(0.5, rounds as u64) else { return 0 };
    // The chance that at most so many numbers are below the median is the one that the next one is above it.
    (0..rounds as u64).take_while(|ranks| below.cdf(*ranks) <= ERROR / 2.0).count().saturating_sub(1)
}

/// The number in the middle, or the mean of the two that are; nothing of none.
pub(crate) fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() % 2 {
        0 => Some((numbers.get(middle.checked_sub(1)?)? + numbers.get(middle)?) / 2.0),
        _ => numbers.get(middle).copied(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        let of = |numbers: &[f64]| median(numbers.to_vec());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0]), Some(3.0));
        assert_eq!(of(&[2.0, 1.0]), Some(1.5));
        assert_eq!(of(&[9.0, 1.0, 2.0]), Some(2.0));
    }

    #[test]
    fn the_interval_is_that_of_the_sign_test() {
        // Conover, table A3: of 6 to 8 numbers none lies outside, of 9 to 11 one at each end, of 12 to 14 two, of 15 to 16 three.
        for (rounds, beyond) in
            [(2, 0), (5, 0), (6, 0), (8, 0), (9, 1), (11, 1), (12, 2), (14, 2), (15, 3), (16, 3)]
        {
            let pairs: Vec<(f64, f64)> = (1..=rounds).map(|at| (2.0, 2.0 * f64::from(at))).collect();
            let Ratio { value, interval } = ratio(&pairs).expect("a ratio");
            assert_eq!(value, f64::from(1 + rounds) / 2.0);
            let ends = (f64::from(1 + beyond), f64::from(rounds - beyond));
            assert_eq!(interval, Some(ends), "{rounds} rounds");
        }
    }

    #[test]
    fn a_round_that_the_machine_spoils_moves_the_ratio_little() {
        let pairs = [1.0, 1.1, 0.9, 1.05, 70.0].map(|b| (1.0, b));
        assert_eq!(ratio(&pairs).map(|r| r.value), Some(1.05));
    }

    #[test]
    fn one_round_has_no_interval_and_nothing_no_ratio() {
        assert_eq!(ratio(&[(2.0, 3.0)]).map(|r| r.interval), Some(None));
        for pairs in
            [&[][..], &[(0.0, 1.0)], &[(1.0, 0.0)], &[(1.0, f64::NAN)], &[(1.0, 2.0), (f64::INFINITY, 1.0)]]
        {
            assert_eq!(ratio(pairs), None, "{pairs:?}");
        }
    }

    proptest! {
        /// Turned round, everything is turned round; and what does not change between rounds has no width.
        #[test]
        fn it_says_the_same_from_both_sides(pairs in prop::collection::vec((0.01f64..1e6, 0.01f64..1e6), 2..10)) {
            let turned: Vec<_> = pairs.iter().map(|(a, b)| (*b, *a)).collect();
            let (one, other) = (ratio(&pairs).expect("above 0"), ratio(&turned).expect("above 0"));
            let ((low, high), (turned_low, turned_high)) = one.interval.zip(other.interval).expect("rounds");
            if pairs.len() % 2 == 1 {
                prop_assert!((one.value * other.value - 1.0).abs() < 1e-9);
            }
            prop_assert!((low * turned_high - 1.0).abs() < 1e-6 && (high * turned_low - 1.0).abs() < 1e-6);
            prop_assert!(low <= one.value && one.value <= high);
            let same = vec![pairs[0]; pairs.len()];
            let (low, high) = ratio(&same).and_then(|r| r.interval).expect("rounds");
            prop_assert!((high / low - 1.0).abs() < 1e-9);
        }
    }
}
