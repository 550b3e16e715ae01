//! Cases and properties of the conversions, by direction.

mod about;
mod answer;
mod caller;
mod decode;
mod parameters;
mod properties;

use bytes::Bytes;
use pointsman_core::{Code, PredictError, RequestId};

use crate::grpc::proto::infer_parameter::ParameterChoice;
use crate::grpc::proto::model_infer_request::InferInputTensor;
use crate::grpc::proto::{InferParameter, InferTensorContents, ModelInferRequest};
use crate::grpc::{InferCall, decode_infer};
use crate::limits::Limits;

/// An input without data.
fn input(name: &str, datatype: &str, shape: &[i64]) -> InferInputTensor {
    InferInputTensor {
        name: name.into(),
        datatype: datatype.into(),
        shape: shape.to_vec(),
        ..InferInputTensor::default()
    }
}

/// An input with typed contents.
fn typed(name: &str, datatype: &str, shape: &[i64], contents: InferTensorContents) -> InferInputTensor {
    InferInputTensor { contents: Some(contents), ..input(name, datatype, shape) }
}

/// A request for model `m`.
fn request(inputs: Vec<InferInputTensor>, raw: &[&[u8]]) -> ModelInferRequest {
    ModelInferRequest {
        model_name: "m".into(),
        inputs,
        raw_input_contents: raw.iter().map(|data| Bytes::copy_from_slice(data)).collect(),
        ..ModelInferRequest::default()
    }
}

fn parameter(choice: ParameterChoice) -> InferParameter {
    InferParameter { parameter_choice: Some(choice) }
}

fn decode(message: ModelInferRequest) -> Result<InferCall, PredictError> {
    decode_infer(message, RequestId::generate(), &Limits::default())
}

/// The text with which a message is refused as a bad request.
fn refused(message: ModelInferRequest) -> String {
    let error = decode(message).expect_err("is refused");
    assert_eq!(error.code(), Code::BadRequest, "{error}");
    error.to_string()
}
