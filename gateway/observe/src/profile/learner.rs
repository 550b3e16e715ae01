//! Finds the cells of a version's columns from examples, in one pass over them.

use datasketches::common::SearchCriteria;
use datasketches::frequencies::{ErrorType, FrequentItemsSketch};
use datasketches::kll::{KllFloat, KllSketch};
use pointsman_core::{Column, ColumnKind, ColumnView, Columns, Schema, Signature};

use super::categories::{CATEGORIES_MAX, CATEGORY_BYTES_MAX, Categories};
use super::example::{Example, Values};
use super::grid::{Grid, Wanted, counted};
use super::layout::{Frame, Layout, said};

/// Quantiles are found to about one part in a thousand.
const QUANTILES_K: u16 = 2048;
/// Up to so many numbers of a column are kept as they are.
const EXACT_MAX: usize = 65_536;
/// So many quantiles are taken of more.
const QUANTILES: u64 = 4096;
/// Texts that are told apart on the way.
const TEXTS_MAX: usize = 2048;

/// The numbers or texts of each column, in sketches of bounded size.
pub struct Learner {
    /// Columns with no cells: it says where values are.
    bare: Layout,
    columns: Vec<Learnt>,
    /// Whether texts that no schema names may be kept.
    keeps_texts: bool,
}

enum Learnt {
    /// While there are few, as they are: what is made of them is the same each time.
    Few(Vec<f64>),
    Numbers(Box<KllSketch<KllFloat<f64>>>),
    Texts(FrequentItemsSketch<String>),
}

impl Learner {
    /// One that has seen nothing. `keeps_texts` says that texts become categories also where no schema lets them be
    /// kept: those of training data are, those of callers are not.
    #[must_use]
    pub fn new(signature: &Signature, schema: Option<&Schema>, keeps_texts: bool) -> Self {
        let bare = Layout::new(signature, schema, |_, column| Frame::unknown(column.kind, None));
        let columns = Columns::of(signature).all().iter().map(|column| Learnt::of(column.kind)).collect();
        Self { bare, columns, keeps_texts }
    }

    /// Takes in rows.
    pub fn add(&mut self, example: &Example<'_>) {
        for group in self.bare.tensors() {
            for at in group.from..group.to {
                let (first, stride) = self.bare.columns()[at].column.stride();
                let rows = example.rows as usize;
                match (example.values(group), &mut self.columns[at]) {
                    (Values::Numbers(elements), learnt) => {
                        let numbers = (0..rows).map(|row| elements.get(first + row * stride));
                        numbers.filter(|number| number.is_finite()).for_each(|number| learnt.push(number));
                    }
                    (Values::Texts(tensor), Learnt::Texts(sketch)) => {
                        let view = ColumnView { tensor, first, stride, rows };
                        for text in view.texts().into_iter().flatten() {
                            let text = std::str::from_utf8(text).ok();
                            let fits = |text: &&str| !text.is_empty() && text.len() <= CATEGORY_BYTES_MAX;
                            if let Some(text) = text.filter(fits) {
                                sketch.update(text.to_owned());
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Takes in a finite number of one column.
    pub(super) fn number(&mut self, at: usize, number: f64) {
        self.columns[at].push(number);
    }

    /// Takes in a text of one column that can be a category.
    pub(super) fn text(&mut self, at: usize, text: &str) {
        if let Learnt::Texts(sketch) = &mut self.columns[at] {
            sketch.update(text.to_owned());
        }
    }

    /// The layout for examples like those that it was shown.
    #[must_use]
    pub fn layout(&self, signature: &Signature, schema: Option<&Schema>) -> Layout {
        Layout::new(signature, schema, |at, column| self.frame(at, column, schema))
    }

    /// The frame of one column.
    pub(super) fn frame(&self, at: usize, column: &Column, schema: Option<&Schema>) -> Frame {
        let said = said(schema, column);
        match &self.columns[at] {
            numbers @ (Learnt::Few(_) | Learnt::Numbers(_)) => {
                let wanted = Wanted {
                    bins: said.and_then(|said| said.bins.as_deref()),
                    min: said.and_then(|said| said.min),
                    max: said.and_then(|said| said.max),
                };
                Frame::Grid(Grid::learn(&numbers.counted(), wanted))
            }
            Learnt::Texts(sketch) => {
                let values = said.and_then(|said| said.values.clone());
                let mut names: Vec<String> =
                    values.iter().flat_map(|values| values.iter().cloned()).collect();
                if self.keeps_texts || self.bare.columns()[at].names_texts {
                    let mut rows = sketch.frequent_items(ErrorType::NoFalseNegatives);
                    rows.sort_unstable_by(|a, b| {
                        b.estimate().cmp(&a.estimate()).then_with(|| a.item().cmp(b.item()))
                    });
                    names.extend(rows.iter().take(CATEGORIES_MAX).map(|row| row.item().clone()));
                }
                Frame::Categories(Categories::new(names))
            }
        }
    }
}

impl Learnt {
    #[allow(clippy::expect_used)]
    fn of(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::String => {
                Self::Texts(FrequentItemsSketch::new(TEXTS_MAX).expect("a power of two is allowed"))
            }
            _ => Self::Few(Vec::new()),
        }
    }

    #[allow(clippy::expect_used)]
    fn push(&mut self, number: f64) {
        match self {
            Self::Few(numbers) if numbers.len() < EXACT_MAX => numbers.push(number),
            Self::Few(numbers) => {
                let mut sketch = KllSketch::new(QUANTILES_K).expect("from 8 to 65535 is allowed");
                let all = numbers.drain(..).chain([number]);
                all.filter_map(|x| KllFloat::<f64>::new(x).ok()).for_each(|x| sketch.update(x));
                *self = Self::Numbers(Box::new(sketch));
            }
            Self::Numbers(sketch) => {
                if let Ok(number) = KllFloat::<f64>::new(number) {
                    sketch.update(number);
                }
            }
            Self::Texts(_) => {}
        }
    }

    /// The numbers, ascending, each with how many there are; of very many, quantiles.
    fn counted(&self) -> Vec<(f64, u64)> {
        counted(match self {
            Self::Few(numbers) => numbers.clone(),
            Self::Numbers(sketch) => {
                let view = sketch.sorted_view();
                let ranks = (0..QUANTILES).map(|i| (i as f64 + 0.5) / QUANTILES as f64);
                let inner =
                    ranks.filter_map(|rank| view.quantile(rank, SearchCriteria::Inclusive).ok().flatten());
                let ends = [sketch.min_item().copied(), sketch.max_item().copied()].into_iter().flatten();
                inner.chain(ends).map(KllFloat::into_inner).collect()
            }
            Self::Texts(_) => Vec::new(),
        })
    }
}
