//! What became of one request, and when.

use std::time::Duration;

use crate::call::Verdict;

/// One request that has ended. All times are of the part's clock.
#[derive(Debug)]
pub(crate) struct Record {
    /// The place of its stream.
    pub(crate) stream: usize,
    /// When it was to leave.
    pub(crate) due: Duration,
    /// When the generator took it up: later than due where the generator lags.
    pub(crate) fired: Duration,
    /// When it was sent: later than that where it waited for a connection.
    pub(crate) sent: Duration,
    /// When its answer was there whole, or was given up.
    pub(crate) ended: Duration,
    /// What came.
    pub(crate) verdict: Verdict,
}
