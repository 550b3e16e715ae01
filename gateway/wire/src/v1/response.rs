//! The answer to a predict request.

use bytes::Bytes;
use pointsman_core::{Datatype, OutputTensor, PredictError, Prediction};

use crate::json::write::{ElementWriter, check_lists, not_representable, text};
use pointsman_core::Nonfinite;

/// The two forms of requests and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredictForm {
    /// `instances` and `predictions`: a list of rows.
    Row,
    /// `inputs` and `outputs`: whole tensors.
    Columnar,
}

/// Outputs of strings whose names end so are bytes, and leave as `{"b64": text}`.
const BYTES_SUFFIX: &str = "_bytes";

/// Encodes a prediction: lists nested by the shape, floats with a point, NaN and infinities as
/// tokens. With one output the values stand alone, with several they stand under their names.
///
/// # Errors
/// [`PredictError::NotRepresentable`] where an output has no rows or another number of them in the
/// row form, or holds bytes that are no UTF-8 and has no name that ends in `_bytes`.
pub fn encode_predict(prediction: &Prediction, form: PredictForm) -> Result<Bytes, PredictError> {
    let key = match form {
        PredictForm::Row => "predictions",
        PredictForm::Columnar => "outputs",
    };
    encode(key, &prediction.outputs, form)
}

/// Writes an object of one member, the tensors.
pub(super) fn encode(key: &str, tensors: &[OutputTensor], form: PredictForm) -> Result<Bytes, PredictError> {
    let elements: usize = tensors.iter().map(|output| output.tensor.elements()).sum();
    let mut json = Vec::with_capacity(64 + elements * 10);
    tensors.iter().try_for_each(|output| check_lists(&output.name, &output.tensor))?;
    json.push(b'{');
    text(&mut json, key);
    json.push(b':');
    match form {
        PredictForm::Row => {
            json.push(b'[');
            rows(&mut json, tensors)?;
            json.push(b']');
        }
        PredictForm::Columnar => columns(&mut json, tensors)?,
    }
    json.push(b'}');
    Ok(Bytes::from(json))
}

fn rows(json: &mut Vec<u8>, outputs: &[OutputTensor]) -> Result<(), PredictError> {
    let count = rows_of(outputs)?;
    let mut writers: Vec<(&[u8], &[u64], ElementWriter<'_>)> = Vec::with_capacity(outputs.len());
    let keys: Vec<Vec<u8>> = outputs.iter().map(|output| key(&output.name)).collect();
    for (output, key) in outputs.iter().zip(&keys) {
        let inner = output.tensor.shape().dims().get(1..).unwrap_or_default();
        writers.push((key, inner, writer(output)));
    }
    let single = writers.len() == 1;
    for row in 0..count {
        if row > 0 {
            json.push(b',');
        }
        if !single {
            json.push(b'{');
        }
        for (i, (key, inner, writer)) in writers.iter_mut().enumerate() {
            if i > 0 {
                json.push(b',');
            }
            if !single {
                json.extend_from_slice(key);
            }
            writer.write_nested(json, inner)?;
        }
        if !single {
            json.push(b'}');
        }
    }
    Ok(())
}

/// The number of rows, on which all outputs have to agree.
fn rows_of(outputs: &[OutputTensor]) -> Result<u64, PredictError> {
    let mut count = None;
    for output in outputs {
        let name = &output.name;
        let Some(&rows) = output.tensor.shape().dims().first() else {
            let reason = format!("Tensor name: {name} has no shape information");
            return Err(not_representable(name, &reason));
        };
        if let Some(expected) = count.filter(|&expected| expected != rows) {
            let reason =
                format!("Tensor name: {name} has inconsistent batch size: {rows} expecting: {expected}");
            return Err(not_representable(name, &reason));
        }
        count = Some(rows);
    }
    Ok(count.unwrap_or(0))
}

fn columns(json: &mut Vec<u8>, outputs: &[OutputTensor]) -> Result<(), PredictError> {
    if let [only] = outputs {
        return writer(only).write_nested(json, only.tensor.shape().dims());
    }
    json.push(b'{');
    for (i, output) in outputs.iter().enumerate() {
        if i > 0 {
            json.push(b',');
        }
        json.extend_from_slice(&key(&output.name));
        writer(output).write_nested(json, output.tensor.shape().dims())?;
    }
    json.push(b'}');
    Ok(())
}

/// A name as the key of an object, with the colon.
fn key(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 3);
    text(&mut key, name);
    key.push(b':');
    key
}

fn writer(output: &OutputTensor) -> ElementWriter<'_> {
    let writer = ElementWriter::new(&output.name, &output.tensor, Nonfinite::Token);
    let bytes = output.tensor.datatype() == Datatype::Bytes && output.name.ends_with(BYTES_SUFFIX);
    if bytes { writer.with_base64() } else { writer }
}
