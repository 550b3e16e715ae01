//! The places at which the distribution function of a numeric column is known, fixed once and for all.

use pointsman_stats::NUMBER_MAX;
use serde::{Deserialize, Serialize};

use super::slots::Slots;

/// The most cells of a column.
pub const CELLS_MAX: usize = 128;
/// The most values that have a cell each where a column has no more.
const VALUES_MAX: usize = 60;
/// A value with at least this share of all has a cell of its own.
const ATOM: f64 = 1.0 / 32.0;
/// A column of no more values has a bin for each in reports.
const VALUE_BINS_MAX: usize = 20;
/// Bins of other columns.
const BINS: usize = 10;
/// The least share of a bin.
const BIN_MIN: f64 = 0.03;
/// The most inner edges of bins that a schema may give.
pub const BIN_EDGES_MAX: usize = 40;

/// Edges of cells: cell `i` holds the numbers above edge `i - 1` up to edge `i`, the last one those above all edges.
///
/// A value that many examples have lies alone between two edges with no other double in between. So what is not known
/// of the numbers in the cells is how those lie that differ, and at most the share of the largest such cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    slots: Slots,
    /// Ascending places of the edges that end a bin of reports.
    bins: Box<[usize]>,
    /// The least and the largest number that are expected.
    domain: Option<(f64, f64)>,
    /// Numbers are summed as their distance from here.
    origin: f64,
}

/// A grid in documents. Values that lie alone are named once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedGrid {
    values: Vec<f64>,
    edges: Vec<f64>,
    bins: Vec<f64>,
    domain: Option<(f64, f64)>,
    origin: f64,
}

/// What a grid is made from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'a> {
    /// Inner edges of the bins of reports.
    pub(super) bins: Option<&'a [f64]>,
    /// The least number that is expected.
    pub(super) min: Option<f64>,
    /// The largest.
    pub(super) max: Option<f64>,
}

impl Grid {
    /// One that knows nothing.
    pub(super) fn unknown() -> Self {
        Self::new(&[], &[], None, 0.0)
    }

    /// The grid of a sample: ascending numbers, each with how many there are.
    pub(super) fn learn(sample: &[(f64, u64)], wanted: Wanted<'_>) -> Self {
        let total: f64 = sample.iter().map(|(_, count)| *count as f64).sum();
        let (Some(first), Some(last)) = (sample.first(), sample.last()) else { return Self::unknown() };
        let (min, max) = (wanted.min.unwrap_or(first.0), wanted.max.unwrap_or(last.0));
        let domain = (min <= max).then_some((min, max));
        let given: Vec<f64> = wanted.bins.into_iter().flatten().copied().filter(|e| e.is_finite()).collect();
        let mut edges: Vec<f64> = given.iter().take(BIN_EDGES_MAX).copied().collect();
        edges.extend(domain.into_iter().flat_map(|(min, max)| [min.next_down(), max]));
        let is_atom = |count: u64| sample.len() <= VALUES_MAX || count as f64 / total >= ATOM;
        let atoms = || sample.iter().filter(|(_, count)| is_atom(*count));
        // Two edges for a value; at most 60 of them, or 32 of which each has its share.
        let room = (CELLS_MAX - 1).saturating_sub(edges.len());
        edges.extend(atoms().take(room / 2).flat_map(|(value, _)| [value.next_down(), *value]));
        sort(&mut edges);
        let rest: Vec<&(f64, u64)> = sample.iter().filter(|(_, count)| !is_atom(*count)).collect();
        let budget = (CELLS_MAX - 1).saturating_sub(edges.len());
        edges.extend(quantiles(&rest, budget));
        sort(&mut edges);
        // Of what sums are of. What is beyond may come from a caller, and would leave nothing of the other digits.
        let summed = || sample.iter().filter(|(value, _)| value.abs() <= NUMBER_MAX);
        let count = summed().map(|(_, count)| *count as f64).sum::<f64>().max(1.0);
        let mean = summed().map(|(value, of_value)| value * (*of_value as f64 / count)).sum::<f64>();
        let bins = if given.is_empty() { bins(sample, &edges, total) } else { given };
        Self::new(&edges, &bins, domain, if mean.is_finite() { mean } else { 0.0 })
    }

    fn new(edges: &[f64], bins: &[f64], domain: Option<(f64, f64)>, origin: f64) -> Self {
        let bins = bins.iter().filter_map(|bin| edges.iter().position(|edge| edge == bin)).collect();
        Self { slots: Slots::new(edges), bins, domain, origin }
    }

    /// The cell of a number that is not NaN.
    #[inline]
    pub(super) fn cell(&self, number: f64) -> usize {
        self.slots.cell(number)
    }

    /// Counts numbers that are not NaN by cell.
    pub(super) fn count(&self, numbers: &[f64], cells: &mut [u64]) {
        self.slots.count(numbers, cells);
    }

    /// The number of cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.edges().len() + 1
    }

    /// The edges, ascending.
    #[must_use]
    pub fn edges(&self) -> &[f64] {
        self.slots.edges()
    }

    /// The inner edges of the bins of reports.
    #[must_use]
    pub fn bin_edges(&self) -> Vec<f64> {
        self.bins.iter().map(|at| self.edges()[*at]).collect()
    }

    /// The least and the largest number that are expected.
    #[must_use]
    pub fn domain(&self) -> Option<(f64, f64)> {
        self.domain
    }

    /// From where numbers are summed.
    #[must_use]
    pub fn origin(&self) -> f64 {
        self.origin
    }

    /// Whether a cell holds one double alone.
    #[must_use]
    pub fn is_value(&self, cell: usize) -> bool {
        let ends =
            cell.checked_sub(1).and_then(|before| self.edges().get(before)).zip(self.edges().get(cell));
        ends.is_some_and(|(from, to)| from.next_up() == *to)
    }

    /// Counts by bin of counts by cell.
    #[must_use]
    pub fn binned(&self, cells: &[u64]) -> Vec<u64> {
        let mut counts = Vec::with_capacity(self.bins.len() + 1);
        let mut from = 0;
        for to in self.bins.iter().map(|at| at + 1).chain([cells.len()]) {
            counts.push(cells[from.min(to)..to].iter().sum());
            from = to;
        }
        counts
    }

    /// How many of the counts by cell are of numbers that are not expected.
    #[must_use]
    pub fn out_of_domain(&self, cells: &[u64]) -> u64 {
        let Some((min, max)) = self.domain else { return 0 };
        let is_out = |cell: &usize| {
            let below = self.edges().get(*cell).is_some_and(|to| *to < min);
            let above =
                cell.checked_sub(1).and_then(|before| self.edges().get(before)).is_some_and(|e| *e >= max);
            below || above
        };
        (0..cells.len()).filter(is_out).map(|cell| cells[cell]).sum()
    }

    pub(super) fn saved(&self) -> SavedGrid {
        let (mut values, mut edges, mut at) = (Vec::new(), Vec::new(), 0);
        while let Some(edge) = self.edges().get(at) {
            if let Some(value) = self.edges().get(at + 1).filter(|next| **next == edge.next_up()) {
                values.push(*value);
                at += 2;
            } else {
                edges.push(*edge);
                at += 1;
            }
        }
        SavedGrid { values, edges, bins: self.bin_edges(), domain: self.domain, origin: self.origin }
    }

    /// The grid of a document.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn restore(saved: &SavedGrid) -> Result<Self, String> {
        let mut edges = saved.edges.clone();
        edges.extend(saved.values.iter().flat_map(|value| [value.next_down(), *value]));
        let domain = saved.domain.into_iter().flat_map(|(min, max)| [min, max]);
        let all = edges.iter().chain(&saved.bins).copied().chain(domain).chain([saved.origin]);
        if let Some(odd) = all.into_iter().find(|number| !number.is_finite()) {
            return Err(format!("the edge {odd} is no finite number"));
        }
        if saved.origin.abs() > NUMBER_MAX {
            return Err(format!("the origin {} is beyond the numbers of which sums are kept", saved.origin));
        }
        sort(&mut edges);
        if edges.len() >= CELLS_MAX {
            return Err(format!("{} edges: at most {} are known", edges.len(), CELLS_MAX - 1));
        }
        let grid = Self::new(&edges, &saved.bins, saved.domain, saved.origin);
        if grid.bins.len() != saved.bins.len() || grid.bins.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err("the edges of its bins are not among the edges of its cells, ascending".into());
        }
        Ok(grid)
    }
}

/// The numbers, ascending, each with how many there are.
pub(super) fn counted(mut numbers: Vec<f64>) -> Vec<(f64, u64)> {
    numbers.sort_unstable_by(f64::total_cmp);
    let mut counted: Vec<(f64, u64)> = Vec::new();
    for number in numbers {
        match counted.last_mut() {
            Some((last, count)) if *last == number => *count += 1,
            _ => counted.push((number, 1)),
        }
    }
    counted
}

fn sort(edges: &mut Vec<f64>) {
    edges.retain(|edge| edge.is_finite());
    // There is one 0, also in documents.
    edges.iter_mut().for_each(|edge| *edge += 0.0);
    edges.sort_unstable_by(f64::total_cmp);
    edges.dedup();
}

/// At most so many edges between which about as many numbers lie each.
fn quantiles(sample: &[&(f64, u64)], budget: usize) -> Vec<f64> {
    let total: f64 = sample.iter().map(|(_, count)| *count as f64).sum();
    let step = total / (budget + 1) as f64;
    let (mut edges, mut passed) = (Vec::new(), 0.0);
    for (value, count) in sample {
        passed += *count as f64;
        if passed >= step * (edges.len() + 1) as f64 && edges.len() < budget {
            edges.push(*value);
            // What is wider than a step takes the place of those that it passes.
            while passed >= step * (edges.len() + 1) as f64 && edges.len() < budget {
                edges.push(*value);
            }
        }
    }
    edges.dedup();
    edges
}

/// Inner edges of the bins: of few values each its own, else about deciles, no bin with next to nothing in it.
fn bins(sample: &[(f64, u64)], edges: &[f64], total: f64) -> Vec<f64> {
    if sample.len() <= VALUE_BINS_MAX {
        let all_but_last = sample.len().saturating_sub(1);
        return sample
            .iter()
            .take(all_but_last)
            .map(|(value, _)| *value)
            .filter(|v| edges.contains(v))
            .collect();
    }
    let mut passed = 0.0;
    let mut rest = sample.iter().peekable();
    let shares: Vec<(f64, f64)> = edges
        .iter()
        .map(|edge| {
            while let Some((_, count)) = rest.next_if(|(value, _)| value <= edge) {
                passed += *count as f64;
            }
            (*edge, passed / total)
        })
        .collect();
    let (mut bins, mut before) = (Vec::new(), 0.0);
    for decile in 1..BINS {
        let goal = decile as f64 / BINS as f64;
        let far = |share: f64| (share - goal).abs();
        let nearest = shares.iter().min_by(|a, b| far(a.1).total_cmp(&far(b.1)));
        if let Some((edge, share)) = nearest.filter(|(_, s)| *s >= before + BIN_MIN && 1.0 - *s >= BIN_MIN) {
            bins.push(*edge);
            before = *share;
        }
    }
    bins
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(grid: &Grid, numbers: impl IntoIterator<Item = f64>) -> Vec<u64> {
        let mut cells = vec![0; grid.cells()];
        numbers.into_iter().for_each(|number| cells[grid.cell(number)] += 1);
        cells
    }

    #[test]
    fn few_values_have_a_cell_and_a_bin_each() {
        let numbers: Vec<f64> = (0..900).map(|i| f64::from(i % 3)).collect();
        let grid = Grid::learn(&counted(numbers.clone()), Wanted::default());
        let cells = counts(&grid, numbers);
        assert_eq!(cells.iter().filter(|count| **count > 0).count(), 3);
        assert!((0..cells.len()).all(|cell| cells[cell] == 0 || grid.is_value(cell)));
        assert_eq!(grid.binned(&cells), [300, 300, 300]);
        let strange = counts(&grid, [-1.0, 0.5, 1.0, 7.0, f64::INFINITY]);
        assert_eq!((grid.out_of_domain(&strange), grid.binned(&strange)), (3, vec![1, 2, 2]));
    }

    #[test]
    fn a_value_that_many_have_does_not_hide_the_others() {
        let numbers: Vec<f64> = (0..10_000).map(|i| if i % 5 < 3 { 0.0 } else { f64::from(i) }).collect();
        let grid = Grid::learn(&counted(numbers.clone()), Wanted::default());
        let cells = counts(&grid, numbers);
        let unknown = (0..cells.len()).filter(|cell| !grid.is_value(*cell)).map(|cell| cells[cell]).max();
        assert!(unknown.expect("cells") < 60, "{unknown:?}");
        let bins = grid.binned(&cells);
        assert!(bins.len() >= 4 && bins[0] == 6000 && bins.iter().all(|count| *count >= 300), "{bins:?}");
    }

    #[test]
    fn bins_and_range_of_a_schema_count() {
        let numbers: Vec<f64> = (0..1000).map(f64::from).collect();
        let wanted = Wanted { bins: Some(&[100.0, 500.0]), min: Some(10.0), max: Some(2000.0) };
        let grid = Grid::learn(&counted(numbers.clone()), wanted);
        let cells = counts(&grid, numbers);
        assert_eq!((grid.binned(&cells), grid.out_of_domain(&cells)), (vec![101, 400, 499], 10));
        assert_eq!(grid.bin_edges(), [100.0, 500.0]);
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        let good = Grid::learn(&counted((0..100).map(f64::from).collect()), Wanted::default()).saved();
        assert!(Grid::restore(&good).is_ok());
        let odd = [
            SavedGrid { edges: vec![f64::NAN], ..good.clone() },
            SavedGrid { bins: vec![0.123], ..good.clone() },
            SavedGrid { edges: (0..CELLS_MAX).map(|i| i as f64 + 0.25).collect(), ..good.clone() },
        ];
        odd.iter().for_each(|odd| assert!(Grid::restore(odd).is_err(), "{odd:?}"));
        assert_eq!(Grid::unknown().cell(3.0), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_number_is_found_where_the_edges_say(
            numbers in prop::collection::vec(prop_oneof![-1e3..1e3, Just(0.0), -1e300..1e300_f64, 0.0..1e-300_f64], 1..400),
            asked in prop::collection::vec(prop_oneof![-2e3..2e3, Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0)], 20),
        ) {
            let grid = Grid::learn(&counted(numbers.clone()), Wanted::default());
            prop_assert!(grid.cells() <= CELLS_MAX);
            for number in numbers.iter().chain(&asked).copied() {
                prop_assert_eq!(grid.cell(number), grid.edges().partition_point(|edge| *edge < number), "{}", number);
            }
            prop_assert_eq!(Grid::restore(&grid.saved()).expect("a grid"), grid.clone());
            let cells = counts(&grid, numbers.iter().copied());
            prop_assert_eq!(grid.binned(&cells).iter().sum::<u64>(), numbers.len() as u64);
            prop_assert_eq!(grid.out_of_domain(&cells), 0);
        }
    }
}
