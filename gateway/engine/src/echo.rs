//! The engine that answers with what it was given.

use std::sync::Arc;

use pointsman_core::{
    Engine, Interrupt, LoadError, LoadedModel, ModelFiles, RunError, RunInputs, RunOutputs, Session,
    SessionOptions, Signature,
};

const NAME: &str = "echo";

/// Answers output *i* with input *i*, so that a request's time is the gateway's alone.
///
/// It takes any ONNX file for its signature; the graph is not looked at.
#[derive(Debug, Default)]
pub struct Echo;

impl Engine for Echo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    fn computes(&self) -> bool {
        false
    }

    fn load(&self, files: &ModelFiles, _: &SessionOptions) -> Result<Box<dyn LoadedModel>, LoadError> {
        if !echoes(&files.declared) {
            let reason = "each output of an echoed model needs an input of its datatype at the same position";
            return Err(LoadError::Refused { engine: NAME, reason: reason.into() });
        }
        Ok(Box::new(EchoModel { signature: files.declared.clone() }))
    }
}

/// Whether every output can be answered by the input at its position.
fn echoes(signature: &Signature) -> bool {
    let same = |(o, i): (usize, &pointsman_core::TensorSpec)| {
        signature.inputs.get(o).is_some_and(|input| input.datatype == i.datatype && !input.optional)
    };
    signature.outputs.iter().enumerate().all(same)
}

struct EchoModel {
    signature: Signature,
}

impl LoadedModel for EchoModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn session(&self) -> Result<Box<dyn Session>, LoadError> {
        Ok(Box::new(EchoSession))
    }
}

struct EchoSession;

impl Session for EchoSession {
    fn run(&mut self, inputs: RunInputs<'_>) -> Result<RunOutputs, RunError> {
        let echoed = |&output: &usize| inputs.tensors.get(output).cloned().flatten();
        let missing = || RunError::Failed("an echoed input is missing".into());
        inputs.outputs.iter().map(|o| echoed(o).ok_or_else(missing)).collect()
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::new(NoInterrupt)
    }
}

/// An echo takes no time, so there is nothing to interrupt.
struct NoInterrupt;

impl Interrupt for NoInterrupt {
    fn terminate(&self) {}

    fn reset(&self) {}
}
