//! The answer to an inference request.

use bytes::Bytes;
use pointsman_core::{Datatype, PredictError, Prediction, Tensor};

use super::output::ResponseForm;
use crate::classification::classify;
use crate::json::write::{ElementWriter, text, unsigned};

/// `Content-Type` of a body that is JSON, exactly so: KServe's client compares it as a whole.
pub const JSON: &str = "application/json";

/// `Content-Type` of a body with binary tensors behind the JSON.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// An encoded answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedResponse {
    /// The value of [`super::HEADER_LENGTH`]; nothing where the whole body is JSON.
    pub header_length: Option<usize>,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The body in pieces: the JSON, then the binary outputs, which are the tensors' own bytes.
    pub segments: Vec<Bytes>,
}

/// Encodes a prediction in the form that its request asked for.
///
/// JSON outputs have flat, row-major `data`; binary outputs stand behind the JSON in the order of
/// `outputs`, little-endian and packed. FP16 and BF16 are numbers in JSON as well, which is more
/// than the protocol asks.
///
/// # Errors
/// [`PredictError::NotRepresentable`] where JSON cannot hold an output (bytes that are no UTF-8,
/// NaN where that is to be an error), [`PredictError::InputMismatch`] for a classification of what
/// has no scores.
pub fn encode_infer(prediction: &Prediction, form: &ResponseForm) -> Result<EncodedResponse, PredictError> {
    let mut json = Vec::with_capacity(json_size(prediction, form));
    json.push(b'{');
    if let Some(id) = &form.client_id {
        json.extend_from_slice(b"\"id\":");
        text(&mut json, id);
        json.push(b',');
    }
    json.extend_from_slice(b"\"model_name\":");
    text(&mut json, prediction.model.as_str());
    json.extend_from_slice(b",\"model_version\":\"");
    unsigned(&mut json, prediction.version.get());
    json.extend_from_slice(b"\",\"outputs\":[");
    let mut segments = vec![Bytes::new()];
    for (i, output) in prediction.outputs.iter().enumerate() {
        if i > 0 {
            json.push(b',');
        }
        let wanted = form.output(i);
        let classes;
        let tensor = if wanted.classification > 0 {
            let best = usize::try_from(wanted.classification).unwrap_or(usize::MAX);
            classes = classify(output, best).map_err(|mismatch| PredictError::InputMismatch {
                model: prediction.model.to_string(),
                mismatch,
            })?;
            &classes
        } else {
            &output.tensor
        };
        head(&mut json, &output.name, tensor);
        if wanted.binary {
            json.extend_from_slice(b",\"parameters\":{\"binary_data_size\":");
            unsigned(&mut json, tensor.data().len() as u64);
            json.push(b'}');
            if !tensor.data().is_empty() {
                segments.push(tensor.data().clone());
            }
        } else {
            json.extend_from_slice(b",\"data\":[");
            ElementWriter::new(&output.name, tensor, form.nonfinite).write(&mut json, tensor.elements())?;
            json.push(b']');
        }
        json.push(b'}');
    }
    json.extend_from_slice(b"]}");
    let binary = segments.len() > 1;
    let header_length = binary.then_some(json.len());
    segments[0] = Bytes::from(json);
    Ok(EncodedResponse { header_length, content_type: if binary { OCTET_STREAM } else { JSON }, segments })
}

/// Writes an output, or an input, up to its value; the object stays open.
pub(super) fn head(json: &mut Vec<u8>, name: &str, tensor: &Tensor) {
    json.extend_from_slice(b"{\"name\":");
    text(json, name);
    json.extend_from_slice(b",\"datatype\":\"");
    json.extend_from_slice(tensor.datatype().name().as_bytes());
    json.extend_from_slice(b"\",\"shape\":[");
    for (i, &dim) in tensor.shape().dims().iter().enumerate() {
        if i > 0 {
            json.push(b',');
        }
        unsigned(json, dim);
    }
    json.push(b']');
}

/// Room that the JSON is likely to need, so that it seldom moves while it grows.
fn json_size(prediction: &Prediction, form: &ResponseForm) -> usize {
    let outputs = prediction.outputs.iter().enumerate();
    let elements = outputs.filter(|(i, _)| !form.output(*i).binary).map(|(_, output)| {
        let per_element = if output.tensor.datatype() == Datatype::Bytes { 4 } else { 10 };
        output.tensor.elements() * per_element + 80
    });
    128 + elements.sum::<usize>()
}
