//! Connections that stay open, one kind for each protocol.

pub(crate) mod grpc;
pub(crate) mod http1;
pub(crate) mod pool;
mod protocol;

pub(crate) use protocol::Protocol;
