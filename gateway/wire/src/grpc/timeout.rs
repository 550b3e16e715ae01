//! The `grpc-timeout` header.

use std::time::Duration;

/// The most digits that the value may have.
const DIGITS_MAX: usize = 8;

/// Reads a `grpc-timeout` header (`1S`, `100m`, `5u`): up to eight digits and one unit of hours,
/// minutes, seconds, milli-, micro- or nanoseconds. Nothing where it is something else.
#[must_use]
pub fn parse_timeout(header: &str) -> Option<Duration> {
    let unit = header.chars().next_back()?;
    let digits = header.strip_suffix(unit)?;
    if !(1..=DIGITS_MAX).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(amount * 3600)),
        'M' => Some(Duration::from_secs(amount * 60)),
        'S' => Some(Duration::from_secs(amount)),
        'm' => Some(Duration::from_millis(amount)),
        'u' => Some(Duration::from_micros(amount)),
        'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_units() {
        let cases = [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("1S", Duration::from_secs(1)),
            ("100m", Duration::from_millis(100)),
            ("5u", Duration::from_micros(5)),
            ("7n", Duration::from_nanos(7)),
            ("0S", Duration::ZERO),
            ("00000001S", Duration::from_secs(1)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ];
        for (header, expected) in cases {
            assert_eq!(parse_timeout(header), Some(expected), "{header}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        let bad = [
            "",
            "S",
            "1",
            "-1S",
            "+1S",
            "1.5S",
            "1 S",
            " 1S",
            "1S ",
            "1s",
            "1h",
            "1ms",
            "123456789S",
            "0x1S",
            "1\u{df}",
            "\u{661}S",
            "\u{1f600}",
        ];
        for header in bad {
            assert_eq!(parse_timeout(header), None, "{header}");
        }
    }
}
