//! What is summed of one column beside its cells.

use pointsman_stats::NUMBER_MAX;

use super::grid::Grid;

/// Sums that are made side by side.
const LANES: usize = 4;

/// Counts and sums of the values of one column.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Sums {
    /// Rows in which there is none: left out, an empty text, or a tensor of a shape that has no place for it.
    pub missing: u64,
    /// NaN.
    pub nan: u64,
    /// Infinities, and numbers beyond 1e100 in size, of which no sums are kept.
    pub infinite: u64,
    /// The numbers of which sums are kept.
    pub(super) summed: u64,
    /// The sum of their distances from the grid's origin.
    pub(super) sum: f64,
    /// And of its squares.
    pub(super) squares: f64,
    /// The least; nothing that says anything where there is none.
    pub(super) min: f64,
    /// The largest.
    pub(super) max: f64,
}

/// Sums of every fourth number: no sum waits for the one before it, and two are made at once.
#[derive(Clone, Copy)]
struct Lane {
    sum: f64,
    squares: f64,
    min: f64,
    max: f64,
}

impl Lane {
    const EMPTY: Self = Self { sum: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    #[inline]
    fn push(&mut self, number: f64, origin: f64) {
        let distance = number - origin;
        self.sum += distance;
        self.squares += distance * distance;
        self.min = if number < self.min { number } else { self.min };
        self.max = if number > self.max { number } else { self.max };
    }

    fn merge(self, other: Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

impl Sums {
    /// Takes in a number that is not NaN, and counts as many times as `weight` says.
    #[inline]
    pub(super) fn push(&mut self, number: f64, weight: u64, grid: &Grid, cells: &mut [u64]) {
        cells[grid.cell(number)] += weight;
        if number.abs() > NUMBER_MAX {
            self.infinite += weight;
            return;
        }
        let distance = number - grid.origin();
        if self.summed == 0 {
            (self.min, self.max) = (number, number);
        } else {
            self.min = self.min.min(number);
            self.max = self.max.max(number);
        }
        self.summed += weight;
        self.sum += distance * weight as f64;
        self.squares += distance * distance * weight as f64;
    }

    /// Takes in numbers that count once each, if they are all what nearly all numbers are: no NaN, and at most 1e100 in
    /// size. Whether they were taken in. With no case to tell apart in its loops it takes a fraction of the time of
    /// [`push`](Self::push).
    pub(super) fn push_all(&mut self, numbers: &[f64], grid: &Grid, cells: &mut [u64]) -> bool {
        if numbers.is_empty() {
            return true;
        }
        let mut lanes = [Lane::EMPTY; LANES];
        let origin = grid.origin();
        let (whole, rest) = numbers.as_chunks::<LANES>();
        for numbers in whole {
            lanes.iter_mut().zip(numbers).for_each(|(lane, number)| lane.push(*number, origin));
        }
        lanes.iter_mut().zip(rest).for_each(|(lane, number)| lane.push(*number, origin));
        let all = lanes.iter().copied().reduce(Lane::merge).unwrap_or(Lane::EMPTY);
        // One NaN makes the sum one.
        if all.sum.is_nan() || all.min < -NUMBER_MAX || all.max > NUMBER_MAX {
            return false;
        }
        self.merge(&Self {
            summed: numbers.len() as u64,
            sum: all.sum,
            squares: all.squares,
            min: all.min,
            max: all.max,
            ..Self::default()
        });
        grid.count(numbers, cells);
        true
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.missing += other.missing;
        self.nan += other.nan;
        self.infinite += other.infinite;
        if other.summed > 0 {
            if self.summed == 0 {
                (self.min, self.max) = (other.min, other.max);
            }
            self.min = self.min.min(other.min);
            self.max = self.max.max(other.max);
        }
        self.summed += other.summed;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// The least and the largest number of at most 1e100 in size.
    #[must_use]
    pub fn range(&self) -> Option<(f64, f64)> {
        (self.summed > 0).then_some((self.min, self.max))
    }

    /// The mean of numbers that are summed from this origin.
    #[must_use]
    pub fn mean(&self, origin: f64) -> Option<f64> {
        (self.summed > 0).then(|| origin + self.sum / self.summed as f64)
    }

    /// The standard deviation, over n - 1.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        let count = self.summed as f64;
        (self.summed > 1)
            .then(|| ((self.squares - self.sum * self.sum / count).max(0.0) / (count - 1.0)).sqrt())
    }
}
