//! Parameters of a request, of its inputs and of its outputs: what the protocol gives a meaning is
//! taken out, the rest goes with the request.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use pointsman_core::{ParameterValue, Parameters, PredictError, shown};

use crate::grpc::infer::bounded;
use crate::grpc::proto::InferParameter;
use crate::grpc::proto::infer_parameter::ParameterChoice;
use crate::limits::Limits;

/// Parameters as they come.
pub(super) type WireParameters = BTreeMap<String, InferParameter>;

/// What the parameters of one request say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RequestParameters {
    /// How long the caller lets the request wait and run.
    pub(super) timeout: Option<Duration>,
    /// Whether the answer's tensors are to be in typed fields.
    pub(super) typed_output: bool,
    /// `priority`: 1 comes first, 0 stands for none.
    pub(super) priority: u64,
    /// Those that the protocol gives no meaning.
    pub(super) custom: Parameters,
}

impl RequestParameters {
    /// Reads the parameters of a request.
    pub(super) fn read(parameters: WireParameters, limits: &Limits) -> Result<Self, PredictError> {
        check_sizes(&parameters, limits)?;
        let mut read = Self::default();
        for (name, InferParameter { parameter_choice }) in parameters {
            let Some(value) = parameter_choice else {
                return Err(PredictError::BadRequest(format!("parameter '{}' has no value", shown(&name))));
            };
            read.take(name, value)?;
        }
        Ok(read)
    }

    fn take(&mut self, name: String, value: ParameterChoice) -> Result<(), PredictError> {
        match name.as_str() {
            "sequence_id" | "sequence_start" | "sequence_end" => refuse_sequence(&name, &value)?,
            "priority" => self.priority = whole_number(&name, &value)?,
            "timeout" => {
                let microseconds = whole_number(&name, &value)?;
                self.timeout = (microseconds > 0).then(|| Duration::from_micros(microseconds));
            }
            "typed_output" => self.typed_output = boolean(&name, &value)?,
            // Every response of a stream tells that it is the last of its request, asked or not.
            "triton_enable_empty_final_response" => {
                boolean(&name, &value)?;
            }
            // A response's parameter, which callers that pass on what they got send along, and a
            // REST parameter, which says nothing here.
            "triton_final_response" | "binary_data_output" => {}
            _ if name.starts_with("triton_") => {
                return Err(PredictError::BadRequest(format!(
                    "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting with 'triton_' are allowed: triton_enable_empty_final_response (got '{}')",
                    shown(&name)
                )));
            }
            _ => self.custom.push((name, parameter_value(value))),
        }
        Ok(())
    }
}

/// How many classes are to be named instead of the scores of an output.
pub(super) fn classification(
    parameters: &WireParameters,
    limits: &Limits,
) -> Result<Option<NonZeroUsize>, PredictError> {
    check_sizes(parameters, limits)?;
    refuse_shared_memory(parameters)?;
    let Some(choice) = parameters.get("classification").and_then(|p| p.parameter_choice.as_ref()) else {
        return Ok(None);
    };
    let classes = whole_number("classification", choice)?;
    Ok(NonZeroUsize::new(usize::try_from(classes).unwrap_or(usize::MAX)))
}

/// Parameters of an input: those of other servers (`content_type`) change nothing.
pub(super) fn check_input(parameters: &WireParameters, limits: &Limits) -> Result<(), PredictError> {
    check_sizes(parameters, limits)?;
    refuse_shared_memory(parameters)
}

fn check_sizes(parameters: &WireParameters, limits: &Limits) -> Result<(), PredictError> {
    let limit = limits.parameters_max;
    if parameters.len() > limit {
        return Err(PredictError::BadRequest(format!(
            "{} parameters are given where {limit} may be (limits.parameters_max)",
            parameters.len()
        )));
    }
    for (name, InferParameter { parameter_choice }) in parameters {
        bounded("a parameter's name", name, limits)?;
        if let Some(ParameterChoice::StringParam(text)) = parameter_choice {
            bounded("a parameter's text", text, limits)?;
        }
    }
    Ok(())
}

fn refuse_shared_memory(parameters: &WireParameters) -> Result<(), PredictError> {
    match parameters.keys().find(|name| name.starts_with("shared_memory_")) {
        Some(name) => Err(PredictError::Unsupported(format!(
            "tensors in shared memory are not supported (parameter '{}')",
            shown(name)
        ))),
        None => Ok(()),
    }
}

/// A sequence needs state between requests. Values that say "none" are let pass: some clients
/// always send them.
fn refuse_sequence(name: &str, value: &ParameterChoice) -> Result<(), PredictError> {
    let none = match value {
        ParameterChoice::BoolParam(set) => !set,
        ParameterChoice::Int64Param(id) => *id == 0,
        ParameterChoice::Uint64Param(id) => *id == 0,
        ParameterChoice::StringParam(id) => id.is_empty(),
        ParameterChoice::DoubleParam(_) => false,
    };
    if none {
        return Ok(());
    }
    Err(PredictError::Unsupported(format!("sequences of requests are not supported (parameter '{name}')")))
}

/// A whole number that is not negative, whichever of the two integer fields it is in.
fn whole_number(name: &str, value: &ParameterChoice) -> Result<u64, PredictError> {
    match value {
        ParameterChoice::Uint64Param(number) => Ok(*number),
        ParameterChoice::Int64Param(number) => u64::try_from(*number).map_err(|_| {
            PredictError::BadRequest(format!("invalid value for '{name}', expected value >= 0, got {number}"))
        }),
        _ => Err(PredictError::BadRequest(format!(
            "invalid value type for '{name}' parameter, expected int64_param or uint64_param."
        ))),
    }
}

fn boolean(name: &str, value: &ParameterChoice) -> Result<bool, PredictError> {
    match value {
        ParameterChoice::BoolParam(set) => Ok(*set),
        _ => Err(PredictError::BadRequest(format!(
            "invalid value type for '{name}' parameter, expected bool_param."
        ))),
    }
}

fn parameter_value(value: ParameterChoice) -> ParameterValue {
    match value {
        ParameterChoice::BoolParam(set) => ParameterValue::Bool(set),
        ParameterChoice::Int64Param(number) => ParameterValue::Int(number),
        ParameterChoice::Uint64Param(number) => {
            i64::try_from(number).map_or(ParameterValue::Uint(number), ParameterValue::Int)
        }
        ParameterChoice::DoubleParam(number) => ParameterValue::Double(number),
        ParameterChoice::StringParam(text) => ParameterValue::String(text),
    }
}
