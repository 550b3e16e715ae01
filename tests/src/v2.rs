//! Tensors in the forms of V2 REST, written and read without the gateway's own codecs.

use std::fmt::Display;

use half::{bf16, f16};
use pointsman_core::{Datatype, InputTensor, Shape, StringTensorBuilder, Tensor};
use serde_json::{Value, json};

use crate::http::Answer;

/// The header that says where the JSON of a body ends, as [`Answer::header`] knows it.
pub const HEADER_LENGTH: &str = "inference-header-content-length";

/// A tensor of numbers, whose datatype is that of their type.
///
/// # Panics
/// Where the shape does not fit the values.
#[must_use]
pub fn tensor<T: Element>(shape: &[u64], values: &[T]) -> Tensor {
    new_tensor(T::DATATYPE, shape, values.iter().flat_map(|value| value.bytes()).collect())
}

/// A tensor of strings.
///
/// # Panics
/// Where the shape does not fit the values.
#[must_use]
pub fn strings(shape: &[u64], values: &[&[u8]]) -> Tensor {
    let mut builder = StringTensorBuilder::default();
    values.iter().for_each(|value| builder.push(value).expect("a short string"));
    Tensor::new(Datatype::Bytes, dims(shape), builder.finish()).expect("a tensor")
}

/// A tensor of these bytes.
///
/// # Panics
/// Where the shape does not fit them.
#[must_use]
pub fn new_tensor(datatype: Datatype, shape: &[u64], bytes: Vec<u8>) -> Tensor {
    Tensor::new(datatype, dims(shape), bytes.into()).expect("bytes that fit the shape")
}

fn dims(shape: &[u64]) -> Shape {
    Shape::new(shape).expect("few dimensions")
}

/// A number of one of V2's datatypes.
pub trait Element {
    /// The datatype.
    const DATATYPE: Datatype;

    /// The number as little-endian bytes.
    fn bytes(&self) -> Vec<u8>;
}

/// Implements [`Element`].
macro_rules! elements {
    ($($number:ty: $datatype:ident,)+) => {$(
        impl Element for $number {
            const DATATYPE: Datatype = Datatype::$datatype;

            fn bytes(&self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
        }
    )+};
}

elements! {
    u8: Uint8, u16: Uint16, u32: Uint32, u64: Uint64, i8: Int8, i16: Int16, i32: Int32, i64: Int64,
    f16: Fp16, bf16: Bf16, f32: Fp32, f64: Fp64,
}

/// A request of JSON alone.
#[must_use]
pub fn json_request(inputs: &[InputTensor]) -> String {
    let inputs: Vec<String> = inputs.iter().map(json_input).collect();
    format!("{{\"inputs\":[{}]}}", inputs.join(","))
}

/// An element of `inputs`, its data as a flat list.
#[must_use]
pub fn json_input(input: &InputTensor) -> String {
    let mut head = head(input).to_string();
    head.truncate(head.len() - 1);
    format!("{head},\"data\":[{}]}}", elements(&input.tensor).join(","))
}

/// A request with all its tensors behind the JSON, and asking for all outputs so: the length of the
/// JSON, and the body.
#[must_use]
pub fn binary_request(inputs: &[InputTensor]) -> (usize, Vec<u8>) {
    let heads: Vec<Value> = inputs
        .iter()
        .map(|input| {
            let mut head = head(input);
            head["parameters"] = json!({"binary_data_size": input.tensor.data().len()});
            head
        })
        .collect();
    let mut body =
        json!({"inputs": heads, "parameters": {"binary_data_output": true}}).to_string().into_bytes();
    let length = body.len();
    inputs.iter().for_each(|input| body.extend_from_slice(input.tensor.data()));
    (length, body)
}

fn head(input: &InputTensor) -> Value {
    let tensor = &input.tensor;
    json!({"name": input.name, "shape": tensor.shape().dims(), "datatype": tensor.datatype().name()})
}

/// The elements as JSON.
fn elements(tensor: &Tensor) -> Vec<String> {
    fn plain<T: Display + Copy>(values: Option<&[T]>) -> Vec<String> {
        values.expect("values of the datatype").iter().map(ToString::to_string).collect()
    }
    match tensor.datatype() {
        Datatype::Bool => tensor.data().iter().map(|&b| (b == 1).to_string()).collect(),
        Datatype::Uint8 => plain::<u8>(tensor.values()),
        Datatype::Uint16 => plain::<u16>(tensor.values()),
        Datatype::Uint32 => plain::<u32>(tensor.values()),
        Datatype::Uint64 => plain::<u64>(tensor.values()),
        Datatype::Int8 => plain::<i8>(tensor.values()),
        Datatype::Int16 => plain::<i16>(tensor.values()),
        Datatype::Int32 => plain::<i32>(tensor.values()),
        Datatype::Int64 => plain::<i64>(tensor.values()),
        _ => fractions(tensor),
    }
}

fn fractions(tensor: &Tensor) -> Vec<String> {
    // Rust says `inf` where JavaScript's tokens say `Infinity`.
    let text = |text: String| text.replace("inf", "Infinity");
    let values =
        |bits: &[u16], widen: fn(u16) -> f32| bits.iter().map(|&b| text(widen(b).to_string())).collect();
    match tensor.datatype() {
        Datatype::Fp16 => values(tensor.values().expect("FP16"), |b| f16::from_bits(b).to_f32()),
        Datatype::Bf16 => values(tensor.values().expect("BF16"), |b| bf16::from_bits(b).to_f32()),
        Datatype::Fp32 => tensor.values::<f32>().expect("FP32").iter().map(|v| text(v.to_string())).collect(),
        Datatype::Fp64 => tensor.values::<f64>().expect("FP64").iter().map(|v| text(v.to_string())).collect(),
        _ => {
            let strings = tensor.strings().expect("BYTES");
            strings.map(|s| json!(std::str::from_utf8(s).expect("UTF-8")).to_string()).collect()
        }
    }
}

/// The outputs of an answer, whichever of them are JSON and whichever binary.
///
/// # Panics
/// Where the answer is no answer of V2, or not wholly used up.
#[must_use]
pub fn outputs(answer: &Answer) -> Vec<InputTensor> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let length = answer.header(HEADER_LENGTH).map(|length| length.parse().expect("a number"));
    let (json, mut blobs) = answer.body.split_at(length.unwrap_or(answer.body.len()));
    let json: Value = serde_json::from_slice(json).expect("JSON up to the length in the header");
    let outputs = json["outputs"].as_array().expect("outputs").iter().map(|output| {
        let text = |key: &str| output[key].as_str().unwrap_or_else(|| panic!("no {key} in {output}"));
        let datatype = Datatype::parse(text("datatype")).expect("a datatype of V2");
        let shape = output["shape"].as_array().expect("a shape").iter();
        let shape: Vec<u64> = shape.map(|d| d.as_u64().expect("a dimension")).collect();
        let tensor = match output["parameters"]["binary_data_size"].as_u64() {
            Some(size) => {
                let blob = blobs.split_off(..usize::try_from(size).expect("a size")).expect("a whole blob");
                new_tensor(datatype, &shape, blob.to_vec())
            }
            None => read_json(datatype, &shape, output["data"].as_array().expect("data")),
        };
        InputTensor { name: text("name").to_owned(), tensor }
    });
    let outputs = outputs.collect();
    assert!(blobs.is_empty(), "{} bytes behind the last output", blobs.len());
    outputs
}

fn read_json(datatype: Datatype, shape: &[u64], data: &[Value]) -> Tensor {
    let unsigned = || data.iter().map(|v| v.as_u64().unwrap_or_else(|| panic!("{v} in {datatype}")));
    let signed = || data.iter().map(|v| v.as_i64().unwrap_or_else(|| panic!("{v} in {datatype}")));
    let fractions = || data.iter().map(|v| v.as_f64().unwrap_or_else(|| panic!("{v} in {datatype}")));
    let size = datatype.size().unwrap_or_default();
    let bytes: Vec<u8> = match datatype {
        Datatype::Bool => data.iter().map(|v| u8::from(v.as_bool().expect("a boolean"))).collect(),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 | Datatype::Uint64 => {
            unsigned().flat_map(|n| n.to_le_bytes().into_iter().take(size)).collect()
        }
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 | Datatype::Int64 => {
            signed().flat_map(|n| n.to_le_bytes().into_iter().take(size)).collect()
        }
        Datatype::Fp16 => fractions().flat_map(|v| f16::from_f64(v).to_le_bytes()).collect(),
        Datatype::Bf16 => fractions().flat_map(|v| bf16::from_f64(v).to_le_bytes()).collect(),
        Datatype::Fp32 => fractions().flat_map(|v| (v as f32).to_le_bytes()).collect(),
        Datatype::Fp64 => fractions().flat_map(f64::to_le_bytes).collect(),
        Datatype::Bytes => {
            let texts: Vec<&[u8]> = data.iter().map(|v| v.as_str().expect("a text").as_bytes()).collect();
            return strings(shape, &texts);
        }
    };
    new_tensor(datatype, shape, bytes)
}
