//! The body of a predict request.

use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::{InputTensor, PredictError, PredictRequest, RequestId, Signature, VersionSelector};

use super::response::PredictForm;
use super::values::{read_inputs, read_instances};
use crate::json::reader::{Reader, once};
use crate::limits::Limits;
use pointsman_core::shown;

/// What is known of a request before its body is read.
#[derive(Debug)]
pub struct PredictHead {
    /// The gateway's id for it.
    pub id: RequestId,
    /// The model, from the path.
    pub model: String,
    /// The version, from the path.
    pub version: VersionSelector,
}

/// A decoded request, and the form of its answer.
#[derive(Debug)]
pub struct PredictCall {
    /// The request; it asks for all outputs.
    pub request: PredictRequest,
    /// The form of the answer, which is that of the request.
    pub form: PredictForm,
}

/// The name of the only signature that an ONNX model has, as TensorFlow calls it.
pub(super) const SIGNATURE_NAME: &str = "serving_default";

/// Decodes the body of `POST /v1/models/M:predict`, which was unpacked before.
///
/// `instances` is a list of rows, `inputs` are whole tensors. Datatypes come from `signature`,
/// which is asked for once; shapes come from the nesting of the lists.
///
/// # Errors
/// [`PredictError::BadRequest`] for all that is malformed or does not fit the signature's
/// datatypes, and what `signature` gives.
pub fn decode_predict(
    head: PredictHead,
    body: Bytes,
    limits: &Limits,
    signature: impl FnOnce() -> Result<Arc<Signature>, PredictError>,
) -> Result<PredictCall, PredictError> {
    let signature = signature()?;
    let (inputs, form) = Fields::read(&body, &signature, limits)?;
    let request = PredictRequest {
        id: head.id,
        client_id: None,
        model: head.model,
        version: head.version,
        parameters: Vec::new(),
        inputs,
        outputs: Vec::new(),
        priority: 0,
        deadline: None,
    };
    Ok(PredictCall { request, form })
}

enum Key {
    SignatureName,
    Instances,
    Inputs,
    Other,
}

/// The members of the JSON object.
#[derive(Default)]
struct Fields {
    signature_name: Option<String>,
    values: Option<(Vec<InputTensor>, PredictForm)>,
}

impl Fields {
    fn read(
        body: &[u8],
        signature: &Signature,
        limits: &Limits,
    ) -> Result<(Vec<InputTensor>, PredictForm), PredictError> {
        let classify = |key: &str| {
            Ok(match key {
                "signature_name" => Key::SignatureName,
                "instances" => Key::Instances,
                "inputs" => Key::Inputs,
                _ => Key::Other,
            })
        };
        let mut fields = Self::default();
        let mut reader = Reader::new(body);
        reader.object(classify, |reader, key| match key {
            Key::SignatureName => {
                let name = reader.text("the signature's name", limits.text_bytes_max)?;
                once(&mut fields.signature_name, name, "signature_name", "the request")
            }
            Key::Instances => {
                fields.only(PredictForm::Row, body)?;
                fields.values = Some((read_instances(reader, body, &signature.inputs)?, PredictForm::Row));
                Ok(())
            }
            Key::Inputs => {
                fields.only(PredictForm::Columnar, body)?;
                fields.values = Some((read_inputs(reader, &signature.inputs)?, PredictForm::Columnar));
                Ok(())
            }
            Key::Other => reader.skip().map(drop),
        })?;
        reader.finish()?;
        if let Some(name) = fields.signature_name.filter(|n| !n.is_empty() && n != SIGNATURE_NAME) {
            let name = shown(&name);
            return Err(PredictError::BadRequest(format!(
                "Serving signature key \"{name}\" not found, use \"{SIGNATURE_NAME}\" or leave it out"
            )));
        }
        fields.values.ok_or_else(|| PredictError::BadRequest("Missing 'inputs' or 'instances' key".into()))
    }

    /// Checks that no values came before these.
    fn only(&self, form: PredictForm, body: &[u8]) -> Result<(), PredictError> {
        let reason = match &self.values {
            None => return Ok(()),
            Some((_, before)) if *before == form => "Not formatted correctly, a key appears more than once",
            Some(_) => "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist",
        };
        Err(format_error(body, reason))
    }
}

/// An error about the request as a whole, in TF Serving's form; the text is cut short.
pub(super) fn format_error(body: &[u8], reason: &str) -> PredictError {
    let start = String::from_utf8_lossy(&body[..body.len().min(400)]);
    PredictError::BadRequest(format!("JSON Value: {} {reason}", shown(&start)))
}
