//! Tensors as golden cases write them.

use std::collections::BTreeMap;

use half::{bf16, f16};
use pointsman_core::{Datatype, Shape, StringTensorBuilder, Tensor, TensorError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::digest::hex_digit;

/// A tensor in the V2 style, its data flat. What JSON cannot say is `null` and listed in
/// `nonfinite`, or the bytes are given as `raw_hex`.
#[derive(Deserialize)]
pub(super) struct WrittenTensor {
    name: String,
    datatype: String,
    shape: Vec<u64>,
    /// Kept as text until the datatype says what it holds, so that no number is rounded on the way.
    data: Option<Box<RawValue>>,
    raw_hex: Option<String>,
    #[serde(default)]
    nonfinite: Vec<(usize, String)>,
}

impl WrittenTensor {
    /// The tensor with its name, or what does not fit.
    pub(super) fn read(self) -> Result<(String, Tensor), String> {
        let tensor = self.value().map_err(|what| format!("tensor '{}': {what}", self.name))?;
        Ok((self.name, tensor))
    }

    fn value(&self) -> Result<Tensor, String> {
        let datatype = Datatype::parse(&self.datatype)
            .ok_or_else(|| format!("datatype {} is unknown", self.datatype))?;
        let shape =
            Shape::new(&self.shape).ok_or_else(|| format!("has more than {} dimensions", Shape::RANK_MAX))?;
        if let Some(hex) = &self.raw_hex {
            let bytes = bytes_of(hex).ok_or("raw_hex is not hexadecimal")?;
            return Tensor::new(datatype, shape, bytes.into()).map_err(say);
        }
        match datatype {
            Datatype::Bool => {
                let values = self.list::<bool>()?.into_iter().map(u8::from).collect::<Vec<_>>();
                Tensor::from_vec(datatype, shape, values).map_err(say)
            }
            Datatype::Uint8 => self.whole::<u8>(datatype, shape),
            Datatype::Uint16 => self.whole::<u16>(datatype, shape),
            Datatype::Uint32 => self.whole::<u32>(datatype, shape),
            Datatype::Uint64 => self.whole::<u64>(datatype, shape),
            Datatype::Int8 => self.whole::<i8>(datatype, shape),
            Datatype::Int16 => self.whole::<i16>(datatype, shape),
            Datatype::Int32 => self.whole::<i32>(datatype, shape),
            Datatype::Int64 => self.whole::<i64>(datatype, shape),
            Datatype::Fp16 => self.floats(datatype, shape, |v| f16::from_f64(v).to_bits()),
            Datatype::Bf16 => self.floats(datatype, shape, |v| bf16::from_f64(v).to_bits()),
            Datatype::Fp32 => self.floats(datatype, shape, |v| (v as f32).to_bits()),
            Datatype::Fp64 => self.floats(datatype, shape, f64::to_bits),
            Datatype::Bytes => {
                let texts = self.list::<String>()?;
                text_tensor(shape, texts.iter().map(String::as_str)).map_err(say)
            }
        }
    }

    fn list<T: DeserializeOwned>(&self) -> Result<Vec<T>, String> {
        let data = self.data.as_ref().ok_or("has neither data nor raw_hex")?;
        serde_json::from_str(data.get()).map_err(|error| error.to_string())
    }

    fn whole<T>(&self, datatype: Datatype, shape: Shape) -> Result<Tensor, String>
    where
        T: DeserializeOwned + Number,
    {
        let bytes: Vec<u8> = self.list::<T>()?.into_iter().flat_map(Number::bytes).collect();
        Tensor::new(datatype, shape, bytes.into()).map_err(say)
    }

    fn floats<T: Number>(
        &self,
        datatype: Datatype,
        shape: Shape,
        bits: impl Fn(f64) -> T,
    ) -> Result<Tensor, String> {
        let mut values = self.list::<Option<f64>>()?;
        for (index, name) in &self.nonfinite {
            let Some(value @ None) = values.get_mut(*index) else {
                return Err(format!("nonfinite names element {index}, which is not null"));
            };
            *value = Some(match name.as_str() {
                "nan" => f64::NAN,
                "inf" => f64::INFINITY,
                "-inf" => f64::NEG_INFINITY,
                _ => return Err(format!("nonfinite has {name:?}, known are nan, inf, -inf")),
            });
        }
        if let Some(index) = values.iter().position(Option::is_none) {
            return Err(format!("element {index} is null and not in nonfinite"));
        }
        let bytes: Vec<u8> = values.into_iter().flatten().flat_map(|value| bits(value).bytes()).collect();
        Tensor::new(datatype, shape, bytes.into()).map_err(say)
    }
}

/// A number with bytes in the order of the wire.
trait Number {
    fn bytes(self) -> impl Iterator<Item = u8>;
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Number for $number {
            fn bytes(self) -> impl Iterator<Item = u8> {
                self.to_le_bytes().into_iter()
            }
        }
    )*};
}

numbers!(u8 u16 u32 u64 i8 i16 i32 i64);

/// Values and keys of a sequence of maps with texts as keys.
pub(super) fn maps_by_text(maps: &[BTreeMap<String, f32>]) -> Result<(Tensor, Tensor), String> {
    let first: Vec<&String> = maps.first().map(|map| map.keys().collect()).unwrap_or_default();
    let mut values = Vec::new();
    for map in maps {
        if !map.keys().eq(first.iter().copied()) {
            return Err("its maps have different keys".into());
        }
        values.extend(map.values());
    }
    let keys = text_tensor(shape_of(&[first.len()]), first.iter().map(|key| key.as_str()));
    Ok((matrix(maps.len(), first.len(), values)?, keys.map_err(say)?))
}

/// Values and keys of a sequence of maps with whole numbers as keys, which JSON has to quote.
pub(super) fn maps_by_number(maps: &[BTreeMap<String, f32>]) -> Result<(Tensor, Tensor), String> {
    let mut rows = Vec::with_capacity(maps.len());
    for map in maps {
        let row = map.iter().map(|(key, &value)| Ok((key.parse::<i64>()?, value)));
        let row = row.collect::<Result<BTreeMap<_, _>, std::num::ParseIntError>>();
        rows.push(row.map_err(|_| "has a key that is no whole number")?);
    }
    let first: Vec<i64> = rows.first().map(|row| row.keys().copied().collect()).unwrap_or_default();
    let mut values = Vec::new();
    for row in &rows {
        if !row.keys().eq(&first) {
            return Err("its maps have different keys".into());
        }
        values.extend(row.values());
    }
    let columns = first.len();
    let keys = Tensor::from_vec(Datatype::Int64, shape_of(&[columns]), first);
    Ok((matrix(rows.len(), columns, values)?, keys.map_err(say)?))
}

fn matrix(rows: usize, columns: usize, values: Vec<f32>) -> Result<Tensor, String> {
    Tensor::from_vec(Datatype::Fp32, shape_of(&[rows, columns]), values).map_err(say)
}

/// A shape of one or two dimensions.
fn shape_of(dims: &[usize]) -> Shape {
    let dims: Vec<u64> = dims.iter().map(|&dim| dim as u64).collect();
    Shape::new(&dims).unwrap_or_default()
}

fn text_tensor<'a>(shape: Shape, texts: impl Iterator<Item = &'a str>) -> Result<Tensor, TensorError> {
    let mut builder = StringTensorBuilder::default();
    for text in texts {
        builder.push(text.as_bytes())?;
    }
    Tensor::new(Datatype::Bytes, shape, builder.finish())
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| Some(hex_digit(*pair.first()?)? << 4 | hex_digit(*pair.get(1)?)?)).collect()
}

fn say(error: TensorError) -> String {
    error.to_string()
}
