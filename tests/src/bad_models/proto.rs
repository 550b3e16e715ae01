//! ONNX's messages, written field by field, so that they can be wrong in any way.

use crate::onnx::{put, put_number};

/// A protobuf message under construction. Field numbers are those of `onnx.proto`.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a field of bytes, a text or a message.
    pub(super) fn with(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        put(&mut self.0, field, bytes.as_ref());
        self
    }

    /// Adds the same field for each of these.
    pub(super) fn with_all<B: AsRef<[u8]>>(self, field: u64, all: impl IntoIterator<Item = B>) -> Self {
        all.into_iter().fold(self, |message, bytes| message.with(field, bytes))
    }

    /// Adds a field of a whole number.
    pub(super) fn number(mut self, field: u64, number: i64) -> Self {
        put_number(&mut self.0, field, number.cast_unsigned());
        self
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

pub(super) const FLOAT: i64 = 1;
pub(super) const INT64: i64 = 7;
pub(super) const BOOL: i64 = 9;

/// A value of this element type and shape.
pub(super) fn info(name: &str, kind: i64, dims: &[i64]) -> Message {
    let dims = dims.iter().map(|&size| Message::new().number(1, size));
    let tensor = Message::new().number(1, kind).with(2, Message::new().with_all(1, dims));
    Message::new().with(1, name).with(2, Message::new().with(1, tensor))
}

/// A value of which only the element type is known.
pub(super) fn loose(name: &str, kind: i64) -> Message {
    Message::new().with(1, name).with(2, Message::new().with(1, Message::new().number(1, kind)))
}

pub(super) fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    Message::new().with_all(1, inputs).with_all(2, outputs).with(4, operator)
}

/// A node of another domain.
pub(super) fn node_of(domain: &str, operator: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    node(operator, inputs, outputs).with(7, domain)
}

/// A tensor with raw data.
pub(super) fn tensor(name: &str, kind: i64, dims: &[i64], raw: &[u8]) -> Message {
    bare(name, kind, dims).with(9, raw)
}

/// A tensor that says what it is, and holds nothing.
pub(super) fn bare(name: &str, kind: i64, dims: &[i64]) -> Message {
    dims.iter().fold(Message::new(), |message, &size| message.number(1, size)).number(2, kind).with(8, name)
}

pub(super) fn int64s(name: &str, numbers: &[i64]) -> Message {
    let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    tensor(name, INT64, &[numbers.len() as i64], &raw)
}

pub(super) fn floats(name: &str, dims: &[i64], numbers: &[f32]) -> Message {
    let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    tensor(name, FLOAT, dims, &raw)
}

/// An attribute that is a whole number.
pub(super) fn int(name: &str, number: i64) -> Message {
    Message::new().with(1, name).number(3, number).number(20, 2)
}

/// An attribute that is a text.
pub(super) fn text(name: &str, value: &str) -> Message {
    Message::new().with(1, name).with(4, value).number(20, 3)
}

/// An attribute that is a graph.
pub(super) fn subgraph(name: &str, graph: &Message) -> Message {
    Message::new().with(1, name).with(6, graph).number(20, 5)
}

/// An attribute that is a list of whole numbers.
pub(super) fn ints(name: &str, numbers: &[i64]) -> Message {
    let listed =
        numbers.iter().fold(Message::new().with(1, name), |message, &number| message.number(8, number));
    listed.number(20, 7)
}

/// An attribute that is a list of numbers with fractions.
pub(super) fn reals(name: &str, numbers: &[f32]) -> Message {
    let packed: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Message::new().with(1, name).with(7, packed).number(20, 6)
}

/// An attribute that is a list of texts.
pub(super) fn texts(name: &str, values: &[&str]) -> Message {
    Message::new().with(1, name).with_all(9, values).number(20, 8)
}

/// A node with these attributes.
pub(super) fn set(node: Message, attributes: impl IntoIterator<Item = Message>) -> Message {
    node.with_all(5, attributes)
}

/// A graph of `x`, four numbers, and `y`.
pub(super) fn graph(
    nodes: impl IntoIterator<Item = Message>,
    initializers: impl IntoIterator<Item = Message>,
) -> Message {
    body(nodes, [loose("x", FLOAT)], [loose("y", FLOAT)]).with_all(5, initializers)
}

/// A graph with these inputs and outputs.
pub(super) fn body(
    nodes: impl IntoIterator<Item = Message>,
    inputs: impl IntoIterator<Item = Message>,
    outputs: impl IntoIterator<Item = Message>,
) -> Message {
    Message::new().with_all(1, nodes).with(2, "g").with_all(11, inputs).with_all(12, outputs)
}

/// A model of this graph.
pub(super) fn model(graph: &Message) -> Message {
    Message::new().number(1, 8).with(7, graph).with(8, opset("", 17)).with(8, opset("ai.onnx.ml", 3))
}

pub(super) fn opset(domain: &str, version: i64) -> Message {
    Message::new().with(1, domain).number(2, version)
}

/// The bytes of a model of these nodes and initializers.
pub(super) fn simple(
    nodes: impl IntoIterator<Item = Message>,
    initializers: impl IntoIterator<Item = Message>,
) -> Vec<u8> {
    model(&graph(nodes, initializers)).bytes()
}
