//! Connections that stay open, one kind for each protocol.

pub(crate) mod answer;
pub(crate) mod grpc;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod line;
pub(crate) mod pool;
mod protocol;
pub(crate) mod streams;

pub(crate) use protocol::Protocol;
