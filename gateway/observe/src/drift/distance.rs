//! How far two profiles of a column are apart, and how probable that is where nothing has changed.

use pointsman_stats::{
    ChiSquared, Distribution, NullLaw, fisher_exact, homogeneity, kolmogorov_upper_tail, likelihood_ratio,
};
use serde::{Deserialize, Serialize};

use crate::profile::{Frame, Grid, Seen};

/// Classes in which fewer are expected are taken together before a test, as its law would not hold.
const EXPECTED_MIN: f64 = 5.0;

/// What is between the reference and the current values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distances {
    /// The population stability index over bins or categories, in nats. Half a one is added to each count, so that what
    /// was never seen weighs as much as was seen (Jeffreys' prior).
    pub psi: f64,
    /// The PSI to expect where nothing has changed.
    pub psi_by_chance: f64,
    /// Jensen and Shannon's divergence, in nats.
    pub js: f64,
    /// Pearson's chi-squared of both samples, classes with too few taken together.
    pub chi_squared: f64,
    /// Its degrees of freedom.
    pub degrees: usize,
    /// The largest difference of a class.
    pub l_infinity: f64,
    /// Of numbers alone.
    pub numbers: Option<NumberDistances>,
    /// How probable as much difference of the bins is where nothing has changed.
    pub psi_p: f64,
    /// The shares of missing values and NaN before and now.
    pub missing: (f64, f64),
    /// How probable a difference as large is.
    pub missing_p: f64,
    /// The shares of values out of the domain before and now.
    pub out_of_domain: (f64, f64),
    /// How probable a difference as large is.
    pub out_of_domain_p: f64,
}

/// Distances that need an order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberDistances {
    /// Kolmogorov and Smirnov's statistic at the edges of cells.
    pub ks: f64,
    /// By how much that of the numbers themselves can be larger.
    pub ks_error: f64,
    /// How probable a statistic as large is.
    pub ks_p: f64,
    /// Wasserstein's distance, in the unit of the numbers; nothing where there is no finite number on a side.
    pub wasserstein: Option<f64>,
    /// By how much that of the numbers themselves can differ.
    pub wasserstein_error: f64,
    /// The distance over the standard deviation of the reference.
    pub wasserstein_over_std: Option<f64>,
}

/// The distances of two profiles of one column; nothing where one of them has no value.
#[must_use]
pub fn distances(frame: &Frame, reference: &Seen<'_>, current: &Seen<'_>) -> Option<Distances> {
    let rows = |seen: &Seen<'_>| (seen.present(), seen.rows());
    let ((n, all_n), (m, all_m)) = (rows(reference), rows(current));
    if all_n == 0 || all_m == 0 {
        return None;
    }
    let (bins, outside) = match frame {
        Frame::Grid(grid) => {
            let binned = [reference, current].map(|seen| grid.binned(seen.cells));
            (binned, [reference, current].map(|seen| grid.out_of_domain(seen.cells)))
        }
        Frame::Categories(_) => {
            let other = |seen: &Seen<'_>| seen.cells.last().copied().unwrap_or(0);
            ([reference.cells.to_vec(), current.cells.to_vec()], [other(reference), other(current)])
        }
    };
    let share = |part: u64, all: u64| if all == 0 { 0.0 } else { part as f64 / all as f64 };
    let compared = compare(&bins[0], &bins[1]);
    let without = [all_n - n, all_m - m];
    Some(Distances {
        missing: (share(without[0], all_n), share(without[1], all_m)),
        missing_p: same_rate_p((without[0], all_n), (without[1], all_m)),
        out_of_domain: (share(outside[0], n), share(outside[1], m)),
        out_of_domain_p: same_rate_p((outside[0], n), (outside[1], m)),
        numbers: match frame {
            Frame::Grid(grid) => number_distances(grid, reference, current),
            Frame::Categories(_) => None,
        },
        ..compared
    })
}

/// What counts by class say, the rest left open.
fn compare(reference: &[u64], current: &[u64]) -> Distances {
    let nothing = Distances {
        psi: 0.0,
        psi_by_chance: 0.0,
        js: 0.0,
        chi_squared: 0.0,
        degrees: 0,
        l_infinity: 0.0,
        numbers: None,
        psi_p: 1.0,
        missing: (0.0, 0.0),
        missing_p: 1.0,
        out_of_domain: (0.0, 0.0),
        out_of_domain_p: 1.0,
    };
    // Classes that nobody has do not count.
    let seen = reference.iter().zip(current).filter(|(r, c)| **r + **c > 0);
    let (reference, current): (Vec<u64>, Vec<u64>) = seen.map(|(r, c)| (*r, *c)).unzip();
    let sum = |counts: &[u64]| counts.iter().sum::<u64>();
    let (n, m) = (sum(&reference), sum(&current));
    let distances = || -> Option<Distances> {
        let smoothed = (Distribution::smoothed(&reference).ok()?, Distribution::smoothed(&current).ok()?);
        let bare = (Distribution::of_counts(&reference).ok()?, Distribution::of_counts(&current).ok()?);
        let law = NullLaw::new(reference.len(), n, m).ok()?;
        let bare = bare.0.against(&bare.1).ok()?;
        let (chi_squared, p) = homogeneity_p(&reference, &current);
        Some(Distances {
            psi: smoothed.0.against(&smoothed.1).ok()?.psi(),
            psi_by_chance: law.psi_mean(),
            js: bare.jensen_shannon(),
            l_infinity: bare.l_infinity(),
            chi_squared: chi_squared.statistic,
            degrees: chi_squared.degrees,
            psi_p: p,
            ..nothing
        })
    };
    distances().unwrap_or(nothing)
}

/// Whether counts come from one distribution: Pearson's statistic, and the larger of its p-value and that of the
/// likelihood ratio. Where the law of one of both does not hold far out, that of the other does.
fn homogeneity_p(reference: &[u64], current: &[u64]) -> (ChiSquared, f64) {
    let (reference, current) = pooled(reference, current);
    let pearson = homogeneity(&reference, &current).unwrap_or_default();
    let ratio = likelihood_ratio(&reference, &current).unwrap_or_default();
    (pearson, pearson.p().max(ratio.p()))
}

/// The counts, those classes taken together in which too few are expected on one side; with the smallest of the others
/// where they are still too few.
fn pooled(reference: &[u64], current: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let sum = |counts: &[u64]| counts.iter().map(|count| *count as f64).sum::<f64>();
    let (n, m) = (sum(reference), sum(current));
    let is_sparse = |r: u64, c: u64| (r + c) as f64 * n.min(m) < EXPECTED_MIN * (n + m);
    let (mut pool, mut kept) = ((0, 0), Vec::new());
    for (r, c) in reference.iter().zip(current) {
        if is_sparse(*r, *c) {
            pool = (pool.0 + r, pool.1 + c);
        } else {
            kept.push((*r, *c));
        }
    }
    if pool.0 + pool.1 > 0 {
        if is_sparse(pool.0, pool.1)
            && let Some(smallest) = kept.iter_mut().min_by_key(|(r, c)| r + c)
        {
            *smallest = (smallest.0 + pool.0, smallest.1 + pool.1);
        } else {
            kept.push(pool);
        }
    }
    kept.into_iter().unzip()
}

/// Whether two samples have the same rate: exactly where few hits are expected.
fn same_rate_p(first: (u64, u64), second: (u64, u64)) -> f64 {
    let ((a, n), (b, m)) = (first, second);
    if a + b == 0 || (a == n && b == m) || n == 0 || m == 0 {
        return 1.0;
    }
    let (hits, all) = ((a + b) as f64, (n + m) as f64);
    let least = hits.min(all - hits) * n.min(m) as f64 / all;
    let exact = (least < 50.0).then(|| fisher_exact(first, second)).flatten();
    exact.unwrap_or_else(|| homogeneity_p(&[a, n - a], &[b, m - b]).1)
}

fn number_distances(grid: &Grid, reference: &Seen<'_>, current: &Seen<'_>) -> Option<NumberDistances> {
    let (n, m) = (reference.present(), current.present());
    if n == 0 || m == 0 {
        return None;
    }
    let (mut ks, mut most) = (0.0_f64, 0.0_f64);
    let (mut before, mut passed) = ((0.0, 0.0), (0_u64, 0_u64));
    let mut moved = Moved::new(grid, reference, current);
    for (cell, (r, c)) in reference.cells.iter().zip(current.cells).enumerate() {
        passed = (passed.0 + r, passed.1 + c);
        let after = (passed.0 as f64 / n as f64, passed.1 as f64 / m as f64);
        ks = ks.max((after.0 - after.1).abs());
        // Within a cell one function may have risen already while the other has not.
        let within = if grid.is_value(cell) { 0.0 } else { (after.0 - before.1).max(after.1 - before.0) };
        most = most.max(within);
        moved.cell(cell, before, after);
        before = after;
    }
    let wasserstein = moved.is_finite.then_some(moved.distance);
    let std = reference.sums.deviation().filter(|std| *std > 0.0);
    Some(NumberDistances {
        ks,
        ks_error: (most - ks).max(0.0),
        ks_p: kolmogorov_upper_tail(ks, n, m),
        wasserstein,
        wasserstein_error: moved.error,
        wasserstein_over_std: wasserstein.zip(std).map(|(distance, std)| distance / std),
    })
}

/// Sums ∫|F - G|. Within a cell both functions are taken as straight lines; they are off by their mass there at most.
struct Moved<'a> {
    edges: &'a [f64],
    range: (f64, f64),
    is_finite: bool,
    distance: f64,
    error: f64,
}

impl<'a> Moved<'a> {
    fn new(grid: &'a Grid, reference: &Seen<'_>, current: &Seen<'_>) -> Self {
        let ranges = reference.sums.range().zip(current.sums.range());
        let range = ranges.map(|(r, c)| (r.0.min(c.0), r.1.max(c.1)));
        let is_finite = range.is_some();
        Self { edges: grid.edges(), range: range.unwrap_or_default(), is_finite, distance: 0.0, error: 0.0 }
    }

    fn cell(&mut self, cell: usize, before: (f64, f64), after: (f64, f64)) {
        let within = |edge: f64| edge.clamp(self.range.0, self.range.1);
        let from = cell.checked_sub(1).and_then(|at| self.edges.get(at)).map_or(self.range.0, |e| within(*e));
        let to = self.edges.get(cell).map_or(self.range.1, |e| within(*e));
        let width = to - from;
        let (a, b) = (before.0 - before.1, after.0 - after.1);
        // The mean of |a + t(b - a)|, which may pass 0.
        let mean = if a * b < 0.0 {
            (a * a + b * b) / (2.0 * (a.abs() + b.abs()))
        } else {
            f64::midpoint(a.abs(), b.abs())
        };
        self.distance += width * mean;
        self.error += width * (after.0 - before.0 + after.1 - before.1);
    }
}

#[cfg(test)]
mod tests;
