//! Tensors of ours as tensors of tract, and back.

use std::sync::Arc;

use bytes::Bytes;
use half::f16;
use pointsman_core::{Datatype, Shape, StringTensorBuilder, Tensor};
use tract_onnx::prelude::{DatumType, IntoArcTensor, TValue, Tensor as TractTensor, TractResult};

/// The datum type of a V2 datatype; tract has no BF16.
pub(super) fn tract_type(datatype: Datatype) -> Option<DatumType> {
    Some(match datatype {
        Datatype::Bool => DatumType::Bool,
        Datatype::Uint8 => DatumType::U8,
        Datatype::Uint16 => DatumType::U16,
        Datatype::Uint32 => DatumType::U32,
        Datatype::Uint64 => DatumType::U64,
        Datatype::Int8 => DatumType::I8,
        Datatype::Int16 => DatumType::I16,
        Datatype::Int32 => DatumType::I32,
        Datatype::Int64 => DatumType::I64,
        Datatype::Fp16 => DatumType::F16,
        Datatype::Fp32 => DatumType::F32,
        Datatype::Fp64 => DatumType::F64,
        Datatype::Bytes => DatumType::String,
        Datatype::Bf16 => return None,
    })
}

/// A copy in tract's own memory, which it wants aligned for vectors.
pub(super) fn to_tract(tensor: &Tensor) -> Result<TractTensor, String> {
    let shape: Vec<usize> =
        tensor.shape().dims().iter().map(|&d| usize::try_from(d).unwrap_or(usize::MAX)).collect();
    macro_rules! numbers {
        ($type:ty) => {
            TractTensor::from_shape(&shape, tensor.values::<$type>().unwrap_or_default())
        };
    }
    let made: TractResult<TractTensor> = match tensor.datatype() {
        Datatype::Bool => {
            let values: Vec<bool> = tensor.data().iter().map(|&b| b != 0).collect();
            TractTensor::from_shape(&shape, &values)
        }
        Datatype::Uint8 => numbers!(u8),
        Datatype::Uint16 => numbers!(u16),
        Datatype::Uint32 => numbers!(u32),
        Datatype::Uint64 => numbers!(u64),
        Datatype::Int8 => numbers!(i8),
        Datatype::Int16 => numbers!(i16),
        Datatype::Int32 => numbers!(i32),
        Datatype::Int64 => numbers!(i64),
        Datatype::Fp16 => numbers!(f16),
        Datatype::Fp32 => numbers!(f32),
        Datatype::Fp64 => numbers!(f64),
        Datatype::Bytes => return strings(tensor, &shape),
        Datatype::Bf16 => return Err("tract has no BF16".into()),
    };
    made.map_err(|e| format!("{e:#}"))
}

/// tract's strings are text.
fn strings(tensor: &Tensor, shape: &[usize]) -> Result<TractTensor, String> {
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|_| "tract takes UTF-8 strings only".to_owned())
    };
    let values = tensor.strings().into_iter().flatten().map(text).collect::<Result<Vec<_>, _>>()?;
    let mut made = TractTensor::from(tract_onnx::prelude::tract_ndarray::Array1::from_vec(values));
    made.set_shape(shape).map_err(|e| format!("{e:#}"))?;
    Ok(made)
}

/// Ours from tract's, using its memory in place.
pub(super) fn from_tract(value: TValue, datatype: Datatype) -> Result<Tensor, String> {
    let mut tensor = value.into_arc_tensor();
    let wanted = tract_type(datatype).ok_or("tract has no BF16")?;
    if tensor.datum_type() != wanted {
        // Shapes and what is computed from them come as symbolic dimensions rather than as INT64.
        tensor = Arc::new(tensor.cast_to_dt(wanted).map_err(|e| format!("{e:#}"))?.into_owned());
    }
    let dims: Vec<u64> = tensor.shape().iter().map(|&d| d as u64).collect();
    let shape = Shape::new(&dims).ok_or("an output has too many dimensions")?;
    let plain = tensor.try_as_plain_ram().map_err(|e| format!("{e:#}"))?;
    let data = if datatype == Datatype::Bytes {
        let mut builder = StringTensorBuilder::default();
        for element in plain.as_slice::<String>().map_err(|e| format!("{e:#}"))? {
            builder.push(element.as_bytes()).map_err(|e| e.to_string())?;
        }
        builder.finish()
    } else {
        Bytes::from_owner(OutputMemory(tensor))
    };
    Tensor::new(datatype, shape, data).map_err(|e| e.to_string())
}

/// An output of tract, shown as bytes.
struct OutputMemory(Arc<TractTensor>);

impl AsRef<[u8]> for OutputMemory {
    fn as_ref(&self) -> &[u8] {
        self.0.as_plain_ram_storage().map_or(&[], |storage| storage.as_bytes())
    }
}
