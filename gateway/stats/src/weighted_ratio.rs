//! A ratio of sums over a sample in which not everything had the same chance to be.
//!
//! Each observation counts by the reciprocal of its inclusion probability (Horvitz and Thompson, 1952). A mean divides
//! by the sum of weights and not by a size that is not known (Hájek, 1971), and its variance is that of the linearised
//! ratio (Särndal, Swensson and Wretman, "Model Assisted Survey Sampling", 5.6): of what the sample says of the traffic
//! to come, so that it is not 0 where everything was sampled.

use crate::number::{Alpha, Inclusion};
use crate::special::normal_quantile;

/// Sums of a ratio `Σ w a / Σ w b`. A mean has 1 in place of `b`. Two of disjoint samples add up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightedRatio {
    count: u64,
    weight: f64,
    weight_squared: f64,
    top: f64,
    bottom: f64,
    top_squared: f64,
    cross: f64,
    bottom_squared: f64,
}

/// A figure with its interval, which is of one look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// Of so many observations.
    pub count: u64,
}

impl WeightedRatio {
    /// Takes in an observation that was included with a probability. What is no finite number is left out.
    pub fn push(&mut self, included: Inclusion, top: f64, bottom: f64) {
        if !(top.is_finite() && bottom.is_finite()) {
            return;
        }
        let w = included.weight();
        self.count += 1;
        self.weight += w;
        self.weight_squared += w * w;
        self.top += w * top;
        self.bottom += w * bottom;
        self.top_squared += w * w * top * top;
        self.cross += w * w * top * bottom;
        self.bottom_squared += w * w * bottom * bottom;
    }

    /// Adds the sums of another, disjoint sample.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.weight += other.weight;
        self.weight_squared += other.weight_squared;
        self.top += other.top;
        self.bottom += other.bottom;
        self.top_squared += other.top_squared;
        self.cross += other.cross;
        self.bottom_squared += other.bottom_squared;
    }

    /// Observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many there would be with everything included: the sum of the reciprocals of their probabilities.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.weight
    }

    /// The ratio; nothing where it has no bottom.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.bottom > 0.0).then(|| self.top / self.bottom)
    }

    /// The variance of the ratio, linearised; nothing where it has no bottom.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        let ratio = self.value()?;
        let residual = self.top_squared - 2.0 * ratio * self.cross + ratio * ratio * self.bottom_squared;
        Some(residual.max(0.0) / (self.bottom * self.bottom))
    }

    /// The ratio with a normal interval.
    #[must_use]
    pub fn mean(&self, alpha: Alpha) -> Option<Estimate> {
        let (value, error) = (self.value()?, self.variance()?.sqrt());
        let reach = -normal_quantile(alpha.get() / 2.0) * error;
        Some(Estimate { value, error, lower: value - reach, upper: value + reach, count: self.count })
    }

    /// The ratio as a share of the whole, with Wilson's interval (1927) for as many observations as a simple random
    /// sample would need to be as certain: with everything included, and 0 and 1 alone, that is their number.
    #[must_use]
    pub fn share(&self, alpha: Alpha) -> Option<Estimate> {
        let (value, variance) = (self.value()?.clamp(0.0, 1.0), self.variance()?);
        let spread = value * (1.0 - value);
        // Where all agree there is no variance to go by, and Kish's size counts.
        let kish = self.weight * self.weight / self.weight_squared;
        let size = if variance > 0.0 && spread > 0.0 { spread / variance } else { kish };
        let (lower, upper) = wilson(value, size, alpha);
        Some(Estimate { value, error: variance.sqrt(), lower, upper, count: self.count })
    }
}

/// Wilson's interval of a share among so many.
fn wilson(share: f64, size: f64, alpha: Alpha) -> (f64, f64) {
    let z = -normal_quantile(alpha.get() / 2.0);
    let z2 = z * z;
    let centre = (share + z2 / (2.0 * size)) / (1.0 + z2 / size);
    let reach = z / (1.0 + z2 / size) * (share * (1.0 - share) / size + z2 / (4.0 * size * size)).sqrt();
    ((centre - reach).max(0.0), (centre + reach).min(1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alpha() -> Alpha {
        Alpha::new(0.05).expect("a level")
    }

    fn included(probability: f64) -> Inclusion {
        Inclusion::new(probability).expect("a probability")
    }

    fn of(all: &[(f64, f64, f64)]) -> WeightedRatio {
        let mut ratio = WeightedRatio::default();
        for (probability, top, bottom) in all {
            ratio.push(included(*probability), *top, *bottom);
        }
        ratio
    }

    #[test]
    fn with_everything_included_it_is_wilsons_interval() {
        // statsmodels: proportion_confint(8, 10, method="wilson").
        let all: Vec<_> = (0..10).map(|i| (1.0, if i < 8 { 1.0 } else { 0.0 }, 1.0)).collect();
        let found = of(&all).share(alpha()).expect("ten");
        assert!(
            (found.lower - 0.490_162_5).abs() < 1e-6 && (found.upper - 0.943_317_8).abs() < 1e-6,
            "{found:?}"
        );
        // proportion_confint(10, 10, method="wilson").
        let all = [(1.0, 1.0, 1.0); 10];
        let found = of(&all).share(alpha()).expect("ten");
        assert!((found.lower - 0.722_467_2).abs() < 1e-6 && found.upper > 0.999_999, "{found:?}");
    }

    #[test]
    fn a_mean_has_the_error_of_the_sample() {
        let all: Vec<_> = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].map(|x| (1.0, x, 1.0)).into();
        let found = of(&all).mean(alpha()).expect("eight");
        // The standard deviation of the eight is 2.
        assert!((found.value - 5.0).abs() < 1e-12 && (found.error - 2.0 / 8f64.sqrt()).abs() < 1e-12);
        assert_eq!(of(&[]).mean(alpha()), None);
    }

    #[test]
    fn what_was_rarely_included_stands_for_many() {
        let found = of(&[(1.0, 1.0, 1.0), (0.25, 0.0, 1.0)]);
        assert_eq!((found.value(), found.total()), (Some(0.2), 5.0));
        for bad in [0.0, -1.0, 1.5, f64::NAN] {
            assert!(Inclusion::new(bad).is_err(), "{bad}");
        }
        assert_eq!(of(&[(1.0, f64::NAN, 1.0), (0.5, 1.0, f64::INFINITY)]).count(), 0);
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        // Of a population of which a quarter are hits, those are included with a half and the others with a tenth.
        let mut random = fastrand::Rng::with_seed(3);
        let mut held = 0;
        for _ in 0..400 {
            let mut ratio = WeightedRatio::default();
            for _ in 0..2000 {
                let hit = random.f64() < 0.25;
                let probability = if hit { 0.5 } else { 0.1 };
                if random.f64() < probability {
                    ratio.push(included(probability), f64::from(u8::from(hit)), 1.0);
                }
            }
            let found = ratio.share(alpha()).expect("some");
            held += u32::from((found.lower..=found.upper).contains(&0.25));
        }
        assert!((365..=395).contains(&held), "{held} of 400");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_sum_of_two_is_that_of_all(
            all in prop::collection::vec((0.01f64..=1.0, -5.0f64..5.0), 1..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let all: Vec<_> = all.into_iter().map(|(p, x)| (p, x, 1.0)).collect();
            let (one, other) = all.split_at(cut.index(all.len()));
            let mut sum = of(one);
            sum.add(&of(other));
            let whole = of(&all);
            prop_assert_eq!(sum.count(), whole.count());
            prop_assert!((sum.value().expect("some") - whole.value().expect("some")).abs() < 1e-9);
            prop_assert!((sum.variance().expect("some") - whole.variance().expect("some")).abs() < 1e-9);
        }
    }
}
