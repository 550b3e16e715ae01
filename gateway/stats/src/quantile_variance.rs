//! How uncertain a quantile is, from numbers beside it (F16).
//!
//! As `QuantileStatistic` of GrowthBook's gbstats: the numbers at the ranks n*(p ± z √(p(1-p)/n*)) hold the quantile
//! with 95 %, so their distance is 2z standard errors.

use crate::number::{OutOfRange, Proportion, nonnegative, positive};
use crate::special::normal_quantile;

/// The coverage of the two ranks, and so z = 1.96.
const COVERAGE: f64 = 0.95;

fn z() -> f64 {
    normal_quantile(f64::midpoint(1.0, COVERAGE))
}

/// The levels, from 0 to 1, of the quantiles below and above that give the variance of a quantile of `count` numbers.
///
/// # Errors
/// Where there are no numbers.
pub fn quantile_neighbours(level: Proportion, count: u64) -> Result<(f64, f64), OutOfRange> {
    let count = positive("the count", count as f64)?;
    let p = level.get();
    let reach = z() * (p * (1.0 - p) / count).sqrt();
    Ok(((p - reach).max(0.0), (p + reach).min(1.0)))
}

/// The variance of a quantile of `count` numbers, where `width` is the distance between the numbers at its
/// neighbours, which were taken for `ranked` numbers (all, or those of a sketch).
///
/// # Errors
/// Where there are no numbers, or the width is below 0.
pub fn quantile_variance(count: u64, ranked: u64, width: f64) -> Result<f64, OutOfRange> {
    let count = positive("the count", count as f64)?;
    let ranked = positive("the count of ranked numbers", ranked as f64)?;
    let error = nonnegative("the width", width)? / (2.0 * z());
    Ok(ranked / count * (count - 1.0) * error * error / count)
}

/// The same where numbers come in units, such as the latencies of one caller: times the variance of the units' shares
/// below the quantile (as of a ratio of means), over that of independent numbers.
///
/// # Errors
/// Where there are no numbers, or a variance is below 0.
pub fn clustered_quantile_variance(
    variance: f64,
    level: Proportion,
    count: u64,
    share_variance: f64,
) -> Result<f64, OutOfRange> {
    let count = positive("the count", count as f64)?;
    let variance = nonnegative("the variance of the quantile", variance)?;
    let share_variance = nonnegative("the variance of the share", share_variance)?;
    Ok(variance * (share_variance * count / (level.get() * (1.0 - level.get()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_the_asymptotic_law() {
        // Of a normal distribution: p(1-p)/(n f²), f its density at the quantile.
        for p in [0.5, 0.9, 0.99] {
            let level = Proportion::new(p).expect("a level");
            let count = 1_000_000;
            let (below, above) = quantile_neighbours(level, count).expect("neighbours");
            let width = normal_quantile(above) - normal_quantile(below);
            let found = quantile_variance(count, count, width).expect("a variance");
            let density = (-normal_quantile(p).powi(2) / 2.0).exp() / std::f64::consts::TAU.sqrt();
            let law = p * (1.0 - p) / (count as f64 * density * density);
            assert!((found / law - 1.0).abs() < 1e-3, "{p}: {found} {law}");
            let alone = clustered_quantile_variance(found, level, count, p * (1.0 - p) / count as f64);
            assert!((alone.expect("a variance") / found - 1.0).abs() < 1e-12);
            let alike = clustered_quantile_variance(found, level, count, 3.0 * p * (1.0 - p) / count as f64);
            assert!((alike.expect("a variance") / found - 3.0).abs() < 1e-12);
        }
    }

    #[test]
    fn ends_are_kept_and_nothing_is_refused() {
        let level = Proportion::new(0.99).expect("a level");
        assert_eq!(quantile_neighbours(level, 10).expect("neighbours").1, 1.0);
        assert!(quantile_neighbours(level, 0).is_err());
        assert!(quantile_variance(0, 1, 1.0).is_err() && quantile_variance(1, 0, 1.0).is_err());
        assert!(quantile_variance(5, 5, f64::NAN).is_err() && quantile_variance(5, 5, -1.0).is_err());
        assert!(clustered_quantile_variance(1.0, level, 5, f64::NAN).is_err());
        assert_eq!(quantile_variance(1, 1, 2.0), Ok(0.0));
    }
}
