//! How a request disagrees with the signature of the version that it reached.
//!
//! The sentences follow those of Triton, whose clients' tests look for them.

use std::fmt::Write;
use std::sync::Arc;

use crate::schema::Anomaly;
use crate::shape::Shape;
use crate::signature::TensorSpec;
use crate::tensor::{Datatype, Tensor};
use crate::text::shown;

/// One disagreement between a request and a signature.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the fields are what the variants' sentences name
pub enum InputMismatch {
    /// Inputs that the signature requires did not come.
    MissingInputs { expected: usize, found: Vec<Arc<str>>, missing: Vec<Arc<str>> },
    /// An input that the signature does not have.
    UnexpectedInput { name: String, known: Vec<Arc<str>> },
    /// An input that stands twice in the request.
    DuplicateInput { name: Arc<str> },
    /// An input of another datatype.
    Datatype { name: Arc<str>, expected: Datatype, found: Datatype },
    /// An input of a shape that the signature does not allow.
    Shape { name: Arc<str>, expected: String, found: Shape },
    /// More rows than the version's configuration allows in one request.
    TooManyRows { name: Arc<str>, rows_max: u64, found: u64 },
    /// An output that the signature does not have.
    UnexpectedOutput { name: String, known: Vec<Arc<str>> },
    /// An output that was asked for twice.
    DuplicateOutput { name: Arc<str> },
    /// A value that breaks a rule of the model's schema which refuses it. The value is named where it may be repeated.
    Rule { column: Arc<str>, value: Option<String>, rule: String, anomaly: Anomaly, row: u64 },
    /// The tensor cannot be what was asked for (a classification of strings, say).
    Classification { name: Arc<str>, reason: &'static str },
}

/// At most this many names stand in one message.
const NAMES_MAX: usize = 16;

impl InputMismatch {
    /// The sentence for the caller.
    #[must_use]
    pub fn describe(&self, model: &str) -> String {
        match self {
            Self::MissingInputs { expected, found, missing } => format!(
                "expected {expected} inputs but got {} inputs for model '{model}'. Got input(s) {}, but missing required input(s) {}. Please provide all required input(s).",
                found.len(),
                list(found),
                list(missing),
            ),
            Self::UnexpectedInput { name, known } => {
                format!(
                    "unexpected inference input '{}' for model '{model}'. Its inputs are {}",
                    shown(name),
                    list(known)
                )
            }
            Self::DuplicateInput { name } => {
                format!("input '{name}' appears more than once in the request for model '{model}'")
            }
            Self::Datatype { name, expected, found } => format!(
                "inference input '{name}' data-type is '{found}', but model '{model}' expects '{expected}'"
            ),
            Self::Shape { name, expected, found } => {
                format!(
                    "unexpected shape for input '{name}' for model '{model}'. Expected {expected}, got {found}"
                )
            }
            Self::TooManyRows { name, rows_max, found } => format!(
                "inference request batch-size must be <= {rows_max} for '{model}', got {found} rows in input '{name}'"
            ),
            Self::UnexpectedOutput { name, known } => format!(
                "unexpected inference output '{}' for model '{model}'. Its outputs are {}",
                shown(name),
                list(known)
            ),
            Self::DuplicateOutput { name } => {
                format!("output '{name}' is requested more than once for model '{model}'")
            }
            Self::Rule { column, value, rule, anomaly, row } => {
                let value = value.as_ref().map_or_else(String::new, |value| format!(" {value}"));
                format!(
                    "the value{value} of input column '{}' in row {row} breaks the schema of model '{model}': {rule} ({anomaly})",
                    shown(column)
                )
            }
            Self::Classification { name, reason } => {
                format!("no classification of output '{name}' of model '{model}': {reason}")
            }
        }
    }

    pub(crate) fn missing_inputs(specs: &[TensorSpec], given: &[Option<Tensor>]) -> Self {
        let names = |wanted: &dyn Fn(&TensorSpec, bool) -> bool| {
            let pairs = specs.iter().zip(given).filter(|(spec, tensor)| wanted(spec, tensor.is_some()));
            pairs.map(|(spec, _)| spec.name.clone()).collect()
        };
        Self::MissingInputs {
            expected: specs.iter().filter(|s| !s.optional).count(),
            found: names(&|_, given| given),
            missing: names(&|spec, given| !given && !spec.optional),
        }
    }

    pub(crate) fn unexpected_input(name: &str, specs: &[TensorSpec]) -> Self {
        Self::UnexpectedInput { name: name.into(), known: specs.iter().map(|s| s.name.clone()).collect() }
    }

    pub(crate) fn unexpected_output(name: &str, specs: &[TensorSpec]) -> Self {
        Self::UnexpectedOutput { name: name.into(), known: specs.iter().map(|s| s.name.clone()).collect() }
    }
}

/// Names in the form `['a','b']`.
fn list(names: &[Arc<str>]) -> String {
    let mut text = String::from("[");
    for (i, name) in names.iter().take(NAMES_MAX).enumerate() {
        let _ = write!(text, "{}'{name}'", if i == 0 { "" } else { "," });
    }
    if names.len() > NAMES_MAX {
        let _ = write!(text, ", and {} more", names.len() - NAMES_MAX);
    }
    text.push(']');
    text
}
