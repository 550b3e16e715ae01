//! From a prediction to a `ModelInferResponse`.

use std::num::NonZeroUsize;

use bytes::Bytes;
use pointsman_core::{OutputTensor, PredictError, Prediction, Tensor};

use crate::classification::classify;
use crate::grpc::contents::typed_contents;
use crate::grpc::proto::ModelInferResponse;
use crate::grpc::proto::model_infer_response::InferOutputTensor;

/// What a caller wants its answer to look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseForm {
    /// The caller's id, echoed; empty for none.
    pub id: String,
    /// Whether tensors are to be in typed fields, for clients that do not read raw bytes.
    pub typed: bool,
    /// For each output asked for, how many classes to name instead of its scores. Outputs of a
    /// prediction stand in the order asked for, so positions agree.
    pub classes: Vec<Option<NonZeroUsize>>,
}

/// Encodes an answer: one entry of `raw_output_contents` for each output, in order. That is also so
/// where the request had typed contents: Triton's clients read nothing else.
///
/// # Errors
/// [`PredictError::NotRepresentable`] where typed fields are asked for and an output's datatype has
/// none, [`PredictError::InputMismatch`] where an output cannot be classified.
pub fn encode_infer(
    prediction: &Prediction,
    form: &ResponseForm,
) -> Result<ModelInferResponse, PredictError> {
    let mut response = ModelInferResponse {
        model_name: prediction.model.to_string(),
        model_version: prediction.version.to_string(),
        id: form.id.clone(),
        outputs: Vec::with_capacity(prediction.outputs.len()),
        ..ModelInferResponse::default()
    };
    if !form.typed {
        response.raw_output_contents.reserve_exact(prediction.outputs.len());
    }
    for (index, output) in prediction.outputs.iter().enumerate() {
        let tensor = match form.classes.get(index).copied().flatten() {
            Some(classes) => classify(output, classes.get()).map_err(|mismatch| {
                PredictError::InputMismatch { model: prediction.model.to_string(), mismatch }
            })?,
            None => output.tensor.clone(),
        };
        push_output(&mut response, output, &tensor, form.typed)?;
    }
    Ok(response)
}

fn push_output(
    response: &mut ModelInferResponse,
    output: &OutputTensor,
    tensor: &Tensor,
    typed: bool,
) -> Result<(), PredictError> {
    let contents = if typed {
        // A message has either raw or typed tensors, so one that has no typed form fails them all.
        Some(typed_contents(tensor).ok_or_else(|| PredictError::NotRepresentable {
            output: output.name.to_string(),
            reason: format!("{} has no typed contents, leave typed_output out", tensor.datatype()),
        })?)
    } else {
        response.raw_output_contents.push(Bytes::clone(tensor.data()));
        None
    };
    response.outputs.push(InferOutputTensor {
        name: output.name.to_string(),
        datatype: tensor.datatype().name().to_owned(),
        shape: tensor.shape().dims().iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect(),
        contents,
        ..InferOutputTensor::default()
    });
    Ok(())
}
