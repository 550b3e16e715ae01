//! Counts of the values of all columns of some examples.

use pointsman_core::{ColumnView, Tensor};
use serde::{Deserialize, Serialize};

use super::column::Sums;
use super::example::{Example, MISSING, UNASKED, Values};
use super::layout::{Frame, LaidOut, Layout};
use super::sketches::{SavedSketches, Sketches};

/// Numbers of a column that are taken in together.
const CHUNK: usize = 64;
/// Columns of rows that are taken in together: as many as a cache line has numbers, which is read once for all of them.
const BLOCK: usize = 8;

/// What is known of all columns of some examples: counts by cell, sums and sketches, of a fixed size.
///
/// Profiles of one layout are [merged](Self::merge) in any order. A value costs a look into a table and some sums.
#[derive(Clone, Debug)]
pub struct Profile {
    pub(super) rows: u64,
    pub(super) sums: Box<[Sums]>,
    pub(super) cells: Box<[u64]>,
    pub(super) sketches: Box<[Sketches]>,
    /// Where rows count by their weights: the sums of the squares of those of each column, and last of all rows.
    pub(super) weights: Option<Box<[f64]>>,
}

/// One column of a profile.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its counts and sums.
    pub sums: &'a Sums,
    /// Its values by cell.
    pub cells: &'a [u64],
    sketches: Option<&'a Sketches>,
}

/// A profile in documents, without its layout.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedProfile {
    pub(super) rows: u64,
    pub(super) columns: Vec<SavedSums>,
}

/// One column of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedSums {
    /// Counts by cell, as `index, count` of those that are not 0.
    pub(super) cells: Vec<(usize, u64)>,
    #[serde(default, skip_serializing_if = "is_0")]
    pub(super) missing: u64,
    #[serde(default, skip_serializing_if = "is_0")]
    pub(super) nan: u64,
    #[serde(default, skip_serializing_if = "is_0")]
    pub(super) infinite: u64,
    /// Count, sum, sum of squares, least and largest; nothing where there are no numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sums: Option<(u64, f64, f64, f64, f64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sketches: Option<SavedSketches>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's way to ask
fn is_0(count: &u64) -> bool {
    *count == 0
}

impl Seen<'_> {
    /// Values that are there: neither missing nor NaN.
    #[must_use]
    pub fn present(&self) -> u64 {
        self.cells.iter().sum()
    }

    /// All rows in which it was looked at.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.present() + self.sums.missing + self.sums.nan
    }

    /// About how many different values there are; nothing of floats.
    #[must_use]
    pub fn distinct(&self) -> Option<u64> {
        self.sketches.map(Sketches::distinct)
    }

    /// Texts that are not known, with how often they were there at least; none where they must not be kept.
    #[must_use]
    pub fn unknown(&self) -> Vec<(String, u64)> {
        self.sketches.map(Sketches::unknown).unwrap_or_default()
    }
}

impl Profile {
    /// One of nothing.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        Self {
            rows: 0,
            sums: vec![Sums::default(); layout.columns().len()].into(),
            cells: vec![0; layout.cells()].into(),
            sketches: vec![Sketches::default(); layout.sketches()].into(),
            weights: None,
        }
    }

    /// How many rows it is of.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn set_rows(&mut self, rows: u64) {
        self.rows = rows;
    }

    /// One of its columns.
    ///
    /// # Panics
    /// Never of a column of its own layout.
    #[must_use]
    pub fn column(&self, layout: &Layout, at: usize) -> Seen<'_> {
        let of = &layout.columns()[at];
        Seen {
            sums: &self.sums[at],
            cells: &self.cells[of.first..of.first + of.frame.cells()],
            sketches: of.sketches.map(|place| &self.sketches[place]),
        }
    }

    /// Takes in rows.
    pub fn add(&mut self, layout: &Layout, example: &Example<'_>) {
        self.rows += example.rows;
        for group in layout.tensors() {
            let columns = group.from..group.to;
            match example.values(group) {
                Values::Unasked => {}
                Values::Missing => columns.for_each(|at| self.sums[at].missing += example.rows),
                Values::Numbers(elements) => {
                    for at in columns {
                        let (first, stride) = layout.columns()[at].column.stride();
                        let rows = 0..example.rows as usize;
                        self.add_numbers(layout, at, rows.map(|row| elements.get(first + row * stride)));
                    }
                }
                Values::Texts(tensor) => {
                    columns.for_each(|at| self.add_texts(layout, at, tensor, example.rows));
                }
            }
        }
    }

    /// Takes in numbers of one column; what is [`MISSING`] or [`UNASKED`] is none.
    #[inline]
    pub(super) fn add_numbers(&mut self, layout: &Layout, at: usize, numbers: impl Iterator<Item = f64>) {
        let mut numbers = numbers;
        let mut chunk = [0.0; CHUNK];
        loop {
            let mut count = 0;
            for (to, number) in chunk.iter_mut().zip(&mut numbers) {
                *to = number;
                count += 1;
            }
            self.add_chunk(layout, at, &chunk[..count]);
            if count < CHUNK {
                return;
            }
        }
    }

    fn add_chunk(&mut self, layout: &Layout, at: usize, numbers: &[f64]) {
        let of = &layout.columns()[at];
        let Frame::Grid(grid) = &of.frame else { return };
        let cells = &mut self.cells[of.first..of.first + grid.cells()];
        if !self.sums[at].push_all(numbers, grid, cells) {
            return self.add_weighted(layout, at, numbers.iter().map(|number| (*number, 1)));
        }
        if let Some(place) = of.sketches {
            numbers.iter().for_each(|number| self.sketches[place].number(*number));
        }
    }

    /// Takes in numbers of one column, each with how many times it counts.
    #[inline]
    pub(super) fn add_weighted(
        &mut self,
        layout: &Layout,
        at: usize,
        numbers: impl Iterator<Item = (f64, u64)>,
    ) {
        let of = &layout.columns()[at];
        let Frame::Grid(grid) = &of.frame else { return };
        let cells = &mut self.cells[of.first..of.first + grid.cells()];
        let mut sketches = of.sketches.map(|place| &mut self.sketches[place]);
        // Kept at hand while there are many.
        let mut sums = self.sums[at];
        for (number, weight) in numbers {
            if number.is_nan() {
                match number.to_bits() {
                    MISSING => sums.missing += weight,
                    UNASKED => {}
                    _ => sums.nan += weight,
                }
                continue;
            }
            sums.push(number, weight, grid, cells);
            if let Some(sketches) = &mut sketches {
                sketches.number(number);
            }
        }
        self.sums[at] = sums;
    }

    /// Takes in rows whose numbers stand one after the other, as those of [`Example::numbers`]; they count as rows, and
    /// their texts are taken in already.
    pub(super) fn add_rows(&mut self, layout: &Layout, numbers: &[f64], rows: u64) {
        self.rows += rows;
        let (rows, width) = (rows as usize, layout.columns().len());
        let mut block = [[0.0; CHUNK]; BLOCK];
        for first in (0..width).step_by(BLOCK) {
            let last = width.min(first + BLOCK);
            for from in (0..rows).step_by(CHUNK) {
                let count = CHUNK.min(rows - from);
                for row in 0..count {
                    let of_row = &numbers[(from + row) * width..][first..last];
                    block.iter_mut().zip(of_row).for_each(|(column, number)| column[row] = *number);
                }
                for (at, column) in (first..last).zip(&block) {
                    self.add_chunk(layout, at, &column[..count]);
                }
            }
        }
    }

    /// Takes in the texts of rows that are counted by [`add_rows`](Self::add_rows).
    pub(super) fn add_texts_alone(&mut self, layout: &Layout, example: &Example<'_>) {
        for group in layout.tensors().iter().filter(|group| group.is_texts) {
            match example.values(group) {
                Values::Texts(tensor) => {
                    (group.from..group.to).for_each(|at| self.add_texts(layout, at, tensor, example.rows));
                }
                Values::Missing | Values::Numbers(_) => {
                    (group.from..group.to).for_each(|at| self.sums[at].missing += example.rows);
                }
                Values::Unasked => {}
            }
        }
    }

    fn add_texts(&mut self, layout: &Layout, at: usize, tensor: &Tensor, rows: u64) {
        let of = &layout.columns()[at];
        let (first, stride) = of.column.stride();
        let view = ColumnView { tensor, first, stride, rows: rows as usize };
        for text in view.texts().into_iter().flatten() {
            self.add_text(layout, at, text, 1);
        }
    }

    /// Takes in a text of one column, and how many times it counts; an empty one is none.
    pub(super) fn add_text(&mut self, layout: &Layout, at: usize, text: &[u8], weight: u64) {
        let of = &layout.columns()[at];
        let Frame::Categories(categories) = &of.frame else { return };
        if text.is_empty() {
            self.sums[at].missing += weight;
            return;
        }
        let cell = categories.cell(text);
        self.cells[of.first + cell] += weight;
        if let Some(place) = of.sketches {
            self.sketches[place].text(text, of.names_texts && cell + 1 == categories.cells());
        }
    }

    /// Takes in another profile of the same layout, whose rows count in the same way.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        if let (Some(mine), Some(theirs)) = (&mut self.weights, &other.weights) {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
        self.sums.iter_mut().zip(&other.sums).for_each(|(mine, theirs)| mine.merge(theirs));
        self.cells.iter_mut().zip(&other.cells).for_each(|(mine, theirs)| *mine += theirs);
        self.sketches.iter_mut().zip(&other.sketches).for_each(|(mine, theirs)| mine.merge(theirs));
    }

    pub(super) fn saved(&self, layout: &Layout) -> SavedProfile {
        let columns = (0..layout.columns().len()).map(|at| self.column(layout, at).saved());
        SavedProfile { rows: self.rows, columns: columns.collect() }
    }

    /// The profile of a document.
    ///
    /// # Errors
    /// Where it is none of this layout.
    pub(super) fn restore(layout: &Layout, saved: &SavedProfile) -> Result<Self, String> {
        if saved.columns.len() != layout.columns().len() {
            return Err(format!("{} columns, not {}", saved.columns.len(), layout.columns().len()));
        }
        let mut profile = Self::new(layout);
        profile.rows = saved.rows;
        for (at, (of, saved)) in layout.columns().iter().zip(&saved.columns).enumerate() {
            profile.restore_column(at, of, saved).map_err(|e| format!("column {}: {e}", of.column.name))?;
        }
        Ok(profile)
    }

    /// Takes over what is known of one column.
    pub(super) fn restore_column(
        &mut self,
        at: usize,
        of: &LaidOut,
        saved: &SavedSums,
    ) -> Result<(), String> {
        let cells = &mut self.cells[of.first..of.first + of.frame.cells()];
        for (cell, count) in &saved.cells {
            *cells.get_mut(*cell).ok_or_else(|| format!("it has no cell {cell}"))? = *count;
        }
        let (summed, sum, squares, min, max) = saved.sums.unwrap_or_default();
        let SavedSums { missing, nan, infinite, .. } = *saved;
        self.sums[at] = Sums { missing, nan, infinite, summed, sum, squares, min, max };
        let counts = cells.iter().chain([&missing, &nan, &infinite]);
        counts.copied().try_fold(0_u64, u64::checked_add).ok_or("its counts are too large")?;
        if let (Some(place), Some(sketches)) = (of.sketches, &saved.sketches) {
            self.sketches[place] = Sketches::restore(sketches)?;
        }
        Ok(())
    }
}

impl Seen<'_> {
    pub(super) fn saved(&self) -> SavedSums {
        let Sums { missing, nan, infinite, summed, sum, squares, min, max } = *self.sums;
        SavedSums {
            cells: self.cells.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect(),
            missing,
            nan,
            infinite,
            sums: (summed > 0).then_some((summed, sum, squares, min, max)),
            sketches: self.sketches.map(Sketches::saved),
        }
    }
}
