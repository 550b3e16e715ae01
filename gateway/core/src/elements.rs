//! The elements of a tensor as doubles, in place.

use crate::tensor::{Datatype, Tensor};
use half::{bf16, f16};

/// The elements of a tensor of any datatype but BYTES.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // the datatypes of the protocol, BOOL as U8
pub enum Elements<'a> {
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    F16(&'a [f16]),
    Bf16(&'a [bf16]),
    F32(&'a [f32]),
    F64(&'a [f64]),
}

impl<'a> Elements<'a> {
    /// Those of a tensor; nothing for BYTES.
    #[must_use]
    pub fn of(tensor: &'a Tensor) -> Option<Self> {
        match tensor.datatype() {
            Datatype::Bool | Datatype::Uint8 => tensor.values().map(Self::U8),
            Datatype::Uint16 => tensor.values().map(Self::U16),
            Datatype::Uint32 => tensor.values().map(Self::U32),
            Datatype::Uint64 => tensor.values().map(Self::U64),
            Datatype::Int8 => tensor.values().map(Self::I8),
            Datatype::Int16 => tensor.values().map(Self::I16),
            Datatype::Int32 => tensor.values().map(Self::I32),
            Datatype::Int64 => tensor.values().map(Self::I64),
            Datatype::Fp16 => tensor.values().map(Self::F16),
            Datatype::Bf16 => tensor.values().map(Self::Bf16),
            Datatype::Fp32 => tensor.values().map(Self::F32),
            Datatype::Fp64 => tensor.values().map(Self::F64),
            Datatype::Bytes => None,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::U8(all) => all.len(),
            Self::U16(all) => all.len(),
            Self::U32(all) => all.len(),
            Self::U64(all) => all.len(),
            Self::I8(all) => all.len(),
            Self::I16(all) => all.len(),
            Self::I32(all) => all.len(),
            Self::I64(all) => all.len(),
            Self::F16(all) => all.len(),
            Self::Bf16(all) => all.len(),
            Self::F32(all) => all.len(),
            Self::F64(all) => all.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at a place; NaN past the end. Whole numbers of more than 53 bits are rounded.
    #[must_use]
    pub fn get(&self, index: usize) -> f64 {
        let found = match self {
            Self::U8(all) => all.get(index).map(|x| f64::from(*x)),
            Self::U16(all) => all.get(index).map(|x| f64::from(*x)),
            Self::U32(all) => all.get(index).map(|x| f64::from(*x)),
            Self::U64(all) => all.get(index).map(|x| *x as f64),
            Self::I8(all) => all.get(index).map(|x| f64::from(*x)),
            Self::I16(all) => all.get(index).map(|x| f64::from(*x)),
            Self::I32(all) => all.get(index).map(|x| f64::from(*x)),
            Self::I64(all) => all.get(index).map(|x| *x as f64),
            Self::F16(all) => all.get(index).map(|x| x.to_f64()),
            Self::Bf16(all) => all.get(index).map(|x| x.to_f64()),
            Self::F32(all) => all.get(index).map(|x| f64::from(*x)),
            Self::F64(all) => all.get(index).copied(),
        };
        found.unwrap_or(f64::NAN)
    }

    /// The whole number at a place, exactly; nothing where the elements are floats.
    #[must_use]
    pub fn whole(&self, index: usize) -> Option<i128> {
        match self {
            Self::U8(all) => all.get(index).map(|x| i128::from(*x)),
            Self::U16(all) => all.get(index).map(|x| i128::from(*x)),
            Self::U32(all) => all.get(index).map(|x| i128::from(*x)),
            Self::U64(all) => all.get(index).map(|x| i128::from(*x)),
            Self::I8(all) => all.get(index).map(|x| i128::from(*x)),
            Self::I16(all) => all.get(index).map(|x| i128::from(*x)),
            Self::I32(all) => all.get(index).map(|x| i128::from(*x)),
            Self::I64(all) => all.get(index).map(|x| i128::from(*x)),
            Self::F16(_) | Self::Bf16(_) | Self::F32(_) | Self::F64(_) => None,
        }
    }

    /// Whether the elements are floats.
    #[must_use]
    pub fn are_floats(&self) -> bool {
        matches!(self, Self::F16(_) | Self::Bf16(_) | Self::F32(_) | Self::F64(_))
    }

    /// Whether no element is NaN or an infinity.
    #[must_use]
    pub fn are_finite(&self) -> bool {
        self.are_finite_within(usize::MAX)
    }

    /// Whether none of the first so many is.
    #[must_use]
    pub fn are_finite_within(&self, most: usize) -> bool {
        match self {
            Self::F16(all) => all.iter().take(most).all(|x| x.is_finite()),
            Self::Bf16(all) => all.iter().take(most).all(|x| x.is_finite()),
            Self::F32(all) => all.iter().take(most).all(|x| x.is_finite()),
            Self::F64(all) => all.iter().take(most).all(|x| x.is_finite()),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::shape::Shape;

    use super::*;

    #[test]
    fn each_datatype_is_read_as_what_it_is() {
        let shape = || Shape::new(&[2]).expect("small");
        fn read(tensor: &Tensor) -> (f64, f64, Option<i128>, bool) {
            let elements = Elements::of(tensor).expect("numbers");
            (elements.get(0), elements.get(1), elements.whole(0), elements.are_floats())
        }
        macro_rules! check {
            ($datatype:ident, $type:ty, $first:expr, $float:expr) => {
                let values: Vec<$type> = vec![$first, Default::default()];
                let tensor = Tensor::from_vec(Datatype::$datatype, shape(), values).expect("fits");
                let (first, second, whole, float) = read(&tensor);
                assert_eq!((second, float), (0.0, $float), stringify!($datatype));
                assert!(Elements::of(&tensor).expect("numbers").are_finite());
                assert_eq!(whole.is_none(), $float);
                assert!(whole.is_none_or(|whole| whole as f64 == first));
                assert_eq!(first, f64::from(f32::try_from(first as f32).expect("a float")));
            };
        }
        check!(Bool, u8, 1, false);
        check!(Uint8, u8, 200, false);
        check!(Uint16, u16, 60_000, false);
        check!(Uint32, u32, 1 << 31, false);
        check!(Uint64, u64, 1 << 63, false);
        check!(Int8, i8, -3, false);
        check!(Int16, i16, -300, false);
        check!(Int32, i32, -70_000, false);
        check!(Int64, i64, i64::MIN, false);
        check!(Fp16, f16, f16::from_f32(1.5), true);
        check!(Bf16, bf16, bf16::from_f32(1.5), true);
        check!(Fp32, f32, 1.5, true);
        check!(Fp64, f64, 1.5, true);
        for bad in [f32::NAN, f32::NEG_INFINITY] {
            let tensor = Tensor::from_vec(Datatype::Fp32, shape(), vec![0.0, bad]).expect("fits");
            let elements = Elements::of(&tensor).expect("numbers");
            assert!(!elements.are_finite() && elements.are_finite_within(1));
        }
        let exact = Tensor::from_vec(Datatype::Uint64, shape(), vec![u64::MAX, 0]).expect("fits");
        assert_eq!(read(&exact).2, Some(i128::from(u64::MAX)));
        let text = Tensor::new(Datatype::Bytes, Shape::new(&[0]).expect("small"), Default::default());
        assert!(Elements::of(&text.expect("empty")).is_none());
    }
}
