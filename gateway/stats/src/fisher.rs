//! Whether something is as frequent in two samples, exactly.

use statrs::function::gamma::ln_gamma;

/// The most outcomes that are summed; where there are more, the counts are so large that no exact test is needed.
pub const FISHER_OUTCOMES_MAX: u64 = 1_000_000;

/// By how much a probability may be over that of the outcome and still count as no larger, as in R's `fisher.test`.
const TIES: f64 = 1e-7;

/// Fisher's exact test, two-sided, of `hits` of `tries` in each of two samples: how probable outcomes are that are no
/// more probable than this one, given how many hits there are in both. Nothing where there are more than
/// [`FISHER_OUTCOMES_MAX`] outcomes, or more hits than tries.
#[must_use]
pub fn fisher_exact(first: (u64, u64), second: (u64, u64)) -> Option<f64> {
    let ((a, n), (b, m)) = (first, second);
    if a > n || b > m {
        return None;
    }
    let hits = a.checked_add(b)?;
    let (least, most) = (hits.saturating_sub(m), hits.min(n));
    if most - least >= FISHER_OUTCOMES_MAX {
        return None;
    }
    let ln_choose = |n: u64, k: u64| {
        let (n, k) = (n as f64, k as f64);
        ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
    };
    let all = ln_choose(n.checked_add(m)?, hits);
    let ln_probability = |a: u64| ln_choose(n, a) + ln_choose(m, hits - a) - all;
    let limit = ln_probability(a) + TIES;
    let sum: f64 = (least..=most).map(ln_probability).filter(|ln| *ln <= limit).map(f64::exp).sum();
    Some(sum.min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        let found = fisher_exact((8, 10), (1, 6)).expect("few outcomes");
        assert!((found - 0.034_965_0).abs() < 1e-7, "{found}");
        assert_eq!(fisher_exact((0, 10), (0, 20)), Some(1.0));
        assert_eq!(fisher_exact((0, 0), (3, 20)), Some(1.0));
        // All in one and none in the other: twice 1 of 20 choose 10, as either could have been the one.
        let found = fisher_exact((10, 10), (0, 10)).expect("few outcomes");
        assert!((found - 2.0 / 184_756.0).abs() < 1e-12, "{found}");
    }

    #[test]
    fn what_cannot_be_is_refused_and_what_is_too_much_is_left() {
        assert_eq!(fisher_exact((3, 2), (1, 2)), None);
        let many = FISHER_OUTCOMES_MAX;
        assert_eq!(fisher_exact((many, 2 * many), (many, 2 * many)), None);
    }
}
