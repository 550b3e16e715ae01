//! Small ONNX models made for one test.

use pointsman_core::Datatype;

/// The opset of the models: the one that brought BF16 to the operators used here is 13.
const OPSET: u64 = 17;
/// The file format's version that goes with it.
const IR_VERSION: u64 = 8;

/// A graph under construction, written as the protobuf message that `onnx.proto` describes.
#[derive(Clone, Debug, Default)]
pub struct OnnxModel {
    graph: Vec<u8>,
}

impl OnnxModel {
    /// A graph without anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A graph that answers `y` with `x`, of this datatype and shape.
    #[must_use]
    pub fn identity(datatype: Datatype, shape: &[i64]) -> Self {
        Self::new().input("x", datatype, shape).node("Identity", &["x"], "y").output("y", datatype, shape)
    }

    /// Adds an input; a dimension of -1 is open.
    #[must_use]
    pub fn input(mut self, name: &str, datatype: Datatype, shape: &[i64]) -> Self {
        put(&mut self.graph, 11, &value_info(name, datatype, shape));
        self
    }

    /// Adds an output; a dimension of -1 is open.
    #[must_use]
    pub fn output(mut self, name: &str, datatype: Datatype, shape: &[i64]) -> Self {
        put(&mut self.graph, 12, &value_info(name, datatype, shape));
        self
    }

    /// Adds an operator without attributes.
    #[must_use]
    pub fn node(mut self, operator: &str, inputs: &[&str], output: &str) -> Self {
        let mut node = Vec::new();
        inputs.iter().for_each(|input| put(&mut node, 1, input.as_bytes()));
        put(&mut node, 2, output.as_bytes());
        put(&mut node, 4, operator.as_bytes());
        put(&mut self.graph, 1, &node);
        self
    }

    /// The bytes of `model.onnx`.
    #[must_use]
    pub fn bytes(mut self) -> Vec<u8> {
        put(&mut self.graph, 2, b"graph");
        let (mut model, mut opset) = (Vec::new(), Vec::new());
        put_number(&mut model, 1, IR_VERSION);
        put(&mut model, 7, &self.graph);
        put_number(&mut opset, 2, OPSET);
        put(&mut model, 8, &opset);
        model
    }
}

/// A `ValueInfoProto` of a tensor.
fn value_info(name: &str, datatype: Datatype, shape: &[i64]) -> Vec<u8> {
    let (mut info, mut kind, mut tensor, mut dims) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for &size in shape {
        let mut dim = Vec::new();
        if let Ok(size) = u64::try_from(size) {
            put_number(&mut dim, 1, size);
        }
        put(&mut dims, 1, &dim);
    }
    put_number(&mut tensor, 1, element_type(datatype));
    put(&mut tensor, 2, &dims);
    put(&mut kind, 1, &tensor);
    put(&mut info, 1, name.as_bytes());
    put(&mut info, 2, &kind);
    info
}

/// `TensorProto.DataType`.
fn element_type(datatype: Datatype) -> u64 {
    match datatype {
        Datatype::Fp32 => 1,
        Datatype::Uint8 => 2,
        Datatype::Int8 => 3,
        Datatype::Uint16 => 4,
        Datatype::Int16 => 5,
        Datatype::Int32 => 6,
        Datatype::Int64 => 7,
        Datatype::Bytes => 8,
        Datatype::Bool => 9,
        Datatype::Fp16 => 10,
        Datatype::Fp64 => 11,
        Datatype::Uint32 => 12,
        Datatype::Uint64 => 13,
        Datatype::Bf16 => 16,
    }
}

/// Appends a field of bytes.
pub(crate) fn put(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(message, field << 3 | 2);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

/// Appends a field of a number.
pub(crate) fn put_number(message: &mut Vec<u8>, field: u64, number: u64) {
    put_varint(message, field << 3);
    put_varint(message, number);
}

fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}
