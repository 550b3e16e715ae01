//! A difference of two ratios of means that is not taken for certain where one arm has seen no event yet.
//!
//! An arm of a hundred requests without an error has an estimated variance of 0, and next to a large arm with a
//! rate of 1 % its difference looks like ten standard errors. Under the hypothesis that both arms are alike, as in
//! the score test of two proportions, the variance of each follows from what both have seen, and it is one. The
//! larger of the two variances is taken: so the test and its interval are never sharper than those of the delta
//! method (Deng, Knoblich and Lu, "Applying the delta method in metric analytics", KDD 2018), and do not fail with
//! rare events and arms of different sizes.

use crate::asymptotic::Difference;
use crate::moments::Moments;
use crate::ratio_of_means::RatioOfMeans;

/// A difference of ratios with both estimates of its variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioDifference {
    /// Canary less primary.
    pub value: f64,
    /// The variance by each arm's own units: 0 where no unit varies.
    pub own_variance: f64,
    /// The variance as it were if both arms were alike.
    pub pooled_variance: f64,
}

impl RatioDifference {
    /// The larger of the two variances.
    #[must_use]
    pub fn variance(&self) -> f64 {
        self.own_variance.max(self.pooled_variance)
    }

    /// What the tests of a difference take, at a time that is counted in `units`; nothing where no unit varies.
    #[must_use]
    pub fn difference(&self, units: u64) -> Option<Difference> {
        Difference::new(self.value, self.variance(), units).ok()
    }
}

/// The difference of two arms, each with the sums of its units (x what there was, y how much of it counts). Nothing
/// where an arm has fewer than two units, or a mean of x that is not above 0.
#[must_use]
pub fn ratio_difference(canary: &Moments, primary: &Moments) -> Option<RatioDifference> {
    let (one, other) = (RatioOfMeans::of(canary)?, RatioOfMeans::of(primary)?);
    let total = |arm: &Moments| {
        let (count, (x, y)) = (arm.count() as f64, arm.means());
        (count * x, count * y)
    };
    let ((xa, ya), (xb, yb)) = (total(canary), total(primary));
    let pooled = (ya + yb) / (xa + xb);
    let units = canary.count() as f64 + primary.count() as f64;
    let residual = (residuals(canary, pooled)? + residuals(primary, pooled)?) * units / (units - 1.0);
    // What one arm has of the residuals is as much as it has of x.
    let pooled_variance = residual / (xa + xb) * (1.0 / xa + 1.0 / xb);
    let own_variance = one.variance + other.variance;
    let value = one.value - other.value;
    pooled_variance.is_finite().then_some(RatioDifference { value, own_variance, pooled_variance })
}

/// The sum of squares of y - ratio x.
fn residuals(arm: &Moments, ratio: f64) -> Option<f64> {
    let (xx, yy, xy) = arm.variances()?;
    let (x, y) = arm.means();
    let count = arm.count() as f64;
    let around = (count - 1.0) * (yy - 2.0 * ratio * xy + ratio * (ratio * xx)).max(0.0);
    Some(around + count * (y - ratio * x).powi(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units of one request each, of which some have an event.
    fn arm(events: u64, units: u64) -> Moments {
        let mut moments = Moments::default();
        for unit in 0..units {
            moments.push(1.0, f64::from(u8::from(unit < events))).expect("numbers");
        }
        moments
    }

    #[test]
    fn with_one_request_each_it_is_the_score_test_of_two_proportions() {
        // p(1-p)(1/n + 1/m), times (n+m)/(n+m-1) as in a sample; the own variances over n-1 each.
        for (canary, primary, own, pooled) in [
            ((30, 1000), (40, 1000), 6.756_756_757e-5, 6.758_379_190e-5),
            ((0, 100), (99, 9900), 1.000_101_020e-6, 9.901_990_199e-5),
        ] {
            let found =
                ratio_difference(&arm(canary.0, canary.1), &arm(primary.0, primary.1)).expect("units");
            assert!((found.value + 0.01).abs() < 1e-12, "{found:?}");
            assert!((found.own_variance / own - 1.0).abs() < 1e-9, "{found:?}");
            assert!((found.pooled_variance / pooled - 1.0).abs() < 1e-9, "{found:?}");
        }
        // Ten standard errors by its own variance, one by both arms'.
        let found = ratio_difference(&arm(0, 100), &arm(99, 9900)).expect("units");
        assert!((found.difference(10_000).expect("it varies").z() + 1.004_936_8).abs() < 1e-7);
    }

    #[test]
    fn an_arm_that_varies_more_keeps_its_own_variance() {
        let wide = |spread: f64, units: u32| {
            let mut moments = Moments::default();
            (0..units).for_each(|unit| {
                let y = if unit % 2 == 0 { 1.0 + spread } else { 1.0 - spread };
                moments.push(1.0, y).expect("numbers");
            });
            moments
        };
        let found = ratio_difference(&wide(10.0, 100), &wide(0.1, 10_000)).expect("units");
        assert!(found.own_variance > 10.0 * found.pooled_variance, "{found:?}");
        assert_eq!(found.variance(), found.own_variance);
        let still = ratio_difference(&wide(0.0, 9), &wide(0.0, 9)).expect("units");
        assert!(still.difference(18).is_none());
        assert_eq!(ratio_difference(&wide(1.0, 1), &wide(1.0, 9)), None);
    }
}
