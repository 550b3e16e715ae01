//! Kolmogorov's law, where distribution functions are known at some places alone.

/// How probable a distance of at least `statistic` is between the empirical distribution functions of two samples of
/// one distribution: Kolmogorov's limit 2 Σ (-1)^(k-1) exp(-2k²λ²) with λ = √(nm/(n+m))·D (Smirnov, 1939).
///
/// In bins the distance is smaller than that of the numbers in them, and with ties as well, so this is then too large
/// and never too small. Its leading term bounds the exact law of one sample at every size (Massart, 1990).
#[must_use]
pub fn kolmogorov_upper_tail(statistic: f64, first: u64, second: u64) -> f64 {
    let (n, m) = (first as f64, second as f64);
    if first == 0 || second == 0 || statistic.is_nan() || statistic <= 0.0 {
        return 1.0;
    }
    // Twice the square of λ.
    let exponent = 2.0 * statistic * statistic * (n / (n + m) * m);
    if exponent < 0.08 {
        // The sum is 1 to the last digit, and converges slowly.
        return 1.0;
    }
    let mut sum = 0.0;
    for k in 1..=100_u32 {
        let term = (-exponent * f64::from(k * k)).exp();
        sum += if k % 2 == 1 { term } else { -term };
        if term < 1e-17 * sum {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // scipy.special.kolmogorov(λ).
        for (lambda, p) in [(0.5, 0.963_945_2), (1.0, 0.269_999_7), (1.358_099, 0.05), (2.0, 6.709_253e-4)] {
            let found = kolmogorov_upper_tail(lambda / 10.0, 200, 200);
            assert!((found - p).abs() < 1e-6, "{lambda}: {found}");
        }
        assert!((kolmogorov_upper_tail(0.07, 100, 100) - 0.967_068_5).abs() < 1e-6);
    }

    #[test]
    fn what_says_nothing_is_no_evidence() {
        for (statistic, n, m) in
            [(0.5, 0, 10), (0.5, 10, 0), (f64::NAN, 10, 10), (0.0, 10, 10), (1e-9, 10, 10)]
        {
            assert_eq!(kolmogorov_upper_tail(statistic, n, m), 1.0);
        }
        assert_eq!(kolmogorov_upper_tail(1.0, u64::MAX, u64::MAX), 0.0);
    }
}
