//! How many floats lie between two floats.

/// Units in the last place between two numbers: 0 for equal ones (and zeros of both signs), 1 for neighbours. Nothing
/// where one is NaN; infinities are the neighbours of the largest numbers.
#[must_use]
pub fn ulp_distance_f32(a: f32, b: f32) -> Option<u32> {
    let number =
        |x: f32| (!x.is_nan()).then(|| order(i64::from(x.to_bits().cast_signed()), i64::from(i32::MIN)));
    // Both are within 32 bits of 0, so their distance is within 33; and it is within 32, as NaN takes some.
    u32::try_from(number(a)?.abs_diff(number(b)?)).ok()
}

/// The same for double precision.
#[must_use]
pub fn ulp_distance_f64(a: f64, b: f64) -> Option<u64> {
    let number = |x: f64| (!x.is_nan()).then(|| order(x.to_bits().cast_signed(), i64::MIN));
    Some(number(a)?.abs_diff(number(b)?))
}

/// Bits as a number that has the order of the floats: those of negative floats count down from 0.
fn order(bits: i64, negative_zero: i64) -> i64 {
    if bits < 0 { negative_zero - bits } else { bits }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_are_one_apart() {
        assert_eq!(ulp_distance_f32(1.0, 1.0 + f32::EPSILON), Some(1));
        assert_eq!(ulp_distance_f64(1.0, 1.0 - f64::EPSILON / 2.0), Some(1));
        assert_eq!((ulp_distance_f32(0.0, -0.0), ulp_distance_f64(0.0, -0.0)), (Some(0), Some(0)));
        let least = f32::from_bits(1);
        assert_eq!(ulp_distance_f32(-least, least), Some(2));
        assert_eq!(ulp_distance_f32(f32::MAX, f32::INFINITY), Some(1));
        assert_eq!(ulp_distance_f32(f32::NEG_INFINITY, f32::INFINITY), Some(2 * 0x7f80_0000));
        assert_eq!(ulp_distance_f64(f64::NEG_INFINITY, f64::INFINITY), Some(2 * 0x7ff0_0000_0000_0000));
        assert_eq!((ulp_distance_f32(f32::NAN, 0.0), ulp_distance_f64(0.0, f64::NAN)), (None, None));
    }

    proptest! {
        #[test]
        fn it_counts_steps_and_does_not_depend_on_order_or_sign(a in -1e30_f64..1e30, steps in 0..1000_u64) {
            let b = (0..steps).fold(a, |x, _| x.next_up());
            prop_assert_eq!(ulp_distance_f64(a, b), Some(steps));
            prop_assert_eq!(ulp_distance_f64(b, a), ulp_distance_f64(-a, -b));
            let narrow = a as f32;
            let next = (0..steps).fold(narrow, |x, _| x.next_up());
            prop_assert_eq!(ulp_distance_f32(next, narrow).map(u64::from), Some(steps));
        }
    }
}
