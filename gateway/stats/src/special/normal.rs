//! The normal distribution.

use std::f64::consts::{SQRT_2, TAU};

use statrs::function::erf::{erfc, erfc_inv};

/// Below this the probability is too small for a double, and its logarithm is taken from its asymptotic series.
const FAR: f64 = -30.0;

/// Φ(z).
#[must_use]
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// ln Φ(z), also where Φ(z) is too small for a double (Abramowitz and Stegun 26.2.12).
#[must_use]
pub fn ln_normal_cdf(z: f64) -> f64 {
    if z > 0.0 {
        return (-0.5 * erfc(z / SQRT_2)).ln_1p();
    }
    if z >= FAR {
        return normal_cdf(z).ln();
    }
    let r = 1.0 / (z * z);
    let series = -r * (1.0 - r * (3.0 - r * (15.0 - r * 105.0)));
    -0.5 * z * z - (-z).ln() - 0.5 * TAU.ln() + series.ln_1p()
}

/// The z at which Φ is `p`: minus and plus infinity at 0 and 1.
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    -SQRT_2 * erfc_inv(2.0 * p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_agree_with_those_of_arbitrary_precision() {
        // Of mpmath 1.4 with 50 digits.
        for (z, ln) in [
            (-60.0, -1_805.013_560_680_567),
            (-30.5, -469.462_737_322_912_1),
            (-29.5, -439.429_474_609_150_25),
            (-8.0, -35.013_437_159_914_55),
            (-1.0, -1.841_021_645_009_263_6),
            (0.0, -std::f64::consts::LN_2),
            (1.0, -0.172_753_779_023_449_88),
            (5.0, -2.866_516_129_637_636e-07),
        ] {
            let found: f64 = ln_normal_cdf(z);
            assert!((found - ln).abs() < 1e-9 * f64::max(1.0, f64::abs(ln)), "{z}: {found}");
        }
    }

    #[test]
    fn the_quantile_is_the_inverse() {
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-9);
        for p in [1e-12, 0.01, 0.5, 0.9, 0.999_999] {
            assert!((normal_cdf(normal_quantile(p)) / p - 1.0).abs() < 1e-9, "{p}");
        }
    }
}
