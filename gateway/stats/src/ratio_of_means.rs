//! A rate of requests where units were assigned: errors over requests, both summed by unit.
//!
//! Requests of one unit are alike. The variance of their rate is that of a ratio of two means over units, by the
//! delta method (Deng, Knoblich and Lu, "Applying the delta method in metric analytics", KDD 2018).

use crate::asymptotic::Difference;
use crate::moments::Moments;

/// A ratio of means with the variance of its estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioOfMeans {
    /// The mean of y over the mean of x.
    pub value: f64,
    /// The variance of that.
    pub variance: f64,
    /// The units that it is of.
    pub units: u64,
}

impl RatioOfMeans {
    /// Of the sums of each unit: x is what there was (requests), y how much of it counts (errors). Nothing for fewer
    /// than two units, or a mean of x that is not above 0.
    #[must_use]
    pub fn of(units: &Moments) -> Option<Self> {
        let (xx, yy, xy) = units.variances()?;
        let (x, y) = units.means();
        if x <= 0.0 {
            return None;
        }
        let value = y / x;
        let residual = (yy - 2.0 * value * xy + value * (value * xx)).max(0.0);
        let variance = residual / x / x / units.count() as f64;
        (value.is_finite() && variance.is_finite()).then_some(Self { value, variance, units: units.count() })
    }

    /// This less another, for the tests of a difference; nothing where no unit of either varies.
    #[must_use]
    pub fn less(&self, other: &Self) -> Option<Difference> {
        let units = self.units.saturating_add(other.units);
        Difference::new(self.value - other.value, self.variance + other.variance, units).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(f64, f64)]) -> Option<RatioOfMeans> {
        let mut moments = Moments::default();
        for (x, y) in pairs {
            moments.push(*x, *y).expect("numbers");
        }
        RatioOfMeans::of(&moments)
    }

    #[test]
    fn it_is_the_variance_of_residuals_over_the_mean() {
        // Means 2 and 1, so 0.5; residuals y - x/2: 0.5, -0.5, -0.5, 0.5, with a variance of 1/3; over 2² and 4
        // units.
        let found = of(&[(1.0, 1.0), (3.0, 1.0), (3.0, 1.0), (1.0, 1.0)]).expect("units");
        assert!(
            (found.value - 0.5).abs() < 1e-12 && (found.variance - 1.0 / 48.0).abs() < 1e-12,
            "{found:?}"
        );
        // With one request each it is a mean.
        let found = of(&[(1.0, 0.0), (1.0, 1.0), (1.0, 0.0), (1.0, 1.0)]).expect("units");
        assert!(
            (found.value - 0.5).abs() < 1e-12 && (found.variance - 1.0 / 12.0).abs() < 1e-12,
            "{found:?}"
        );
    }

    #[test]
    fn nothing_is_known_of_nothing() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(1.0, 1.0)]), None);
        assert_eq!(of(&[(0.0, 0.0), (0.0, 1.0)]), None);
        let same = of(&[(2.0, 1.0), (2.0, 1.0)]).expect("units");
        assert_eq!(same.variance, 0.0);
        assert!(same.less(&same).is_none());
        let apart = of(&[(2.0, 1.0), (2.0, 2.0)]).expect("units");
        let difference = apart.less(&same).expect("one varies");
        assert!((difference.value() - 0.25).abs() < 1e-12);
    }
}
