//! What became of one request, and when.

use std::time::Duration;

use crate::client::Protocol;
use crate::references::Verdict;

/// One request that has ended. All times are of the run's clock.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// How it was sent.
    pub(super) protocol: Protocol,
    /// Which input it asked about.
    pub(super) input: usize,
    /// When it was to leave.
    pub(super) due: Duration,
    /// When the generator took it up: later than due where the generator lags.
    pub(super) fired: Duration,
    /// When it was sent: later than that where it waited for a connection.
    pub(super) sent: Duration,
    /// When its answer was there whole, or was given up.
    pub(super) ended: Duration,
    /// What came.
    pub(super) verdict: Verdict,
}
