//! The pairs that are furthest apart, by the id of their request.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use pointsman_core::RequestId;

/// The most examples that are kept of each kind.
pub(crate) const EXAMPLES_MAX: usize = 10;

/// One pair that is worth a look.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) id: RequestId,
    /// The output that is furthest apart; nothing where one side gave none at all.
    pub(crate) output: Option<Arc<str>>,
    /// Whether the two do not agree, and not only differ.
    pub(crate) disagrees: bool,
    pub(crate) differing: u64,
    pub(crate) max_abs: f64,
}

impl Ord for Example {
    /// From bad to worse: disagreement first, then the largest difference, then how much differs.
    fn cmp(&self, other: &Self) -> Ordering {
        let differ = self.disagrees.cmp(&other.disagrees).then(self.max_abs.total_cmp(&other.max_abs));
        differ.then(self.differing.cmp(&other.differing)).then(self.id.bytes().cmp(&other.id.bytes()))
    }
}

impl PartialOrd for Example {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Example {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Example {}

/// The worst of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Examples(BTreeSet<Example>);

impl Examples {
    /// Whether an example would be kept, so that it need not be made where it would not.
    pub(crate) fn push(&mut self, example: Example) {
        if self.0.len() >= EXAMPLES_MAX && self.0.first().is_some_and(|least| example <= *least) {
            return;
        }
        self.0.insert(example);
        if self.0.len() > EXAMPLES_MAX {
            self.0.pop_first();
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|example| self.push(example.clone()));
    }

    /// The worst first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Example> {
        self.0.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_are_kept_in_any_order_and_no_more() {
        let example = |n: u64| Example {
            id: RequestId::generate(),
            output: None,
            disagrees: n.is_multiple_of(7),
            differing: n,
            max_abs: (n / 2) as f64,
        };
        let all: Vec<Example> = (1..=100).map(example).collect();
        let kept = |order: &mut dyn Iterator<Item = &Example>| {
            let mut examples = Examples::default();
            order.for_each(|example| examples.push(example.clone()));
            examples.iter().map(|example| example.differing).collect::<Vec<_>>()
        };
        let worst = [98, 91, 84, 77, 70, 63, 56, 49, 42, 35];
        assert_eq!(kept(&mut all.iter()), worst);
        assert_eq!(kept(&mut all.iter().rev()), worst);
        assert_eq!(kept(&mut all[..EXAMPLES_MAX].iter()).len(), EXAMPLES_MAX);
    }
}
