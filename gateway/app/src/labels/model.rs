//! What is known of one model by its labels.

use pointsman_observe::quality::{Days, Pairs};

/// Its pairs and its days.
pub(super) struct Model {
    pub(super) pairs: Pairs,
    pub(super) days: Days,
    /// Whether something came since its figures were shown as metrics.
    pub(super) is_changed: bool,
}
