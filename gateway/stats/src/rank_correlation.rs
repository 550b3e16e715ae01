//! Whether two versions put the same inputs in the same order.

use crate::moments::Moments;

/// The most pairs; keep a reservoir of more.
pub const PAIRS_MAX: usize = 1_000_000;

/// Pairs that cannot be ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairsError {
    /// Too many.
    #[error("{0} pairs: there must be at most {PAIRS_MAX}")]
    Count(usize),
    /// One holds a NaN.
    #[error("a pair holds a NaN: leave it out, and count it")]
    NotANumber,
}

/// Spearman's ρ: the correlation of ranks, ties at their mean rank. Nothing where one side does not vary.
///
/// # Errors
/// Where there are too many pairs, or one holds a NaN.
pub fn spearman(pairs: &[(f64, f64)]) -> Result<Option<f64>, PairsError> {
    check(pairs)?;
    let ranks_a = ranks(pairs.iter().map(|pair| pair.0).collect());
    let ranks_b = ranks(pairs.iter().map(|pair| pair.1).collect());
    let mut moments = Moments::default();
    for (a, b) in ranks_a.into_iter().zip(ranks_b) {
        if moments.push(a, b).is_err() {
            return Ok(None);
        }
    }
    Ok(moments.correlation())
}

/// Kendall's τ-b: pairs of pairs in the same order less those in the opposite one, over those that could be, with
/// ties taken out. In O(n log n) by the method of Knight (1966). Nothing where one side does not vary.
///
/// # Errors
/// Where there are too many pairs, or one holds a NaN.
pub fn kendall(pairs: &[(f64, f64)]) -> Result<Option<f64>, PairsError> {
    check(pairs)?;
    // Zeros of both signs are one number.
    let mut pairs: Vec<(f64, f64)> = pairs.iter().map(|(a, b)| (a + 0.0, b + 0.0)).collect();
    pairs.sort_unstable_by(|x, y| x.0.total_cmp(&y.0).then(x.1.total_cmp(&y.1)));
    let all = of_two(pairs.len());
    let tied_a = tied(pairs.iter().map(|pair| pair.0));
    let tied_both = tied(pairs.iter().copied());
    // Sorted by a, with ties by b: what has to be exchanged to sort by b is in the opposite order.
    let mut b: Vec<f64> = pairs.into_iter().map(|pair| pair.1).collect();
    let opposite = exchanges(&mut b, &mut Vec::new());
    let tied_b = tied(b.iter().copied());
    let same_less_opposite = all - tied_a - tied_b + tied_both - 2.0 * opposite;
    let could = (all - tied_a).sqrt() * (all - tied_b).sqrt();
    Ok((could > 0.0).then(|| (same_less_opposite / could).clamp(-1.0, 1.0)))
}

fn check(pairs: &[(f64, f64)]) -> Result<(), PairsError> {
    if pairs.len() > PAIRS_MAX {
        return Err(PairsError::Count(pairs.len()));
    }
    let nan = pairs.iter().any(|(a, b)| a.is_nan() || b.is_nan());
    if nan { Err(PairsError::NotANumber) } else { Ok(()) }
}

/// How many pairs there are of so many.
fn of_two(count: usize) -> f64 {
    count as f64 * (count as f64 - 1.0) / 2.0
}

/// How many pairs of neighbours' groups are equal; the list is sorted.
fn tied<T: PartialEq + Copy>(sorted: impl Iterator<Item = T>) -> f64 {
    let (mut sum, mut run, mut last) = (0.0, 0.0, None);
    for item in sorted {
        run = if last == Some(item) { run + 1.0 } else { 0.0 };
        // The new one is tied with each of the run before it.
        sum += run;
        last = Some(item);
    }
    sum
}

/// Sorts, and counts how many pairs were in the opposite order.
fn exchanges(list: &mut [f64], spare: &mut Vec<f64>) -> f64 {
    if list.len() < 2 {
        return 0.0;
    }
    let (left, right) = list.split_at_mut(list.len() / 2);
    let mut count = exchanges(left, spare) + exchanges(right, spare);
    spare.clear();
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        if j == right.len() || (i < left.len() && left[i] <= right[j]) {
            spare.push(left[i]);
            i += 1;
        } else {
            spare.push(right[j]);
            count += (left.len() - i) as f64;
            j += 1;
        }
    }
    list.copy_from_slice(spare);
    count
}

/// The rank of each number, from 1; equal ones have the mean of theirs.
fn ranks(numbers: Vec<f64>) -> Vec<f64> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_unstable_by(|i, j| (numbers[*i] + 0.0).total_cmp(&(numbers[*j] + 0.0)));
    let mut ranks = vec![0.0; numbers.len()];
    let mut first = 0;
    for group in order.chunk_by(|i, j| numbers[*i] == numbers[*j]) {
        let rank = first as f64 + f64::midpoint(1.0, group.len() as f64);
        for i in group {
            ranks[*i] = rank;
        }
        first += group.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_answers() {
        let pairs = [(0.7, 0.6), (0.2, 0.1), (0.1, 0.25), (0.05, 0.05)];
        let found = spearman(&pairs).expect("pairs").expect("it varies");
        assert!((found - 0.8).abs() < 1e-12, "{found}");
        let found = kendall(&pairs).expect("pairs").expect("it varies");
        assert!((found - 0.666_666_7).abs() < 1e-7, "{found}");
    }

    #[test]
    fn what_does_not_vary_has_no_order() {
        for pairs in [&[][..], &[(1.0, 2.0)], &[(1.0, 2.0), (1.0, 3.0)], &[(1.0, 0.0), (2.0, -0.0)]] {
            assert_eq!((spearman(pairs), kendall(pairs)), (Ok(None), Ok(None)), "{pairs:?}");
        }
        assert_eq!(kendall(&[(1.0, f64::NAN)]), Err(PairsError::NotANumber));
        assert_eq!(spearman(&[(f64::NAN, 1.0)]), Err(PairsError::NotANumber));
        assert_eq!(kendall(&[(1.0, f64::INFINITY), (2.0, f64::NEG_INFINITY)]), Ok(Some(-1.0)));
        let many = vec![(0.0, 0.0); PAIRS_MAX + 1];
        assert_eq!(kendall(&many), Err(PairsError::Count(PAIRS_MAX + 1)));
        assert_eq!(spearman(&many), Err(PairsError::Count(PAIRS_MAX + 1)));
    }

    #[test]
    fn a_large_reservoir_is_ranked_in_little_time() {
        let pairs: Vec<_> = (0..100_000_u64).map(|i| (i as f64, (i * 7919 % 100_003) as f64)).collect();
        let found = kendall(&pairs).expect("pairs").expect("it varies");
        assert!(found.abs() < 0.05, "{found}");
        assert_eq!(kendall(&pairs.iter().map(|p| (p.0, p.0)).collect::<Vec<_>>()), Ok(Some(1.0)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn kendall_is_that_of_all_pairs_of_pairs(pairs in prop::collection::vec((-4_i32..4, -4_i32..4), 2..30)) {
            let floats: Vec<_> = pairs.iter().map(|(a, b)| (f64::from(*a), f64::from(*b))).collect();
            let (mut sum, mut a, mut b) = (0, 0, 0);
            for (i, x) in pairs.iter().enumerate() {
                for y in &pairs[..i] {
                    let (da, db) = ((x.0 - y.0).signum(), (x.1 - y.1).signum());
                    sum += da * db;
                    a += da.abs();
                    b += db.abs();
                }
            }
            let found = kendall(&floats).expect("pairs");
            if a * b == 0 {
                prop_assert_eq!(found, None);
                prop_assert_eq!(spearman(&floats), Ok(None));
            } else {
                let known = f64::from(sum) / (f64::from(a) * f64::from(b)).sqrt();
                prop_assert!((found.expect("it varies") - known).abs() < 1e-12);
                let bent: Vec<_> = floats.iter().map(|(a, b)| (a.exp(), -b)).collect();
                let (rho, turned) = (spearman(&floats).expect("pairs"), spearman(&bent).expect("pairs"));
                prop_assert!((rho.expect("it varies") + turned.expect("it varies")).abs() < 1e-12);
            }
        }
    }
}
