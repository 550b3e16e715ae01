//! V1 REST, as TensorFlow Serving and KServe have it: values without datatypes or shapes, which
//! the signature of the version supplies.
//!
//! The rules and sentences are those of TensorFlow Serving
//! (`tensorflow_serving/util/json_tensor.cc`, `tensorflow_serving/g3doc/api_rest.md`). Errors have
//! the body of V2, [`crate::v2::documents::error`].

pub mod documents;

mod caller;
mod request;
mod response;
mod values;

pub use caller::{decode_answer, decode_metadata, encode_request};
pub use request::{PredictCall, PredictHead, decode_predict};
pub use response::{PredictForm, encode_predict};
