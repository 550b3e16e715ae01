//! What a model is asked about.

use std::time::Duration;

use pointsman_core::{InputTensor, Parameters};
use pointsman_registry::ExpectedOutput;

/// One input, for a request of any kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Input {
    /// The V2 `id`, by which an answer to another request is told from the right one. It also keeps
    /// answers of servers that make one up for requests without from differing each time.
    pub(crate) id: String,
    /// The inputs of the model.
    pub(crate) tensors: Vec<InputTensor>,
    /// Names of the outputs to ask for; empty for all.
    pub(crate) outputs: Vec<String>,
    /// The right answer, where it is known.
    pub(crate) expected: Option<Expected>,
    /// V2 parameters of the request, such as `priority`.
    pub(crate) parameters: Parameters,
    /// The V2 parameter `timeout`.
    pub(crate) timeout: Option<Duration>,
}

/// Outputs as they have to be; those that are not named may be anything.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) outputs: Vec<ExpectedOutput>,
    /// How far a number may lie from the expected one, as a part of it.
    pub(crate) rtol: f64,
    /// How far it may lie in any case.
    pub(crate) atol: f64,
}
