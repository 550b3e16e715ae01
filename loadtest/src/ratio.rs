//! How two settings compare: the ratio of a figure, round by round, with its interval.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A ratio over several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    /// The geometric mean.
    pub(crate) value: f64,
    /// Its 95 % interval; nothing where there is one round.
    pub(crate) interval: Option<(f64, f64)>,
}

/// Of pairs that were measured one after the other, the second over the first.
///
/// Paired, so that what the machine does in a round falls on both; of logarithms, so that A over B and B over A
/// say the same; Student's t, as there are few rounds (Jain, The Art of Computer Systems Performance Analysis,
/// 1991, 13.4.1 and 12.6). Nothing where a figure is not above 0.
pub(crate) fn ratio(pairs: &[(f64, f64)]) -> Option<Ratio> {
    let logarithms: Vec<f64> = pairs.iter().map(|(a, b)| (b / a).ln()).collect();
    if logarithms.is_empty() || logarithms.iter().any(|logarithm| !logarithm.is_finite()) {
        return None;
    }
    let rounds = logarithms.len() as f64;
    let mean = logarithms.iter().sum::<f64>() / rounds;
    let interval = StudentsT::new(0.0, 1.0, rounds - 1.0).ok().map(|students_t| {
        let variance = logarithms.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / (rounds - 1.0);
        let reach = students_t.inverse_cdf(0.975) * (variance / rounds).sqrt();
        ((mean - reach).exp(), (mean + reach).exp())
    });
    Some(Ratio { value: mean.exp(), interval })
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
    fn the_interval_is_that_of_students_t() {
        // Logarithms 0.1, 0.2, 0.3: mean 0.2, deviation 0.1, t(0.975; 2) = 4.302653.
        let pairs = [0.1_f64, 0.2, 0.3].map(|l| (1.0, l.exp()));
        let Ratio { value, interval } = ratio(&pairs).expect("a ratio");
        let (low, high) = interval.expect("three rounds");
        let reach = 4.302_653 * 0.1 / 3_f64.sqrt();
        assert!((value.ln() - 0.2).abs() < 1e-9, "{value}");
        assert!(
            (low.ln() - 0.2 + reach).abs() < 1e-5 && (high.ln() - 0.2 - reach).abs() < 1e-5,
            "{low}, {high}"
        );
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
            prop_assert!((one.value * other.value - 1.0).abs() < 1e-9);
            prop_assert!((low * turned_high - 1.0).abs() < 1e-6 && (high * turned_low - 1.0).abs() < 1e-6);
            prop_assert!(low <= one.value && one.value <= high);
            let same = vec![pairs[0]; pairs.len()];
            let (low, high) = ratio(&same).and_then(|r| r.interval).expect("rounds");
            prop_assert!((high / low - 1.0).abs() < 1e-9);
        }
    }
}
