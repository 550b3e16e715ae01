//! The one table from error codes to HTTP and gRPC statuses.
//!
//! 429 says that the caller is over a limit of its own; 503 that the gateway, or the model's queue,
//! is. Both come with `Retry-After`, as nothing was run and the request may be sent again.

use http::StatusCode;
use pointsman_core::Code;

/// What one [`Code`] is in each protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status.
    pub http: StatusCode,
    /// The gRPC code.
    pub grpc: tonic::Code,
    /// Seconds after which a new try makes sense; nothing where it does not.
    pub retry_after: Option<u32>,
}

/// The status of a code. `499` is the status that nginx and TF Serving use for a caller that left.
#[must_use]
pub fn status(code: Code) -> Status {
    use tonic::Code as Grpc;
    let (http, grpc, retry_after) = match code {
        Code::BadRequest | Code::InputMismatch | Code::InputRejected => (400, Grpc::InvalidArgument, None),
        Code::UnknownModel | Code::UnknownVersion => (404, Grpc::NotFound, None),
        Code::NotReady => (503, Grpc::Unavailable, Some(1)),
        Code::NotFound => (404, Grpc::Unimplemented, None),
        Code::MethodNotAllowed => (405, Grpc::Unimplemented, None),
        Code::TooLarge => (413, Grpc::ResourceExhausted, None),
        Code::UnsupportedEncoding => (415, Grpc::Unimplemented, None),
        Code::Unsupported => (501, Grpc::Unimplemented, None),
        Code::NotRepresentable => (400, Grpc::InvalidArgument, None),
        Code::CallerLimit => (429, Grpc::ResourceExhausted, Some(1)),
        Code::Overloaded | Code::QueueFull | Code::ShuttingDown => (503, Grpc::Unavailable, Some(1)),
        Code::DeadlineExceeded => (504, Grpc::DeadlineExceeded, None),
        Code::Cancelled => (499, Grpc::Cancelled, None),
        Code::SessionFailed => (500, Grpc::Internal, None),
        Code::Refused => (409, Grpc::FailedPrecondition, None),
        Code::Superseded => (409, Grpc::Aborted, None),
        Code::TagMismatch => (412, Grpc::Aborted, None),
        Code::Forbidden => (403, Grpc::PermissionDenied, None),
        Code::NotJournalled => (503, Grpc::Unavailable, Some(1)),
    };
    let http = StatusCode::from_u16(http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Status { http, grpc, retry_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_protocols_agree_on_whose_fault_it_is() {
        for code in Code::ALL {
            let status = status(code);
            let gateways_fault = status.http.is_server_error() && code != Code::Unsupported;
            let grpc_says = matches!(
                status.grpc,
                tonic::Code::Unavailable | tonic::Code::Internal | tonic::Code::DeadlineExceeded
            );
            assert_eq!(gateways_fault, grpc_says, "{}", code.name());
        }
    }
}
