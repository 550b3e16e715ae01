//! Everything that can keep a request from an answer, each with one stable code.

use std::fmt;
use std::time::Duration;

use crate::id::VersionSelector;
use crate::mismatch::InputMismatch;

/// The stable codes, a closed set. `pointsman-wire` maps each to one HTTP and one gRPC status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The request is not what the protocol says: JSON, headers, lengths, names.
    BadRequest,
    /// The request is well formed and does not agree with the version's signature.
    InputMismatch,
    /// The runtime refused the values of the inputs (an index out of range, say).
    InputRejected,
    /// No model of that name.
    UnknownModel,
    /// The model has no such version or alias.
    UnknownVersion,
    /// The model is known and has no version that serves.
    NotReady,
    /// No such path.
    NotFound,
    /// The path exists for another method.
    MethodNotAllowed,
    /// The body, or what it unpacks to, is over a limit.
    TooLarge,
    /// The body's encoding is none of those supported.
    UnsupportedEncoding,
    /// Part of the protocol that this gateway does not have.
    Unsupported,
    /// An output cannot be said in the form that was asked for.
    NotRepresentable,
    /// The caller has more requests open than one caller may.
    CallerLimit,
    /// Requests or bytes in flight are at their limit.
    Overloaded,
    /// The version's queue is at its limit.
    QueueFull,
    /// The gateway is going down.
    ShuttingDown,
    /// The caller's deadline passed.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
    /// The session failed on inputs that it should have taken.
    SessionFailed,
    /// A wish of an operator cannot be granted as things stand.
    Refused,
    /// A later wish took the place of this one.
    Superseded,
    /// The plan was changed by somebody else since it was looked at.
    TagMismatch,
    /// The caller may not do this from where it is.
    Forbidden,
    /// The journal cannot be written, and nothing may be raised without it.
    NotJournalled,
}

/// Whose doing it is that a request has no answer: what counts against a version and an arm follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The version's, or that of the gateway around it.
    Version,
    /// The version's, though callers could bring it about by how many they are.
    Load,
    /// The gateway's as a whole, whatever version answers.
    Gateway,
    /// The caller went away.
    Left,
    /// The caller's: with another version the request would have ended so too.
    Caller,
}

impl Code {
    /// Whose doing it is that a request ended so. What the control path says has no request behind it, and is its caller's.
    #[must_use]
    pub fn blame(self) -> Blame {
        match self {
            Self::SessionFailed | Self::InputRejected | Self::NotRepresentable | Self::NotReady => {
                Blame::Version
            }
            Self::QueueFull | Self::DeadlineExceeded => Blame::Load,
            Self::Overloaded | Self::ShuttingDown => Blame::Gateway,
            Self::Cancelled => Blame::Left,
            Self::BadRequest
            | Self::InputMismatch
            | Self::UnknownModel
            | Self::UnknownVersion
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::TooLarge
            | Self::UnsupportedEncoding
            | Self::Unsupported
            | Self::CallerLimit
            | Self::Refused
            | Self::Superseded
            | Self::TagMismatch
            | Self::Forbidden
            | Self::NotJournalled => Blame::Caller,
        }
    }

    /// All of them, in the order of the README's table.
    pub const ALL: [Self; 24] = [
        Self::BadRequest,
        Self::InputMismatch,
        Self::InputRejected,
        Self::UnknownModel,
        Self::UnknownVersion,
        Self::NotReady,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::UnsupportedEncoding,
        Self::Unsupported,
        Self::NotRepresentable,
        Self::CallerLimit,
        Self::Overloaded,
        Self::QueueFull,
        Self::ShuttingDown,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::SessionFailed,
        Self::Refused,
        Self::Superseded,
        Self::TagMismatch,
        Self::Forbidden,
        Self::NotJournalled,
    ];

    /// The code as callers, logs and metrics see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "BAD_REQUEST",
            Self::InputMismatch => "INPUT_MISMATCH",
            Self::InputRejected => "INPUT_REJECTED",
            Self::UnknownModel => "UNKNOWN_MODEL",
            Self::UnknownVersion => "UNKNOWN_VERSION",
            Self::NotReady => "NOT_READY",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::TooLarge => "TOO_LARGE",
            Self::UnsupportedEncoding => "UNSUPPORTED_ENCODING",
            Self::Unsupported => "UNSUPPORTED",
            Self::NotRepresentable => "NOT_REPRESENTABLE",
            Self::CallerLimit => "CALLER_LIMIT",
            Self::Overloaded => "OVERLOADED",
            Self::QueueFull => "QUEUE_FULL",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Cancelled => "CANCELLED",
            Self::SessionFailed => "SESSION_FAILED",
            Self::Refused => "REFUSED",
            Self::Superseded => "SUPERSEDED",
            Self::TagMismatch => "TAG_MISMATCH",
            Self::Forbidden => "FORBIDDEN",
            Self::NotJournalled => "NOT_JOURNALLED",
        }
    }
}

/// Why a request got no prediction, or a wish was not granted. Its text is for the caller and holds nothing internal.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // each variant is one code, whose documentation stands at `Code`
pub enum PredictError {
    #[error("{0}")]
    BadRequest(String),
    #[error("{}", mismatch.describe(model))]
    InputMismatch { model: String, mismatch: InputMismatch },
    #[error("model '{model}' version {version} refused the input values: {reason}")]
    InputRejected { model: String, version: u64, reason: String },
    #[error("Request for unknown model: '{model}' is not found")]
    UnknownModel { model: String },
    #[error("Request for unknown model: '{model}' {} is not found", Asked(version))]
    UnknownVersion { model: String, version: VersionSelector },
    #[error("Request for unknown model: '{model}' {} is not at ready state: {reason}", Asked(version))]
    NotReady { model: String, version: VersionSelector, reason: String },
    #[error("Not Found")]
    NotFound,
    #[error("Method Not Allowed")]
    MethodNotAllowed { allowed: &'static str },
    #[error("{what} is over the limit of {limit} bytes ({key})")]
    TooLarge { what: &'static str, limit: usize, key: &'static str },
    #[error("content encoding {found} is not supported, use gzip, deflate or none")]
    UnsupportedEncoding { found: String },
    #[error("{0}")]
    Unsupported(String),
    #[error("output '{output}' cannot be sent as asked: {reason}")]
    NotRepresentable { output: String, reason: String },
    #[error("this caller has {limit} requests open, the most that one may have ({key})")]
    CallerLimit { limit: usize, key: &'static str },
    #[error("the gateway is at its limit of {limit} {what} in flight ({key}), try again later")]
    Overloaded { what: &'static str, limit: usize, key: &'static str },
    #[error("the gateway has hardly any memory left, try again later")]
    MemoryLow,
    #[error("the queue of model '{model}' is full: Exceeds maximum queue size of {limit} (queue_max)")]
    QueueFull { model: String, limit: usize },
    #[error(
        "the queue of model '{model}' is full: Exceeds maximum queue size of {limit}, as many as are served within {target:?} (queue_delay)"
    )]
    QueueLong { model: String, limit: usize, target: Duration },
    #[error("the queue of model '{model}' is full: a request of higher priority took this one's place")]
    Shed { model: String },
    #[error("the gateway is shutting down")]
    ShuttingDown,
    #[error("Request timeout expired {}", stage.describe())]
    DeadlineExceeded { stage: DeadlineStage },
    #[error("the caller went away")]
    Cancelled,
    #[error("model '{model}' version {version} failed to run")]
    SessionFailed { model: String, version: u64 },
    /// What the control path says to an operator's wish, with its code.
    #[error("{reason}")]
    Control { code: Code, reason: String },
}

/// Where a deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadlineStage {
    /// Before the request was queued.
    Arrival,
    /// Before a run could end, however soon it began.
    Run,
    /// In the queue or in the run.
    Ticket,
}

impl DeadlineStage {
    fn describe(self) -> &'static str {
        match self {
            Self::Arrival => "before the request was queued",
            Self::Run => "before it was queued: a run takes longer than what is left",
            Self::Ticket => "while waiting for the model",
        }
    }
}

impl PredictError {
    /// The one code of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::BadRequest(_) => Code::BadRequest,
            Self::InputMismatch { .. } => Code::InputMismatch,
            Self::InputRejected { .. } => Code::InputRejected,
            Self::UnknownModel { .. } => Code::UnknownModel,
            Self::UnknownVersion { .. } => Code::UnknownVersion,
            Self::NotReady { .. } => Code::NotReady,
            Self::NotFound => Code::NotFound,
            Self::MethodNotAllowed { .. } => Code::MethodNotAllowed,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::UnsupportedEncoding { .. } => Code::UnsupportedEncoding,
            Self::Unsupported(_) => Code::Unsupported,
            Self::NotRepresentable { .. } => Code::NotRepresentable,
            Self::CallerLimit { .. } => Code::CallerLimit,
            Self::Overloaded { .. } | Self::MemoryLow => Code::Overloaded,
            Self::QueueFull { .. } | Self::QueueLong { .. } | Self::Shed { .. } => Code::QueueFull,
            Self::ShuttingDown => Code::ShuttingDown,
            Self::DeadlineExceeded { .. } => Code::DeadlineExceeded,
            Self::Cancelled => Code::Cancelled,
            Self::SessionFailed { .. } => Code::SessionFailed,
            Self::Control { code, .. } => *code,
        }
    }
}

/// A selector as part of a sentence.
struct Asked<'a>(&'a VersionSelector);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            VersionSelector::Default => f.write_str("(its default version)"),
            VersionSelector::Number(n) => write!(f, "version {n}"),
            VersionSelector::Alias(alias) => write!(f, "version '{alias}'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_bring_about_alone_counts_against_no_version() {
        use Code::{DeadlineExceeded, InputRejected, NotReady, NotRepresentable, QueueFull, SessionFailed};

        let of =
            |blame: Blame| Code::ALL.into_iter().filter(|code| code.blame() == blame).collect::<Vec<_>>();
        assert_eq!(of(Blame::Version), [InputRejected, NotReady, NotRepresentable, SessionFailed]);
        assert_eq!(of(Blame::Load), [QueueFull, DeadlineExceeded]);
        assert_eq!(of(Blame::Gateway), [Code::Overloaded, Code::ShuttingDown]);
        assert_eq!(of(Blame::Left), [Code::Cancelled]);
        assert!(
            of(Blame::Caller).contains(&Code::InputMismatch)
                && of(Blame::Caller).contains(&Code::CallerLimit)
        );
    }

    #[test]
    fn codes_are_distinct() {
        let mut names: Vec<_> = Code::ALL.iter().map(|c| c.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
