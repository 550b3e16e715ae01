//! Bounds that grow as slowly as any can: stitching (F7) and the bands of distributions (F8).

use crate::number::{Alpha, OutOfRange, Proportion, finite, nonnegative, positive};

/// How fast the level is spent over epochs of time, and the length of an epoch as a factor. The values of confseq,
/// with Riemann's zeta function at the first.
const S: f64 = 1.4;
const ETA: f64 = 2.0;
const ZETA_OF_S: f64 = 3.105_547_277_977_580_6;
/// How far apart the quantiles lie that [`quantile_bound`] stitches.
const QUANTILE_STEP: f64 = 0.5;
/// Of the band: the factor, and the logarithm's own (Howard and Ramdas 2022).
const BAND: f64 = 0.85;
const BAND_LOG: f64 = 0.8;
const BAND_LEVEL: f64 = 1612.0;

/// (η^¼ + η^-¼)/√2 and (√η + 1)/2.
fn factors() -> (f64, f64) {
    ((ETA.powf(0.25) + ETA.powf(-0.25)) / std::f64::consts::SQRT_2, f64::midpoint(ETA.sqrt(), 1.0))
}

/// The polynomial stitched bound of a sum of sub-gamma steps of the scale c = `scale` at an intrinsic time, which is
/// below it at all times from `time_min` on with a probability of at least 1 - alpha; before, it is that of
/// `time_min`.
///
/// Howard, Ramdas, McAuliffe and Sekhon (arXiv 1810.08240), Theorem 1, as in confseq. The scale is 0 for sub-Gaussian
/// steps, and may be negative.
///
/// # Errors
/// Where the time is below 0, `time_min` not above 0, or the scale no number.
pub fn stitched_bound(time: f64, alpha: Alpha, time_min: f64, scale: f64) -> Result<f64, OutOfRange> {
    let time_min = positive("the first intrinsic time", time_min)?;
    let time = nonnegative("the intrinsic time", time)?.max(time_min);
    let scale = finite("the scale of the steps", scale)?;
    let (k1, k2) = factors();
    let log =
        S * (ETA * (time / time_min)).ln().ln() + ZETA_OF_S.ln() - S * ETA.ln().ln() + alpha.log_threshold();
    let linear = k2 * scale * log;
    Ok((k1 * k1 * time * log + linear * linear).sqrt() + linear)
}

/// How many more of `count` numbers may lie below the p-quantile than p of them, for all p and all counts from
/// `first` on, with a probability of at least 1 - alpha.
///
/// Double stitching: Howard and Ramdas, "Sequential estimation of quantiles" (arXiv 1906.09712), as in confseq.
///
/// # Errors
/// Where there are no numbers, or `first` is below 1.
pub fn quantile_bound(p: Proportion, count: u64, alpha: Alpha, first: f64) -> Result<f64, OutOfRange> {
    if !first.is_finite() || first < 1.0 {
        return Err(OutOfRange {
            name: "the first count",
            value: first,
            range: "a finite number of at least 1",
        });
    }
    let count = positive("the count", count as f64)?.max(first);
    let p = p.get();
    let logit = (p / (1.0 - p)).ln();
    let moved = logit + 2.0 * QUANTILE_STEP * (first * ETA / count).sqrt();
    let r = if p >= 0.5 { p } else { (1.0 / (1.0 + (-moved).exp())).min(0.5) };
    let spread = r * (1.0 - r);
    let j = (count / first).sqrt() * logit.abs() / (2.0 * QUANTILE_STEP) + 1.0;
    let (k1, k2) = factors();
    let log = S * (ETA * count / first).ln().ln() + S * j.ln() - S * ETA.ln().ln()
        + (2.0 * ZETA_OF_S * (2.0 * ZETA_OF_S + 1.0)).ln()
        + alpha.log_threshold();
    let linear = k2 * (1.0 - 2.0 * p) / 3.0 * log;
    let stitched = (k1 * k1 * spread * count * log + linear * linear).sqrt() + linear;
    Ok(QUANTILE_STEP * (ETA * count * spread / first).sqrt() + stitched)
}

/// The half-width of a band around the empirical distribution of `count` numbers that holds the true one everywhere
/// and at all times, with a probability of at least 1 - alpha; at most 1, which is no band, also for no numbers.
///
/// 0.85 √((ln ln(e n) + 0.8 ln(1612/α))/n): Howard and Ramdas, "Sequential estimation of quantiles" (arXiv
/// 1906.09712). The closed form of their bound; the best constant for α = 0.05 is 8.123, this one is 8.305.
#[must_use]
pub fn distribution_band(count: u64, alpha: Alpha) -> f64 {
    if count == 0 {
        return 1.0;
    }
    let n = count as f64;
    let log = n.ln().ln_1p() + BAND_LOG * (BAND_LEVEL.ln() + alpha.log_threshold());
    (BAND * (log / n).sqrt()).min(1.0)
}

/// Whether the canary's numbers are larger than the primary's: by how much the primary's distribution function is
/// above the canary's somewhere (`gap`, as [`largest_gap`](crate::largest_gap) says), more than both bands together
/// allow.
#[must_use]
pub fn is_larger(gap: f64, canary: u64, primary: u64, alpha: Alpha) -> bool {
    let each = alpha.shared_by(2);
    gap > distribution_band(canary, each) + distribution_band(primary, each)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alpha(alpha: f64) -> Alpha {
        Alpha::new(alpha).expect("a level")
    }

    #[test]
    fn known_answers() {
        for (scale, bound) in [(3.0, 64.487_55), (-1.0, 28.993_89)] {
            let found = stitched_bound(100.0, alpha(0.05), 10.0, scale).expect("a bound");
            assert!((found - bound).abs() < 1e-5, "{scale}: {found}");
        }
        for (p, bound) in [(0.5, 68.628_03), (0.9, 43.721_19), (0.1, 59.965_21)] {
            let p = Proportion::new(p).expect("a level");
            let found = quantile_bound(p, 1000, alpha(0.05), 100.0).expect("a bound");
            assert!((found - bound).abs() < 1e-5, "{p:?}: {found}");
        }
        for (count, width) in
            [(100, 0.269_176), (1000, 0.086_569_1), (10_000, 0.027_710_7), (100_000, 0.008_846_35)]
        {
            let found = distribution_band(count, alpha(0.05));
            assert!((found - width).abs() < 1e-6, "{count}: {found}");
        }
    }

    #[test]
    fn nothing_seen_bounds_nothing_and_what_is_no_number_is_refused() {
        assert_eq!(distribution_band(0, alpha(0.05)), 1.0);
        assert_eq!(distribution_band(1, alpha(0.05)), 1.0);
        assert!(!is_larger(1.0, 0, 100_000, alpha(0.05)));
        assert!(
            is_larger(0.1, 100_000, 100_000, alpha(0.05)) && !is_larger(0.015, 100_000, 100_000, alpha(0.05))
        );
        assert!(stitched_bound(f64::NAN, alpha(0.05), 1.0, 0.0).is_err());
        assert!(stitched_bound(1.0, alpha(0.05), 0.0, 0.0).is_err());
        assert!(stitched_bound(1.0, alpha(0.05), 1.0, f64::INFINITY).is_err());
        let half = Proportion::new(0.5).expect("a level");
        assert!(quantile_bound(half, 0, alpha(0.05), 1.0).is_err());
        assert!(quantile_bound(half, 9, alpha(0.05), 0.5).is_err());
        assert!(quantile_bound(half, 9, alpha(0.05), 1.0).is_ok());
        let early = stitched_bound(0.0, alpha(0.05), 10.0, 1.0);
        assert_eq!(early, stitched_bound(10.0, alpha(0.05), 10.0, 1.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn bounds_nest_over_alpha_and_grow_with_time(time in 1.0..1e9_f64, p in 0.01..0.99, a in 1e-6..0.4_f64) {
            let (narrow, wide) = (alpha(a), alpha(a / 2.0));
            let p = Proportion::new(p).expect("a level");
            for scale in [-1.0, 0.0, 3.0] {
                let bound = |time, alpha| stitched_bound(time, alpha, 1.0, scale).expect("a bound");
                prop_assert!(bound(time, wide) > bound(time, narrow) && bound(time * 1.1, narrow) > bound(time, narrow));
            }
            let count = time as u64;
            let bound = |alpha| quantile_bound(p, count, alpha, 1.0).expect("a bound");
            prop_assert!(bound(wide) > bound(narrow) && bound(narrow) > 0.0);
            prop_assert!(distribution_band(count, wide) >= distribution_band(count, narrow));
            prop_assert!(distribution_band(count + 1, narrow) <= distribution_band(count, narrow));
        }
    }
}
