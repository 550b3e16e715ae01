//! A window that is open at one thread, and the rows of it that are not in its profile yet.

use pointsman_core::Arm;

use super::example::Example;
use super::layout::Layout;
use super::sample::Profile;

/// Numbers that are taken in together: those of so many rows that the cells of a column, once at hand, are used often,
/// in some tens of microseconds.
const NUMBERS_INLINE: usize = 8192;
/// From so many columns on cells do not stay at hand between two times, and rows are handed on: they are taken in where no
/// request waits for it, more of them at a time.
const COLUMNS_INLINE_MAX: usize = 32;
/// Numbers that are handed on together.
const NUMBERS_HANDED: usize = 32_768;
/// The least and the most of rows that are taken in together.
const ROWS: [usize; 2] = [16, 1024];
/// And of those that are not handed on.
const ROWS_INLINE_MAX: usize = 256;

/// Of what the rows of a window are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Of {
    /// The arm.
    pub(super) arm: Arm,
    /// When its time begins.
    pub(super) window: i64,
}

/// A window that is open at a thread.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) of: Of,
    /// When its first row is from.
    pub(super) first: u64,
    pub(super) profile: Profile,
    /// The numbers of rows that are to be taken in together, row by row. The cells of a column are then at hand for all
    /// of them: one by one, each value would wait for memory.
    waiting: Vec<f64>,
    rows: u64,
    batch: Batch,
}

/// How rows are taken in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    /// So many at a time.
    rows_max: u64,
    /// By whoever has time for it.
    is_handed: bool,
}

/// Rows that somebody else is to take in.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) of: Of,
    pub(super) first: u64,
    pub(super) numbers: Vec<f64>,
    pub(super) rows: u64,
}

impl Batch {
    /// For the rows of a layout. Those with texts are not handed on, as texts count on the thread that has them; nor are
    /// those of windows that end with a number of rows, which have to be counted where they come.
    pub(super) fn of(layout: &Layout, counts_rows: bool) -> Self {
        let columns = layout.columns().len();
        let has_texts = layout.tensors().iter().any(|group| group.is_texts);
        let is_handed = columns > COLUMNS_INLINE_MAX && !has_texts && !counts_rows;
        let (numbers, [least, most]) =
            if is_handed { (NUMBERS_HANDED, ROWS) } else { (NUMBERS_INLINE, [ROWS[0], ROWS_INLINE_MAX]) };
        Self { rows_max: (numbers / columns.max(1)).clamp(least, most) as u64, is_handed }
    }
}

impl Open {
    /// One without rows.
    pub(super) fn new(of: Of, first: u64, layout: &Layout, batch: Batch) -> Self {
        Self { of, first, profile: Profile::new(layout), waiting: Vec::new(), rows: 0, batch }
    }

    /// Its rows, those among them that wait.
    pub(super) fn rows(&self) -> u64 {
        self.profile.rows() + self.rows
    }

    /// Adds rows. `hand` is given rows that somebody else is to take in, and gives an empty vector for the next ones, or
    /// the rows back.
    pub(super) fn add(
        &mut self,
        layout: &Layout,
        example: &Example<'_>,
        hand: impl FnOnce(Handed) -> Result<Vec<f64>, Vec<f64>>,
    ) {
        if example.rows > self.batch.rows_max {
            return self.profile.add(layout, example);
        }
        if self.rows + example.rows > self.batch.rows_max {
            if self.batch.is_handed {
                self.hand_on(layout, hand);
            } else {
                self.take_in(layout);
            }
        }
        if self.waiting.capacity() == 0 {
            self.waiting.reserve_exact(self.batch.rows_max as usize * layout.columns().len());
        }
        example.numbers(layout, &mut self.waiting);
        self.profile.add_texts_alone(layout, example);
        self.rows += example.rows;
    }

    fn hand_on(&mut self, layout: &Layout, hand: impl FnOnce(Handed) -> Result<Vec<f64>, Vec<f64>>) {
        let numbers = std::mem::take(&mut self.waiting);
        let handed = Handed { of: self.of.clone(), first: self.first, numbers, rows: self.rows };
        match hand(handed) {
            Ok(empty) => (self.waiting, self.rows) = (empty, 0),
            Err(numbers) => {
                self.waiting = numbers;
                self.take_in(layout);
            }
        }
    }

    /// Takes in the rows that wait.
    pub(super) fn take_in(&mut self, layout: &Layout) {
        self.profile.add_rows(layout, &self.waiting, self.rows);
        self.waiting.clear();
        self.rows = 0;
    }
}
