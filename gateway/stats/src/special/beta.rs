//! The beta distribution in logarithms.
//!
//! `statrs` 0.19 has `ln_beta` and `beta_reg`, with two limits that matter here. `ln_beta` is a difference of
//! logarithms of the gamma function, of which a million of errors leaves eight digits; and `beta_reg` gives the tail
//! itself, which is 0 below 1e-308, and stops after 140 steps of its continued fraction, which near the middle of a
//! million is off by a hundredth. No maintained crate under a free licence has the logarithm of the tail, so it is
//! here: Stirling's series with the large terms taken together (Loader, "Fast and accurate computation of binomial
//! probabilities", 2000), and the continued fraction of DLMF 8.17.22 by the method of Lentz (Thompson and Barnett,
//! 1986).

use statrs::function::gamma::ln_gamma;

/// From here on the remainder of Stirling's formula is taken from its series, which then has 15 digits.
const LARGE: f64 = 10.0;
/// The most steps of the continued fraction. It takes some multiple of the square root of the larger parameter, so
/// this is enough for 1e10 events.
const STEPS_MAX: u32 = 1_000_000;

/// The remainder of Stirling's formula: ln Γ(x) - ((x - ½) ln x - x + ½ ln 2π), for x >= 10 (DLMF 5.11.1).
fn stirling_remainder(x: f64) -> f64 {
    let r = 1.0 / (x * x);
    (1.0 / 12.0
        - r * (1.0 / 360.0
            - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - r * (1.0 / 1188.0 - r * 691.0 / 360_360.0)))))
        / x
}

/// u - ln(1 + u).
fn excess(u: f64) -> f64 {
    u - u.ln_1p()
}

/// a ln x + b ln(1 - x) - ln B(a, b): the logarithm of the density of Beta(a, b) at x, times x (1 - x).
///
/// For a, b above 0 and x between 0 and 1, both left out.
pub(crate) fn ln_beta_density(a: f64, b: f64, x: f64) -> f64 {
    if a < b {
        return ordered(a, b, x, 1.0 - x);
    }
    ordered(b, a, 1.0 - x, x)
}

/// The same where a is the smaller parameter; `y` is 1 - x.
fn ordered(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    if b < LARGE {
        return a * x.ln() + b * y.ln() + ln_gamma(n) - ln_gamma(a) - ln_gamma(b);
    }
    // How far x is from the mean: the large terms of both sides are multiples of it and cancel exactly.
    let off = if x < 0.5 { x * n - a } else { b - y * n };
    if a < LARGE {
        let remainder = stirling_remainder(b) - stirling_remainder(n);
        return a * (x * n).ln() - a - ln_gamma(a) + b * (-off / b).ln_1p()
            - 0.5 * (a / b).ln_1p()
            - remainder;
    }
    let remainder = stirling_remainder(a) + stirling_remainder(b) - stirling_remainder(n);
    let root = 0.5 * (a / n * (b / std::f64::consts::TAU)).ln();
    root - a * excess(off / a) - b * excess(-off / b) - remainder
}

/// The logarithm of the probability that Beta(a, b) is at most x: ln I_x(a, b).
///
/// For a, b above 0 and x from 0 to 1. Twelve digits up to a million of events (the tests), also where the
/// probability itself is too small for a double.
pub(crate) fn ln_lower_tail(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if x >= 1.0 {
        return 0.0;
    }
    // The fraction converges fast on one side of the mean; on the other the rest to 1 is taken.
    if x < (a + 1.0) / (a + b + 2.0) {
        (ln_beta_density(a, b, x) - a.ln() + fraction(a, b, x).ln()).min(0.0)
    } else {
        let y = 1.0 - x;
        let upper = ln_beta_density(a, b, x) - b.ln() + fraction(b, a, y).ln();
        (-upper.exp()).max(-1.0).ln_1p()
    }
}

/// The continued fraction of DLMF 8.17.22, where x is below (a + 1)/(a + b + 2).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let away_from_0 = |value: f64| if value.abs() < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { value };
    let n = a + b;
    let mut c = 1.0;
    let mut d = away_from_0(1.0 - n * x / (a + 1.0)).recip();
    let mut result = d;
    for m in 1..=STEPS_MAX {
        let m = f64::from(m);
        let a_2m = a + 2.0 * m;
        let even = m * (b - m) * x / ((a_2m - 1.0) * a_2m);
        d = away_from_0(1.0 + even * d).recip();
        c = away_from_0(1.0 + even / c);
        result *= d * c;
        let odd = -(a + m) * (n + m) * x / (a_2m * (a_2m + 1.0));
        d = away_from_0(1.0 + odd * d).recip();
        c = away_from_0(1.0 + odd / c);
        let step = d * c;
        result *= step;
        if (step - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of mpmath 1.4 with 60 digits: a, b, x, the density and the tail.
    const KNOWN: [(f64, f64, f64, f64, f64); 11] = [
        (5.0, 5.0, 0.5, -0.485_751_986_213_874_7, -std::f64::consts::LN_2),
        (0.25, 1000.0, 0.005, -5.898_298_627_943_403_5, -0.000_486_252_954_077_031_63),
        (30.0, 170.0, 0.1, -1.749_473_401_699_498_6, -4.179_652_296_642_993),
        (10_000.0, 90_000.0, 0.1, 3.633_542_969_028_582, -0.690_906_903_142_483),
        (10_000.0, 90_000.0, 0.11, -48.861_712_818_993_39, -5.963_102_990_555_29e-25),
        (100_000.0, 900_000.0, 0.099, -0.803_886_626_837_919_6, -7.786_471_531_197_531),
        (3.0, 1_000_000.0, 1e-06, -1.693_144_680_562_778_8, -2.521_964_824_108_732),
        (1_000_000.0, 1_000_000.0, 0.49, -394.437_778_309_238_6, -404.342_511_481_258_95),
        (1_000_000.0, 1_000_000.0, 0.5, 5.642_243_030_497_491, -std::f64::consts::LN_2),
        (20.0, 980.0, 0.5, -594.543_409_050_671_8, -3.128_884_442_635_803_3e-40),
        (980.0, 20.0, 0.5, -594.543_409_050_671_8, -600.718_277_293_894_6),
    ];

    #[test]
    fn values_agree_with_those_of_arbitrary_precision() {
        for (a, b, x, density, tail) in KNOWN {
            assert!(
                (ln_beta_density(a, b, x) - density).abs() < 1e-12,
                "{a} {b} {x}: {}",
                ln_beta_density(a, b, x)
            );
            assert!((ln_lower_tail(a, b, x) - tail).abs() < 1e-12, "{a} {b} {x}: {}", ln_lower_tail(a, b, x));
        }
    }

    #[test]
    fn small_cases_agree_with_statrs() {
        for (a, b, x) in
            [(0.5, 0.5, 0.1), (2.0, 3.0, 0.4), (9.9, 0.3, 0.99), (30.0, 70.0, 0.25), (70.0, 30.0, 0.9)]
        {
            let density = a * f64::ln(x) + b * f64::ln(1.0 - x) - statrs::function::beta::ln_beta(a, b);
            assert!((ln_beta_density(a, b, x) - density).abs() < 1e-12, "{a} {b} {x}");
            let tail = statrs::function::beta::beta_reg(a, b, x).ln();
            assert!((ln_lower_tail(a, b, x) - tail).abs() < 1e-11, "{a} {b} {x}");
        }
    }

    #[test]
    fn the_ends_are_nothing_and_all() {
        assert_eq!(ln_lower_tail(2.0, 3.0, 0.0), f64::NEG_INFINITY);
        assert_eq!(ln_lower_tail(2.0, 3.0, 1.0), 0.0);
    }
}
