//! The chi-squared distribution.

use statrs::function::gamma::checked_gamma_ur;

/// The probability that chi-squared with so many degrees of freedom is at least `statistic`. 1 where there is no
/// degree of freedom, or the statistic is not above 0 or no number.
#[must_use]
pub fn chi_squared_upper_tail(statistic: f64, degrees: usize) -> f64 {
    if degrees == 0 || statistic.is_nan() || statistic <= 0.0 {
        return 1.0;
    }
    checked_gamma_ur(degrees as f64 / 2.0, statistic / 2.0).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_tables() {
        // With 2 degrees it is exp(-x/2).
        assert!((chi_squared_upper_tail(4.0, 2) - (-2.0_f64).exp()).abs() < 1e-12);
        // R: pchisq(40, 1, lower = FALSE), pchisq(10, 1, lower = FALSE).
        assert!((chi_squared_upper_tail(40.0, 1) / 2.539_628_6e-10 - 1.0).abs() < 1e-5);
        assert!((chi_squared_upper_tail(10.0, 1) - 0.001_565_402_258).abs() < 1e-9);
        assert_eq!(chi_squared_upper_tail(34_386.0, 1), 0.0);
        for (statistic, degrees) in [(0.0, 3), (-1.0, 3), (f64::NAN, 3), (5.0, 0)] {
            assert_eq!(chi_squared_upper_tail(statistic, degrees), 1.0);
        }
        assert_eq!(chi_squared_upper_tail(f64::INFINITY, 3), 0.0);
    }
}
