//! A share of something, exact to 0.01 %.

use std::fmt;

use pointsman_core::shown;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A share from 0 % to 100 % in whole ten-thousandths. Documents write it `"2.5%"` or, in percent, `2.5`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Share(u16);

/// What a share is, for those who wrote something else.
const EXPECTED: &str =
    "give percent from 0 to 100 with at most two decimals, such as \"2.5%\", or the number 2.5 for the same";

impl Share {
    /// Ten-thousandths of a whole.
    pub const WHOLE: u16 = 10_000;
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(Self::WHOLE);

    /// So many ten-thousandths, which are at most [`Share::WHOLE`].
    #[must_use]
    pub fn new(ten_thousandths: u16) -> Option<Self> {
        (ten_thousandths <= Self::WHOLE).then_some(Self(ten_thousandths))
    }

    /// The ten-thousandths.
    #[must_use]
    pub fn ten_thousandths(self) -> u16 {
        self.0
    }

    /// The share as a number from 0 to 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }

    /// What is left of a whole without this.
    #[must_use]
    pub fn rest(self) -> Self {
        Self(Self::WHOLE - self.0)
    }

    /// Reads `2.5%`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::percent(text.strip_suffix('%')?.trim_end())
    }

    /// Reads digits, and at most two more behind a point. Zeros behind those say nothing.
    fn percent(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) {
            return None;
        }
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > 2 {
            return None;
        }
        let hundredths: u16 = format!("{decimals:0<2}").parse().ok()?;
        Self::new(whole.parse::<u16>().ok()?.checked_mul(100)?.checked_add(hundredths)?)
    }

    /// The first of the 2^64 points that lie at or behind this share of them: `floor(share * 2^64)`.
    pub(crate) fn threshold(self) -> u128 {
        (u128::from(self.0) << 64) / u128::from(Self::WHOLE)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0 / 100, self.0 % 100);
        match (hundredths / 10, hundredths % 10) {
            (0, 0) => write!(f, "{whole}%"),
            (tenths, 0) => write!(f, "{whole}.{tenths}%"),
            _ => write!(f, "{whole}.{hundredths:02}%"),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShareVisitor)
    }
}

struct ShareVisitor;

impl ShareVisitor {
    fn read<E: de::Error>(share: Option<Share>, found: &str) -> Result<Share, E> {
        share.ok_or_else(|| E::custom(format!("= {}; {EXPECTED}", shown(found))))
    }
}

impl Visitor<'_> for ShareVisitor {
    type Value = Share;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Share, E> {
        Self::read(Share::parse(text), &format!("\"{text}\""))
    }

    fn visit_i64<E: de::Error>(self, percent: i64) -> Result<Share, E> {
        let text = percent.to_string();
        Self::read(Share::percent(&text), &text)
    }

    fn visit_u64<E: de::Error>(self, percent: u64) -> Result<Share, E> {
        let text = percent.to_string();
        Self::read(Share::percent(&text), &text)
    }

    /// By the digits of the shortest text that stands for the number: 0.07 is 7 ten-thousandths, not nearly.
    fn visit_f64<E: de::Error>(self, percent: f64) -> Result<Share, E> {
        let text = percent.to_string();
        Self::read(Share::percent(&text), &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_is_written_and_read_again() {
        for ten_thousandths in 0..=Share::WHOLE {
            let share = Share(ten_thousandths);
            assert_eq!(Share::parse(&share.to_string()), Some(share));
            let number = serde_json::json!(f64::from(ten_thousandths) / 100.0);
            assert_eq!(serde_json::from_value::<Share>(number).ok(), Some(share));
            assert_eq!(share.rest().0 + share.0, Share::WHOLE);
        }
        assert_eq!(Share::new(10_001), None);
        let shown = ["0%", "0.01%", "0.1%", "2.5%", "33.33%", "100%"];
        assert_eq!([0, 1, 10, 250, 3333, 10_000].map(|n| Share(n).to_string()), shown);
    }

    #[test]
    fn what_is_no_share_is_refused_with_its_value_and_the_remedy() {
        for text in
            ["", "%", "5", "-1%", "100.01%", "2.505%", "1e1%", "١%", "nan%", "+1%", ".5%", "5.%", "101%"]
        {
            assert_eq!(Share::parse(text), None, "{text:?}");
        }
        assert_eq!(Share::parse("2.500 %"), Some(Share(250)));
        for number in ["nan", "-nan", "inf", "-inf", "-0.5", "100.5", "0.005", "1e-7", "1e300", "-1", "101"] {
            let read: Result<std::collections::BTreeMap<String, Share>, _> =
                toml::from_str(&format!("w = {number}"));
            let error = read.expect_err(number).to_string();
            assert!(error.contains("give percent from 0 to 100"), "{error}");
        }
    }

    #[test]
    fn thresholds_tile_the_points() {
        assert_eq!(Share::NONE.threshold(), 0);
        assert_eq!(Share(1).threshold(), 1_844_674_407_370_955);
        assert_eq!(Share(5000).threshold(), 1 << 63);
        assert_eq!(Share::ALL.threshold(), 1 << 64);
    }
}
