//! Rows of scores, one for each class.

use pointsman_core::{Elements, Tensor};

use crate::settings::TOP_MAX;

/// How far the sum of a row may be from 1 for it to be a distribution.
const SUM_TOLERANCE: f64 = 1e-3;

/// A tensor of scores, as rows over its last dimension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scores<'a> {
    elements: Elements<'a>,
    /// Classes of a row; at least 1.
    classes: usize,
    rows: usize,
}

/// The classes with the highest scores, in order.
pub(crate) type Top = ([usize; TOP_MAX], usize);

impl<'a> Scores<'a> {
    /// The rows of a tensor; nothing where it has none.
    pub(crate) fn of(tensor: &'a Tensor) -> Option<Self> {
        let elements = Elements::of(tensor)?;
        let classes = usize::try_from(*tensor.shape().dims().last()?).ok().filter(|classes| *classes > 0)?;
        Some(Self { elements, classes, rows: tensor.elements() / classes })
    }

    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Reads a row into a buffer.
    pub(crate) fn read(&self, row: usize, into: &mut Vec<f64>) {
        into.clear();
        let start = row * self.classes;
        into.extend((start..start + self.classes).map(|index| self.elements.get(index)));
    }

    /// Whether each row is a distribution over at least two classes.
    pub(crate) fn are_distributions(&self, buffer: &mut Vec<f64>) -> bool {
        self.elements.are_floats()
            && self.classes > 1
            && self.rows > 0
            && (0..self.rows).all(|row| {
                self.read(row, buffer);
                is_distribution(buffer)
            })
    }
}

/// Whether scores are not below 0 and sum to 1.
pub(crate) fn is_distribution(row: &[f64]) -> bool {
    let (sum, least) =
        row.iter().fold((0.0, 0.0_f64), |(sum, least), score| (sum + score, least.min(*score)));
    (sum - 1.0).abs() <= SUM_TOLERANCE && least >= 0.0
}

/// The class that a row decides for: of one column, and of a distribution over two, 1 from the threshold on; otherwise that
/// with the highest score, the first where several have it. Nothing where no score is a number.
pub(crate) fn decided(row: &[f64], threshold: f64) -> Option<usize> {
    match row {
        [score] => return (!score.is_nan()).then(|| usize::from(*score >= threshold)),
        [_, score] if is_distribution(row) => return Some(usize::from(*score >= threshold)),
        _ => {}
    }
    highest(row.iter().copied())
}

/// The place of the highest score, the first where several have it. Nothing where none is a number.
pub(crate) fn highest(scores: impl Iterator<Item = f64>) -> Option<usize> {
    let numbers = scores.enumerate().filter(|(_, score)| !score.is_nan());
    numbers.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(class, _)| class)
}

/// The score that the threshold is for: of one column, that; of two, the second's; of more, the highest.
pub(crate) fn decisive(row: &[f64]) -> f64 {
    match row {
        [score] | [_, score] => *score,
        _ => row.iter().copied().fold(f64::NAN, f64::max),
    }
}

/// The classes with the `top` highest scores, the first where several have one.
pub(crate) fn top(row: &[f64], top: usize) -> Top {
    let (mut best, mut count) = ([0; TOP_MAX], 0);
    let most = top.min(TOP_MAX).min(row.len());
    for (class, score) in row.iter().enumerate().filter(|(_, score)| !score.is_nan()) {
        let place = best[..count].iter().position(|other| row[*other] < *score).unwrap_or(count);
        if place < most {
            let end = (count + 1).min(most);
            best.copy_within(place..end - 1, place + 1);
            best[place] = class;
            count = end;
        }
    }
    (best, count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decisions_are_the_highest_score_or_the_threshold() {
        let nan = f64::NAN;
        assert_eq!(decided(&[0.2, 0.5, 0.5], 0.9), Some(1));
        assert_eq!(decided(&[nan, 0.5, nan], 0.9), Some(1));
        assert_eq!((decided(&[nan, nan], 0.5), decided(&[], 0.5), decided(&[nan], 0.5)), (None, None, None));
        assert_eq!((decided(&[0.5], 0.5), decided(&[0.49], 0.5)), (Some(1), Some(0)));
        // Of two scores the threshold decides where they are a distribution.
        let of_two = |row: &[f64]| [0.2, 0.5, 0.8].map(|threshold| decided(row, threshold));
        assert_eq!(of_two(&[0.7, 0.3]), [Some(1), Some(0), Some(0)]);
        assert_eq!(of_two(&[0.3, 0.7]), [Some(1), Some(1), Some(0)]);
        assert_eq!((of_two(&[3.0, 1.0]), of_two(&[nan, 0.4])), ([Some(0); 3], [Some(1); 3]));
        assert_eq!((decisive(&[0.3]), decisive(&[0.3, 0.7]), decisive(&[0.5, 0.2, nan])), (0.3, 0.7, 0.5));
        assert!(is_distribution(&[0.5, 0.5]) && is_distribution(&[1.0, 0.0]));
        assert!(!is_distribution(&[1.5, -0.5]) && !is_distribution(&[0.5, 0.6]));
        assert!(!is_distribution(&[0.5, nan]) && !is_distribution(&[]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn the_top_is_that_of_the_sorted_row(row in prop::collection::vec(-5_i32..5, 0..30), most in 1..=TOP_MAX) {
            let row: Vec<f64> = row.into_iter().map(f64::from).collect();
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
            order.truncate(most);
            let (found, count) = top(&row, most);
            prop_assert_eq!(&found[..count], &order[..]);
            if row.len() > 1 && !is_distribution(&row) {
                prop_assert_eq!(order.first().copied(), decided(&row, 0.5));
            }
        }
    }
}
