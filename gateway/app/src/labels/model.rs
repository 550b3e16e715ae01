//! What is known of one model by its labels.

use std::time::Instant;

use pointsman_observe::quality::{Concern, Days, Pairs};

/// Its pairs and its days.
pub(super) struct Model {
    pub(super) pairs: Pairs,
    pub(super) days: Days,
    /// Whether something came since its figures were shown as metrics.
    pub(super) is_changed: bool,
    /// Before when they are not shown again, as that takes time in proportion to the pairs.
    pub(super) rests_until: Option<Instant>,
    /// What somebody should know, as of then.
    pub(super) concerns: Vec<Concern>,
}

impl Model {
    /// Nothing yet, and at most so many pairs.
    pub(super) fn new(pairs_max: usize) -> Self {
        Self {
            pairs: Pairs::new(pairs_max),
            days: Days::default(),
            is_changed: true,
            rests_until: None,
            concerns: Vec::new(),
        }
    }
}
