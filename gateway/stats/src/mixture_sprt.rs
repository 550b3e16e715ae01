//! The mixture sequential probability ratio test of a difference (F1).

use crate::log_e::LogE;
use crate::number::{OutOfRange, finite, positive};

/// The e-value of an estimated difference against 0, where the difference is normal with the variance `variance`, and
/// the bets are normal around 0 with the standard deviation `spread`: √(V/(V+τ²)) exp(τ²Δ²/(2V(V+τ²))).
///
/// Johari, Pekelis and Walsh, "Always valid inference" (arXiv 1512.04922), after Robbins (1970). It holds as far
/// as the difference is normal with a known variance: see [`AsymptoticTest`](crate::AsymptoticTest) for estimated
/// ones.
///
/// # Errors
/// Where the difference is no number, or variance or spread is not above 0.
pub fn mixture_sprt(difference: f64, variance: f64, spread: f64) -> Result<LogE, OutOfRange> {
    let difference = finite("the difference", difference)?;
    let variance = positive("the variance", variance)?;
    let bets = positive("the spread of the bets", spread)?.powi(2);
    let both = variance + bets;
    let log = 0.5 * (variance / both).ln() + bets / both * difference / variance * difference / 2.0;
    Ok(LogE::new(log))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        let variance = (0.03 * 0.97 + 0.04 * 0.96) / 3999.0;
        for (spread, e) in [(0.01, 4.791_777), (0.02, 3.451_907)] {
            let found = mixture_sprt(0.01, variance, spread).expect("an e-value").get().exp();
            assert!((found - e).abs() < 1e-6, "{spread}: {found}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused_and_the_sign_does_not_matter() {
        for (difference, variance, spread) in [
            (f64::NAN, 1.0, 1.0),
            (0.0, 0.0, 1.0),
            (0.0, f64::NAN, 1.0),
            (0.0, 1.0, 0.0),
            (0.0, 1.0, f64::INFINITY),
        ] {
            assert!(mixture_sprt(difference, variance, spread).is_err());
        }
        assert_eq!(mixture_sprt(0.3, 0.1, 0.2), mixture_sprt(-0.3, 0.1, 0.2));
        assert!(mixture_sprt(1e200, 1e-200, 1.0).expect("an e-value").get().is_finite());
    }

    #[test]
    fn its_mean_is_1_where_there_is_no_difference() {
        // Over a normal difference of variance 0.3, by Simpson's rule.
        let (variance, width, count) = (0.3_f64, 40.0, 20_000);
        let step = 2.0 * width / f64::from(count);
        let mean: f64 = (0..=count)
            .map(|i| {
                let x = -width + step * f64::from(i);
                let simpson = if i == 0 || i == count { 1.0 } else { 2.0 + 2.0 * f64::from(i % 2) };
                let density = -x * x / (2.0 * variance) - 0.5 * (std::f64::consts::TAU * variance).ln();
                let log = mixture_sprt(x, variance, 0.9).expect("an e-value").get();
                simpson * step / 3.0 * (density + log).exp()
            })
            .sum();
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
    }
}
