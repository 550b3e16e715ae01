//! The inputs and outputs that a graph declares.

use std::collections::BTreeSet;

use pointsman_core::{Datatype, Dim, Signature, TensorSpec};

use super::schema::tensor_shape_proto::dimension::Value;
use super::schema::{GraphProto, TensorShapeProto, ValueInfoProto};

/// The tensors of V2's datatypes among a graph's inputs and outputs. An input that is an initializer
/// as well has that as its default.
pub(super) fn signature(graph: &GraphProto) -> Signature {
    let initializers: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let inputs = graph.input.iter().filter_map(|input| {
        let spec = spec(input)?;
        Some(TensorSpec { optional: initializers.contains(input.name.as_str()), ..spec })
    });
    Signature { inputs: inputs.collect(), outputs: graph.output.iter().filter_map(spec).collect() }
}

fn spec(info: &ValueInfoProto) -> Option<TensorSpec> {
    let tensor = info.r#type.as_ref()?.tensor_type.as_ref()?;
    Some(TensorSpec {
        name: info.name.as_str().into(),
        datatype: datatype(tensor.elem_type)?,
        shape: tensor.shape.as_ref().map(dims),
        optional: false,
        labels: None,
    })
}

fn dims(shape: &TensorShapeProto) -> Vec<Dim> {
    let dim = |value: &Option<Value>| match value {
        // Exporters write -1 for sizes that they do not know.
        Some(Value::DimValue(size)) => u64::try_from(*size).map_or(Dim::Dynamic(None), Dim::Fixed),
        Some(Value::DimParam(name)) if !name.is_empty() => Dim::Dynamic(Some(name.as_str().into())),
        _ => Dim::Dynamic(None),
    };
    shape.dim.iter().map(|d| dim(&d.value)).collect()
}

/// The numbers of `TensorProto.DataType` in onnx.proto.
fn datatype(number: i32) -> Option<Datatype> {
    Some(match number {
        1 => Datatype::Fp32,
        2 => Datatype::Uint8,
        3 => Datatype::Int8,
        4 => Datatype::Uint16,
        5 => Datatype::Int16,
        6 => Datatype::Int32,
        7 => Datatype::Int64,
        8 => Datatype::Bytes,
        9 => Datatype::Bool,
        10 => Datatype::Fp16,
        11 => Datatype::Fp64,
        12 => Datatype::Uint32,
        13 => Datatype::Uint64,
        16 => Datatype::Bf16,
        _ => return None,
    })
}
