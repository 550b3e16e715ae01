//! A number of bytes, as people write it.

use std::fmt;

/// The units, with the power of two that each stands for.
const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];

/// A number of bytes, written with or without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub usize);

impl ByteSize {
    /// Reads a number with its unit: `64KiB`, `64MiB`, `1GiB`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(digits);
        let (_, shift) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        number.parse::<usize>().ok()?.checked_mul(1 << shift).map(Self)
    }
}

/// With the largest unit of which it is a whole number.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.into_iter().find(|(_, shift)| self.0 > 0 && self.0.is_multiple_of(1 << shift));
        match unit {
            Some((name, shift)) => write!(f, "{}{name}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_shown() {
        for (text, bytes) in [("64KiB", 64 << 10), ("3MiB", 3 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(ByteSize::parse(text), Some(ByteSize(bytes)));
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
        assert_eq!(ByteSize::parse("0MiB"), Some(ByteSize(0)));
        for bad in ["64", "64MB", "MiB", "-1MiB", "1 MiB", "18446744073709551615GiB"] {
            assert_eq!(ByteSize::parse(bad), None, "{bad}");
        }
        assert_eq!((ByteSize(1000).to_string(), ByteSize(0).to_string()), ("1000".into(), "0".into()));
    }
}
