//! Names and numbers that identify models, versions and requests.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::text::shown;

/// The name of a model: `[A-Za-z0-9_.-]{1,128}`, not starting with a dot.
///
/// The same rule as for aliases. Such a name can stand in every protocol's path (TF Serving's
/// excludes `/` and `:`), and is a key of an index, never a part of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName(Arc<str>);

/// Why a text is no name of a model or an alias.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 128 characters of A-Z a-z 0-9 _ . - and does not start with a dot (found {found})")]
pub struct InvalidName {
    found: String,
}

impl ModelName {
    /// Checks the rule and keeps the name.
    ///
    /// # Errors
    /// [`InvalidName`] where a character, the length or a leading dot breaks the rule.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        check_name(name)?;
        Ok(Self(Arc::from(name)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks a model's or an alias's name without keeping it.
fn check_name(name: &str) -> Result<(), InvalidName> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let valid = (1..=128).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed);
    if valid {
        return Ok(());
    }
    Err(InvalidName { found: format!("\"{}\"", shown(name)) })
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for ModelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelName {
    type Err = InvalidName;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::new(s)
    }
}

/// The number of a version: a folder named `[1-9][0-9]*` below the model's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct VersionNumber(u64);

impl From<VersionNumber> for u64 {
    fn from(version: VersionNumber) -> Self {
        version.0
    }
}

impl TryFrom<u64> for VersionNumber {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        Self::new(number).ok_or("a version is a whole number above 0")
    }
}

impl VersionNumber {
    /// A version from its number; zero is none.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// Reads the canonical decimal form: no sign, no leading zero, at most `u64::MAX`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let canonical =
            !text.starts_with('0') && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        canonical.then(|| text.parse().ok()).flatten().map(Self)
    }

    /// The plain number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for VersionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which version of a model a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum VersionSelector {
    /// Whatever the model's plan serves.
    #[default]
    Default,
    /// This version alone.
    Number(VersionNumber),
    /// The version that this alias stands for.
    Alias(Arc<str>),
}

impl VersionSelector {
    /// Reads what a caller wrote where a version can stand: nothing, a number or an alias.
    ///
    /// # Errors
    /// [`InvalidName`] where it is neither (`0`, `-1`, `../2`).
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Ok(Self::Default);
        }
        if let Some(number) = VersionNumber::parse(text) {
            return Ok(Self::Number(number));
        }
        check_name(text)?;
        if text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidName {
                found: format!("\"{text}\", and a version is a whole number above 0"),
            });
        }
        Ok(Self::Alias(Arc::from(text)))
    }
}

/// The gateway's own id of a request: a UUIDv7, answered as `pointsman-request-id`.
///
/// It keys logs, samples and labels. The caller's V2 `id` is echoed and never used as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Uuid);

impl RequestId {
    /// A new id for this moment.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Reads the hyphenated form, as answers have it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?;
        (text.len() == uuid::fmt::Hyphenated::LENGTH).then_some(Self(id))
    }

    /// Its 16 bytes, in the order in which it is written.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The 36 characters of the hyphenated form, without an allocation.
    #[must_use]
    pub fn encode(self) -> [u8; 36] {
        let mut text = [0; 36];
        self.0.hyphenated().encode_lower(&mut text);
        text
    }
}

/// The trace that a request is part of ([W3C Trace Context], `trace-id`).
///
/// [W3C Trace Context]: https://www.w3.org/TR/trace-context/#trace-id
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["iris", "a", "A.b-c_9", "9", &"x".repeat(128)] {
            assert!(ModelName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".hidden", "..", "a/b", "a:b", "a b", "ä", "a\n", &"x".repeat(129)] {
            assert!(ModelName::new(bad).is_err(), "{bad}");
        }
        let long = ModelName::new(&"\u{1b}".repeat(4000)).unwrap_err().to_string();
        assert!(long.len() < 700 && !long.contains('\u{1b}'), "{long}");
    }

    #[test]
    fn versions_are_canonical_numbers() {
        assert_eq!(VersionNumber::parse("17").map(VersionNumber::get), Some(17));
        for bad in ["", "0", "01", "+1", "-1", "1 ", "18446744073709551616", "1.0", "\u{661}"] {
            assert_eq!(VersionNumber::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_id_of_a_request_is_read_as_it_is_written() {
        let id = RequestId::generate();
        assert_eq!(RequestId::parse(&id.to_string()), Some(id));
        for bad in ["", "1", &id.to_string()[1..], &format!("{{{id}}}"), &id.to_string().replace('-', "")] {
            assert_eq!(RequestId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn selectors_tell_numbers_from_aliases() {
        assert_eq!(VersionSelector::parse(""), Ok(VersionSelector::Default));
        assert_eq!(VersionSelector::parse("3"), Ok(VersionSelector::Number(VersionNumber(3))));
        assert_eq!(VersionSelector::parse("champion"), Ok(VersionSelector::Alias("champion".into())));
        for bad in ["0", "007", "-1", "-", "../1", "a b", "99999999999999999999"] {
            assert!(VersionSelector::parse(bad).is_err(), "{bad}");
        }
    }
}
