//! When a notice is tried again.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// The bounds of waits between tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// After the first try.
    pub(crate) min: Duration,
    /// However many failed, and whatever a receiver asks for.
    pub(crate) max: Duration,
}

impl Backoff {
    /// How long to wait after so many failed tries: twice as long after each, of which up to a half at random is left
    /// out, and not less than the receiver asked for.
    ///
    /// `jitter` is from 0 to 1.
    pub(super) fn wait(self, failed: u32, asked: Option<Duration>, jitter: f64) -> Duration {
        let doublings = failed.saturating_sub(1).min(31);
        let whole = self.min.saturating_mul(1 << doublings).min(self.max);
        whole.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0).max(asked.unwrap_or_default().min(self.max))
    }
}

/// What an answer's `Retry-After` says, in seconds or as a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    httpdate::parse_http_date(text).ok()?.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const BACKOFF: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(300) };

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<u64> = (1..=11).map(|failed| BACKOFF.wait(failed, None, 0.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(BACKOFF.wait(3, None, 1.0), Duration::from_secs(2));
        assert_eq!(BACKOFF.wait(u32::MAX, None, 0.5), Duration::from_secs(225));
    }

    #[test]
    fn a_receiver_is_heard_up_to_the_longest() {
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(BACKOFF.wait(1, asked(20), 0.5), Duration::from_secs(20));
        assert_eq!(BACKOFF.wait(1, asked(0), 0.0), Duration::from_secs(1));
        assert_eq!(BACKOFF.wait(1, asked(u64::MAX), 0.5), BACKOFF.max);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // The date of RFC 9110's example.
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().expect("a header"));
            retry_after(&headers, now)
        };
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(60)));
        for none in ["", "-1", "soon", "Sun, 06 Nov 1993 08:49:37 GMT"] {
            assert_eq!(read(none), None, "{none}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
