//! One element of `outputs`, and with it the form of the answer.

use pointsman_core::PredictError;

use super::parameters::read_output_form;
use crate::json::reader::{Reader, once};
use crate::limits::Limits;
use pointsman_core::Nonfinite;

/// How an answer is to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseForm {
    /// The caller's `id`, echoed.
    pub client_id: Option<String>,
    /// One per requested output, in the order requested; empty where all outputs are answered.
    pub outputs: Vec<OutputForm>,
    /// For outputs that the request did not list.
    pub unlisted: OutputForm,
    /// What becomes of NaN and infinities in JSON.
    pub nonfinite: Nonfinite,
}

/// How one output is to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputForm {
    /// Behind the JSON instead of in it.
    pub binary: bool,
    /// Answer with this many best classes as strings; 0 answers with the tensor itself.
    pub classification: u64,
}

impl ResponseForm {
    /// The form of the output at `index`. An output that is listed without `binary_data` is JSON,
    /// whatever `binary_data_output` says: that one is for outputs that are not listed (Triton).
    #[must_use]
    pub fn output(&self, index: usize) -> OutputForm {
        self.outputs.get(index).copied().unwrap_or(self.unlisted)
    }
}

/// An output as a request asks for it.
pub(super) struct RequestedOutput {
    name: String,
    form: OutputForm,
}

impl RequestedOutput {
    pub(super) fn into_parts(self) -> (String, OutputForm) {
        (self.name, self.form)
    }
}

enum Key {
    Name,
    Parameters,
    Other,
}

pub(super) fn read_output(
    reader: &mut Reader<'_>,
    index: usize,
    limits: &Limits,
) -> Result<RequestedOutput, PredictError> {
    let place = format!("outputs[{index}]");
    let (mut name, mut form) = (None, None);
    let classify = |key: &str| {
        Ok(match key {
            "name" => Key::Name,
            "parameters" => Key::Parameters,
            _ => Key::Other,
        })
    };
    reader.object(classify, |reader, key| match key {
        Key::Name => once(&mut name, reader.text("a name", limits.text_bytes_max)?, "name", &place),
        Key::Parameters => once(&mut form, read_output_form(reader, &place, limits)?, "parameters", &place),
        Key::Other => reader.skip().map(drop),
    })?;
    match name {
        Some(name) => Ok(RequestedOutput { name, form: form.unwrap_or_default() }),
        None => Err(PredictError::BadRequest(format!("{place} has no 'name'"))),
    }
}
