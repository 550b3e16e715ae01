//! Text from outside, made fit for a message.

use std::fmt::Write;

/// Characters of a caller's text that one message repeats at most.
const SHOWN_MAX: usize = 80;

/// The text cut to [`SHOWN_MAX`] characters, with control characters escaped, so that a message
/// stays short and cannot rewrite the terminal that shows it.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == SHOWN_MAX {
            out.push_str("...");
            break;
        }
        if c.is_control() {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_hostile_text_is_tamed() {
        assert_eq!(shown("plain ü"), "plain ü");
        assert_eq!(shown("a\u{1b}[2J\r\n"), "a\\u{1b}[2J\\r\\n");
        assert_eq!(shown(&"x".repeat(1 << 20)).len(), SHOWN_MAX + 3);
    }
}
