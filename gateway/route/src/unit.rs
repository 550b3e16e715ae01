//! What stays with its arm, and where a request says it.

use std::fmt;

use pointsman_core::shown;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::{TENSOR_INDEX_MAX, TEXT_BYTES_MAX};

/// Where a request says which unit it is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UnitSource {
    /// The value of a header, by its name in lower case.
    Header(String),
    /// The value of a cookie.
    Cookie(String),
    /// A parameter of the request.
    Parameter(String),
    /// An element of an input.
    Tensor(String, usize),
    /// The gateway's own id of the request: each request is its own unit.
    RequestId,
}

/// The kind of a unit, which fixes what can be concluded of it: requests of one user are no independent draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // those of `UnitSource`
pub enum UnitKind {
    Header,
    Cookie,
    Parameter,
    Tensor,
    RequestId,
}

impl UnitKind {
    /// The word for it, in documents, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Parameter => "parameter",
            Self::Tensor => "tensor",
            Self::RequestId => "request_id",
        }
    }
}

impl UnitSource {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> UnitKind {
        match self {
            Self::Header(_) => UnitKind::Header,
            Self::Cookie(_) => UnitKind::Cookie,
            Self::Parameter(_) => UnitKind::Parameter,
            Self::Tensor(..) => UnitKind::Tensor,
            Self::RequestId => UnitKind::RequestId,
        }
    }

    /// Whether it is in the body of a request.
    #[must_use]
    pub fn is_in_body(&self) -> bool {
        matches!(self, Self::Parameter(_) | Self::Tensor(..))
    }

    /// Reads `header:x-user-id`, `cookie:uid`, `parameter:user`, `tensor:user[0]` or `request_id`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == UnitKind::RequestId.name() {
            return Some(Self::RequestId);
        }
        let (kind, name) = text.split_once(':')?;
        let name = Some(name).filter(|name| is_text(name));
        match kind {
            "header" => {
                name.filter(|name| is_token(name)).map(|name| Self::Header(name.to_ascii_lowercase()))
            }
            "cookie" => name.filter(|name| is_token(name)).map(|name| Self::Cookie(name.into())),
            "parameter" => name.map(|name| Self::Parameter(name.into())),
            "tensor" => {
                let (name, index) = name?.strip_suffix(']')?.rsplit_once('[')?;
                let is_number = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
                let index = index.parse().ok().filter(|index| is_number && *index <= TENSOR_INDEX_MAX)?;
                (!name.is_empty()).then(|| Self::Tensor(name.into(), index))
            }
            _ => None,
        }
    }
}

/// Whether a text can be the name of something in a request.
pub(crate) fn is_text(text: &str) -> bool {
    (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether a text can be the name of a header or a cookie: a token of RFC 9110, section 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    is_text(text) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

impl fmt::Display for UnitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind().name();
        match self {
            Self::Header(name) | Self::Cookie(name) | Self::Parameter(name) => write!(f, "{kind}:{name}"),
            Self::Tensor(name, index) => write!(f, "{kind}:{name}[{index}]"),
            Self::RequestId => f.write_str(kind),
        }
    }
}

impl Serialize for UnitSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnitSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "= \"{}\"; give \"header:NAME\", \"cookie:NAME\", \"parameter:NAME\", \"tensor:NAME[INDEX]\" with an \
                 index of {TENSOR_INDEX_MAX} at most, or \"request_id\", each name of {TEXT_BYTES_MAX} bytes at most",
                shown(&text)
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_written_and_read_again() {
        let all = [
            "header:x-user-id",
            "cookie:uid",
            "parameter:user id",
            "tensor:a[b][1023]",
            "tensor:ids[0]",
            "request_id",
        ];
        for text in all {
            let source = UnitSource::parse(text).expect(text);
            assert_eq!(source.to_string(), text);
            assert!(text.starts_with(source.kind().name()));
        }
        assert_eq!(UnitSource::parse("header:X-User"), UnitSource::parse("header:x-user"));
        assert_ne!(UnitSource::parse("cookie:Uid"), UnitSource::parse("cookie:uid"));
    }

    #[test]
    fn what_is_no_source_is_refused() {
        let long = format!("header:{}", "x".repeat(TEXT_BYTES_MAX + 1));
        let bad = [
            "",
            "header",
            "header:",
            "header:a b",
            "header:ä",
            "cookie:a=b",
            "cookie:a;b",
            "parameter:",
            "parameter:a\n",
            "tensor:x",
            "tensor:x[]",
            "tensor:x[1024]",
            "tensor:[0]",
            "tensor:x[+1]",
            "tensor:x[-1]",
            "id:x",
            "Request_id",
            &long,
        ];
        for text in bad {
            assert_eq!(UnitSource::parse(text), None, "{text:?}");
        }
        assert!(UnitSource::parse(&long[..long.len() - 1]).is_some());
    }
}
