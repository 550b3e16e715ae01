//! Bytes to core types and back, for every protocol that the gateway speaks, and nothing else:
//! no socket, no routing, no clock.
//!
//! | module | protocol |
//! | --- | --- |
//! | [`v2`] | V2 REST (KServe, Triton): JSON and the binary tensor extension |
//! | [`v1`] | V1 REST and TF-Serving REST |
//! | [`grpc`] | V2 gRPC |
//! | [`status`] | the one table from error codes to HTTP and gRPC statuses |
//! | [`view`] | what the gateway tells about itself, before it is put into a protocol's form |
//! | [`route`] | method and path to the one thing asked for, for every REST protocol |
//! | [`encoding`] | gzip and deflate, with a hard cap |
//! | [`openapi`] | the OpenAPI document of the REST protocols |

// A fuzzer's build instruments the unit tests too: they need its runtime to link.
#[cfg(test)]
use bolero as _;

mod classification;
pub mod encoding;
pub mod grpc;
mod json;
pub mod limits;
pub mod openapi;
pub mod route;
pub mod status;
pub mod v1;
pub mod v2;
pub mod view;
