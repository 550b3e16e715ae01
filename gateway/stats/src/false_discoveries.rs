//! Which of many findings to believe: Benjamini and Hochberg.

use crate::number::Alpha;

/// For each p-value whether it is believed, so that of those believed a share of at most alpha is expected to be
/// false.
///
/// Benjamini and Hochberg, "Controlling the false discovery rate" (1995): it holds for independent p-values and
/// positively dependent ones. What is no number counts as 1. For a few guards, each of which must not be wrong, take
/// [`Alpha::shared_by`].
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64], alpha: Alpha) -> Vec<bool> {
    let number = |p: f64| if p.is_nan() { 1.0 } else { p };
    let mut sorted: Vec<f64> = p_values.iter().copied().map(number).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let under = |(i, p): &(usize, &f64)| **p <= alpha.get() * (i + 1) as f64 / count;
    let highest = sorted.iter().enumerate().rev().find(under).map(|(_, p)| *p);
    p_values.iter().map(|p| highest.is_some_and(|highest| number(*p) <= highest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: [f64; 10] = [0.001, 0.008, 0.012, 0.02, 0.04, 0.2, 0.3, 0.4, 0.5, 0.6];

    #[test]
    fn known_answers() {
        let alpha = Alpha::new(0.05).expect("a level");
        let believed = benjamini_hochberg(&TEN, alpha);
        assert_eq!(believed.iter().filter(|believed| **believed).count(), 4);
        assert!(believed[..4].iter().all(|believed| *believed));
        let each = alpha.shared_by(TEN.len());
        assert_eq!(TEN.iter().filter(|p| **p <= each.get()).count(), 1);
    }

    #[test]
    fn order_does_not_matter_and_what_is_no_number_is_not_believed() {
        let alpha = Alpha::new(0.05).expect("a level");
        let mut turned = TEN;
        turned.reverse();
        assert!(benjamini_hochberg(&turned, alpha)[6..].iter().all(|believed| *believed));
        assert_eq!(benjamini_hochberg(&[f64::NAN, 0.001], alpha), [false, true]);
        assert!(benjamini_hochberg(&[], alpha).is_empty());
        // A large one may be believed for the sake of those under it.
        assert_eq!(benjamini_hochberg(&[0.049, 0.048], alpha), [true, true]);
    }
}
