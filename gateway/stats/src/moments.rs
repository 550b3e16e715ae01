//! Means, variances and covariance of pairs of numbers as they come.

use serde::{Deserialize, Serialize};

use crate::number::OutOfRange;

/// The largest number, in size, that sums are kept of: its square times any count is still a double.
pub const NUMBER_MAX: f64 = 1e100;

/// The number, if sums can be kept of it.
pub(crate) fn bounded(name: &'static str, value: f64) -> Result<f64, OutOfRange> {
    let fits = value.abs() <= NUMBER_MAX;
    if fits { Ok(value) } else { Err(OutOfRange { name, value, range: "a number of at most 1e100 in size" }) }
}

/// Running sums of pairs (x, y), by the method of Welford (1962).
///
/// Its floats come back from JSON as they went in where the reader rounds correctly (`float_roundtrip` of
/// serde_json).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    count: u64,
    mean_x: f64,
    mean_y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Moments {
    /// Takes in a pair.
    ///
    /// # Errors
    /// Where one of them is no number or too large. Nothing is taken in then.
    pub fn push(&mut self, x: f64, y: f64) -> Result<(), OutOfRange> {
        let (x, y) = (bounded("x", x)?, bounded("y", y)?);
        self.count = self.count.saturating_add(1);
        let (dx, dy) = (x - self.mean_x, y - self.mean_y);
        self.mean_x += dx / self.count as f64;
        self.mean_y += dy / self.count as f64;
        self.xx += dx * (x - self.mean_x);
        self.yy += dy * (y - self.mean_y);
        self.xy += dx * (y - self.mean_y);
        Ok(())
    }

    /// How many pairs.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The means of x and y; 0 where there are no pairs.
    #[must_use]
    pub const fn means(&self) -> (f64, f64) {
        (self.mean_x, self.mean_y)
    }

    /// The variances of x and y and the covariance, as of a sample (over n - 1); nothing for fewer than two pairs.
    #[must_use]
    pub fn variances(&self) -> Option<(f64, f64, f64)> {
        let degrees = (self.count > 1).then(|| (self.count - 1) as f64)?;
        Some((self.xx.max(0.0) / degrees, self.yy.max(0.0) / degrees, self.xy / degrees))
    }

    /// Pearson's correlation; nothing where one of the two does not vary.
    #[must_use]
    pub fn correlation(&self) -> Option<f64> {
        let spread = self.xx.sqrt() * self.yy.sqrt();
        (spread > 0.0).then(|| (self.xy / spread).clamp(-1.0, 1.0))
    }

    /// Sums of squares of x and y and of products, each around its mean.
    pub(crate) const fn sums(&self) -> (f64, f64, f64) {
        (self.xx, self.yy, self.xy)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_number_is_refused_and_changes_nothing() {
        let mut moments = Moments::default();
        for (x, y) in [(f64::NAN, 0.0), (0.0, f64::INFINITY), (1.1e100, 0.0)] {
            assert!(moments.push(x, y).is_err());
        }
        assert_eq!(moments, Moments::default());
        assert_eq!((moments.variances(), moments.correlation()), (None, None));
        moments.push(NUMBER_MAX, -NUMBER_MAX).expect("the largest");
        moments.push(-NUMBER_MAX, NUMBER_MAX).expect("the largest");
        assert_eq!(moments.correlation(), Some(-1.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn they_are_those_of_two_passes_and_survive_json(pairs in prop::collection::vec((-9.0..9.0, 1e6..1e6 + 9.0), 2..50)) {
            let mut moments = Moments::default();
            for (x, y) in &pairs {
                moments.push(*x, *y).expect("numbers");
            }
            let n = pairs.len() as f64;
            let (mx, my) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
            let xy = pairs.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>() / (n - 1.0);
            let xx = pairs.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>() / (n - 1.0);
            let found = moments.variances().expect("pairs");
            prop_assert!((found.0 - xx).abs() < 1e-8 && (found.2 - xy).abs() < 1e-7);
            let text = serde_json::to_string(&moments).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Moments>(&text).expect("moments"), moments);
        }
    }
}
