//! Requests, signatures and predictions for the tests.

use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::{
    Arm, Datatype, Dim, ModelName, OutputTensor, PredictError, Prediction, RequestId, Shape, Signature,
    StageTimes, StringTensorBuilder, Tensor, TensorSpec, VersionNumber, VersionSelector,
};
use pointsman_wire::limits::Limits;
use pointsman_wire::v1::{PredictCall, PredictHead, decode_predict};
use pointsman_wire::v2::{InferCall, InferHead, Nonfinite, decode_infer};
use serde_json::Value;

/// Decodes a V2 body for model `m`.
pub(crate) fn infer(body: impl Into<Bytes>, header_length: Option<&str>) -> Result<InferCall, PredictError> {
    let head = InferHead {
        id: RequestId::generate(),
        model: "m".into(),
        version: VersionSelector::Default,
        header_length,
        nonfinite: Nonfinite::Token,
    };
    // Only the raw request asks for the signature.
    decode_infer(head, body.into(), &Limits::default(), || Err(PredictError::NotFound))
}

/// Decodes a V1 body for a model with these inputs.
pub(crate) fn predict(body: &str, inputs: &[TensorSpec]) -> Result<PredictCall, PredictError> {
    let head =
        PredictHead { id: RequestId::generate(), model: "m".into(), version: VersionSelector::Default };
    let signature = Signature { inputs: inputs.to_vec(), outputs: Vec::new() };
    decode_predict(head, Bytes::copy_from_slice(body.as_bytes()), &Limits::default(), || {
        Ok(Arc::new(signature))
    })
}

pub(crate) fn spec(name: &str, datatype: Datatype, optional: bool) -> TensorSpec {
    TensorSpec { name: name.into(), datatype, shape: Some(vec![Dim::Dynamic(None)]), optional, labels: None }
}

pub(crate) fn shape(dims: &[u64]) -> Shape {
    Shape::new(dims).expect("within the rank limit")
}

pub(crate) fn fp32(dims: &[u64], values: &[f32]) -> Tensor {
    Tensor::from_vec(Datatype::Fp32, shape(dims), values.to_vec()).expect("counted")
}

pub(crate) fn strings(dims: &[u64], values: &[&[u8]]) -> Tensor {
    let mut builder = StringTensorBuilder::default();
    for value in values {
        builder.push(value).expect("short");
    }
    Tensor::new(Datatype::Bytes, shape(dims), builder.finish()).expect("counted")
}

/// The answer of version 1 of model `m`.
pub(crate) fn prediction(outputs: &[(&str, &Tensor)]) -> Prediction {
    let output = |(name, tensor): &(&str, &Tensor)| OutputTensor {
        name: (*name).into(),
        tensor: (*tensor).clone(),
        labels: None,
    };
    Prediction {
        model: ModelName::new("m").expect("a name"),
        version: VersionNumber::new(1).expect("above 0"),
        arm: Arm::Default,
        experiment: None,
        outputs: outputs.iter().map(output).collect(),
        times: StageTimes::default(),
    }
}

pub(crate) fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("JSON")
}
