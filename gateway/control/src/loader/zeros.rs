//! Inputs to warm a session with where nobody has given real ones.

use bytes::Bytes;
use pointsman_core::{Datatype, Dim, Shape, Signature, StringTensorBuilder, Tensor, TensorSpec};

/// The most bytes of one made-up input: a declared size is the model's claim, not a reason to take
/// that much memory.
const BYTES_MAX: usize = 64 << 20;

/// One row of zeros (or empty strings) for every input that has to come; nothing where an input's
/// rank is not declared or it would be very large.
pub(super) fn zeros(signature: &Signature) -> Option<Vec<Option<Tensor>>> {
    let zero = |spec: &TensorSpec| if spec.optional { Some(None) } else { Some(Some(zero(spec)?)) };
    signature.inputs.iter().map(zero).collect()
}

fn zero(spec: &TensorSpec) -> Option<Tensor> {
    let dims: Vec<u64> = spec.shape.as_ref()?.iter().map(size).collect();
    let shape = Shape::new(&dims)?;
    let elements = shape.elements()?;
    let bytes = elements.checked_mul(spec.datatype.size().unwrap_or(size_of::<u32>()))?;
    if bytes > BYTES_MAX {
        return None;
    }
    let data = if spec.datatype == Datatype::Bytes {
        let mut strings = StringTensorBuilder::with_capacity(elements, 0);
        for _ in 0..elements {
            strings.push(b"").ok()?;
        }
        strings.finish()
    } else {
        Bytes::from(vec![0; bytes])
    };
    Tensor::new(spec.datatype, shape, data).ok()
}

fn size(dim: &Dim) -> u64 {
    match dim {
        Dim::Fixed(size) => *size,
        Dim::Dynamic(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(datatype: Datatype, dims: &[Option<u64>]) -> TensorSpec {
        let dim = |d: &Option<u64>| d.map_or(Dim::Dynamic(None), Dim::Fixed);
        let shape = Some(dims.iter().map(dim).collect());
        TensorSpec { name: "x".into(), datatype, shape, optional: false, labels: None }
    }

    #[test]
    fn an_input_is_one_row_of_its_declared_shape() {
        let zero = |s: &TensorSpec| zero(s);
        let tensor = zero(&spec(Datatype::Fp32, &[None, Some(4)])).unwrap();
        assert_eq!(tensor.values::<f32>(), Some(&[0.0; 4][..]));
        let tensor = zero(&spec(Datatype::Bytes, &[None, Some(2)])).unwrap();
        assert_eq!(tensor.strings().unwrap().count(), 2);
        assert!(zero(&spec(Datatype::Fp64, &[Some(1 << 40)])).is_none());
        assert!(zero(&spec(Datatype::Fp64, &[Some(u64::MAX), Some(2)])).is_none());
        let unranked = TensorSpec { shape: None, ..spec(Datatype::Fp32, &[]) };
        assert!(zero(&unranked).is_none());
    }
}
