//! Sequences of maps, the form in which converters from scikit-learn give probabilities, as tensors.
//!
//! A ZipMap output `p` of *n* rows over *k* classes becomes `p`, FP32 `[n, k]`, and `p.keys`, the
//! classes in the ascending order of the runtime's map: BYTES or INT64 `[k]`.

use bytes::Bytes;
use pointsman_core::{Datatype, Shape, Tensor};

use super::value::{OrtValue, Refusal};

/// A sequence of maps with the same keys.
pub(super) struct ZipMap {
    keys: Tensor,
    rows: Vec<Tensor>,
}

impl ZipMap {
    pub(super) fn read(sequence: &OrtValue, keys: Datatype) -> Result<Self, Refusal> {
        // Without a row there is no map that could name the classes.
        let none = Tensor::new(keys, vector(0)?, Bytes::new()).map_err(|e| Refusal::new(e.to_string()))?;
        let mut read = Self { keys: none, rows: Vec::new() };
        for row in 0..sequence.count()? {
            let map = sequence.part(row)?;
            let row_keys = map.part(0)?.into_tensor(&[])?;
            if row == 0 {
                read.keys = row_keys;
            } else if row_keys != read.keys {
                return Err(Refusal::new("the maps of a sequence have different keys"));
            }
            read.rows.push(map.part(1)?.into_tensor(&[])?);
        }
        Ok(read)
    }

    pub(super) fn keys(&self) -> Result<Tensor, Refusal> {
        Ok(self.keys.clone())
    }

    pub(super) fn values(&self) -> Result<Tensor, Refusal> {
        let mut values: Vec<f32> = Vec::with_capacity(self.rows.len() * self.keys.elements());
        for row in &self.rows {
            values.extend(
                row.values::<f32>().ok_or_else(|| Refusal::new("a map has values that are not FP32"))?,
            );
        }
        let shape = Shape::new(&[self.rows.len() as u64, self.keys.elements() as u64]);
        let shape = shape.ok_or_else(|| Refusal::new("a shape of two dimensions was refused"))?;
        Tensor::from_vec(Datatype::Fp32, shape, values).map_err(|e| Refusal::new(e.to_string()))
    }
}

fn vector(length: u64) -> Result<Shape, Refusal> {
    Shape::new(&[length]).ok_or_else(|| Refusal::new("a shape of one dimension was refused"))
}
