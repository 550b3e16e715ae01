//! tract: a runtime for ONNX in Rust, compiled in, so that the gateway serves on a machine without
//! ONNX Runtime.
//!
//! It knows fewer operators ([`Tract`] names the first one missing), runs single-threaded, and a run
//! cannot be interrupted: a deadline that passes during it is answered, and the worker is busy until
//! it ends.

mod external;
mod misread;
mod value;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pointsman_core::{
    Dim, Engine, Interrupt, LoadError, LoadedModel, ModelFiles, RunError, RunInputs, RunOutputs, Session,
    SessionOptions, Signature, TensorSpec,
};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::ops::unimpl::UnimplementedOp;

use self::value::{from_tract, to_tract, tract_type};

const NAME: &str = "tract";
const REMEDY: &str = "install ONNX Runtime with deploy/install-onnxruntime";
/// The release of tract that Cargo.toml pins (a test compares them).
const VERSION: &str = "0.23.9";

/// The engine.
#[derive(Debug, Default)]
pub struct Tract;

impl Engine for Tract {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        VERSION.into()
    }

    fn load(&self, files: &ModelFiles, _: &SessionOptions) -> Result<Box<dyn LoadedModel>, LoadError> {
        // tract panics on some malformed graphs: that is a load error as well.
        match catch_unwind(|| load(files)) {
            Ok(loaded) => Ok(Box::new(loaded?)),
            Err(_) => Err(refused("it panicked on the graph")),
        }
    }
}

fn refused(reason: impl ToString) -> LoadError {
    LoadError::Refused { engine: NAME, reason: reason.to_string() }
}

fn load(files: &ModelFiles) -> Result<TractModel, LoadError> {
    let onnx = tract_onnx::onnx().with_ignore_output_shapes(true);
    let mut proto = onnx.proto_model_for_read(&mut files.model.as_ref()).map_err(chain)?;
    external::inline(&mut proto, &files.external).map_err(refused)?;
    let mut model = onnx.parse(&proto, None).map_err(chain)?.model;
    if let Some(missing) = model.nodes().iter().find(|n| n.op_is::<UnimplementedOp>()) {
        return Err(unsupported_operator(&missing.op.name()));
    }
    if let Some(operator) = proto.graph.as_ref().and_then(misread::misread) {
        return Err(lacks(operator.to_owned()));
    }
    let signature = signature(&model, &files.declared)?;
    for (index, spec) in signature.inputs.iter().enumerate() {
        let fact = input_fact(&model, spec).ok_or_else(|| {
            let kind = format!("{} without a declared shape", spec.datatype);
            LoadError::UnsupportedType { what: "input", name: spec.name.to_string(), kind }
        })?;
        model.set_input_fact(index, fact).map_err(chain)?;
    }
    let symbols = model.symbols.clone();
    let plan = model.into_optimized().and_then(IntoRunnable::into_runnable).map_err(chain)?;
    Ok(TractModel { plan, signature, _symbols: symbols })
}

/// The sentence for an operator that tract lacks; it calls it `Unimplemented(Name)`.
fn unsupported_operator(name: &str) -> LoadError {
    let operator = name.trim_start_matches("Unimplemented").trim_matches(|c: char| !c.is_alphanumeric());
    lacks(operator.into())
}

fn lacks(operator: String) -> LoadError {
    LoadError::UnsupportedOperator { engine: NAME, operator, remedy: REMEDY }
}

/// tract's errors are chains: the first link says where, the last says what.
#[allow(clippy::needless_pass_by_value)] // taken by `map_err`
fn chain(error: TractError) -> LoadError {
    let links: Vec<String> = error.chain().map(|link| link.to_string().replace('\n', " ")).collect();
    if let Some(operator) = links.iter().find(|link| link.starts_with("Unimplemented(")) {
        return unsupported_operator(operator);
    }
    let text = links.join(": ");
    refused(text.chars().take(400).collect::<String>())
}

/// The declared inputs and outputs, in the model's order.
fn signature(model: &InferenceModel, declared: &Signature) -> Result<Signature, LoadError> {
    let pick = |what: &'static str, specs: &[TensorSpec], name: &str| {
        let spec = specs.iter().find(|s| *s.name == *name);
        let kind = || "a kind of its own".to_owned();
        spec.cloned().ok_or_else(|| LoadError::UnsupportedType { what, name: name.into(), kind: kind() })
    };
    let inputs =
        model.inputs.iter().map(|outlet| pick("input", &declared.inputs, &model.node(outlet.node).name));
    let inputs = inputs.collect::<Result<_, _>>()?;
    if declared.outputs.len() != model.outputs.len() {
        return Err(refused("an output is of a kind that the V2 protocol cannot carry"));
    }
    Ok(Signature { inputs, outputs: declared.outputs.clone() })
}

/// What tract has to know of an input: every dimension needs a size or a symbol.
fn input_fact(model: &InferenceModel, spec: &TensorSpec) -> Option<InferenceFact> {
    let dims = spec.shape.as_ref()?.iter().enumerate().map(|(axis, dim)| match dim {
        Dim::Fixed(size) => size.to_dim(),
        Dim::Dynamic(Some(symbol)) if is_identifier(symbol) => model.symbols.sym(symbol).to_dim(),
        // scikit-learn's converters leave the batch dimension without a name; all such are one batch.
        Dim::Dynamic(_) if axis == 0 => model.symbols.sym("batch").to_dim(),
        Dim::Dynamic(_) => model.symbols.new_with_prefix("dim").to_dim(),
    });
    Some(InferenceFact::dt_shape(tract_type(spec.datatype)?, dims.collect::<TVec<TDim>>()))
}

fn is_identifier(symbol: &str) -> bool {
    let mut chars = symbol.chars();
    chars.next().is_some_and(char::is_alphabetic) && chars.all(|c| c.is_alphanumeric() || c == '_')
}

struct TractModel {
    plan: Arc<TypedRunnableModel>,
    signature: Signature,
    /// The dimensions of the plan refer to these weakly.
    _symbols: SymbolScope,
}

impl LoadedModel for TractModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn session(&self) -> Result<Box<dyn Session>, LoadError> {
        Ok(Box::new(TractSession { plan: self.plan.clone(), outputs: self.signature.outputs.clone() }))
    }
}

struct TractSession {
    plan: Arc<TypedRunnableModel>,
    outputs: Vec<TensorSpec>,
}

impl Session for TractSession {
    fn run(&mut self, inputs: RunInputs<'_>) -> Result<RunOutputs, RunError> {
        let given = inputs.tensors.iter().flatten();
        let given: TVec<TValue> =
            given.map(|t| to_tract(t).map(Into::into)).collect::<Result<_, _>>().map_err(RunError::Failed)?;
        // tract panics where ONNX Runtime refuses: an index out of range in a Gather, for one.
        let ran = catch_unwind(AssertUnwindSafe(|| self.plan.run(given)));
        let values = match ran {
            Ok(Ok(values)) => values,
            Ok(Err(error)) => return Err(RunError::Failed(format!("{error:#}"))),
            Err(_) => return Err(RunError::Failed("tract panicked".into())),
        };
        let missing = || RunError::Failed("tract left an output out".into());
        let taken = inputs.outputs.iter().map(|&index| {
            let value = values.get(index).cloned().ok_or_else(missing)?;
            from_tract(value, self.outputs[index].datatype).map_err(RunError::Failed)
        });
        taken.collect()
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::new(NoInterrupt)
    }
}

/// tract has no way to end a run early.
struct NoInterrupt;

impl Interrupt for NoInterrupt {
    fn terminate(&self) {}

    fn reset(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_pinned_one() {
        let manifest = include_str!("../../../Cargo.toml");
        assert!(manifest.contains(&format!("tract-onnx = {{ version = \"={VERSION}\"")));
    }

    #[test]
    fn symbols_are_identifiers() {
        assert!(is_identifier("N") && is_identifier("batch_size"));
        assert!(!is_identifier("") && !is_identifier("1/2") && !is_identifier("?"));
    }
}
