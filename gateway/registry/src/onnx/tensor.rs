//! Whether a tensor of a model holds what its datatype and dimensions call for.

use bytes::Bytes;

use super::external::{self, External};
use super::fault::OnnxFault;
use super::schema::tensor_proto::DataLocation;
use super::schema::{SparseTensorProto, TensorProto};

/// What is wrong with a tensor. Each reads on from the tensor's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorFault {
    /// ONNX has no such datatype.
    #[error("has the unknown datatype {0}")]
    Datatype(i32),
    /// A dimension is below zero.
    #[error("has the dimension {0}")]
    NegativeDimension(i64),
    /// The product of the dimensions is beyond what memory can address.
    #[error("has dimensions whose product overflows")]
    Overflow,
    /// It has too few or too many bytes.
    #[error("takes {expected} bytes by its dimensions, and has {found}")]
    Length {
        /// Bytes that the dimensions call for.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// It has too few or too many elements.
    #[error("takes {expected} elements by its dimensions, and has {found}")]
    Count {
        /// Elements that the dimensions call for.
        expected: u64,
        /// Elements there are.
        found: u64,
    },
    /// Texts cannot be raw bytes.
    #[error("holds texts as raw bytes")]
    RawText,
    /// It has raw bytes and listed elements.
    #[error("holds its data twice")]
    Twice,
    /// A sparse tensor without one of its two halves.
    #[error("is sparse and has no values or no indices")]
    Half,
}

/// Where the elements of a datatype are listed when they are not raw bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listed {
    /// In `float_data`, `int32_data` and so on, this many numbers per element.
    Numbers(Field, u64),
    /// In `string_data`.
    Text,
    /// Several elements to a number, which the schemas do not agree on.
    Packed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Float,
    Int32,
    Int64,
    Double,
    Uint64,
}

/// A datatype of ONNX: bits per element, and where its elements are listed.
fn datatype(number: i32) -> Option<(u64, Listed)> {
    let listed = |field| Listed::Numbers(field, 1);
    Some(match number {
        1 => (32, listed(Field::Float)),
        2 | 3 | 9 | 17..=20 | 24 => (8, listed(Field::Int32)),
        4 | 5 | 10 | 16 => (16, listed(Field::Int32)),
        6 => (32, listed(Field::Int32)),
        7 => (64, listed(Field::Int64)),
        8 => (0, Listed::Text),
        11 => (64, listed(Field::Double)),
        12 => (32, listed(Field::Uint64)),
        13 => (64, listed(Field::Uint64)),
        14 => (64, Listed::Numbers(Field::Float, 2)),
        15 => (128, Listed::Numbers(Field::Double, 2)),
        21..=23 => (4, Listed::Packed),
        25 | 26 => (2, Listed::Packed),
        _ => return None,
    })
}

/// Checks a tensor and says where its data is when that is not in the model.
pub(super) fn check(tensor: &TensorProto) -> Result<Option<External>, OnnxFault> {
    let fault = |fault| OnnxFault::Tensor { name: tensor.name.clone(), fault };
    let (bits, listed) =
        datatype(tensor.data_type).ok_or_else(|| fault(TensorFault::Datatype(tensor.data_type)))?;
    let elements = elements(&tensor.dims).map_err(fault)?;
    let bytes = elements.checked_mul(bits).ok_or_else(|| fault(TensorFault::Overflow))?.div_ceil(8);

    if tensor.data_location == i32::from(DataLocation::External) {
        let found = external::check(tensor, bytes, listed == Listed::Text);
        return found.map(Some).map_err(|fault| OnnxFault::External { name: tensor.name.clone(), fault });
    }
    match &tensor.raw_data {
        Some(raw) => check_raw(tensor, raw, bytes, listed).map_err(fault)?,
        None => check_listed(tensor, elements, listed).map_err(fault)?,
    }
    Ok(None)
}

/// Checks the two halves of a sparse tensor.
pub(super) fn check_sparse(sparse: &SparseTensorProto) -> Result<Vec<External>, OnnxFault> {
    let name = sparse.values.as_ref().map_or("", |values| &values.name);
    let fault = |fault| OnnxFault::Tensor { name: name.to_owned(), fault };
    let (Some(values), Some(indices)) = (&sparse.values, &sparse.indices) else {
        return Err(fault(TensorFault::Half));
    };
    elements(&sparse.dims).map_err(fault)?;
    Ok(check(values)?.into_iter().chain(check(indices)?).collect())
}

fn elements(dims: &[i64]) -> Result<u64, TensorFault> {
    let mut dims: Vec<u64> = dims
        .iter()
        .map(|&dim| u64::try_from(dim).map_err(|_| TensorFault::NegativeDimension(dim)))
        .collect::<Result<_, _>>()?;
    // A zero anywhere makes the tensor empty, whatever the others multiply to.
    if dims.contains(&0) {
        dims = vec![0];
    }
    let product = dims.iter().try_fold(1_u64, |product, &dim| product.checked_mul(dim));
    product.filter(|&product| usize::try_from(product).is_ok()).ok_or(TensorFault::Overflow)
}

fn check_raw(tensor: &TensorProto, raw: &Bytes, bytes: u64, listed: Listed) -> Result<(), TensorFault> {
    if listed == Listed::Text {
        return Err(TensorFault::RawText);
    }
    if has_listed(tensor) {
        return Err(TensorFault::Twice);
    }
    let found = raw.len() as u64;
    if found == bytes { Ok(()) } else { Err(TensorFault::Length { expected: bytes, found }) }
}

fn check_listed(tensor: &TensorProto, elements: u64, listed: Listed) -> Result<(), TensorFault> {
    let (field, per_element) = match listed {
        Listed::Packed => return Ok(()),
        Listed::Text => {
            let found = tensor.string_data.len() as u64;
            return if found == elements {
                Ok(())
            } else {
                Err(TensorFault::Count { expected: elements, found })
            };
        }
        Listed::Numbers(field, per_element) => (field, per_element),
    };
    let found = match field {
        Field::Float => fixed(&tensor.float_data, 4),
        Field::Double => fixed(&tensor.double_data, 8),
        Field::Int32 => varints(&tensor.int32_data),
        Field::Int64 => varints(&tensor.int64_data),
        Field::Uint64 => varints(&tensor.uint64_data),
    };
    let expected = elements.checked_mul(per_element).ok_or(TensorFault::Overflow)?;
    if found == expected { Ok(()) } else { Err(TensorFault::Count { expected, found }) }
}

fn has_listed(tensor: &TensorProto) -> bool {
    let lists = [
        &tensor.float_data,
        &tensor.int32_data,
        &tensor.string_data,
        &tensor.int64_data,
        &tensor.double_data,
        &tensor.uint64_data,
    ];
    lists.iter().any(|list| !list.is_empty())
}

/// Numbers of a fixed size in packed lists.
fn fixed(lists: &[Bytes], size: usize) -> u64 {
    lists.iter().map(|list| list.len().div_ceil(size) as u64).sum()
}

/// Numbers of a variable size in packed lists: the last byte of each has its high bit clear.
fn varints(lists: &[Bytes]) -> u64 {
    lists.iter().flatten().filter(|&&byte| byte < 0x80).count() as u64
}
