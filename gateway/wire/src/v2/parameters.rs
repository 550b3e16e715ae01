//! The `parameters` of requests, inputs and outputs: those with a meaning in the protocol become
//! fields, those that name something this gateway lacks are refused by name, and the rest of the
//! request's is handed on.

use std::time::Duration;

use jiter::Peek;
use pointsman_core::{ParameterValue, Parameters, PredictError};

use super::output::{OutputForm, ResponseForm};
use crate::json::reader::{Number, Reader, bounded};
use crate::limits::Limits;
use pointsman_core::Nonfinite;
use pointsman_core::shown;

/// The parameters of the whole request.
#[derive(Default)]
pub(super) struct RequestParameters {
    /// `timeout`, in microseconds on the wire; 0 stands for none.
    pub(super) timeout: Option<Duration>,
    /// `binary_data_output`.
    pub(super) binary_data_output: Option<bool>,
    /// `nonfinite`, this gateway's own.
    pub(super) nonfinite: Option<Nonfinite>,
    /// `priority`: 1 comes first, 0 stands for none.
    pub(super) priority: u64,
    /// All others.
    pub(super) passed_on: Parameters,
}

impl RequestParameters {
    pub(super) fn read(reader: &mut Reader<'_>, limits: &Limits) -> Result<Self, PredictError> {
        let mut this = Self::default();
        let mut timeout = None;
        each(reader, "the request", limits, |reader, key| match key.as_str() {
            "timeout" => {
                timeout = Some(reader.unsigned("parameter 'timeout'")?);
                Ok(())
            }
            "binary_data_output" => {
                this.binary_data_output = Some(reader.boolean()?);
                Ok(())
            }
            "nonfinite" => {
                let name = reader.text("parameter 'nonfinite'", limits.text_bytes_max)?;
                let parsed = Nonfinite::parse(&name).ok_or_else(|| {
                    PredictError::BadRequest(format!(
                        "parameter 'nonfinite' must be \"token\", \"null\" or \"error\", got \"{}\"",
                        shown(&name)
                    ))
                })?;
                this.nonfinite = Some(parsed);
                Ok(())
            }
            "priority" => {
                this.priority = reader.unsigned("parameter 'priority'")?;
                Ok(())
            }
            "sequence_id" | "sequence_start" | "sequence_end" => {
                Err(unsupported(&key, "sequences of requests are"))
            }
            "headers" => Err(reserved(&key)),
            name if name.starts_with("triton_") => Err(reserved(&key)),
            _ => {
                let value = read_value(reader, &key, limits)?;
                this.passed_on.push((key, value));
                Ok(())
            }
        })?;
        this.timeout = timeout.filter(|&us| us > 0).map(Duration::from_micros);
        Ok(this)
    }

    /// The form of the answer, still without the requested outputs.
    pub(super) fn form(&self, client_id: Option<String>, nonfinite: Nonfinite) -> ResponseForm {
        let binary = self.binary_data_output.unwrap_or(false);
        ResponseForm {
            client_id,
            outputs: Vec::new(),
            unlisted: OutputForm { binary, classification: 0 },
            nonfinite: self.nonfinite.unwrap_or(nonfinite),
        }
    }
}

/// The parameters of one input.
#[derive(Default)]
pub(super) struct InputParameters {
    pub(super) binary_data_size: Option<u64>,
}

impl InputParameters {
    pub(super) fn read(reader: &mut Reader<'_>, place: &str, limits: &Limits) -> Result<Self, PredictError> {
        let mut this = Self::default();
        each(reader, place, limits, |reader, key| match key.as_str() {
            "binary_data_size" => {
                let what = format!("parameter 'binary_data_size' of {place}");
                this.binary_data_size = Some(reader.unsigned(&what)?);
                Ok(())
            }
            name if name.starts_with("shared_memory_") => Err(unsupported(&key, "shared memory is")),
            // Clients of MLServer add `content_type` and the like.
            _ => reader.skip().map(drop),
        })?;
        Ok(this)
    }
}

/// Reads the parameters of one requested output: those that say how it is to be answered.
pub(super) fn read_output_form(
    reader: &mut Reader<'_>,
    place: &str,
    limits: &Limits,
) -> Result<OutputForm, PredictError> {
    let mut form = OutputForm::default();
    each(reader, place, limits, |reader, key| match key.as_str() {
        "binary_data" => {
            form.binary = reader.boolean()?;
            Ok(())
        }
        "classification" => {
            form.classification = reader.unsigned(&format!("parameter 'classification' of {place}"))?;
            Ok(())
        }
        name if name.starts_with("shared_memory_") => Err(unsupported(&key, "shared memory is")),
        _ => reader.skip().map(drop),
    })?;
    Ok(form)
}

/// Walks an object of parameters; `null` in its place is none.
fn each(
    reader: &mut Reader<'_>,
    place: &str,
    limits: &Limits,
    mut parameter: impl FnMut(&mut Reader<'_>, String) -> Result<(), PredictError>,
) -> Result<(), PredictError> {
    if reader.take_null()? {
        return Ok(());
    }
    let mut seen: Vec<String> = Vec::new();
    let classify =
        |key: &str| bounded(key, "the name of a parameter", limits.text_bytes_max).map(str::to_owned);
    reader.object(classify, |reader, key| {
        if seen.len() == limits.parameters_max {
            return Err(PredictError::BadRequest(format!(
                "{place} has more than {} parameters (limits.parameters_max)",
                limits.parameters_max
            )));
        }
        if seen.contains(&key) {
            let key = shown(&key);
            return Err(PredictError::BadRequest(format!(
                "parameter '{key}' appears more than once in {place}"
            )));
        }
        seen.push(key.clone());
        parameter(reader, key)
    })
}

fn read_value(reader: &mut Reader<'_>, key: &str, limits: &Limits) -> Result<ParameterValue, PredictError> {
    let what = format!("parameter '{}'", shown(key));
    match reader.peek()? {
        Peek::True | Peek::False => reader.boolean().map(ParameterValue::Bool),
        Peek::String => reader.text(&what, limits.text_bytes_max).map(ParameterValue::String),
        peek if peek.is_num() => Ok(match reader.number(&what)? {
            Number::Int(value) => ParameterValue::Int(value),
            Number::Uint(value) => ParameterValue::Uint(value),
            Number::Float(value) => ParameterValue::Double(value),
        }),
        _ => {
            let found = reader.excerpt(reader.position())?;
            Err(PredictError::BadRequest(format!(
                "{what} has invalid type. It should be either 'int', 'bool', 'double' or 'string', got {found}"
            )))
        }
    }
}

fn reserved(key: &str) -> PredictError {
    PredictError::BadRequest(format!(
        "parameter '{}' cannot be specified: 'headers' and keys that start with 'triton_' are reserved for Triton usage",
        shown(key)
    ))
}

fn unsupported(key: &str, what: &str) -> PredictError {
    PredictError::Unsupported(format!("parameter '{}': {what} not supported", shown(key)))
}
