//! Numbers and names as people read them: three digits and a unit, and nothing that is no number.

/// What stands where there is no number.
pub(crate) const NONE: &str = "-";

/// The most characters of a name that are shown: names come from outside.
const NAME_CHARS_MAX: usize = 120;

/// The most characters of a sentence or a command that are shown.
const TEXT_CHARS_MAX: usize = 2_000;

/// A time in microseconds.
pub(crate) fn time(us: f64) -> String {
    // The bounds are where three digits would be rounded up to four.
    match us.abs() {
        size if !size.is_finite() => NONE.into(),
        size if size < 999.5 => format!("{} us", digits(us)),
        size if size < 999.5e3 => format!("{} ms", digits(us / 1e3)),
        _ => format!("{} s", digits(us / 1e6)),
    }
}

/// A time in microseconds that there may be none of.
pub(crate) fn time_or_none(us: Option<f64>) -> String {
    us.map_or(NONE.into(), time)
}

/// A number per second.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second.is_finite() { format!("{}/s", digits(per_second)) } else { NONE.into() }
}

/// A count, in groups of three digits.
pub(crate) fn count(count: u64) -> String {
    grouped(&count.to_string())
}

/// A part of a whole, in percent.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 { NONE.into() } else { format!("{} %", digits(100.0 * part as f64 / whole as f64)) }
}

/// A number in the unit of a figure.
pub(crate) fn figure(value: f64, unit: &str) -> String {
    match unit {
        _ if !value.is_finite() => NONE.into(),
        "us" => time(value),
        "/s" => rate(value),
        // Near one, the third digit after the point tells whether there is a difference.
        "ratio" if (0.1..10.0).contains(&value) => trimmed(&format!("{value:.3}")).into(),
        "" | "ratio" => digits(value),
        other => format!("{} {}", digits(value), name(other)),
    }
}

/// A number of seconds, as on a clock: "45 s", "2 min", "1 h 30 min".
pub(crate) fn clock(seconds: f64) -> String {
    if !seconds.is_finite() {
        return NONE.into();
    }
    if seconds < 60.0 {
        return format!("{} s", digits(seconds));
    }
    let whole = seconds.round() as u64;
    let parts = [(whole / 3600, "h"), (whole / 60 % 60, "min"), (whole % 60, "s")];
    let shown = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n} {unit}"));
    shown.collect::<Vec<_>>().join(" ")
}

/// A name from outside on one line: no control characters, and not longer than fits.
pub(crate) fn name(name: &str) -> String {
    cut(name, NAME_CHARS_MAX)
}

/// A sentence or a command from outside: as a name, and longer.
pub(crate) fn text(text: &str) -> String {
    cut(text, TEXT_CHARS_MAX)
}

fn cut(text: &str, chars_max: usize) -> String {
    let mut shown: String = text.chars().take(chars_max).map(plain).collect();
    if text.chars().nth(chars_max).is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters could write over a terminal and are not allowed in SVG; neither are noncharacters.
fn plain(character: char) -> char {
    match character {
        '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        // What turns the direction of text could let a name pass for something else.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        control if control.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    }
}

/// Three digits, or all those before the point; without zeros at the end.
fn digits(value: f64) -> String {
    let size = value.abs();
    // As with the bounds of `time`: 9.995 is 10.0 in three digits.
    let decimals = match size {
        _ if size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 || size == 0.0 => 2,
        // Smaller numbers keep three digits after their zeros, up to a millionth.
        _ => (2 - size.log10().floor() as i32).clamp(2, 6) as usize,
    };
    let text = format!("{value:.decimals$}");
    let text = if decimals > 0 { trimmed(&text) } else { &text };
    grouped(if text == "-0" { "0" } else { text })
}

/// A number with a point, without zeros at its end.
fn trimmed(number: &str) -> &str {
    number.trim_end_matches('0').trim_end_matches('.')
}

/// Digits before a point in groups of three, from ten thousand on.
fn grouped(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let digits = whole.trim_start_matches('-');
    if digits.len() < 5 {
        return number.into();
    }
    let mut text = whole[..whole.len() - digits.len()].to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (us, shown) in [
            (0.0, "0 us"),
            (0.25, "0.25 us"),
            (7.0, "7 us"),
            (12.34, "12.3 us"),
            (999.4, "999 us"),
            (999.6, "1 ms"),
            (4_321.0, "4.32 ms"),
            (9_996.0, "10 ms"),
            (999_700.0, "1 s"),
            (61_500_000.0, "61.5 s"),
            (f64::NAN, NONE),
            (f64::INFINITY, NONE),
        ] {
            assert_eq!(time(us), shown);
        }
    }

    #[test]
    fn numbers_are_grouped_and_shares_need_a_whole() {
        assert_eq!(
            (count(1234), count(12_345), count(1_234_567)),
            ("1234".into(), "12 345".into(), "1 234 567".into())
        );
        assert_eq!(
            (share(1, 3), share(1, 100_000), share(0, 0)),
            ("33.3 %".into(), "0.001 %".into(), NONE.into())
        );
        assert_eq!((rate(12_345.6), rate(f64::NAN)), ("12 346/s".into(), NONE.into()));
        assert_eq!(
            (figure(1.0038, "ratio"), figure(1.0, "ratio"), figure(12.34, "ratio")),
            ("1.004".into(), "1".into(), "12.3".into())
        );
        assert_eq!(figure(0.5, "MiB"), "0.5 MiB");
        assert_eq!(figure(f64::NAN, "MiB"), NONE);
        assert_eq!(
            (clock(2.5), clock(90.0), clock(10_800.0)),
            ("2.5 s".into(), "1 min 30 s".into(), "3 h".into())
        );
    }

    #[test]
    fn names_stay_on_one_line_and_within_bounds() {
        assert_eq!(name("a\u{1b}[2J\nb\u{202e}"), "a\u{fffd}[2J\u{fffd}b\u{fffd}");
        assert_eq!(name(&"x".repeat(500)).chars().count(), NAME_CHARS_MAX + 1);
    }

    proptest! {
        #[test]
        fn whatever_the_number_its_text_is_short_and_one(value in any::<f64>()) {
            for text in [time(value), rate(value), figure(value, "ratio"), clock(value)] {
                prop_assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            }
        }

        #[test]
        fn three_digits_are_within_half_a_percent(value in 1e-3_f64..1e7) {
            let read: f64 = digits(value).replace(' ', "").parse().expect("a number");
            prop_assert!((read / value - 1.0).abs() <= 0.00501, "{value} -> {read}");
        }
    }
}
