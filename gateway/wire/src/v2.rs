//! V2 REST, the protocol of KServe and Triton: JSON, and tensors in binary behind it.
//!
//! The formats are those of `kserve/open-inference-protocol`
//! (`specification/protocol/inference_rest.md`) and of Triton's extensions for binary tensors,
//! classification, parameters, schedule policy, statistics, model configuration and repository.
//! What peers answer with 500, or with a silent 200, is refused here with a reason.

pub mod documents;

mod binary;
mod caller;
mod input;
mod output;
mod parameters;
mod request;
mod response;

pub use caller::{Answer, EncodedRequest, RequestForm, decode_answer, encode_request};
pub use output::{OutputForm, ResponseForm};
pub use pointsman_core::Nonfinite;
pub use request::{InferCall, InferHead, decode_infer};
pub use response::{EncodedResponse, JSON, OCTET_STREAM, encode_infer};

/// The header that says how many bytes of a body are JSON, on requests and on answers.
pub const HEADER_LENGTH: &str = "inference-header-content-length";
