//! The time of day, as documents and journals have it.

use std::time::UNIX_EPOCH;

/// Milliseconds since 1970.
#[must_use]
pub(crate) fn now_ms() -> u64 {
    u64::try_from(UNIX_EPOCH.elapsed().unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
