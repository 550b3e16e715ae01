//! The version of an arm, as documents name it.

use std::fmt;
use std::sync::Arc;

use pointsman_core::{VersionNumber, VersionSelector, shown};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A version by its number or by an alias.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// This version.
    Number(VersionNumber),
    /// The version that this alias stands for.
    Alias(Arc<str>),
}

const EXPECTED: &str = "give a version's number, such as 3, or an alias, such as \"challenger\"";

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Alias(alias) => f.write_str(alias),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(number.get()),
            Self::Alias(alias) => serializer.serialize_str(alias),
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

struct TargetVisitor;

impl Visitor<'_> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Target, E> {
        let number = VersionNumber::new(number);
        number.map(Target::Number).ok_or_else(|| E::custom(format!("= 0; {EXPECTED}")))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Target, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::custom(format!("= {number}; {EXPECTED}"))),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Target, E> {
        match VersionSelector::parse(text) {
            Ok(VersionSelector::Number(number)) => Ok(Target::Number(number)),
            Ok(VersionSelector::Alias(alias)) => Ok(Target::Alias(alias)),
            Ok(VersionSelector::Default) | Err(_) => {
                Err(E::custom(format!("= \"{}\"; {EXPECTED}", shown(text))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_number_or_an_alias() {
        let read = |text: &str| serde_json::from_str::<Target>(text);
        for (text, shown) in [("3", "3"), ("\"3\"", "3"), ("\"challenger\"", "challenger")] {
            assert_eq!(read(text).map(|target| target.to_string()).ok().as_deref(), Some(shown));
        }
        for text in ["0", "-1", "1.5", "\"\"", "\"a b\"", "\"../1\"", "\"007\"", "null", "[]"] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains("give a version's number"), "{text}: {error}");
        }
    }
}
