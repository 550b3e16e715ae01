//! What came of a request.

use std::borrow::Cow;
use std::fmt;

use pointsman_core::{Code, shown};
use serde::Deserialize;

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A success that is what it has to be.
    Right,
    /// Not taken on because of load: 429, 503, RESOURCE_EXHAUSTED, UNAVAILABLE.
    Refused(Fault),
    /// Answered with another error.
    Failed(Fault),
    /// A success that is not what it has to be.
    Wrong(Fault),
    /// No whole answer came.
    Lost(Fault),
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What faults are counted by. Of an error: Pointsman's code (`OVERLOADED`) where the answer has
    /// one, else `HTTP 503` or `GRPC 14`. Of a wrong answer: `wrong values`, `wrong version`,
    /// `wrong model`, `wrong id`, `wrong outputs`, `malformed`. Of a lost one: `timeout`, `connection`,
    /// `unsent` where no connection was free in time, and `vanished` where its client left.
    pub(crate) code: Cow<'static, str>,
    /// A line about this one.
    pub(crate) said: String,
}

impl Fault {
    pub(crate) fn new(code: &'static str, said: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), said: said.into() }
    }
}

impl Verdict {
    /// What an HTTP status other than 200 says.
    pub(super) fn of_status(status: u16, body: &[u8]) -> Self {
        let (code, said) = read_error(body);
        let code = Code::ALL.into_iter().find(|known| Some(known.name()) == code.as_deref());
        let refused = matches!(status, 429 | 503);
        Self::error(code, refused, || format!("HTTP {status}"), said)
    }

    /// What a gRPC status other than OK says.
    pub(super) fn of_grpc(status: &tonic::Status) -> Self {
        let named = status.metadata().get("pointsman-code").and_then(|code| code.to_str().ok());
        let code = Code::ALL.into_iter().find(|known| Some(known.name()) == named);
        let refused = matches!(status.code(), tonic::Code::ResourceExhausted | tonic::Code::Unavailable);
        Self::error(code, refused, || format!("GRPC {}", i32::from(status.code())), shown(status.message()))
    }

    /// A code of Pointsman says better than a status what became of a request: the one table gives
    /// RESOURCE_EXHAUSTED for a message that is too large as well.
    fn error(code: Option<Code>, refused: bool, status: impl FnOnce() -> String, said: String) -> Self {
        let refused = code.map_or(refused, |code| {
            let http = pointsman_wire::status::status(code).http;
            http == http::StatusCode::TOO_MANY_REQUESTS || http == http::StatusCode::SERVICE_UNAVAILABLE
        });
        let code = code.map_or_else(|| Cow::Owned(status()), |code| Cow::Borrowed(code.name()));
        let fault = Fault { code, said };
        if refused { Self::Refused(fault) } else { Self::Failed(fault) }
    }
}

/// The code and the sentence of an error's body. Servers that write neither are quoted.
fn read_error(body: &[u8]) -> (Option<Cow<'_, str>>, String) {
    /// The bytes of a body that are shown where it is no error that is known.
    const SHOWN_BYTES_MAX: usize = 400;
    #[derive(Deserialize)]
    struct Written<'a> {
        #[serde(borrow)]
        error: Cow<'a, str>,
        #[serde(borrow)]
        code: Option<Cow<'a, str>>,
    }
    match serde_json::from_slice::<Written<'_>>(body) {
        Ok(Written { error, code }) => (code, shown(&error)),
        Err(_) => (None, shown(&String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES_MAX)]))),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verdict, Fault { code, said }) = match self {
            Self::Right => return f.write_str("right"),
            Self::Refused(fault) => ("refused", fault),
            Self::Failed(fault) => ("failed", fault),
            Self::Wrong(fault) => ("wrong", fault),
            Self::Lost(fault) => ("lost", fault),
        };
        write!(f, "{verdict}, {code}: {said}")
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::PredictError;
    use pointsman_wire::{grpc, v2};

    use super::*;

    fn code(verdict: &Verdict) -> (&'static str, &str) {
        match verdict {
            Verdict::Refused(fault) => ("refused", &fault.code),
            Verdict::Failed(fault) => ("failed", &fault.code),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn refusals_are_told_from_failures_by_pointsmans_codes() {
        let full = PredictError::QueueFull { model: "m".into(), limit: 8 };
        let large = PredictError::TooLarge { what: "the body", limit: 1, key: "limits.body_bytes_max" };
        let caller = PredictError::CallerLimit { limit: 1, key: "limits.per_caller" };
        for (error, http, expected) in [
            (full, 503, ("refused", "QUEUE_FULL")),
            (caller, 429, ("refused", "CALLER_LIMIT")),
            (large, 413, ("failed", "TOO_LARGE")),
            (PredictError::NotFound, 404, ("failed", "NOT_FOUND")),
        ] {
            assert_eq!(code(&Verdict::of_status(http, &v2::documents::error(&error))), expected);
            assert_eq!(code(&Verdict::of_grpc(&grpc::status(&error))), expected);
        }
    }

    #[test]
    fn other_servers_are_known_by_their_status() {
        for (status, body, expected) in [
            (503, r#"{"error":"Exceeds maximum queue size"}"#, ("refused", "HTTP 503")),
            (429, "slow down", ("refused", "HTTP 429")),
            (500, r#"{"detail":[1]}"#, ("failed", "HTTP 500")),
            (400, r#"{"error":"no","code":"MADE_UP"}"#, ("failed", "HTTP 400")),
            (502, "", ("failed", "HTTP 502")),
        ] {
            let verdict = Verdict::of_status(status, body.as_bytes());
            assert_eq!(code(&verdict), expected, "{body}");
        }
        let status = tonic::Status::unavailable("full");
        assert_eq!(code(&Verdict::of_grpc(&status)), ("refused", "GRPC 14"));
        let status = tonic::Status::internal("x");
        assert_eq!(code(&Verdict::of_grpc(&status)), ("failed", "GRPC 13"));
        let page = Verdict::of_status(500, "x".repeat(10_000).as_bytes()).to_string();
        assert!(page.starts_with("failed, HTTP 500: x") && page.len() < 200, "{page}");
    }
}
