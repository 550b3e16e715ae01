//! Connections that stay open, one kind for each protocol.

pub(crate) mod grpc;
pub(crate) mod http1;
mod protocol;

pub(crate) use protocol::Protocol;
