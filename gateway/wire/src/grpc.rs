//! V2 gRPC: the protocol's messages, and their conversion to core types and back.
//!
//! The service itself is implemented by the application, on the generated trait in [`proto`]; what
//! stands here is pure. Numbers, texts and the rules of decoding follow Triton, whose clients look
//! for them; where Triton lets a wrong value pass, it is refused here.

mod about;
mod answer;
mod caller;
pub mod codec;
mod contents;
mod error;
mod infer;
mod parameters;
#[cfg(test)]
mod tests;
mod timeout;

pub use about::{
    check_repository, model_config, model_metadata, model_statistics, repository_index, server_metadata,
};
pub use answer::{ResponseForm, encode_infer};
pub use caller::{RequestForm, decode_answer, encode_request};
pub use error::{status, stream_error, stream_response};
pub use infer::{InferCall, decode_infer, parse_version};
pub use timeout::parse_timeout;

/// The messages, the service trait and the client that are generated from `proto/inference.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::too_many_lines)] // generated code
pub mod proto {
    tonic::include_proto!("inference");
}

/// The service's description, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inference_descriptor.bin"));
