//! Typed vectors that grow as their elements are read, and become tensors without a copy.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use half::{bf16, f16};
use jiter::Peek;
use pointsman_core::{Datatype, PredictError, Shape, StringTensorBuilder, Tensor, TensorError};

use super::reader::Reader;

/// The elements of one tensor, as far as they have been read.
pub(crate) enum Column {
    Bool(Vec<u8>),
    Uint8(Vec<u8>),
    Uint16(Vec<u16>),
    Uint32(Vec<u32>),
    Uint64(Vec<u64>),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Fp16(Vec<f16>),
    Bf16(Vec<bf16>),
    Fp32(Vec<f32>),
    Fp64(Vec<f64>),
    Bytes(StringTensorBuilder),
}

/// How the elements of a tensor are arranged in the text. `element` reads one value that is no
/// list and tells whether the datatype takes it.
pub(crate) trait Layout {
    /// Reads the next value of the text, and all lists and elements in it.
    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        element: impl FnMut(&mut Reader<'_>, Peek) -> bool,
    ) -> Result<(), PredictError>;
}

impl Column {
    /// An empty column with room for `capacity` elements.
    pub(crate) fn new(datatype: Datatype, capacity: usize) -> Self {
        match datatype {
            Datatype::Bool => Self::Bool(Vec::with_capacity(capacity)),
            Datatype::Uint8 => Self::Uint8(Vec::with_capacity(capacity)),
            Datatype::Uint16 => Self::Uint16(Vec::with_capacity(capacity)),
            Datatype::Uint32 => Self::Uint32(Vec::with_capacity(capacity)),
            Datatype::Uint64 => Self::Uint64(Vec::with_capacity(capacity)),
            Datatype::Int8 => Self::Int8(Vec::with_capacity(capacity)),
            Datatype::Int16 => Self::Int16(Vec::with_capacity(capacity)),
            Datatype::Int32 => Self::Int32(Vec::with_capacity(capacity)),
            Datatype::Int64 => Self::Int64(Vec::with_capacity(capacity)),
            Datatype::Fp16 => Self::Fp16(Vec::with_capacity(capacity)),
            Datatype::Bf16 => Self::Bf16(Vec::with_capacity(capacity)),
            Datatype::Fp32 => Self::Fp32(Vec::with_capacity(capacity)),
            Datatype::Fp64 => Self::Fp64(Vec::with_capacity(capacity)),
            Datatype::Bytes => Self::Bytes(StringTensorBuilder::with_capacity(capacity, 0)),
        }
    }

    /// Reads one value, arranged as `layout` says. The datatype is told apart once per call, not
    /// once per element.
    pub(crate) fn read(
        &mut self,
        reader: &mut Reader<'_>,
        layout: &mut impl Layout,
    ) -> Result<(), PredictError> {
        match self {
            Self::Bool(to) => layout.read(reader, |r, p| push(to, r.bool_byte(p))),
            Self::Uint8(to) => layout.read(reader, |r, p| push(to, r.integer(p))),
            Self::Uint16(to) => layout.read(reader, |r, p| push(to, r.integer(p))),
            Self::Uint32(to) => layout.read(reader, |r, p| push(to, r.integer(p))),
            Self::Uint64(to) => layout.read(reader, |r, p| push(to, r.uint64(p))),
            Self::Int8(to) => layout.read(reader, |r, p| push(to, r.integer(p))),
            Self::Int16(to) => layout.read(reader, |r, p| push(to, r.integer(p))),
            Self::Int32(to) => layout.read(reader, |r, p| push(to, r.integer(p))),
            Self::Int64(to) => layout.read(reader, |r, p| push(to, r.integer(p))),
            Self::Fp16(to) => layout.read(reader, |r, p| push(to, fitting(r.float(p), f16::from_f64))),
            Self::Bf16(to) => layout.read(reader, |r, p| push(to, fitting(r.float(p), bf16::from_f64))),
            Self::Fp32(to) => layout.read(reader, |r, p| push(to, fitting(r.float(p), |v| v as f32))),
            Self::Fp64(to) => layout.read(reader, |r, p| push(to, r.float(p))),
            Self::Bytes(to) => layout.read(reader, |r, p| push_string(to, r, p)),
        }
    }

    /// The finished tensor.
    pub(crate) fn into_tensor(self, shape: Shape) -> Result<Tensor, TensorError> {
        match self {
            Self::Bool(values) => Tensor::from_vec(Datatype::Bool, shape, values),
            Self::Uint8(values) => Tensor::from_vec(Datatype::Uint8, shape, values),
            Self::Uint16(values) => Tensor::from_vec(Datatype::Uint16, shape, values),
            Self::Uint32(values) => Tensor::from_vec(Datatype::Uint32, shape, values),
            Self::Uint64(values) => Tensor::from_vec(Datatype::Uint64, shape, values),
            Self::Int8(values) => Tensor::from_vec(Datatype::Int8, shape, values),
            Self::Int16(values) => Tensor::from_vec(Datatype::Int16, shape, values),
            Self::Int32(values) => Tensor::from_vec(Datatype::Int32, shape, values),
            Self::Int64(values) => Tensor::from_vec(Datatype::Int64, shape, values),
            Self::Fp16(values) => Tensor::from_vec(Datatype::Fp16, shape, values),
            Self::Bf16(values) => Tensor::from_vec(Datatype::Bf16, shape, values),
            Self::Fp32(values) => Tensor::from_vec(Datatype::Fp32, shape, values),
            Self::Fp64(values) => Tensor::from_vec(Datatype::Fp64, shape, values),
            Self::Bytes(values) => Tensor::new(Datatype::Bytes, shape, values.finish()),
        }
    }
}

/// What a datatype takes, as a part of a message.
pub(crate) fn takes(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Bool => "true or false",
        Datatype::Uint8 => "whole numbers from 0 to 255",
        Datatype::Uint16 => "whole numbers from 0 to 65535",
        Datatype::Uint32 => "whole numbers from 0 to 4294967295",
        Datatype::Uint64 => "whole numbers from 0 to 18446744073709551615",
        Datatype::Int8 => "whole numbers from -128 to 127",
        Datatype::Int16 => "whole numbers from -32768 to 32767",
        Datatype::Int32 => "whole numbers from -2147483648 to 2147483647",
        Datatype::Int64 => "whole numbers from -9223372036854775808 to 9223372036854775807",
        Datatype::Fp16 => "numbers of at most 65504 either way, NaN, Infinity and -Infinity",
        Datatype::Bf16 => "numbers up to about 3.39e38 either way, NaN, Infinity and -Infinity",
        Datatype::Fp32 => "numbers up to about 3.4e38 either way, NaN, Infinity and -Infinity",
        Datatype::Fp64 => "numbers up to about 1.8e308 either way, NaN, Infinity and -Infinity",
        Datatype::Bytes => "strings",
    }
}

fn push<T>(to: &mut Vec<T>, value: Option<T>) -> bool {
    match value {
        Some(value) => {
            to.push(value);
            true
        }
        None => false,
    }
}

/// Narrows a number, unless that would make a finite one infinite.
fn fitting<T: Copy + Into<f64>>(value: Option<f64>, narrow: impl Fn(f64) -> T) -> Option<T> {
    let value = value?;
    let narrowed = narrow(value);
    (narrowed.into().is_finite() || !value.is_finite()).then_some(narrowed)
}

/// Appends a text, or the bytes of TF Serving's `{"b64": text}`. A V2 layout never hands an object on.
fn push_string(to: &mut StringTensorBuilder, reader: &mut Reader<'_>, peek: Peek) -> bool {
    if peek == Peek::Object {
        let decoded = reader.base64_text().and_then(|text| BASE64.decode(text).ok());
        return decoded.is_some_and(|bytes| to.push(&bytes).is_ok());
    }
    reader.string(peek).is_some_and(|text| to.push(text.as_bytes()).is_ok())
}

/// The standard alphabet, with or without padding, as TF Serving takes it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
