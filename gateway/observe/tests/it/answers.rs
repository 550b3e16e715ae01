//! Answers to compare.

use std::time::Duration;

use pointsman_core::{
    Code, Datatype, Inputs, ModelName, OutputTensor, Pair, RequestId, Shape, Side, Signature, StageTimes,
    Tensor, TensorSpec, VersionNumber,
};
use pointsman_observe::{Comparison, Pairing, Settings};

/// A version.
pub(crate) fn version(number: u64) -> VersionNumber {
    VersionNumber::new(number).expect("above zero")
}

/// The model.
pub(crate) fn model() -> ModelName {
    ModelName::new("flights").expect("a name")
}

/// Both take one input.
fn signature() -> Signature {
    let x =
        TensorSpec { name: "X".into(), datatype: Datatype::Fp64, shape: None, optional: false, labels: None };
    Signature { inputs: vec![x], outputs: Vec::new() }
}

/// A comparison of version 2 with version 1.
pub(crate) fn comparison(settings: Settings) -> Comparison {
    let pairing = Pairing { model: model(), primary: version(1), shadow: version(2) };
    Comparison::new(pairing, settings).expect("settings")
}

/// One output of numbers.
pub(crate) fn numbers(name: &str, dims: &[u64], values: &[f64]) -> OutputTensor {
    let shape = Shape::new(dims).expect("small");
    let tensor = Tensor::from_vec(Datatype::Fp64, shape, values.to_vec()).expect("fits");
    OutputTensor { name: name.into(), tensor, labels: None }
}

/// What both sides gave for one request.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) id: RequestId,
    pub(crate) input: Tensor,
    pub(crate) primary: Result<Vec<OutputTensor>, Code>,
    pub(crate) shadow: Result<Vec<OutputTensor>, Code>,
    pub(crate) floor: Option<Vec<OutputTensor>>,
    pub(crate) ms: (u64, u64),
}

impl Exchange {
    /// One that took both sides a millisecond.
    pub(crate) fn new(primary: Vec<OutputTensor>, shadow: Vec<OutputTensor>) -> Self {
        let id = RequestId::generate();
        let input = numbers("X", &[1], &[1.0]).tensor;
        Self { id, input, primary: Ok(primary), shadow: Ok(shadow), floor: None, ms: (1, 1) }
    }

    pub(crate) fn push(&self, comparison: &mut Comparison) {
        let times = |ms| StageTimes { run: Duration::from_millis(ms), ..StageTimes::default() };
        let side = |number, outputs, ms| Side { version: version(number), outputs, times: times(ms) };
        comparison.push(&Pair {
            model: &model(),
            id: self.id,
            inputs: Inputs { signature: &signature(), tensors: &[Some(self.input.clone())] },
            primary: side(1, self.primary.as_deref().map_err(|code| *code), self.ms.0),
            shadow: side(2, self.shadow.as_deref().map_err(|code| *code), self.ms.1),
            floor: self.floor.as_deref().map(|outputs| side(1, Ok(outputs), self.ms.0)),
        });
    }
}
