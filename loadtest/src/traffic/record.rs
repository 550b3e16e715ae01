//! What became of one request, and when.

use std::time::Duration;

use crate::client::Protocol;
use crate::references::Verdict;

/// One request that has ended. All times are of the run's clock.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// How it was sent.
    pub(crate) protocol: Protocol,
    /// Which input it asked about.
    pub(crate) input: usize,
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
