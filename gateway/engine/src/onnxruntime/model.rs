//! A loaded model: its session in the runtime and the signature that callers see.

use std::ffi::CString;
use std::sync::Arc;

use ort::session::{Session as OrtSession, SharedSessionInner};
use ort::value::{TensorElementType, ValueType};
use pointsman_core::{Datatype, Dim, LoadError, LoadedModel, Session, Signature, TensorSpec};

use super::NAME;
use super::session::WorkerSession;

/// One model in the runtime, shared by the sessions of its workers.
pub(super) struct OrtModel {
    graph: Arc<Graph>,
}

/// What every run of the model needs.
pub(super) struct Graph {
    pub(super) session: Arc<SharedSessionInner>,
    pub(super) signature: Signature,
    /// Names of the signature's inputs, in its order.
    pub(super) inputs: Vec<CString>,
    /// The runtime's own outputs.
    pub(super) outputs: Vec<CString>,
    /// Where each output of the signature comes from.
    pub(super) sources: Vec<OutputSource>,
}

/// Which output of the runtime, and which part of it, an output of the signature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutputSource {
    pub(super) output: usize,
    pub(super) part: Part,
}

/// A ZipMap output (a sequence of maps, one per row) is given as two tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The output is a tensor.
    Whole,
    /// The values of the maps, `[rows, keys]`.
    MapValues,
    /// The keys of the maps, `[keys]`, ascending.
    MapKeys,
}

impl OrtModel {
    pub(super) fn new(session: &OrtSession, declared: &Signature) -> Result<Self, LoadError> {
        let mut signature = Signature::default();
        let mut inputs = Vec::new();
        for input in session.inputs() {
            signature.inputs.push(input_spec(input.name(), input.dtype(), false, &declared.inputs)?);
            inputs.push(c_name(input.name())?);
        }
        for default in session.overridable_initializers() {
            signature.inputs.push(input_spec(default.name(), default.dtype(), true, &declared.inputs)?);
            inputs.push(c_name(default.name())?);
        }
        let mut outputs = Vec::new();
        let mut sources = Vec::new();
        for (output, outlet) in session.outputs().iter().enumerate() {
            for (part, spec) in output_specs(outlet.name(), outlet.dtype(), &declared.outputs)? {
                signature.outputs.push(spec);
                sources.push(OutputSource { output, part });
            }
            outputs.push(c_name(outlet.name())?);
        }
        Ok(Self { graph: Arc::new(Graph { session: session.inner(), signature, inputs, outputs, sources }) })
    }
}

impl LoadedModel for OrtModel {
    fn signature(&self) -> &Signature {
        &self.graph.signature
    }

    fn session(&self) -> Result<Box<dyn Session>, LoadError> {
        Ok(Box::new(WorkerSession::new(self.graph.clone())?))
    }
}

fn c_name(name: &str) -> Result<CString, LoadError> {
    CString::new(name).map_err(|_| LoadError::Refused {
        engine: NAME,
        reason: format!("the tensor name {name:?} has a NUL in it"),
    })
}

fn input_spec(
    name: &str,
    kind: &ValueType,
    optional: bool,
    declared: &[TensorSpec],
) -> Result<TensorSpec, LoadError> {
    let mut spec = tensor_spec(name, kind, declared).ok_or_else(|| unsupported("input", name, kind))?;
    spec.optional = optional;
    Ok(spec)
}

/// One specification for a tensor, two for a sequence of maps.
fn output_specs(
    name: &str,
    kind: &ValueType,
    declared: &[TensorSpec],
) -> Result<Vec<(Part, TensorSpec)>, LoadError> {
    if let Some(spec) = tensor_spec(name, kind, declared) {
        return Ok(vec![(Part::Whole, spec)]);
    }
    let ValueType::Sequence(element) = kind else { return Err(unsupported("output", name, kind)) };
    let ValueType::Map { key, value: TensorElementType::Float32 } = **element else {
        return Err(unsupported("output", name, kind));
    };
    let keys = match key {
        TensorElementType::String => Datatype::Bytes,
        TensorElementType::Int64 => Datatype::Int64,
        _ => return Err(unsupported("output", name, kind)),
    };
    let spec = |name: String, datatype, rank| TensorSpec {
        name: name.into(),
        datatype,
        shape: Some(vec![Dim::Dynamic(None); rank]),
        optional: false,
        labels: None,
    };
    Ok(vec![
        (Part::MapValues, spec(name.to_owned(), Datatype::Fp32, 2)),
        (Part::MapKeys, spec(format!("{name}.keys"), keys, 1)),
    ])
}

/// The specification of a tensor of one of V2's datatypes.
fn tensor_spec(name: &str, kind: &ValueType, declared: &[TensorSpec]) -> Option<TensorSpec> {
    let ValueType::Tensor { ty, shape, dimension_symbols } = kind else { return None };
    let symbol = |i: usize| dimension_symbols.get(i).filter(|s| !s.is_empty()).map(|s| Arc::from(s.as_str()));
    let dims = shape.iter().enumerate().map(|(i, &size)| match u64::try_from(size) {
        Ok(size) => Dim::Fixed(size),
        Err(_) => Dim::Dynamic(symbol(i)),
    });
    // The runtime tells a tensor of undeclared rank as one of rank 0; the file tells them apart.
    let unranked = declared.iter().any(|d| *d.name == *name && d.shape.is_none());
    Some(TensorSpec {
        name: name.into(),
        datatype: datatype(*ty)?,
        shape: (!unranked).then(|| dims.collect()),
        optional: false,
        labels: None,
    })
}

fn datatype(kind: TensorElementType) -> Option<Datatype> {
    Some(match kind {
        TensorElementType::Bool => Datatype::Bool,
        TensorElementType::Uint8 => Datatype::Uint8,
        TensorElementType::Uint16 => Datatype::Uint16,
        TensorElementType::Uint32 => Datatype::Uint32,
        TensorElementType::Uint64 => Datatype::Uint64,
        TensorElementType::Int8 => Datatype::Int8,
        TensorElementType::Int16 => Datatype::Int16,
        TensorElementType::Int32 => Datatype::Int32,
        TensorElementType::Int64 => Datatype::Int64,
        TensorElementType::Float16 => Datatype::Fp16,
        TensorElementType::Bfloat16 => Datatype::Bf16,
        TensorElementType::Float32 => Datatype::Fp32,
        TensorElementType::Float64 => Datatype::Fp64,
        TensorElementType::String => Datatype::Bytes,
        _ => return None,
    })
}

fn unsupported(what: &'static str, name: &str, kind: &ValueType) -> LoadError {
    LoadError::UnsupportedType { what, name: name.into(), kind: kind.to_string() }
}
