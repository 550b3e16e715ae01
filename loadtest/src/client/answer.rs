//! What comes back, whatever the version of HTTP.

use http::HeaderMap;

/// The longest body of an answer that is taken.
pub(crate) const BODY_BYTES_MAX: usize = 64 << 20;

/// The longest head of an answer that is taken.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;

/// What the head of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status.
    pub(crate) status: u16,
    /// `pointsman-version`: the version that answered.
    pub(crate) version: Option<u64>,
    /// `Inference-Header-Content-Length`: how much of the body is JSON.
    pub(crate) json_length: Option<usize>,
    /// Whether the server closes the connection after this answer.
    pub(crate) last: bool,
}

/// All headers of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Headers<'a> {
    /// Lines, as they come over HTTP/1.1.
    Lines(&'a [u8]),
    /// As HTTP/2 has them.
    Map(&'a HeaderMap),
}

impl<'a> Headers<'a> {
    /// The first one of a name, in small letters, that is text.
    pub(crate) fn get(self, name: &str) -> Option<&'a str> {
        let value = match self {
            Self::Map(map) => return map.get(name)?.to_str().ok(),
            Self::Lines(lines) => lines.split(|byte| *byte == b'\n').find_map(|line| {
                let (of, value) = line.split_at_checked(name.len())?;
                let is_whole = of.eq_ignore_ascii_case(name.as_bytes());
                value.strip_prefix(b":").filter(|_| is_whole)
            })?,
        };
        std::str::from_utf8(value).ok().map(str::trim)
    }
}

/// A whole answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// Status line and what is needed of the headers.
    pub(crate) head: Head,
    /// All headers.
    pub(crate) headers: Headers<'a>,
    /// The body.
    pub(crate) body: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_by_its_whole_name() {
        let lines = b"HTTP/1.1 200 OK\r\nPointsman-Arms: no\r\nPointsman-Arm:  next \r\nempty:\r\n\r\n";
        let mut map = HeaderMap::new();
        map.insert("pointsman-arm", "next".parse().expect("text"));
        map.insert("empty", "".parse().expect("text"));
        for headers in [Headers::Lines(lines), Headers::Map(&map)] {
            assert_eq!(headers.get("pointsman-arm"), Some("next"));
            assert_eq!((headers.get("empty"), headers.get("pointsman")), (Some(""), None));
        }
    }
}
