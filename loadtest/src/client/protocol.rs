//! The protocols that a prediction can be asked for over.

use clap::ValueEnum;

/// A protocol of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// V2 REST, tensors in JSON.
    HttpJson,
    /// V2 REST, tensors in binary.
    HttpBinary,
    /// V2 gRPC, unary calls.
    Grpc,
}

impl Protocol {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::HttpJson, Self::HttpBinary, Self::Grpc];

    /// The name that the command line and reports have.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HttpJson => "http-json",
            Self::HttpBinary => "http-binary",
            Self::Grpc => "grpc",
        }
    }
}
