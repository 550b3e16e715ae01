//! What was predicted on a day, whatever turned out: how much, and how good it would be if its probabilities were true.
//!
//! The second is confidence-based performance estimation (NannyML's CBPE): of a prediction with probability p the
//! expectation is that it is right with p. So it holds where probabilities are calibrated and what makes an example happen
//! is what it was in training; it does not see the concept drift.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_core::AnswerRef;
use serde::{Deserialize, Serialize};

use crate::labels::{Predicted, Source};

/// Bins of probabilities from which the area under the curve is estimated.
const BINS: f64 = 1000.0;
/// The most days of all versions and arms that are kept. Past it the oldest go.
const DAYS_MAX: usize = 8192;
/// Milliseconds of a day.
pub(crate) const DAY_MS: u64 = 24 * 3600 * 1000;

/// Sums over predictions. Those of disjoint predictions add up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Day {
    /// Rows.
    pub rows: u64,
    /// Those of them that have probabilities.
    pub scored: u64,
    /// How many are right, expected.
    right: f64,
    /// The variance of that, were the probabilities true.
    variance: f64,
    /// Of two classes: those that are predicted to happen and do, those that are and do not.
    tp: f64,
    fp: f64,
    /// Those that are predicted not to happen and do not, those that are and do.
    tn: f64,
    #[serde(rename = "fn")]
    fn_: f64,
    /// Of two classes, by thousandths of the probability: how many, and the sum of their probabilities.
    bins: BTreeMap<u16, (u64, f64)>,
}

impl Day {
    /// Takes in an answer; nothing where it could not be read.
    pub fn push(&mut self, answer: Option<AnswerRef<'_>>) {
        self.rows += 1;
        let Some(AnswerRef::Class { class, scores }) = answer else { return };
        let right = match scores {
            [] => return,
            [p] => {
                let (p, q) = (*p, 1.0 - *p);
                let (hit, miss, is_right) = if class == 1 {
                    (&mut self.tp, &mut self.fp, p)
                } else {
                    (&mut self.fn_, &mut self.tn, q)
                };
                *hit += p;
                *miss += q;
                let bin = self.bins.entry((p * BINS).clamp(0.0, BINS - 1.0) as u16).or_default();
                bin.0 += 1;
                bin.1 += p;
                is_right
            }
            all => all.get(class as usize).copied().unwrap_or(0.0),
        };
        self.scored += 1;
        self.right += right;
        self.variance += right * (1.0 - right);
    }

    /// Adds the sums of other predictions.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.scored += other.scored;
        for (sum, more) in [
            (&mut self.right, other.right),
            (&mut self.variance, other.variance),
            (&mut self.tp, other.tp),
            (&mut self.fp, other.fp),
            (&mut self.tn, other.tn),
            (&mut self.fn_, other.fn_),
        ] {
            *sum += more;
        }
        for (bin, (count, sum)) in &other.bins {
            let here = self.bins.entry(*bin).or_default();
            here.0 += count;
            here.1 += sum;
        }
    }

    /// The share that is right, and its standard error, expected; nothing without probabilities.
    #[must_use]
    pub fn accuracy(&self) -> Option<(f64, f64)> {
        let n = self.scored as f64;
        (self.scored > 0).then(|| (self.right / n, self.variance.sqrt() / n))
    }

    /// Precision, recall and F1 of the second of two classes, expected: each nothing where it has no bottom.
    #[must_use]
    pub fn precision_recall_f1(&self) -> [Option<f64>; 3] {
        let ratio = |top: f64, bottom: f64| (bottom > 0.0).then(|| top / bottom);
        [
            ratio(self.tp, self.tp + self.fp),
            ratio(self.tp, self.tp + self.fn_),
            ratio(2.0 * self.tp, 2.0 * self.tp + self.fp + self.fn_),
        ]
    }

    /// The area under the ROC curve, expected, and how far it may be off as probabilities are binned; nothing where it has
    /// none. Of what has the same probability, half is in order.
    #[must_use]
    pub fn auc(&self) -> Option<(f64, f64)> {
        let positives: f64 = self.bins.values().map(|(_, sum)| sum).sum();
        let negatives: f64 = self.bins.values().map(|(count, sum)| *count as f64 - sum).sum();
        let (mut below, mut won, mut tied) = (0.0, 0.0, 0.0);
        for (count, sum) in self.bins.values() {
            let here = *count as f64 - sum;
            won += sum * (below + here / 2.0);
            // One alone in its bin is where it is.
            tied += if *count > 1 { sum * here / 2.0 } else { 0.0 };
            below += here;
        }
        let pairs = positives * negatives;
        (pairs > 0.0).then(|| (won / pairs, tied / pairs))
    }
}

/// The days of all versions and arms of a model.
#[derive(Clone, Debug, Default)]
pub struct Days {
    kept: BTreeMap<(u32, Arc<Source>, Arc<str>), Day>,
}

impl Days {
    /// Adds what was predicted on a day.
    pub fn add(&mut self, predicted: &Predicted) {
        let Predicted { source, arm, day, sums } = predicted;
        self.kept.entry((*day, source.clone(), arm.clone())).or_default().add(sums);
        while self.kept.len() > DAYS_MAX {
            self.kept.pop_first();
        }
    }

    /// All of them, the oldest first: the day since 1970, the version and the arm.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, &Source, &Arc<str>, &Day)> {
        self.kept.iter().map(|((day, source, arm), sums)| (*day, &**source, arm, sums))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(probabilities: &[f64]) -> Day {
        let mut day = Day::default();
        for p in probabilities {
            day.push(Some(AnswerRef::Class { class: u32::from(*p >= 0.5), scores: &[*p] }));
        }
        day
    }

    const EIGHT: [f64; 8] = [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1];

    #[test]
    fn known_answers() {
        // NannyML 0.13.1 on the same eight probabilities, cut at a half.
        let day = of(&EIGHT);
        for (found, known) in [day.tp, day.tn, day.fp, day.fn_].into_iter().zip([3.0, 3.0, 1.0, 1.0]) {
            assert!((found - known).abs() < 1e-9, "{day:?}");
        }
        assert!(day.accuracy().is_some_and(|(accuracy, _)| (accuracy - 0.75).abs() < 1e-9));
        assert!(day.precision_recall_f1().iter().all(|found| found.is_some_and(|x| (x - 0.75).abs() < 1e-9)));
        assert!(
            day.auc().is_some_and(|(auc, error)| (auc - 0.8125).abs() < 1e-9 && error == 0.0),
            "{:?}",
            day.auc()
        );
    }

    #[test]
    fn the_sum_of_two_is_that_of_all() {
        let mut sum = of(&EIGHT[..3]);
        sum.add(&of(&EIGHT[3..]));
        let whole = of(&EIGHT);
        assert!((sum.auc().expect("some").0 - whole.auc().expect("some").0).abs() < 1e-12);
        assert!((sum.accuracy().expect("some").0 - whole.accuracy().expect("some").0).abs() < 1e-12);
        let text = serde_json::to_string(&whole).expect("JSON");
        assert_eq!(serde_json::from_str::<Day>(&text).expect("a day"), whole);
    }

    #[test]
    fn many_classes_are_right_as_often_as_their_probabilities_say() {
        let mut day = Day::default();
        day.push(Some(AnswerRef::Class { class: 1, scores: &[0.2, 0.7, 0.1] }));
        day.push(Some(AnswerRef::Class { class: 2, scores: &[0.2, 0.3, 0.5] }));
        day.push(Some(AnswerRef::Number(1.0)));
        day.push(None);
        assert_eq!((day.rows, day.scored, day.auc()), (4, 2, None));
        assert!(day.accuracy().is_some_and(|(accuracy, _)| (accuracy - 0.6).abs() < 1e-9));
    }

    #[test]
    fn where_many_share_a_bin_it_is_said_how_far_off_that_may_be() {
        let close: Vec<f64> = (0..100).map(|i| 0.5 + f64::from(i) / 1e6).collect();
        let (_, error) = of(&close).auc().expect("some");
        assert!((0.49..=0.5).contains(&error), "{error}");
    }
}
