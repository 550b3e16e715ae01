//! Tensors of numbers that come from elsewhere, such as a table.

use half::{bf16, f16};

use crate::shape::Shape;
use crate::tensor::{Datatype, Tensor};

/// A tensor of any datatype but BYTES with these numbers, each as near as the datatype has it.
///
/// # Errors
/// The place of the first number that the datatype cannot hold, which is NaN or out of range where it is whole; the number
/// of elements where they are not as many as the shape has.
pub fn tensor_of_numbers(datatype: Datatype, shape: Shape, numbers: &[f64]) -> Result<Tensor, usize> {
    macro_rules! whole {
        ($type:ty) => {{
            let fits = |x: &f64| x.round() >= <$type>::MIN as f64 && x.round() <= <$type>::MAX as f64;
            if let Some(odd) = numbers.iter().position(|number| !fits(number)) {
                return Err(odd);
            }
            Tensor::from_vec(
                datatype,
                shape,
                numbers.iter().map(|x| x.round() as $type).collect::<Vec<$type>>(),
            )
        }};
    }
    macro_rules! float {
        ($of:expr) => {
            Tensor::from_vec(datatype, shape, numbers.iter().map($of).collect::<Vec<_>>())
        };
    }
    let made = match datatype {
        Datatype::Bool => {
            if let Some(odd) = numbers.iter().position(|x| *x != 0.0 && *x != 1.0) {
                return Err(odd);
            }
            float!(|x| u8::from(*x == 1.0))
        }
        Datatype::Uint8 => whole!(u8),
        Datatype::Uint16 => whole!(u16),
        Datatype::Uint32 => whole!(u32),
        Datatype::Uint64 => whole!(u64),
        Datatype::Int8 => whole!(i8),
        Datatype::Int16 => whole!(i16),
        Datatype::Int32 => whole!(i32),
        Datatype::Int64 => whole!(i64),
        Datatype::Fp16 => float!(|x| f16::from_f64(*x)),
        Datatype::Bf16 => float!(|x| bf16::from_f64(*x)),
        Datatype::Fp32 => float!(|x| *x as f32),
        Datatype::Fp64 => float!(|x| *x),
        Datatype::Bytes => return Err(0),
    };
    made.map_err(|_| numbers.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elements::Elements;

    #[test]
    fn numbers_come_back_and_those_that_do_not_fit_are_named() {
        let shape = || Shape::new(&[2]).expect("small");
        for datatype in ["BOOL", "UINT8", "UINT64", "INT8", "INT64", "FP16", "BF16", "FP32", "FP64"] {
            let datatype = Datatype::parse(datatype).expect("a datatype");
            let tensor = tensor_of_numbers(datatype, shape(), &[1.0, 0.0]).expect("fits");
            let elements = Elements::of(&tensor).expect("numbers");
            assert_eq!((elements.get(0), elements.get(1)), (1.0, 0.0));
        }
        assert_eq!(tensor_of_numbers(Datatype::Int8, shape(), &[1.0, 128.0]).err(), Some(1));
        assert_eq!(tensor_of_numbers(Datatype::Int64, shape(), &[f64::NAN, 1.0]).err(), Some(0));
        assert_eq!(tensor_of_numbers(Datatype::Bool, shape(), &[1.0, 2.0]).err(), Some(1));
        assert_eq!(tensor_of_numbers(Datatype::Fp32, shape(), &[1.0]).err(), Some(1));
        assert!(tensor_of_numbers(Datatype::Fp32, shape(), &[f64::NAN, 1e300]).is_ok());
    }
}
