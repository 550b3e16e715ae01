//! What comes back, whatever the version of HTTP.

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

/// A whole answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// Status line and headers.
    pub(crate) head: Head,
    /// The body.
    pub(crate) body: &'a [u8],
}
