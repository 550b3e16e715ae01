//! From a `ModelInferRequest` to a request for a prediction.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use pointsman_core::{
    Datatype, InputTensor, PredictError, PredictRequest, RequestId, Shape, VersionSelector, shown,
};

use crate::grpc::answer::ResponseForm;
use crate::grpc::contents::{Place, raw_tensor, typed_tensor};
use crate::grpc::parameters::{RequestParameters, check_input, classification};
use crate::grpc::proto::ModelInferRequest;
use crate::grpc::proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use crate::json::reader;
use crate::limits::Limits;

/// What one `ModelInferRequest` asks for.
#[derive(Debug)]
pub struct InferCall {
    /// The request. Its deadline is left open: there is no clock here.
    pub request: PredictRequest,
    /// What the answer is to look like.
    pub form: ResponseForm,
    /// How long the caller lets the request wait and run, by its `timeout` parameter.
    pub timeout: Option<Duration>,
}

/// Decodes a message. Raw tensors stay views of its bytes.
///
/// # Errors
/// [`PredictError::BadRequest`] for what the protocol does not allow or is over a limit of `limits`, and
/// [`PredictError::Unsupported`] for parts of it that are not here (shared memory, sequences).
pub fn decode_infer(
    message: ModelInferRequest,
    id: RequestId,
    limits: &Limits,
) -> Result<InferCall, PredictError> {
    check_sizes(&message, limits)?;
    let version = parse_version(&message.model_version)?;
    let parameters = RequestParameters::read(message.parameters, limits)?;
    let (outputs, classes) = requested_outputs(message.outputs, limits)?;
    let inputs = inputs(&message.model_name, message.inputs, message.raw_input_contents, limits)?;
    let request = PredictRequest {
        id,
        client_id: (!message.id.is_empty()).then(|| message.id.clone()),
        model: message.model_name,
        version,
        priority: parameters.priority,
        parameters: parameters.custom,
        inputs,
        outputs,
        deadline: None,
    };
    Ok(InferCall {
        request,
        form: ResponseForm { id: message.id, typed: parameters.typed_output, classes },
        timeout: parameters.timeout,
    })
}

/// Reads the version that a message names: nothing, a number or an alias.
///
/// # Errors
/// [`PredictError::BadRequest`], in Triton's words, for what can be neither.
pub fn parse_version(text: &str) -> Result<VersionSelector, PredictError> {
    VersionSelector::parse(text).map_err(|error| {
        PredictError::BadRequest(format!(
            "failed to get model version from specified version string '{}' (details: {error}), version should be an integral value > 0",
            shown(text)
        ))
    })
}

fn check_sizes(message: &ModelInferRequest, limits: &Limits) -> Result<(), PredictError> {
    let limit = limits.tensors_max;
    for (what, count) in [("inputs", message.inputs.len()), ("outputs", message.outputs.len())] {
        if count > limit {
            return Err(PredictError::BadRequest(format!(
                "the request has {count} {what} where {limit} may be (limits.tensors_max)"
            )));
        }
    }
    bounded("the model's name", &message.model_name, limits)?;
    bounded("the model's version", &message.model_version, limits)?;
    bounded("the request's id", &message.id, limits)
}

/// Names of the outputs asked for, and for each the number of classes to name.
type RequestedOutputs = (Vec<String>, Vec<Option<NonZeroUsize>>);

fn requested_outputs(
    outputs: Vec<InferRequestedOutputTensor>,
    limits: &Limits,
) -> Result<RequestedOutputs, PredictError> {
    let mut names = Vec::with_capacity(outputs.len());
    let mut classes = Vec::with_capacity(outputs.len());
    for output in outputs {
        bounded("an output's name", &output.name, limits)?;
        classes.push(classification(&output.parameters, limits)?);
        names.push(output.name);
    }
    Ok((names, classes))
}

fn inputs(
    model: &str,
    inputs: Vec<InferInputTensor>,
    raw: Vec<Bytes>,
    limits: &Limits,
) -> Result<Vec<InputTensor>, PredictError> {
    let (expected, found) = (inputs.len(), raw.len());
    let any_raw = !raw.is_empty();
    let mut raw = raw.into_iter();
    let decode = |input: InferInputTensor| decode_input(model, input, any_raw, &mut raw, limits);
    let decoded = inputs.into_iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    if found > expected {
        return Err(PredictError::BadRequest(format!(
            "unexpected raw_input_contents for model '{}': {expected} inputs, but {found} entries",
            shown(model)
        )));
    }
    Ok(decoded)
}

/// Decodes one input, whose data is the next entry of `raw` if the request has `any_raw`.
fn decode_input(
    model: &str,
    input: InferInputTensor,
    any_raw: bool,
    raw: &mut impl Iterator<Item = Bytes>,
    limits: &Limits,
) -> Result<InputTensor, PredictError> {
    let refused = |text| Err(PredictError::BadRequest(text));
    bounded("an input's name", &input.name, limits)?;
    check_input(&input.parameters, limits)?;
    let place = Place { input: &input.name, model };
    let Some(datatype) = Datatype::parse(&input.datatype) else {
        return refused(format!("unknown datatype '{}' of input {place}", shown(&input.datatype)));
    };
    let shape = shape(place, &input.shape)?;
    let tensor = match input.contents {
        Some(_) if any_raw => {
            return refused(format!(
                "contents field must not be specified when using raw_input_contents for {place}"
            ));
        }
        Some(contents) => typed_tensor(place, datatype, shape, contents)?,
        None => match raw.next() {
            Some(data) => raw_tensor(place, datatype, shape, data)?,
            None => return refused(format!("unable to find data for input tensor {place} in request.")),
        },
    };
    Ok(InputTensor { name: input.name, tensor })
}

pub(super) fn shape(place: Place<'_>, dims: &[i64]) -> Result<Shape, PredictError> {
    let mut sizes = [0; Shape::RANK_MAX];
    let Some(sizes) = sizes.get_mut(..dims.len()) else {
        return Err(PredictError::BadRequest(format!(
            "input {place} has {} dimensions where {} may be",
            dims.len(),
            Shape::RANK_MAX
        )));
    };
    for (size, &dim) in sizes.iter_mut().zip(dims) {
        *size = u64::try_from(dim).map_err(|_| {
            PredictError::BadRequest(format!("the shape of input {place} has a negative dimension ({dim})"))
        })?;
    }
    // The rank was looked at above.
    Shape::new(sizes).ok_or_else(|| PredictError::BadRequest(format!("input {place} has no shape")))
}

/// Refuses a text that is longer than texts may be, as the REST protocols do.
pub(super) fn bounded(what: &'static str, text: &str, limits: &Limits) -> Result<(), PredictError> {
    reader::bounded(text, what, limits.text_bytes_max).map(drop)
}
