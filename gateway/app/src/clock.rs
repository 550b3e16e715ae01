//! The time of day, as documents and journals have it.

use std::time::UNIX_EPOCH;

/// Milliseconds since 1970.
#[must_use]
pub(crate) fn now_ms() -> u64 {
    u64::try_from(UNIX_EPOCH.elapsed().unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970 of a time of RFC 3339 in UTC, or of the beginning of a day.
pub(crate) fn second(text: &str) -> Option<u64> {
    let time =
        humantime::parse_rfc3339(text).or_else(|_| humantime::parse_rfc3339(&format!("{text}T00:00:00Z")));
    time.ok()?.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}
