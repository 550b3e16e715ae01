//! Profiles of a sample in which not every row had the same chance to be.
//!
//! A row counts by the reciprocal of its inclusion probability (Horvitz and Thompson, 1952), so that shares are those of
//! all traffic. How sure one may be of them is another matter: the laws of the statistics are taken at the effective
//! sample size (Σw)²/Σw², which is that of as many rows of equal weights (Kish, "Survey Sampling", 1965, 11.7). That is
//! the first-order correction of Rao and Scott (1981) of chi-squared with the design effect of the weights alone.

use std::borrow::Cow;

use super::column::Sums;
use super::layout::Layout;
use super::sample::Profile;

/// Weights are counted in parts of this size of one row.
const UNIT: f64 = 1.0 / 65_536.0;
/// The largest weight: that of a row of a trillion.
const WEIGHT_MAX: f64 = 1e12;

/// The weight of a row that was included with this probability, in parts of a row; nothing where that is none.
pub(super) fn weight(probability: f64) -> Option<u64> {
    let is_one = probability > 0.0 && probability <= 1.0;
    is_one.then(|| ((1.0 / probability).min(WEIGHT_MAX) / UNIT).round() as u64)
}

/// How many rows a profile is of, where they count by their weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighted {
    /// For so many they stand.
    pub total: f64,
    /// As many of equal weights say as much.
    pub effective: f64,
}

impl Profile {
    /// One of nothing, of rows that count by their weights.
    #[must_use]
    pub(super) fn weighted(layout: &Layout) -> Self {
        let weights = vec![0.0; layout.columns().len() + 1];
        Self { weights: Some(weights.into()), ..Self::new(layout) }
    }

    /// Counts rows of these weights, whose values are added column by column.
    pub(super) fn add_weights(&mut self, weights: impl Iterator<Item = u64>) {
        let mut squares = 0.0;
        for weight in weights {
            self.rows += weight;
            squares += (weight as f64).powi(2);
        }
        if let Some(last) = self.weights.as_deref_mut().and_then(<[f64]>::last_mut) {
            *last += squares;
        }
    }

    /// Adds the squares of the weights of those values of a column that were looked at.
    pub(super) fn add_squares(&mut self, at: usize, squares: f64) {
        if let Some(weights) = &mut self.weights {
            weights[at] += squares;
        }
    }

    /// How many rows it is of, where they count by their weights.
    #[must_use]
    pub fn weights(&self) -> Option<Weighted> {
        let squares = *self.weights.as_deref()?.last()?;
        let total = self.rows as f64;
        Some(Weighted {
            total: total * UNIT,
            effective: if squares > 0.0 { total * total / squares } else { 0.0 },
        })
    }

    /// With counts of the effective sample size, in place of sums of weights, so that what is tested by them is tested at
    /// that size. Where all rows have the same weight, these are the counts of rows.
    #[must_use]
    pub fn effective(&self, layout: &Layout) -> Cow<'_, Self> {
        let (Some(weights), Some(all)) = (&self.weights, self.weights()) else { return Cow::Borrowed(self) };
        let mut profile = self.clone();
        profile.weights = None;
        profile.rows = all.effective.round() as u64;
        for (at, (of, squares)) in layout.columns().iter().zip(weights).enumerate() {
            let cells = &mut profile.cells[of.first..of.first + of.frame.cells()];
            shrink(cells, &mut profile.sums[at], *squares);
        }
        Cow::Owned(profile)
    }
}

/// Makes counts of sums of weights.
fn shrink(cells: &mut [u64], sums: &mut Sums, squares: f64) {
    let total = cells.iter().map(|cell| *cell as f64).sum::<f64>() + (sums.missing + sums.nan) as f64;
    if squares <= 0.0 || total <= 0.0 {
        return;
    }
    let scale = total / squares;
    let mut parts: Vec<&mut u64> = cells.iter_mut().chain([&mut sums.missing, &mut sums.nan]).collect();
    let exact: Vec<f64> = parts.iter().map(|part| **part as f64 * scale).collect();
    // Whole numbers whose sum is the size: what is cut off is given to those of which most is.
    let mut left = (total * scale).round() as u64;
    for (part, exact) in parts.iter_mut().zip(&exact) {
        // Sums of equal weights are whole but for their last digits.
        **part = (exact + 1e-6).floor() as u64;
        left = left.saturating_sub(**part);
    }
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()));
    for at in order.into_iter().take(left as usize) {
        if exact[at] > 0.0 {
            *parts[at] += 1;
        }
    }
    let present: u64 = cells.iter().sum();
    let infinite = ((sums.infinite as f64 * scale).round() as u64).min(present);
    let before = sums.summed as f64;
    sums.infinite = infinite;
    sums.summed = if before > 0.0 { present - infinite } else { 0 };
    if before > 0.0 {
        // Mean and variance stay what they are.
        sums.sum *= sums.summed as f64 / before;
        sums.squares *= sums.summed as f64 / before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_weights_are_counts_of_rows_and_unequal_ones_are_fewer() {
        let of = |weights: &[(usize, f64, u64)]| {
            let mut cells = [0; 4];
            let (mut squares, mut sums) = (0.0, Sums::default());
            for (cell, probability, times) in weights {
                let weight = weight(*probability).expect("a probability");
                cells[*cell] += weight * times;
                squares += (weight as f64).powi(2) * *times as f64;
            }
            shrink(&mut cells, &mut sums, squares);
            cells
        };
        for probability in [1.0, 0.3, 0.01, 1.0 / 7.0, 1e-6] {
            assert_eq!(
                of(&[(0, probability, 7), (1, probability, 1), (3, probability, 992)]),
                [7, 1, 0, 992]
            );
        }
        // 10 rows of weight 100 and 1000 of weight 1: (2000)²/(100 000 + 1000) = 39.6, a half of them each.
        assert_eq!(of(&[(0, 0.01, 10), (1, 1.0, 1000)]), [20, 20, 0, 0]);
        assert_eq!(of(&[]), [0; 4]);
        assert_eq!([0.0, -0.5, 1.5, f64::NAN].map(weight), [None; 4]);
    }
}
