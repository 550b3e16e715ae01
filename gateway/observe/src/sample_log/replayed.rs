//! Inputs of a request as its rows in the log have them, to be run again.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use pointsman_core::{
    Columns, Datatype, Dim, InputTensor, Origin, Shape, Signature, StringTensorBuilder, Tensor, TensorSpec,
};

use super::layout::{INPUT, REDACTED_KEY};
use super::values::Numbers;

/// Why the inputs of a request cannot be had from the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unlogged {
    /// It has fewer rows in the log than it had.
    #[error("the log has {found} of its {expected} rows")]
    Rows {
        /// Those that it had.
        expected: usize,
        /// Those that the log has.
        found: usize,
    },
    /// A column was not written, or not as it was.
    #[error("column {0} is not in the log as it was asked")]
    Column(String),
    /// A tensor is of another shape or datatype than the signature has.
    #[error("input {0} does not fit the signature")]
    Input(String),
}

/// The inputs of a request, from all of its rows in their order.
///
/// # Errors
/// [`Unlogged`] where something of them is not in the log.
pub fn inputs_of(rows: &RecordBatch, signature: &Signature) -> Result<Vec<InputTensor>, Unlogged> {
    let found = rows.num_rows();
    let expected = rows.column_by_name("rows").map_or(0, |rows| match rows.len() {
        0 => 0,
        _ => rows.as_primitive::<UInt32Type>().value(0) as usize,
    });
    if found != expected || found == 0 {
        return Err(Unlogged::Rows { expected, found });
    }
    let columns = Columns::of(signature);
    let mut inputs = Vec::new();
    for (index, spec) in signature.inputs.iter().enumerate() {
        let own = columns.all().iter().filter(|c| c.origin == Origin::Input && c.tensor == index);
        let own: Vec<String> = own.map(|column| format!("{INPUT}{}", column.name)).collect();
        let name = format!("{INPUT}{}", spec.name);
        let (names, is_list) = if own.is_empty() { (vec![name], true) } else { (own, false) };
        let arrays: Result<Vec<_>, _> = names.iter().map(|name| as_asked(rows, name)).collect();
        let arrays = arrays?;
        if spec.optional && arrays.iter().all(|array| array.null_count() == found) {
            continue;
        }
        if let Some(at) = arrays.iter().position(|array| array.null_count() > 0) {
            return Err(Unlogged::Column(names[at].clone()));
        }
        let tensor =
            if is_list { from_lists(spec, arrays[0], found) } else { from_columns(spec, &arrays, found) };
        let tensor = tensor.ok_or_else(|| Unlogged::Input(spec.name.to_string()))?;
        inputs.push(InputTensor { name: spec.name.to_string(), tensor });
    }
    Ok(inputs)
}

/// A column, where it was written as it was.
fn as_asked<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a dyn Array, Unlogged> {
    let lacking = || Unlogged::Column(name.to_owned());
    let index = rows.schema_ref().index_of(name).map_err(|_| lacking())?;
    if rows.schema_ref().field(index).metadata().contains_key(REDACTED_KEY) {
        return Err(lacking());
    }
    Ok(rows.column(index).as_ref())
}

fn from_columns(spec: &TensorSpec, arrays: &[&dyn Array], rows: usize) -> Option<Tensor> {
    let (rows, dims) = match spec.shape.as_deref() {
        // All rows have the same.
        Some([]) => (1, vec![]),
        Some([_]) => (rows, vec![rows as u64]),
        _ => (rows, vec![rows as u64, arrays.len() as u64]),
    };
    if spec.datatype == Datatype::Bytes {
        let mut builder = StringTensorBuilder::default();
        for row in 0..rows {
            for array in arrays {
                builder.push(array.as_string_opt::<i32>()?.value(row).as_bytes()).ok()?;
            }
        }
        return Tensor::new(Datatype::Bytes, Shape::new(&dims)?, builder.finish()).ok();
    }
    let mut data = Vec::new();
    for row in 0..rows {
        for array in arrays {
            push(*array, row, spec.datatype, &mut data)?;
        }
    }
    Tensor::new(spec.datatype, Shape::new(&dims)?, data.into()).ok()
}

fn from_lists(spec: &TensorSpec, array: &dyn Array, rows: usize) -> Option<Tensor> {
    let mut data = Vec::new();
    let mut each = 0;
    for row in 0..rows {
        let list = match array.as_list_opt::<i32>() {
            Some(lists) => lists.value(row),
            None => array.as_fixed_size_list_opt()?.value(row),
        };
        each = list.len();
        (0..each).try_for_each(|place| push(list.as_ref(), place, spec.datatype, &mut data))?;
    }
    let [_, rest @ ..] = spec.shape.as_deref()? else { return None };
    let fixed = rest.iter().try_fold(1_u64, |product, dim| match dim {
        Dim::Fixed(size) => product.checked_mul(*size),
        Dim::Dynamic(_) => Some(product),
    })?;
    let open = rest.iter().filter(|dim| matches!(dim, Dim::Dynamic(_))).count();
    // With one open dimension there is one shape that it can be.
    let size = (each as u64).checked_div(fixed).filter(|_| open <= 1)?;
    let dims = rest.iter().map(|dim| match dim {
        Dim::Fixed(fixed) => *fixed,
        Dim::Dynamic(_) => size,
    });
    let dims: Vec<u64> = std::iter::once(rows as u64).chain(dims).collect();
    Tensor::new(spec.datatype, Shape::new(&dims)?, data.into()).ok()
}

/// What a column has in one row, as a tensor of one row; nothing where it is null, or of a type that no tensor has.
pub(crate) fn tensor_of(array: &dyn Array, row: usize) -> Option<Tensor> {
    if row >= array.len() || array.is_null(row) {
        return None;
    }
    let list = match array.data_type() {
        DataType::FixedSizeList(..) => Some(array.as_fixed_size_list().value(row)),
        DataType::List(_) => Some(array.as_list::<i32>().value(row)),
        _ => None,
    };
    let (elements, first, count): (&dyn Array, _, _) = match &list {
        Some(list) => (list.as_ref(), 0, list.len()),
        None => (array, row, 1),
    };
    let shape = if list.is_some() { Shape::new(&[1, count as u64]) } else { Shape::new(&[1]) }?;
    if let Some(texts) = elements.as_string_opt::<i32>() {
        let mut builder = StringTensorBuilder::default();
        (first..first + count).try_for_each(|at| builder.push(texts.value(at).as_bytes()).ok())?;
        return Tensor::new(Datatype::Bytes, shape, builder.finish()).ok();
    }
    let datatype = Datatype::ALL.into_iter().find(|datatype| {
        let is_half = matches!(datatype, Datatype::Fp16 | Datatype::Bf16);
        !is_half && Numbers::data_type(*datatype).as_ref() == Some(elements.data_type())
    })?;
    let mut data = Vec::new();
    (first..first + count).try_for_each(|at| push(elements, at, datatype, &mut data))?;
    Tensor::new(datatype, shape, data.into()).ok()
}

/// Adds a number's bytes; nothing where it is null or of another kind.
fn push(array: &dyn Array, at: usize, datatype: Datatype, data: &mut Vec<u8>) -> Option<()> {
    if array.is_null(at) || Some(array.data_type()) != Numbers::data_type(datatype).as_ref() {
        return None;
    }
    match datatype {
        Datatype::Bool => data.push(u8::from(array.as_boolean().value(at))),
        Datatype::Uint8 => data.extend(array.as_primitive::<UInt8Type>().value(at).to_le_bytes()),
        Datatype::Uint16 => data.extend(array.as_primitive::<UInt16Type>().value(at).to_le_bytes()),
        Datatype::Uint32 => data.extend(array.as_primitive::<UInt32Type>().value(at).to_le_bytes()),
        Datatype::Uint64 => data.extend(array.as_primitive::<UInt64Type>().value(at).to_le_bytes()),
        Datatype::Int8 => data.extend(array.as_primitive::<Int8Type>().value(at).to_le_bytes()),
        Datatype::Int16 => data.extend(array.as_primitive::<Int16Type>().value(at).to_le_bytes()),
        Datatype::Int32 => data.extend(array.as_primitive::<Int32Type>().value(at).to_le_bytes()),
        Datatype::Int64 => data.extend(array.as_primitive::<Int64Type>().value(at).to_le_bytes()),
        // What was half a float is one exactly, and back.
        Datatype::Fp16 => {
            data.extend(half::f16::from_f32(array.as_primitive::<Float32Type>().value(at)).to_le_bytes());
        }
        Datatype::Bf16 => {
            data.extend(half::bf16::from_f32(array.as_primitive::<Float32Type>().value(at)).to_le_bytes());
        }
        Datatype::Fp32 => data.extend(array.as_primitive::<Float32Type>().value(at).to_le_bytes()),
        Datatype::Fp64 => data.extend(array.as_primitive::<Float64Type>().value(at).to_le_bytes()),
        Datatype::Bytes => return None,
    }
    Some(())
}
