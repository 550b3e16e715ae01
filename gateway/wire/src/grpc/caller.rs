//! The caller's side: a request as a client writes it, and an answer as it reads it.

use std::collections::BTreeMap;
use std::time::Duration;

use pointsman_core::{
    Datatype, InputTensor, OutputTensor, ParameterValue, Parameters, PredictError, Tensor, shown,
};

use crate::grpc::contents::{Place, raw_tensor, typed_contents, typed_tensor};
use crate::grpc::infer::shape;
use crate::grpc::proto::infer_parameter::ParameterChoice;
use crate::grpc::proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use crate::grpc::proto::{InferParameter, ModelInferRequest, ModelInferResponse};

/// What a request says beside its inputs.
#[derive(Clone, Debug, Default)]
pub struct RequestForm {
    /// The model.
    pub model: String,
    /// A number or an alias; empty for the default version.
    pub version: String,
    /// The caller's id; empty for none.
    pub id: String,
    /// Parameters of the request, such as `priority`.
    pub parameters: Parameters,
    /// The parameter `timeout`.
    pub timeout: Option<Duration>,
    /// Names of the outputs to answer with; empty for all.
    pub outputs: Vec<String>,
    /// Tensors are in the typed fields of their datatypes instead of raw.
    pub typed: bool,
}

/// Makes the message of a request.
///
/// # Errors
/// [`PredictError::NotRepresentable`] where typed fields are asked for and an input's datatype has none.
pub fn encode_request(inputs: &[InputTensor], form: &RequestForm) -> Result<ModelInferRequest, PredictError> {
    let mut message = ModelInferRequest {
        model_name: form.model.clone(),
        model_version: form.version.clone(),
        id: form.id.clone(),
        parameters: parameters(form),
        ..ModelInferRequest::default()
    };
    for InputTensor { name, tensor } in inputs {
        let contents = if form.typed {
            Some(typed_contents(tensor).ok_or_else(|| PredictError::NotRepresentable {
                output: name.clone(),
                reason: format!("{} has no typed contents, send it raw", tensor.datatype()),
            })?)
        } else {
            message.raw_input_contents.push(tensor.data().clone());
            None
        };
        message.inputs.push(InferInputTensor {
            name: name.clone(),
            datatype: tensor.datatype().name().to_owned(),
            shape: tensor.shape().dims().iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect(),
            contents,
            ..InferInputTensor::default()
        });
    }
    let requested = |name: &String| InferRequestedOutputTensor { name: name.clone(), ..Default::default() };
    message.outputs = form.outputs.iter().map(requested).collect();
    Ok(message)
}

fn parameters(form: &RequestForm) -> BTreeMap<String, InferParameter> {
    let timeout = form.timeout.map(|timeout| i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX));
    let timeout = timeout.map(|micros| ("timeout".to_owned(), ParameterChoice::Int64Param(micros)));
    let choice = |value: &ParameterValue| match value {
        ParameterValue::Bool(value) => ParameterChoice::BoolParam(*value),
        ParameterValue::Int(value) => ParameterChoice::Int64Param(*value),
        ParameterValue::Uint(value) => ParameterChoice::Uint64Param(*value),
        ParameterValue::Double(value) => ParameterChoice::DoubleParam(*value),
        ParameterValue::String(value) => ParameterChoice::StringParam(value.clone()),
    };
    let own = form.parameters.iter().map(|(name, value)| (name.clone(), choice(value)));
    let all = own.chain(timeout);
    all.map(|(name, choice)| (name, InferParameter { parameter_choice: Some(choice) })).collect()
}

/// Takes the outputs of an answer, of this gateway or of any other server, raw or typed. Raw tensors
/// stay views of its bytes.
///
/// # Errors
/// [`PredictError::BadRequest`] for outputs that are no tensors of the datatype and shape they name.
pub fn decode_answer(message: ModelInferResponse) -> Result<Vec<OutputTensor>, PredictError> {
    let ModelInferResponse { model_name, outputs, raw_output_contents, .. } = message;
    let refused = |text| Err(PredictError::BadRequest(text));
    let found = raw_output_contents.len();
    if found > outputs.len() {
        return refused(format!("{} outputs, but {found} entries of raw_output_contents", outputs.len()));
    }
    let mut raw = raw_output_contents.into_iter();
    let mut decoded = Vec::with_capacity(outputs.len());
    for output in outputs {
        let place = Place { input: &output.name, model: &model_name };
        let Some(datatype) = Datatype::parse(&output.datatype) else {
            return refused(format!("unknown datatype '{}' of output {place}", shown(&output.datatype)));
        };
        let shape = shape(place, &output.shape)?;
        let tensor: Tensor = match (output.contents, raw.next()) {
            (_, Some(data)) => raw_tensor(place, datatype, shape, data)?,
            (Some(contents), None) => typed_tensor(place, datatype, shape, contents)?,
            (None, None) => return refused(format!("unable to find data for output {place}")),
        };
        decoded.push(OutputTensor { name: output.name.into(), tensor, labels: None });
    }
    Ok(decoded)
}
