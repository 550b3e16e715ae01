//! Times as cards and configuration write them: a whole number with its unit.

use std::time::Duration;

/// The units, the finest first.
const UNITS: [(&str, Duration); 6] = [
    ("us", Duration::from_micros(1)),
    ("ms", Duration::from_millis(1)),
    ("s", Duration::from_secs(1)),
    ("m", Duration::from_secs(60)),
    ("h", Duration::from_secs(3600)),
    ("d", Duration::from_secs(24 * 3600)),
];

/// The longest time that can be written: moments that far ahead can still be counted with.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Reads a time such as `500us`, `250ms`, `5s`, `2m`, `12h` or `7d`, of a year at most; nothing where the text is something else.
#[must_use]
pub fn read_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let time = unit.checked_mul(number.parse().ok()?)?;
    Some(time).filter(|time| *time <= LONGEST)
}

/// Writes a time in the coarsest unit of which it is a whole number.
#[must_use]
pub fn show_duration(time: Duration) -> String {
    let whole = |unit: Duration| time.as_micros().is_multiple_of(unit.as_micros());
    let minutes_of_nothing = |name: &str| time.is_zero() && name != "s";
    let unit = UNITS.iter().rev().find(|(name, unit)| whole(*unit) && !minutes_of_nothing(name));
    let (name, unit) = unit.unwrap_or(&UNITS[0]);
    format!("{}{name}", time.as_micros() / unit.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (text, micros) in [
            ("0s", 0),
            ("500us", 500),
            ("250ms", 250_000),
            ("5s", 5_000_000),
            ("2m", 120_000_000),
            ("12h", 43_200_000_000),
            ("7d", 604_800_000_000),
        ] {
            let time = Duration::from_micros(micros);
            assert_eq!((read_duration(text), show_duration(time).as_str()), (Some(time), text));
        }
        assert_eq!(
            (read_duration("60s"), show_duration(Duration::from_secs(60))),
            (Some(LONGEST / 527_040), "1m".into())
        );
        assert_eq!(read_duration("0ms"), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in
            ["", "5", "s", "-1s", "1.5s", "1w", "1 s", "367d", "999999999m", "99999999999999999999s", "1e9s"]
        {
            assert_eq!(read_duration(text), None, "{text:?}");
        }
    }
}
