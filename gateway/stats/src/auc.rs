//! How well scores tell what happens from what does not: the area under the ROC curve.
//!
//! It is the probability that what happens has a higher score than what does not, ties counting a half (Mann and
//! Whitney). Its variance is that of DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated
//! receiver operating characteristic curves" (Biometrics 44, 1988), by the ranks of Sun and Xu (2014), with weights for
//! samples whose parts had unlike chances. Two models that scored the same examples are compared by their components
//! example by example, which leaves out what makes an example hard for both.

use crate::number::{Alpha, Inclusion};
use crate::special::{normal_cdf, normal_quantile};
use crate::weighted_ratio::Estimate;

/// An example with its score, and whether it happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The score.
    pub score: f64,
    /// Whether it happened.
    pub happened: bool,
    /// With what probability it is in the sample.
    pub included: Inclusion,
}

/// The area with what each example adds to it, in the order of the examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Auc {
    value: f64,
    variance: f64,
    count: u64,
    /// By how much each example moves the area: its weight times its component less the area, over the sum of weights of
    /// its kind, with the correction for the degree of freedom.
    influence: Vec<f64>,
}

/// The area of examples; nothing with fewer than two of either kind, or with a score that is no number.
#[must_use]
pub fn auc(examples: &[Scored]) -> Option<Auc> {
    if examples.iter().any(|example| example.score.is_nan()) {
        return None;
    }
    let kind = |happened: bool| examples.iter().filter(move |example| example.happened == happened);
    let count = |happened| kind(happened).count() as f64;
    let weight = |happened| kind(happened).map(|example| example.included.weight()).sum::<f64>();
    let (positives, negatives) = (count(true), count(false));
    if positives < 2.0 || negatives < 2.0 {
        return None;
    }
    let totals = [weight(false), weight(true)];
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.sort_by(|a, b| examples[*a].score.total_cmp(&examples[*b].score));
    // Of each example the weight of the other kind that it is on the right side of, ties by half.
    let mut component = vec![0.0; examples.len()];
    let mut below = [0.0, 0.0];
    for tied in order.chunk_by(|a, b| examples[*a].score == examples[*b].score) {
        let mut here = [0.0, 0.0];
        for at in tied {
            here[usize::from(examples[*at].happened)] += examples[*at].included.weight();
        }
        for at in tied {
            let happened = examples[*at].happened;
            let other = usize::from(!happened);
            let under = below[other] + here[other] / 2.0;
            component[*at] = if happened { under } else { totals[other] - under } / totals[other];
        }
        below[0] += here[0];
        below[1] += here[1];
    }
    let summed = |(at, example): (usize, &Scored)| {
        if example.happened { example.included.weight() * component[at] } else { 0.0 }
    };
    let value = examples.iter().enumerate().map(summed).sum::<f64>() / totals[1];
    let corrections = [negatives, positives].map(|n| (n / (n - 1.0)).sqrt());
    let influence = examples.iter().zip(&component).map(|(example, component)| {
        let kind = usize::from(example.happened);
        example.included.weight() * (component - value) / totals[kind] * corrections[kind]
    });
    let influence: Vec<f64> = influence.collect();
    let variance = influence.iter().map(|moved| moved * moved).sum();
    Some(Auc { value, variance, count: examples.len() as u64, influence })
}

impl Auc {
    /// The area.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The area with its interval: on the scale of the log odds, so that it stays between 0 and 1 (Pepe, "The Statistical
    /// Evaluation of Medical Tests", 2003, section 5.2). At 0 and 1, where there is no such scale, the bounds are the
    /// area.
    #[must_use]
    pub fn estimate(&self, alpha: Alpha) -> Estimate {
        let (value, error, count) = (self.value, self.variance.sqrt(), self.count);
        let odds = (value / (1.0 - value)).ln();
        let reach = -normal_quantile(alpha.get() / 2.0) * error / (value * (1.0 - value));
        let back = |log: f64| 1.0 / (1.0 + (-log).exp());
        let (lower, upper) =
            if odds.is_finite() { (back(odds - reach), back(odds + reach)) } else { (value, value) };
        Estimate { value, error, lower, upper, count }
    }
}

/// The second area less the first one, with the two-sided p-value of "they are the same". Of the same examples in the
/// same order where `paired`, else of others.
#[must_use]
pub fn auc_difference(first: &Auc, second: &Auc, paired: bool, alpha: Alpha) -> (Estimate, f64) {
    let both = first.influence.iter().zip(&second.influence);
    let covariance: f64 = if paired { both.map(|(a, b)| a * b).sum() } else { 0.0 };
    let variance = (first.variance + second.variance - 2.0 * covariance).max(0.0);
    let (value, error) = (second.value - first.value, variance.sqrt());
    let reach = -normal_quantile(alpha.get() / 2.0) * error;
    let count = if paired { first.count } else { first.count + second.count };
    let estimate = Estimate { value, error, lower: value - reach, upper: value + reach, count };
    // Without any variance a difference is certain, and none is none.
    let z = if error > 0.0 { value.abs() / error } else { value.abs() * f64::MAX };
    (estimate, (2.0 * normal_cdf(-z)).min(1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alpha() -> Alpha {
        Alpha::new(0.05).expect("a level")
    }

    fn scored(scores: &[f64], happened: &[u8]) -> Vec<Scored> {
        let one = |(score, happened): (&f64, &u8)| Scored {
            score: *score,
            happened: *happened == 1,
            included: Inclusion::ALL,
        };
        scores.iter().zip(happened).map(one).collect()
    }

    const LABELS: [u8; 12] = [1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 1];
    const FIRST: [f64; 12] = [0.9, 0.8, 0.7, 0.6, 0.55, 0.54, 0.53, 0.52, 0.51, 0.505, 0.4, 0.39];
    const SECOND: [f64; 12] = [0.7, 0.9, 0.6, 0.6, 0.2, 0.3, 0.8, 0.6, 0.4, 0.1, 0.3, 0.5];

    #[test]
    fn known_answers() {
        // scikit-learn 1.9.1 (roc_auc_score), and the covariance of DeLong's components by numpy.
        let (a, b) = (auc(&scored(&FIRST, &LABELS)), auc(&scored(&SECOND, &LABELS)));
        let (a, b) = (a.expect("both kinds"), b.expect("both kinds"));
        assert!(
            (a.value() - 0.6111111111111112).abs() < 1e-9 && (b.value() - 0.861111111111111).abs() < 1e-9
        );
        assert!(
            (a.variance - 0.03395061728395062).abs() < 1e-9
                && (b.variance - 0.01219135802469136).abs() < 1e-9
        );
        let (difference, p) = auc_difference(&a, &b, true, alpha());
        assert!((difference.error.powi(2) - 0.022685185185185183).abs() < 1e-9, "{difference:?}");
        assert!((p - 0.09694463109083375).abs() < 1e-6, "{p}");
        let (alone, _) = auc_difference(&a, &b, false, alpha());
        assert!((alone.error.powi(2) - 0.03395061728395062 - 0.01219135802469136).abs() < 1e-9);
        let estimate = a.estimate(alpha());
        assert!(estimate.lower > 0.0 && estimate.upper < 1.0 && estimate.lower < a.value());
    }

    #[test]
    fn where_there_is_nothing_to_rank_there_is_no_area() {
        assert_eq!(auc(&scored(&[0.1, 0.2, 0.3], &[1, 1, 0])), None);
        assert_eq!(auc(&scored(&[0.1, f64::NAN, 0.3, 0.4], &[1, 1, 0, 0])), None);
        let perfect = auc(&scored(&[0.1, 0.2, 0.3, 0.4], &[0, 0, 1, 1])).expect("both kinds");
        assert_eq!((perfect.value(), perfect.estimate(alpha()).lower), (1.0, 1.0));
        let same = auc_difference(&perfect, &perfect, true, alpha());
        assert_eq!((same.0.value, same.1), (0.0, 1.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_the_share_of_pairs_in_order(
            all in prop::collection::vec((0u8..8, any::<bool>(), 1u8..4), 4..40),
        ) {
            let examples: Vec<Scored> = all.iter().map(|(score, happened, weight)| Scored {
                score: f64::from(*score),
                happened: *happened,
                included: Inclusion::new(1.0 / f64::from(*weight)).expect("a probability"),
            }).collect();
            let Some(found) = auc(&examples) else { return Ok(()) };
            let (mut won, mut pairs) = (0.0, 0.0);
            for high in examples.iter().filter(|example| example.happened) {
                for low in examples.iter().filter(|example| !example.happened) {
                    let weight = high.included.weight() * low.included.weight();
                    pairs += weight;
                    won += weight * match high.score.total_cmp(&low.score) {
                        std::cmp::Ordering::Greater => 1.0,
                        std::cmp::Ordering::Equal => 0.5,
                        std::cmp::Ordering::Less => 0.0,
                    };
                }
            }
            prop_assert!((found.value() - won / pairs).abs() < 1e-9);
        }
    }
}
