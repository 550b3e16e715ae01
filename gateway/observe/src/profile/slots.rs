//! A table by which the cell of a number is found with few comparisons.

use super::grid::CELLS_MAX;

/// Slots of a table.
const SLOTS: usize = 1 << u8::BITS;
/// Edges with which each number is compared.
const NEAR: usize = 2;
/// Places in which cells can be told by 7 bits.
const CELLS_MASK: usize = CELLS_MAX - 1;
/// Numbers whose slots are looked up together.
const CHUNK: usize = 64;

/// Ascending edges, and how many of them lie before each slot of the numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slots {
    /// With infinities behind them, so that what is compared needs no end.
    edges: Box<[f64; CELLS_MAX + NEAR]>,
    /// The number of edges in the slots before each, and last of all edges.
    before: Box<[u8; SLOTS + 1]>,
    scale: Scale,
}

/// Which slot a number is in. All that is needed is that slots ascend with numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    /// Slots of the same width.
    Even { first: f64, per_unit: f64 },
    /// Slots of as many doubles each, which tell apart what differs by orders of magnitude.
    Bits { first: i64, shift: u32 },
}

/// An integer that ascends with the number: its bits, of negative ones turned round.
#[inline]
fn key(number: f64) -> i64 {
    let bits = number.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

impl Scale {
    /// The casts saturate: what is below all edges is in the first slot, what is above them in the last.
    #[inline]
    fn slot(self, number: f64) -> u8 {
        match self {
            Self::Even { first, per_unit } => ((number - first) * per_unit) as u8,
            Self::Bits { first, shift } => {
                (key(number).saturating_sub(first).max(0) >> shift).min(SLOTS as i64 - 1) as u8
            }
        }
    }

    /// The scale in whose slots fewer edges share one. As about as many numbers lie between any two edges, the squares
    /// of the counts tell how many comparisons they take.
    fn of(edges: &[f64]) -> Self {
        let (Some(first), Some(last)) = (edges.first(), edges.last()) else {
            return Self::Even { first: 0.0, per_unit: 0.0 };
        };
        let per_unit = (SLOTS - 1) as f64 / (last - first);
        let even = Self::Even { first: *first, per_unit: if per_unit.is_finite() { per_unit } else { 0.0 } };
        let used = u64::BITS - key(*last).saturating_sub(key(*first)).leading_zeros();
        let bits = Self::Bits { first: key(*first), shift: used.saturating_sub(u8::BITS) };
        let work = |scale: Self| {
            let mut counts = [0_u32; SLOTS];
            edges.iter().for_each(|edge| counts[usize::from(scale.slot(*edge))] += 1);
            counts.iter().map(|count| count * count).sum::<u32>()
        };
        if work(bits) < work(even) { bits } else { even }
    }
}

impl Slots {
    /// Of ascending edges, fewer than [`CELLS_MAX`].
    pub(super) fn new(edges: &[f64]) -> Self {
        let scale = Scale::of(edges);
        let mut padded = Box::new([f64::INFINITY; CELLS_MAX + NEAR]);
        padded.iter_mut().zip(edges).for_each(|(to, edge)| *to = *edge);
        let mut before = Box::new([0; SLOTS + 1]);
        for (slot, before) in before.iter_mut().enumerate() {
            *before = edges.partition_point(|edge| usize::from(scale.slot(*edge)) < slot) as u8;
        }
        Self { edges: padded, before, scale }
    }

    /// The edges, ascending.
    pub(super) fn edges(&self) -> &[f64] {
        &self.edges[..usize::from(self.before[SLOTS])]
    }

    /// The number of edges below a number that is not NaN.
    #[inline]
    pub(super) fn cell(&self, number: f64) -> usize {
        self.cell_in(self.scale.slot(number), number)
    }

    /// Two comparisons without a branch, and a search where a slot has more edges.
    #[inline]
    fn cell_in(&self, slot: u8, number: f64) -> usize {
        let slot = usize::from(slot);
        let first = usize::from(self.before[slot]) & CELLS_MASK;
        let near = &self.edges[first..first + NEAR];
        let passed: usize = near.iter().map(|edge| usize::from(*edge < number)).sum();
        let mut cell = first + passed;
        if passed == NEAR {
            // Edges of later slots are not below the number.
            let rest = self.edges.get(cell..usize::from(self.before[slot + 1])).unwrap_or_default();
            cell += rest.partition_point(|edge| *edge < number);
        }
        cell
    }

    /// Counts numbers that are not NaN by cell. Slots are found for many at once, in a loop that knows the scale.
    pub(super) fn count(&self, numbers: &[f64], cells: &mut [u64]) {
        let mut slots = [0; CHUNK];
        for numbers in numbers.chunks(CHUNK) {
            let found = slots.iter_mut().zip(numbers);
            match self.scale {
                scale @ Scale::Even { .. } => found.for_each(|(slot, number)| *slot = scale.slot(*number)),
                scale @ Scale::Bits { .. } => found.for_each(|(slot, number)| *slot = scale.slot(*number)),
            }
            let found = slots.iter().zip(numbers);
            found.for_each(|(slot, number)| cells[self.cell_in(*slot, *number)] += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers of which some are near each other and others orders of magnitude apart.
    fn numbers() -> impl Strategy<Value = f64> {
        prop_oneof![
            -1e3..1e3,
            Just(0.0),
            -1e300..1e300_f64,
            0.0..1e-300_f64,
            (-300..0_i32).prop_map(|exponent| 10_f64.powi(exponent)),
            (0..20_i32).prop_map(f64::from),
            Just(f64::MAX),
            Just(f64::MIN),
        ]
    }

    #[test]
    fn what_differs_by_orders_of_magnitude_is_told_apart() {
        let scores: Vec<f64> = (1..100).map(|at| 2_f64.powf(-0.4 * f64::from(100 - at))).collect();
        let scores = Slots::new(&scores);
        assert!(matches!(scores.scale, Scale::Bits { .. }));
        let shades: Vec<f64> = (0..17).flat_map(|at| [f64::from(at).next_down(), f64::from(at)]).collect();
        let shades = Slots::new(&shades);
        assert!(matches!(shades.scale, Scale::Even { .. }));
        for slots in [scores, shades] {
            let most = slots.before.windows(2).map(|pair| pair[1] - pair[0]).max();
            assert!(most <= Some(2), "{most:?} edges in one slot of {:?}", slots.scale);
        }
    }

    #[test]
    fn without_edges_there_is_one_cell() {
        let slots = Slots::new(&[]);
        assert_eq!([f64::MIN, -0.0, 1.0, f64::INFINITY].map(|number| slots.cell(number)), [0; 4]);
    }

    proptest! {
        #[test]
        fn a_number_is_found_where_the_edges_say(
            mut edges in prop::collection::vec(numbers(), 0..CELLS_MAX),
            asked in prop::collection::vec(prop_oneof![numbers(), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0)], 1..200),
        ) {
            edges.sort_unstable_by(f64::total_cmp);
            edges.dedup();
            let mut cells = vec![0; edges.len() + 1];
            let (mut expected, slots) = (cells.clone(), Slots::new(&edges));
            let asked: Vec<f64> = asked.iter().chain(&edges).copied().collect();
            for number in &asked {
                let place = edges.partition_point(|edge| edge < number);
                expected[place] += 1;
                prop_assert_eq!(slots.cell(*number), place, "{}", number);
            }
            slots.count(&asked, &mut cells);
            prop_assert_eq!(cells, expected);
        }
    }
}
