//! Numbers of outputs that say that a model is numerically unwell.

use crate::elements::Elements;
use crate::tensor::Tensor;

/// What is wrong with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NumericFault {
    /// NaN.
    Nan,
    /// An infinity, wherever it comes from.
    Infinite,
    /// A number between zero and the least normal one of its datatype (also: denormal), whose digits are lost one by one.
    Subnormal,
    /// What a number becomes that its datatype cannot hold: an infinity although no input of the request was one
    /// (IEEE 754-2019, 7.3 and 7.4), or a whole number at an end of the range of INT32 or INT64, where casts of larger
    /// ones, of infinities and of NaN end up (the ONNX operator `Cast` leaves to the platform what becomes of them).
    Overflow,
}

impl NumericFault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nan, Self::Infinite, Self::Subnormal, Self::Overflow];

    /// The word in metrics and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nan => "nan",
            Self::Infinite => "inf",
            Self::Subnormal => "subnormal",
            Self::Overflow => "overflow",
        }
    }
}

/// How many numbers of one tensor have each fault, and where the first one stands among its elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NumericFaults {
    found: [(usize, usize); NumericFault::ALL.len()],
}

impl NumericFaults {
    /// Those of an output; nothing where it has none. `has_infinite_input` is asked only where that makes a difference.
    #[must_use]
    pub fn of(output: &Tensor, has_infinite_input: impl FnOnce() -> bool) -> Option<Self> {
        let elements = Elements::of(output)?;
        if !is_any(elements) {
            return None;
        }
        let mut faults = Self::default();
        for index in 0..elements.len() {
            if let Some(fault) = judge(elements, index) {
                faults.add(fault, index);
            }
        }
        let (infinities, first) = faults.found[NumericFault::Infinite as usize];
        if infinities > 0 && !has_infinite_input() {
            faults.found[NumericFault::Overflow as usize] = (infinities, first);
        }
        Some(faults)
    }

    /// Those that there are, with how many numbers have them and the place of the first.
    pub fn each(&self) -> impl Iterator<Item = (NumericFault, usize, usize)> {
        let found = NumericFault::ALL.into_iter().zip(self.found);
        found.filter(|(_, (count, _))| *count > 0).map(|(fault, (count, first))| (fault, count, first))
    }

    fn add(&mut self, fault: NumericFault, index: usize) {
        let (count, first) = &mut self.found[fault as usize];
        if *count == 0 {
            *first = index;
        }
        *count += 1;
    }
}

/// Whether any tensor holds an infinity.
#[must_use]
pub fn has_infinity(tensors: &[Option<Tensor>]) -> bool {
    tensors.iter().flatten().filter_map(Elements::of).any(|elements| match elements {
        Elements::F16(all) => all.iter().any(|x| x.is_infinite()),
        Elements::Bf16(all) => all.iter().any(|x| x.is_infinite()),
        Elements::F32(all) => all.iter().any(|x| x.is_infinite()),
        Elements::F64(all) => all.iter().any(|x| x.is_infinite()),
        _ => false,
    })
}

/// Whether any of the numbers has a fault. It is asked of every answer: a few operations on the bits of each number,
/// several at once, and no branch.
fn is_any(elements: Elements<'_>) -> bool {
    /// Of the bits without the sign, all that are at least those of infinity, or above 0 and below the least normal.
    macro_rules! any_odd {
        ($bits:expr, $type:ty, $infinity:expr, $least_normal:expr) => {{
            let (infinity, least): ($type, $type) = ($infinity, $least_normal);
            let odd = |bits: $type| {
                let size = bits & (<$type>::MAX >> 1);
                (size >= infinity) | (size.wrapping_sub(1) < least - 1)
            };
            $bits.fold(false, |any, bits| any | odd(bits))
        }};
    }
    match elements {
        Elements::F16(all) => any_odd!(all.iter().map(|x| x.to_bits()), u16, 0x7c00, 0x0400),
        Elements::Bf16(all) => any_odd!(all.iter().map(|x| x.to_bits()), u16, 0x7f80, 0x0080),
        Elements::F32(all) => any_odd!(all.iter().map(|x| x.to_bits()), u32, 0x7f80_0000, 0x0080_0000),
        Elements::F64(all) => {
            any_odd!(all.iter().map(|x| x.to_bits()), u64, 0x7ff0_0000_0000_0000, 0x0010_0000_0000_0000)
        }
        Elements::I32(all) => all.iter().fold(false, |any, x| any | (*x == i32::MIN) | (*x == i32::MAX)),
        Elements::I64(all) => all.iter().fold(false, |any, x| any | (*x == i64::MIN) | (*x == i64::MAX)),
        _ => false,
    }
}

fn judge(elements: Elements<'_>, index: usize) -> Option<NumericFault> {
    use std::num::FpCategory;
    let category = match elements {
        Elements::F16(all) => all.get(index)?.classify(),
        Elements::Bf16(all) => all.get(index)?.classify(),
        Elements::F32(all) => all.get(index)?.classify(),
        Elements::F64(all) => all.get(index)?.classify(),
        Elements::I32(all) => {
            return [i32::MIN, i32::MAX].contains(all.get(index)?).then_some(NumericFault::Overflow);
        }
        Elements::I64(all) => {
            return [i64::MIN, i64::MAX].contains(all.get(index)?).then_some(NumericFault::Overflow);
        }
        _ => return None,
    };
    match category {
        FpCategory::Nan => Some(NumericFault::Nan),
        FpCategory::Infinite => Some(NumericFault::Infinite),
        FpCategory::Subnormal => Some(NumericFault::Subnormal),
        FpCategory::Zero | FpCategory::Normal => None,
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use proptest::prelude::*;

    use super::*;
    use crate::shape::Shape;
    use crate::tensor::Datatype;

    fn tensor<T: bytemuck::Pod + Send + Sync>(datatype: Datatype, values: &[T]) -> Tensor {
        let shape = Shape::new(&[values.len() as u64]).expect("small");
        Tensor::from_vec(datatype, shape, values.to_vec()).expect("fits")
    }

    fn found(tensor: &Tensor, has_infinite_input: bool) -> Vec<(NumericFault, usize, usize)> {
        let faults = NumericFaults::of(tensor, || has_infinite_input);
        faults.iter().flat_map(NumericFaults::each).collect()
    }

    #[test]
    fn each_fault_is_told_with_its_first_place() {
        use NumericFault::{Infinite, Nan, Overflow, Subnormal};
        let odd = [1.0, f32::NAN, f32::INFINITY, 1e-40, f32::NEG_INFINITY, -1e-45, -f32::NAN];
        let odd = tensor(Datatype::Fp32, &odd);
        assert_eq!(found(&odd, false), [(Nan, 2, 1), (Infinite, 2, 2), (Subnormal, 2, 3), (Overflow, 2, 2)]);
        assert_eq!(found(&odd, true), [(Nan, 2, 1), (Infinite, 2, 2), (Subnormal, 2, 3)]);
        let well = [0.0, -0.0, f32::MIN_POSITIVE, -f32::MIN_POSITIVE, f32::MAX, f32::MIN];
        assert_eq!(found(&tensor(Datatype::Fp32, &well), false), []);
        // What FP32 holds and FP16 does not.
        let halves = [f16::from_f32(65504.0), f16::from_f32(65520.0), f16::from_f32(6e-8)];
        assert_eq!(
            found(&tensor(Datatype::Fp16, &halves), false),
            [(Infinite, 1, 1), (Subnormal, 1, 2), (Overflow, 1, 1)]
        );
        let brain = [bf16::MAX, bf16::MIN_POSITIVE_SUBNORMAL];
        assert_eq!(found(&tensor(Datatype::Bf16, &brain), false), [(Subnormal, 1, 1)]);
        assert_eq!(found(&tensor(Datatype::Fp64, &[1e-310, 1e308]), false), [(Subnormal, 1, 0)]);
        assert_eq!(found(&tensor(Datatype::Int64, &[1, i64::MIN, i64::MAX]), true), [(Overflow, 2, 1)]);
        assert_eq!(found(&tensor(Datatype::Int32, &[i32::MAX]), true), [(Overflow, 1, 0)]);
        // A picture has both ends of its range, and a class may be the last one.
        assert_eq!(found(&tensor(Datatype::Uint8, &[0_u8, 255]), false), []);
    }

    #[test]
    fn infinities_of_inputs_are_seen() {
        let of = |values: &[f64]| has_infinity(&[None, Some(tensor(Datatype::Fp64, values))]);
        assert!(of(&[1.0, f64::NEG_INFINITY]) && !of(&[f64::NAN, f64::MAX]) && !of(&[]));
    }

    proptest! {
        #[test]
        fn the_quick_look_sees_what_the_slow_one_sees(bits in any::<u64>()) {
            let of = |elements| (is_any(elements), judge(elements, 0).is_some());
            let half = [f16::from_bits(bits as u16)];
            let brain = [bf16::from_bits(bits as u16)];
            let (single, double) = ([f32::from_bits(bits as u32)], [f64::from_bits(bits)]);
            for elements in [Elements::F16(&half), Elements::Bf16(&brain), Elements::F32(&single), Elements::F64(&double)] {
                let (quick, slow) = of(elements);
                prop_assert_eq!(quick, slow, "{:?}", elements);
            }
        }
    }
}
