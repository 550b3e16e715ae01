//! The joined pairs of a model.

use std::collections::HashMap;
use std::sync::Arc;

use pointsman_core::RequestId;
use pointsman_stats::Inclusion;

use crate::labels::{Joined, spread};

/// Tells which of the halvings an id outlives; another one than that of the joiner, so that both are independent.
const SALT: u64 = 0x706d_2d71_7561_2d31;
/// Halvings after which nothing more is let go.
const LEVEL_MAX: u32 = 30;

/// Pairs of predictions and labels, each once. Past the bound a half of the requests is kept, a quarter and so on: by
/// their ids alone, with the predictions of all versions together, so that versions stay comparable.
///
/// A clone shares the pairs, so that figures can be made of it while more come.
#[derive(Clone, Debug)]
pub struct Pairs {
    max: usize,
    level: u32,
    /// Those of each row, of one version after the other.
    kept: HashMap<(RequestId, u32), Vec<Arc<Joined>>>,
    count: usize,
}

impl Pairs {
    /// None yet, and at most so many.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max: max.max(1), level: 0, kept: HashMap::new(), count: 0 }
    }

    /// Takes in a pair, in the place of the one of the same row and version.
    pub fn push(&mut self, joined: Joined) {
        if !self.outlives(joined.id) {
            return;
        }
        let of_row = self.kept.entry((joined.id, joined.row)).or_default();
        match of_row.iter_mut().find(|known| known.source.version == joined.source.version) {
            Some(known) => *known = Arc::new(joined),
            None => {
                of_row.push(Arc::new(joined));
                self.count += 1;
            }
        }
        while self.count > self.max && self.level < LEVEL_MAX {
            self.level += 1;
            let level = self.level;
            self.kept.retain(|(id, _), _| spread(*id, SALT).trailing_zeros() >= level);
            self.count = self.kept.values().map(Vec::len).sum();
        }
    }

    /// Those of a row: of the version that answered first.
    #[must_use]
    pub fn of_row(&self, id: RequestId, row: u32) -> &[Arc<Joined>] {
        self.kept.get(&(id, row)).map_or(&[], Vec::as_slice)
    }

    /// Whether one of the first rows of a request is among them; nothing where that cannot be told, as the request is one
    /// that is left out.
    #[must_use]
    pub fn has_request(&self, id: RequestId, rows: u32) -> Option<bool> {
        self.outlives(id).then(|| (0..rows).any(|row| self.kept.contains_key(&(id, row))))
    }

    fn outlives(&self, id: RequestId) -> bool {
        spread(id, SALT).trailing_zeros() >= self.level
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// All pairs, each with the probability that it is among them, in the order of time and ids: so that sums over them
    /// are the same however they came.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&Joined, Inclusion)> {
        let sampled = Inclusion::new(0.5_f64.powi(self.level.cast_signed())).unwrap_or(Inclusion::ALL);
        let mut all: Vec<_> =
            self.kept.values().flatten().map(|joined| (&**joined, joined.included.and(sampled))).collect();
        all.sort_by_key(|(joined, _)| (joined.at_ms, joined.id.bytes(), joined.row, joined.source.version));
        all
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::Answer;

    use super::*;
    use crate::labels::{Label, Source};

    fn joined(id: RequestId, version: u64, label: u32) -> Joined {
        let (model, slices) = ("m".into(), Arc::new([]));
        let source = Source { model, version, is_shadow: version > 1, names: None, classes: Some(2), slices };
        Joined {
            id,
            row: 0,
            at_ms: 1,
            label_at_ms: 2,
            included: Inclusion::ALL,
            from_log: false,
            source: Arc::new(source),
            arm: "default".into(),
            answer: Answer::Class { class: 1, scores: [0.6].into() },
            label: Label::Class(label),
            slices: [].into(),
        }
    }

    #[test]
    fn a_pair_counts_once_by_what_was_said_last() {
        let mut pairs = Pairs::new(100);
        let id = RequestId::generate();
        pairs.push(joined(id, 1, 0));
        pairs.push(joined(id, 1, 1));
        pairs.push(joined(id, 2, 1));
        assert_eq!(pairs.len(), 2);
        assert!(pairs.sorted().iter().all(|(joined, _)| joined.label == Label::Class(1)));
    }

    #[test]
    fn past_the_bound_a_sample_stands_for_all_with_all_versions_of_a_request() {
        let mut pairs = Pairs::new(1000);
        for _ in 0..5000 {
            let id = RequestId::generate();
            pairs.push(joined(id, 1, 1));
            pairs.push(joined(id, 2, 1));
        }
        let all = pairs.sorted();
        assert!((300..=1000).contains(&all.len()), "{}", all.len());
        let total: f64 = all.iter().map(|(_, included)| included.weight()).sum();
        assert!((8_000.0..12_000.0).contains(&total), "{total}");
        let of = |version| all.iter().filter(move |(joined, _)| joined.source.version == version);
        assert!(of(1).count().abs_diff(of(2).count()) <= 1);
    }
}
