//! Which class of the primary the shadow takes for which: a matrix of a bounded number of classes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most classes that have a row and a column of their own.
pub(crate) const CONFUSION_CLASSES_MAX: usize = 24;
/// The longest text of a class, in bytes; the rest is cut.
pub(crate) const CLASS_TEXT_MAX: usize = 64;

/// A class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// A number: that of a column, or the label itself.
    Number(i128),
    /// A label that is a text.
    Text(Arc<str>),
    /// No class at all: all scores are NaN.
    None,
    /// One of those that have no row of their own.
    Other,
}

impl Class {
    /// A text, cut at [`CLASS_TEXT_MAX`] bytes.
    pub(crate) fn text(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(CLASS_TEXT_MAX)]);
        Self::Text(text.into())
    }
}

/// How often each class met each other. The classes with rows of their own are the least of all that came, so that it
/// does not matter in which order they did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Confusion {
    classes: BTreeSet<Class>,
    counts: BTreeMap<(Class, Class), u64>,
}

impl Confusion {
    pub(crate) fn push(&mut self, primary: &Class, shadow: &Class) {
        self.add(primary, shadow, 1);
    }

    fn add(&mut self, primary: &Class, shadow: &Class, count: u64) {
        self.learn(primary);
        self.learn(shadow);
        let cell = (self.shown(primary), self.shown(shadow));
        *self.counts.entry(cell).or_default() += count;
    }

    /// Gives a class a row, where it is among the least; the greatest loses its own to the others then.
    fn learn(&mut self, class: &Class) {
        if *class == Class::Other || self.classes.contains(class) {
            return;
        }
        if self.classes.len() < CONFUSION_CLASSES_MAX {
            self.classes.insert(class.clone());
        } else if let Some(last) = self.classes.pop_last_over(class) {
            self.classes.insert(class.clone());
            self.fold(&last);
        }
    }

    fn shown(&self, class: &Class) -> Class {
        if self.classes.contains(class) { class.clone() } else { Class::Other }
    }

    /// Counts a class among the others from now on.
    fn fold(&mut self, class: &Class) {
        let cells = std::mem::take(&mut self.counts);
        for ((primary, shadow), count) in cells {
            let other = |found: Class| if found == *class { Class::Other } else { found };
            *self.counts.entry((other(primary), other(shadow))).or_default() += count;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        // Rows of their own first, so that none is given to a class that the other one has folded.
        other.classes.iter().for_each(|class| self.learn(class));
        for ((primary, shadow), count) in &other.counts {
            self.add(primary, shadow, *count);
        }
    }

    /// The classes in order, the others last where there are any.
    pub(crate) fn classes(&self) -> Vec<Class> {
        let has_others = self.counts.keys().any(|(a, b)| *a == Class::Other || *b == Class::Other);
        self.classes.iter().cloned().chain(has_others.then_some(Class::Other)).collect()
    }

    pub(crate) fn count(&self, primary: &Class, shadow: &Class) -> u64 {
        self.counts.get(&(primary.clone(), shadow.clone())).copied().unwrap_or(0)
    }
}

trait PopLastOver {
    fn pop_last_over(&mut self, class: &Class) -> Option<Class>;
}

impl PopLastOver for BTreeSet<Class> {
    /// Takes the greatest class out, where it is greater than this one.
    fn pop_last_over(&mut self, class: &Class) -> Option<Class> {
        if self.last()? > class { self.pop_last() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matrix(cells: &[(i128, i128)]) -> Confusion {
        let mut confusion = Confusion::default();
        cells.iter().for_each(|(a, b)| confusion.push(&Class::Number(*a), &Class::Number(*b)));
        confusion
    }

    fn table(confusion: &Confusion) -> Vec<(Class, Class, u64)> {
        let classes = confusion.classes();
        let cells = classes.iter().flat_map(|a| classes.iter().map(move |b| (a.clone(), b.clone())));
        cells
            .map(|(a, b)| {
                let count = confusion.count(&a, &b);
                (a, b, count)
            })
            .collect()
    }

    #[test]
    fn at_the_limit_each_class_has_a_row_and_past_it_the_greatest_have_one_together() {
        let max = CONFUSION_CLASSES_MAX as i128;
        let full = matrix(&(0..max).map(|n| (n, n)).collect::<Vec<_>>());
        assert_eq!(full.classes().len(), CONFUSION_CLASSES_MAX);
        assert!(!full.classes().contains(&Class::Other));
        let over = matrix(&(0..=max).rev().map(|n| (n, (n + 1) % (max + 1))).collect::<Vec<_>>());
        assert_eq!(over.classes().len(), CONFUSION_CLASSES_MAX + 1);
        assert_eq!(over.count(&Class::Other, &Class::Number(0)), 1);
        assert_eq!(over.count(&Class::Number(max - 1), &Class::Other), 1);
        let long = "é".repeat(CLASS_TEXT_MAX);
        assert!(matches!(Class::text(long.as_bytes()), Class::Text(text) if text.chars().count() == 32));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn order_and_parts_do_not_matter_and_nothing_is_lost(
            cells in prop::collection::vec((0_i128..60, 0_i128..60), 1..200),
            cut: prop::sample::Index,
        ) {
            let forwards = table(&matrix(&cells));
            let backwards: Vec<_> = cells.iter().rev().copied().collect();
            prop_assert_eq!(&table(&matrix(&backwards)), &forwards);
            let (left, right) = cells.split_at(cut.index(cells.len()));
            let mut merged = matrix(left);
            merged.merge(&matrix(right));
            prop_assert_eq!(&table(&merged), &forwards);
            prop_assert_eq!(forwards.iter().map(|cell| cell.2).sum::<u64>(), cells.len() as u64);
        }
    }
}
