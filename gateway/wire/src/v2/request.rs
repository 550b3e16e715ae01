//! The body of an inference request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pointsman_core::{InputTensor, PredictError, PredictRequest, RequestId, Signature, VersionSelector};

use super::binary::{BodyParts, Tail, raw_input, split};
use super::input::{Input, read_input};
use super::output::{OutputForm, RequestedOutput, ResponseForm, read_output};
use super::parameters::RequestParameters;
use crate::json::reader::{Reader, once};
use crate::limits::Limits;
use pointsman_core::Nonfinite;

/// What is known of a request before its body is read.
#[derive(Debug)]
pub struct InferHead<'a> {
    /// The gateway's id for it.
    pub id: RequestId,
    /// The model, from the path.
    pub model: String,
    /// The version, from the path.
    pub version: VersionSelector,
    /// The value of [`super::HEADER_LENGTH`], where the header came.
    pub header_length: Option<&'a str>,
    /// What becomes of NaN and infinities in JSON, unless the request says otherwise.
    pub nonfinite: Nonfinite,
}

/// A decoded request, and how its answer is to look.
#[derive(Debug)]
pub struct InferCall {
    /// The request. Its deadline is open: the caller has the clock.
    pub request: PredictRequest,
    /// The request parameter `timeout`, where it is above 0.
    pub timeout: Option<Duration>,
    /// The form of the answer.
    pub form: ResponseForm,
}

/// Decodes the body of `POST /v2/models/M[/versions/V]/infer`, which was unpacked before.
///
/// Input tensors of any datatype come as JSON (`data`, flat or nested to the shape) or as binary
/// behind the JSON, little-endian and packed; the latter are views of `body`. `signature` is asked
/// for the raw binary request alone, whose body is one tensor and nothing else.
///
/// # Errors
/// [`PredictError::BadRequest`] for all that is malformed, contradictory or over a limit of
/// `limits`, [`PredictError::Unsupported`] for shared memory and sequences, and what `signature`
/// gives.
pub fn decode_infer(
    head: InferHead<'_>,
    body: Bytes,
    limits: &Limits,
    signature: impl FnOnce() -> Result<Arc<Signature>, PredictError>,
) -> Result<InferCall, PredictError> {
    match split(head.header_length, &body)? {
        BodyParts::Raw => raw_call(head, body, &*signature()?),
        BodyParts::Json { json_bytes } => {
            let mut tail = Tail::new(body.slice(json_bytes..), &head.model);
            let fields = Fields::read(&body[..json_bytes], limits)?;
            let inputs: Result<Vec<InputTensor>, PredictError> =
                fields.inputs.into_iter().map(|input| input.resolve(&mut tail)).collect();
            let inputs = inputs?;
            tail.finish()?;
            let form = fields.parameters.form(fields.id.clone(), head.nonfinite);
            let (outputs, forms) = fields.outputs.into_iter().map(RequestedOutput::into_parts).unzip();
            let request = PredictRequest {
                id: head.id,
                client_id: fields.id,
                model: head.model,
                version: head.version,
                priority: fields.parameters.priority,
                parameters: fields.parameters.passed_on,
                inputs,
                outputs,
                deadline: None,
            };
            let form = ResponseForm { outputs: forms, ..form };
            Ok(InferCall { request, timeout: fields.parameters.timeout, form })
        }
    }
}

/// The raw binary request: the model's only input, and all outputs in binary.
fn raw_call(head: InferHead<'_>, body: Bytes, signature: &Signature) -> Result<InferCall, PredictError> {
    let input = raw_input(body, signature, &head.model)?;
    let form = ResponseForm {
        client_id: None,
        outputs: Vec::new(),
        unlisted: OutputForm { binary: true, classification: 0 },
        nonfinite: head.nonfinite,
    };
    let request = PredictRequest {
        id: head.id,
        client_id: None,
        model: head.model,
        version: head.version,
        priority: 0,
        parameters: Vec::new(),
        inputs: vec![input],
        outputs: Vec::new(),
        deadline: None,
    };
    Ok(InferCall { request, timeout: None, form })
}

/// The members of the JSON object.
#[derive(Default)]
struct Fields {
    id: Option<String>,
    parameters: RequestParameters,
    inputs: Vec<Input>,
    outputs: Vec<RequestedOutput>,
}

enum Key {
    Id,
    Parameters,
    Inputs,
    Outputs,
    Other,
}

impl Fields {
    fn read(json: &[u8], limits: &Limits) -> Result<Self, PredictError> {
        const REQUEST: &str = "the request";
        let classify = |key: &str| {
            Ok(match key {
                "id" => Key::Id,
                "parameters" => Key::Parameters,
                "inputs" => Key::Inputs,
                "outputs" => Key::Outputs,
                _ => Key::Other,
            })
        };
        let (mut id, mut parameters, mut inputs, mut outputs) = (None, None, None, None);
        let mut reader = Reader::new(json);
        reader.object(classify, |reader, key| match key {
            Key::Id => once(&mut id, read_id(reader, limits)?, "id", REQUEST),
            Key::Parameters => {
                once(&mut parameters, RequestParameters::read(reader, limits)?, "parameters", REQUEST)
            }
            Key::Inputs => once(&mut inputs, read_inputs(reader, json, limits)?, "inputs", REQUEST),
            Key::Outputs => once(&mut outputs, read_outputs(reader, limits)?, "outputs", REQUEST),
            // KServe's client repeats the model's name here; other clients add fields of their own.
            Key::Other => reader.skip().map(drop),
        })?;
        reader.finish()?;
        let Some(inputs) = inputs else {
            return Err(PredictError::BadRequest("the request has no 'inputs'".into()));
        };
        Ok(Self {
            id: id.flatten(),
            parameters: parameters.unwrap_or_default(),
            inputs,
            outputs: outputs.unwrap_or_default(),
        })
    }
}

/// An empty id is none: it is not echoed.
fn read_id(reader: &mut Reader<'_>, limits: &Limits) -> Result<Option<String>, PredictError> {
    if reader.take_null()? {
        return Ok(None);
    }
    let id = reader.text("the request's id", limits.text_bytes_max)?;
    Ok((!id.is_empty()).then_some(id))
}

fn read_inputs(reader: &mut Reader<'_>, json: &[u8], limits: &Limits) -> Result<Vec<Input>, PredictError> {
    let mut inputs = Vec::new();
    reader.list(|reader, _| {
        within(inputs.len(), "inputs", limits)?;
        inputs.push(read_input(reader, json, &format!("inputs[{}]", inputs.len()), limits)?);
        Ok(())
    })?;
    Ok(inputs)
}

fn read_outputs(reader: &mut Reader<'_>, limits: &Limits) -> Result<Vec<RequestedOutput>, PredictError> {
    let mut outputs = Vec::new();
    if reader.take_null()? {
        return Ok(outputs);
    }
    reader.list(|reader, _| {
        within(outputs.len(), "outputs", limits)?;
        outputs.push(read_output(reader, outputs.len(), limits)?);
        Ok(())
    })?;
    Ok(outputs)
}

fn within(count: usize, what: &str, limits: &Limits) -> Result<(), PredictError> {
    let max = limits.tensors_max;
    if count >= max {
        return Err(PredictError::BadRequest(format!(
            "the request has more than {max} {what} (limits.tensors_max)"
        )));
    }
    Ok(())
}
