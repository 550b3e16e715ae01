//! A tiny model for tests: `Y = X * W`.

use bytes::Bytes;
use prost::Message;

use super::schema::tensor_proto::DataLocation;
use super::schema::tensor_shape_proto::Dimension;
use super::schema::tensor_shape_proto::dimension::Value as DimensionValue;
use super::schema::type_proto::Tensor;
use super::schema::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
};

pub(crate) const FLOAT: i32 = 1;

pub(crate) fn model() -> ModelProto {
    ModelProto {
        ir_version: Some(10),
        producer_name: "sample".into(),
        producer_version: "1".into(),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        graph: Some(GraphProto {
            node: vec![node("Mul", &["X", "W"], &["Y"])],
            initializer: vec![weights()],
            input: vec![fp32("X", &[3])],
            output: vec![fp32("Y", &[3])],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

pub(crate) fn node(op_type: &str, input: &[&str], output: &[&str]) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        input: input.iter().map(ToString::to_string).collect(),
        output: output.iter().map(ToString::to_string).collect(),
        ..NodeProto::default()
    }
}

pub(crate) fn weights() -> TensorProto {
    TensorProto {
        name: "W".into(),
        dims: vec![1, 2],
        data_type: FLOAT,
        raw_data: Some(Bytes::from_static(&[0, 0, 128, 63, 0, 0, 0, 64])),
        ..TensorProto::default()
    }
}

/// The tiny model with its weights elsewhere: `entries` are the keys of `external_data`.
pub(crate) fn external(entries: &[(&str, &str)]) -> ModelProto {
    let mut model = model();
    let weights = TensorProto {
        raw_data: None,
        data_location: DataLocation::External.into(),
        external_data: entries
            .iter()
            .map(|(key, value)| StringStringEntryProto {
                key: (*key).to_string(),
                value: (*value).to_string(),
            })
            .collect(),
        ..weights()
    };
    model.graph.as_mut().expect("the sample has a graph").initializer = vec![weights];
    model
}

/// The tiny model inside `levels` nested `If`s.
pub(crate) fn nested(levels: usize) -> Bytes {
    // Built from the inside out as bytes: the encoder would recurse.
    let mut graph = model().graph.expect("the sample has a graph").encode_to_vec();
    for _ in 0..levels {
        let mut attribute =
            AttributeProto { name: "then_branch".into(), ..AttributeProto::default() }.encode_to_vec();
        field(&mut attribute, 6, &graph);
        let mut if_node = node("If", &["X"], &["Y"]).encode_to_vec();
        field(&mut if_node, 5, &attribute);
        graph.clear();
        field(&mut graph, 1, &if_node);
    }
    let mut bytes = ModelProto { graph: None, ..model() }.encode_to_vec();
    field(&mut bytes, 7, &graph);
    bytes.into()
}

/// Appends a field with a length.
pub(crate) fn field(message: &mut Vec<u8>, number: u32, content: &[u8]) {
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, message);
    prost::encoding::encode_varint(content.len() as u64, message);
    message.extend_from_slice(content);
}

pub(crate) fn encode(model: &ModelProto) -> Bytes {
    model.encode_to_vec().into()
}

/// An FP32 input or output with this declared shape.
pub(crate) fn fp32(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = |&size: &i64| Dimension { value: Some(DimensionValue::DimValue(size)) };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor_type = Some(Tensor { elem_type: FLOAT, shape });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

/// A value of this element type and any shape.
pub(crate) fn tensor_info(name: &str, elem_type: i32) -> ValueInfoProto {
    let tensor_type = Some(Tensor { elem_type, shape: None });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

/// A list of INT64.
pub(crate) fn int64s(name: &str, numbers: &[i64]) -> TensorProto {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    TensorProto {
        name: name.into(),
        dims: vec![numbers.len() as i64],
        data_type: 7,
        raw_data: Some(bytes.into()),
        ..TensorProto::default()
    }
}

/// A model of this graph.
pub(crate) fn graph_of(graph: GraphProto) -> ModelProto {
    ModelProto { graph: Some(graph), ..model() }
}

/// The graph of a model, to be changed.
pub(crate) fn with(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().expect("the sample has a graph")
}
