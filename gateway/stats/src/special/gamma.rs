//! Logarithms of the regularised incomplete gamma functions.

use statrs::function::gamma::{checked_gamma_lr, checked_gamma_ur};

/// ln P(a, x), for a above 0. Minus infinity where P is too small for a double, or x is not above 0.
pub(crate) fn ln_gamma_lower(a: f64, x: f64) -> f64 {
    if x <= 0.0 { f64::NEG_INFINITY } else { checked_gamma_lr(a, x).map_or(f64::NEG_INFINITY, f64::ln) }
}

/// ln Q(a, x), for a above 0. Minus infinity where Q is too small for a double; 0 where x is not above 0.
pub(crate) fn ln_gamma_upper(a: f64, x: f64) -> f64 {
    if x <= 0.0 { 0.0 } else { checked_gamma_ur(a, x).map_or(f64::NEG_INFINITY, f64::ln) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_agree_with_closed_forms_and_sum_to_1() {
        // P(1, x) = 1 - exp(-x).
        assert!((ln_gamma_lower(1.0, 0.3) - (1.0 - (-0.3_f64).exp()).ln()).abs() < 1e-12);
        for (a, x) in [(0.5, 0.2), (25.0, 30.0), (2500.0, 2500.0), (1e6, 1.001e6)] {
            let sum = ln_gamma_lower(a, x).exp() + ln_gamma_upper(a, x).exp();
            assert!((sum - 1.0).abs() < 1e-9, "{a} {x}: {sum}");
        }
        assert_eq!(ln_gamma_lower(2.0, 0.0), f64::NEG_INFINITY);
        assert_eq!(ln_gamma_upper(2.0, -1.0), 0.0);
    }
}
