//! The elements of one tensor: typed fields to bytes and back.

use std::fmt;
use std::ops::RangeInclusive;

use bytemuck::Pod;
use bytes::Bytes;
use pointsman_core::{Datatype, PredictError, Shape, StringTensorBuilder, Tensor, TensorError, shown};

use crate::grpc::proto::InferTensorContents;

/// One input, in error texts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The input's name as the caller wrote it.
    pub(super) input: &'a str,
    /// The model's.
    pub(super) model: &'a str,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' for model '{}'", shown(self.input), shown(self.model))
    }
}

impl Place<'_> {
    /// The caller's error where bytes are no tensor of the datatype and shape given.
    fn refused(&self, error: &TensorError) -> PredictError {
        PredictError::BadRequest(match error {
            TensorError::Length { expected, found, .. } => {
                format!("input byte size mismatch for input {self}. Expected {expected}, got {found}")
            }
            _ => format!("invalid data for input {self}: {error}"),
        })
    }
}

/// A tensor of bytes as they came, without a copy where they are aligned.
pub(super) fn raw_tensor(
    place: Place<'_>,
    datatype: Datatype,
    shape: Shape,
    data: Bytes,
) -> Result<Tensor, PredictError> {
    Tensor::new(datatype, shape, data).map_err(|error| place.refused(&error))
}

/// A tensor of typed contents. Vectors of the datatype's own width are taken over as they are.
pub(super) fn typed_tensor(
    place: Place<'_>,
    datatype: Datatype,
    shape: Shape,
    contents: InferTensorContents,
) -> Result<Tensor, PredictError> {
    check_contents(place, datatype, &shape, &contents)?;
    let tensor = match datatype {
        Datatype::Bool => {
            let bytes: Vec<u8> = contents.bool_contents.into_iter().map(u8::from).collect();
            Tensor::from_vec(datatype, shape, bytes)
        }
        Datatype::Int8 => {
            let values = narrowed(place, datatype, &contents.int_contents, i8::MIN..=i8::MAX)?;
            Tensor::from_vec(datatype, shape, values)
        }
        Datatype::Int16 => {
            let values = narrowed(place, datatype, &contents.int_contents, i16::MIN..=i16::MAX)?;
            Tensor::from_vec(datatype, shape, values)
        }
        Datatype::Uint8 => {
            let values = narrowed(place, datatype, &contents.uint_contents, u8::MIN..=u8::MAX)?;
            Tensor::from_vec(datatype, shape, values)
        }
        Datatype::Uint16 => {
            let values = narrowed(place, datatype, &contents.uint_contents, u16::MIN..=u16::MAX)?;
            Tensor::from_vec(datatype, shape, values)
        }
        Datatype::Int32 => Tensor::from_vec(datatype, shape, contents.int_contents),
        Datatype::Int64 => Tensor::from_vec(datatype, shape, contents.int64_contents),
        Datatype::Uint32 => Tensor::from_vec(datatype, shape, contents.uint_contents),
        Datatype::Uint64 => Tensor::from_vec(datatype, shape, contents.uint64_contents),
        Datatype::Fp32 => Tensor::from_vec(datatype, shape, contents.fp32_contents),
        Datatype::Fp64 => Tensor::from_vec(datatype, shape, contents.fp64_contents),
        Datatype::Bytes => {
            strings(&contents.bytes_contents).and_then(|data| Tensor::new(datatype, shape, data))
        }
        // Without elements there is nothing that could not be said.
        Datatype::Fp16 | Datatype::Bf16 => Tensor::new(datatype, shape, Bytes::new()),
    };
    tensor.map_err(|error| place.refused(&error))
}

/// Checks that only the datatype's own field is filled, with as many elements as the shape has.
fn check_contents(
    place: Place<'_>,
    datatype: Datatype,
    shape: &Shape,
    contents: &InferTensorContents,
) -> Result<(), PredictError> {
    let refused = |text| Err(PredictError::BadRequest(text));
    let mut filled = fields(contents).into_iter().filter(|(_, elements)| *elements > 0);
    let first = filled.next();
    if filled.next().is_some() {
        return refused(format!(
            "unexpected explicit tensor data for input tensor {place}: more than one field of contents is set"
        ));
    }
    let found = match first {
        None => 0,
        Some(_) if field_of(datatype).is_none() => {
            return refused(format!(
                "unexpected explicit tensor data for input tensor {place}: {datatype} can only be sent in raw_input_contents"
            ));
        }
        Some((field, _)) if field_of(datatype) != Some(field) => {
            return refused(format!(
                "unexpected explicit tensor data for input tensor {place} of type '{field}', expected datatype '{datatype}'"
            ));
        }
        Some((_, elements)) => elements,
    };
    match shape.elements() {
        None => Err(place.refused(&TensorError::ShapeOverflow { shape: shape.clone() })),
        Some(expected) if expected != found => refused(format!(
            "unexpected number of elements for input {place}: shape {shape} has {expected}, got {found}"
        )),
        Some(_) => Ok(()),
    }
}

/// Each field of typed contents by the widest datatype that it carries, and how many elements it has.
fn fields(contents: &InferTensorContents) -> [(Datatype, usize); 8] {
    [
        (Datatype::Bool, contents.bool_contents.len()),
        (Datatype::Int32, contents.int_contents.len()),
        (Datatype::Int64, contents.int64_contents.len()),
        (Datatype::Uint32, contents.uint_contents.len()),
        (Datatype::Uint64, contents.uint64_contents.len()),
        (Datatype::Fp32, contents.fp32_contents.len()),
        (Datatype::Fp64, contents.fp64_contents.len()),
        (Datatype::Bytes, contents.bytes_contents.len()),
    ]
}

/// The field that carries a datatype, named as in [`fields`]; the half floats have none.
fn field_of(datatype: Datatype) -> Option<Datatype> {
    match datatype {
        Datatype::Int8 | Datatype::Int16 => Some(Datatype::Int32),
        Datatype::Uint8 | Datatype::Uint16 => Some(Datatype::Uint32),
        Datatype::Fp16 | Datatype::Bf16 => None,
        own => Some(own),
    }
}

/// The values as the narrower type that they stand for. Triton cuts them off without a word.
fn narrowed<W, N>(
    place: Place<'_>,
    datatype: Datatype,
    values: &[W],
    range: RangeInclusive<N>,
) -> Result<Vec<N>, PredictError>
where
    W: Copy + fmt::Display,
    N: TryFrom<W> + fmt::Display,
{
    let narrow = |value: &W| {
        N::try_from(*value).map_err(|_| {
            let (least, most) = (range.start(), range.end());
            PredictError::BadRequest(format!(
                "value {value} of input {place} is out of range for {datatype}: {least} to {most}"
            ))
        })
    };
    values.iter().map(narrow).collect()
}

fn strings(elements: &[Bytes]) -> Result<Bytes, TensorError> {
    let bytes = elements.iter().map(Bytes::len).sum();
    let mut builder = StringTensorBuilder::with_capacity(elements.len(), bytes);
    for element in elements {
        builder.push(element)?;
    }
    Ok(builder.finish())
}

/// The elements in the typed field of their datatype; nothing for the half floats, which have none.
pub(super) fn typed_contents(tensor: &Tensor) -> Option<InferTensorContents> {
    let mut contents = InferTensorContents::default();
    match tensor.datatype() {
        Datatype::Bool => contents.bool_contents = tensor.data().iter().map(|&byte| byte != 0).collect(),
        Datatype::Int8 => contents.int_contents = widened::<i8, _>(tensor),
        Datatype::Int16 => contents.int_contents = widened::<i16, _>(tensor),
        Datatype::Int32 => contents.int_contents = widened::<i32, _>(tensor),
        Datatype::Int64 => contents.int64_contents = widened::<i64, _>(tensor),
        Datatype::Uint8 => contents.uint_contents = widened::<u8, _>(tensor),
        Datatype::Uint16 => contents.uint_contents = widened::<u16, _>(tensor),
        Datatype::Uint32 => contents.uint_contents = widened::<u32, _>(tensor),
        Datatype::Uint64 => contents.uint64_contents = widened::<u64, _>(tensor),
        Datatype::Fp32 => contents.fp32_contents = widened::<f32, _>(tensor),
        Datatype::Fp64 => contents.fp64_contents = widened::<f64, _>(tensor),
        Datatype::Bytes => {
            let data = tensor.data();
            contents.bytes_contents = tensor.strings()?.map(|element| data.slice_ref(element)).collect();
        }
        Datatype::Fp16 | Datatype::Bf16 => return None,
    }
    Some(contents)
}

fn widened<N: Pod, W: From<N>>(tensor: &Tensor) -> Vec<W> {
    // Every caller names the datatype's own width, so there always are values.
    tensor.values::<N>().unwrap_or_default().iter().map(|&value| W::from(value)).collect()
}
