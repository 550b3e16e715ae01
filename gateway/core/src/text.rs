//! Text from outside, made fit for a message.

/// The most characters that a message spends on a text from outside.
const SHOWN_MAX: usize = 80;

/// A text from outside as a message may repeat it: short, and without control characters, so that it
/// can neither fill nor forge a log.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut room = SHOWN_MAX;
    for c in text.chars() {
        // An escape takes several characters, and is shown whole or not at all.
        match room.checked_sub(escaped(c).count()) {
            Some(left) => room = left,
            None => return shown + "...",
        }
        shown.extend(escaped(c));
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
        assert_eq!(shown(&"x".repeat(80)).len(), 80);
        assert_eq!(shown(&"x".repeat(1000)).len(), 83);
        assert_eq!(shown(&"\n".repeat(1000)), "\\n".repeat(40) + "...");
    }
}
