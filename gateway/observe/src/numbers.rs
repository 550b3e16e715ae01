//! Numbers of one output, element by element.

use pointsman_core::{Elements, Tensor};
use pointsman_stats::{Paired, Tally, ulp_distance_f32, ulp_distance_f64};

use crate::sample::{Keys, Sample};
use crate::settings::Settings;

/// What relative differences are over at least: ε in |a - b| / max(|a|, ε).
pub(crate) const RELATIVE_FLOOR: f64 = 1e-12;
/// Floats so many units in the last place apart count as the same, as in googletest's comparison of floats.
pub(crate) const ULPS_NEAR: u64 = 4;
/// Bins of relative differences: none, less than a billionth, each decade from there to 1, and 1 and more.
pub(crate) const BINS: usize = 12;
const LEAST_DECADE: f64 = -9.0;

/// Sums over the elements of tensors of the same shape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    /// Differences of those that are finite on both sides.
    pub(crate) paired: Paired,
    /// Elements with the same bits, among all.
    pub(crate) bit_equal: Tally,
    /// Elements within the tolerance, among all.
    pub(crate) close: Tally,
    /// Tensors of which all elements are.
    pub(crate) all_close: Tally,
    pub(crate) primary: NotFinite,
    pub(crate) shadow: NotFinite,
    /// Pairs of elements that are not finite on both sides, or too large to be squared.
    pub(crate) left_out: u64,
    /// The most units in the last place, and how many elements are within a few of them; of FP32 and FP64 alone.
    pub(crate) ulp_max: u64,
    pub(crate) ulp_near: Tally,
    /// How many relative differences are in each bin.
    pub(crate) bins: [u64; BINS],
    pub(crate) sample: Sample,
}

/// Elements that are not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NotFinite {
    pub(crate) nan: u64,
    pub(crate) infinite: u64,
}

/// What was found of two tensors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Apart {
    /// All elements are within the tolerance.
    pub(crate) is_close: bool,
    /// How many are not.
    pub(crate) not_close: u64,
    /// The largest difference.
    pub(crate) max_abs: f64,
    pub(crate) primary_finite: bool,
    pub(crate) shadow_finite: bool,
}

impl NotFinite {
    fn push(&mut self, number: f64) -> bool {
        self.nan += u64::from(number.is_nan());
        self.infinite += u64::from(number.is_infinite());
        number.is_finite()
    }

    fn merge(&mut self, other: Self) {
        self.nan += other.nan;
        self.infinite += other.infinite;
    }
}

impl Numbers {
    /// Takes in two tensors of the same number of elements; nothing for BYTES.
    pub(crate) fn push(
        &mut self,
        primary: &Tensor,
        shadow: &Tensor,
        keys: Keys,
        settings: &Settings,
    ) -> Option<Apart> {
        let (left, right) = (Elements::of(primary)?, Elements::of(shadow)?);
        let bits = same_bits(primary, shadow);
        let mut apart =
            Apart { is_close: true, primary_finite: true, shadow_finite: true, ..Apart::default() };
        for index in 0..primary.elements() {
            let (a, b) = (left.get(index), right.get(index));
            let (left_finite, right_finite) = (self.primary.push(a), self.shadow.push(b));
            apart.primary_finite &= left_finite;
            apart.shadow_finite &= right_finite;
            let close = settings.is_close(a, b);
            self.close.push(close);
            apart.is_close &= close;
            apart.not_close += u64::from(!close);
            self.bit_equal.push(bits.equal(index));
            if let Some(ulps) = ulps(&left, &right, index) {
                self.ulp_max = self.ulp_max.max(ulps);
                self.ulp_near.push(ulps <= ULPS_NEAR);
            }
            if self.paired.push(a, b, RELATIVE_FLOOR).is_err() {
                self.left_out += 1;
                continue;
            }
            apart.max_abs = apart.max_abs.max((a - b).abs());
            self.bins[bin((a - b).abs() / a.abs().max(RELATIVE_FLOOR))] += 1;
            self.sample.push(keys.key(index), (a, b));
        }
        self.all_close.push(apart.is_close);
        Some(apart)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.paired = self.paired.and(other.paired);
        self.bit_equal = self.bit_equal.and(other.bit_equal);
        self.close = self.close.and(other.close);
        self.all_close = self.all_close.and(other.all_close);
        self.primary.merge(other.primary);
        self.shadow.merge(other.shadow);
        self.left_out += other.left_out;
        self.ulp_max = self.ulp_max.max(other.ulp_max);
        self.ulp_near = self.ulp_near.and(other.ulp_near);
        self.bins.iter_mut().zip(other.bins).for_each(|(here, there)| *here += there);
        self.sample.merge(&other.sample);
    }
}

/// Which bits are the same: of elements of one datatype, since a number has other bits in another.
enum Bits<'a> {
    All,
    None,
    Each { size: usize, primary: &'a [u8], shadow: &'a [u8] },
}

fn same_bits<'a>(primary: &'a Tensor, shadow: &'a Tensor) -> Bits<'a> {
    match primary.datatype().size() {
        Some(size) if primary.datatype() == shadow.datatype() => {
            let (primary, shadow) = (&primary.data()[..], &shadow.data()[..]);
            if primary == shadow { Bits::All } else { Bits::Each { size, primary, shadow } }
        }
        _ => Bits::None,
    }
}

impl Bits<'_> {
    fn equal(&self, index: usize) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Each { size, primary, shadow } => {
                let place = index * size..(index + 1) * size;
                primary.get(place.clone()) == shadow.get(place)
            }
        }
    }
}

fn ulps(primary: &Elements<'_>, shadow: &Elements<'_>, index: usize) -> Option<u64> {
    match (primary, shadow) {
        (Elements::F32(a), Elements::F32(b)) => {
            ulp_distance_f32(*a.get(index)?, *b.get(index)?).map(u64::from)
        }
        (Elements::F64(a), Elements::F64(b)) => ulp_distance_f64(*a.get(index)?, *b.get(index)?),
        _ => None,
    }
}

fn bin(relative: f64) -> usize {
    if relative == 0.0 {
        return 0;
    }
    let last = (BINS - 1) as f64;
    (relative.log10().floor() - LEAST_DECADE + 2.0).clamp(1.0, last) as usize
}

/// What stands in a bin of relative differences.
pub(crate) fn bin_name(bin: usize) -> String {
    match bin {
        0 => "equal".into(),
        1 => "< 1e-9".into(),
        _ if bin == BINS - 1 => ">= 1".into(),
        _ => format!("1e{}", LEAST_DECADE as i64 + bin as i64 - 2),
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::{Datatype, RequestId, Shape};

    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        let shape = Shape::new(&[values.len() as u64]).expect("small");
        Tensor::from_vec(Datatype::Fp32, shape, values.to_vec()).expect("fits")
    }

    fn pushed(primary: &Tensor, shadow: &Tensor) -> (Numbers, Apart) {
        let mut numbers = Numbers::default();
        let keys = Keys::of(0, RequestId::generate());
        let apart = numbers.push(primary, shadow, keys, &Settings::default()).expect("numbers");
        (numbers, apart)
    }

    #[test]
    fn bins_are_decades() {
        let bins = [0.0, 1e-30, 9e-10, 1.1e-9, 0.05, 0.5, 1.0, 1e9].map(bin);
        assert_eq!(bins, [0, 1, 1, 2, 9, 10, 11, 11]);
        assert_eq!(bins.map(bin_name)[2..], ["< 1e-9", "1e-9", "1e-2", "1e-1", ">= 1", ">= 1"]);
    }

    #[test]
    fn what_is_not_finite_is_counted_and_left_out() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let (numbers, apart) = pushed(&tensor(&[1.0, nan, inf, 2.0]), &tensor(&[1.0, nan, 5.0, nan]));
        assert_eq!(numbers.primary, NotFinite { nan: 1, infinite: 1 });
        assert_eq!(numbers.shadow, NotFinite { nan: 2, infinite: 0 });
        assert_eq!((numbers.left_out, numbers.paired.count()), (3, 1));
        assert_eq!((numbers.close.hits(), numbers.bit_equal.hits(), apart.not_close), (2, 2, 2));
        assert!(!apart.is_close && !apart.primary_finite && !apart.shadow_finite);
    }

    #[test]
    fn bits_and_units_in_the_last_place() {
        let next = f32::from_bits(1.0_f32.to_bits() + 1);
        let far = f32::from_bits(2.0_f32.to_bits() + 9);
        let (numbers, apart) = pushed(&tensor(&[1.0, 2.0, 3.0]), &tensor(&[next, far, 3.0]));
        assert_eq!((numbers.ulp_max, numbers.ulp_near.hits(), numbers.bit_equal.hits()), (9, 2, 1));
        assert!(apart.is_close && apart.max_abs > 0.0);
        let wide = Tensor::from_vec(Datatype::Fp64, Shape::new(&[3]).expect("small"), vec![1.0, 2.0, 3.0]);
        let (numbers, _) = pushed(&tensor(&[1.0, 2.0, 3.0]), &wide.expect("fits"));
        assert_eq!((numbers.bit_equal.hits(), numbers.close.hits(), numbers.ulp_near.tries()), (0, 3, 0));
    }
}
