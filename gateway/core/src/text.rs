//! Text from outside, made fit for a message.

/// The most characters of a text from outside that a message repeats.
const SHOWN_MAX: usize = 80;

/// A text from outside as a message may repeat it: short, and without control characters, so that it
/// can neither fill nor forge a log.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).flat_map(escaped).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Quotes and letters of any script stay as they are.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let control = c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}');
    let plain = (!control).then_some(c);
    plain.into_iter().chain(control.then(|| c.escape_default()).into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn texts_are_short_and_printable() {
        assert_eq!(shown("sepal 'länge'"), "sepal 'länge'");
        assert_eq!(shown("a\n\u{1b}[31m"), "a\\n\\u{1b}[31m");
        assert_eq!(shown(&"x".repeat(1000)).len(), 83);
    }
}
