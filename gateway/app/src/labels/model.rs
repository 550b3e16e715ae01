//! What is known of one model by its labels.

use pointsman_observe::quality::{Concern, Days, Pairs};

/// Its pairs and its days.
pub(super) struct Model {
    pub(super) pairs: Pairs,
    pub(super) days: Days,
    /// Whether something came since its figures were shown as metrics.
    pub(super) is_changed: bool,
    /// What somebody should know, as of then.
    pub(super) concerns: Vec<Concern>,
}
