//! A difference of means, sharpened by what was known before (F15).
//!
//! CUPED: Deng, Xu, Kohavi and Walker, "Improving the sensitivity of online controlled experiments by utilizing
//! pre-experiment data" (WSDM 2013). Of each outcome y the part is taken away that a covariate x tells, θ(x - mean of
//! x), with θ = Cov/Var pooled over the arms. The covariate must not depend on the arm: the unit's history, or the
//! primary's answer to the same input.

use crate::asymptotic::Difference;
use crate::moments::Moments;

/// A sharpened difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adjusted {
    /// How much of the covariate is taken away; 0 where it does not vary.
    pub theta: f64,
    /// Canary less primary.
    pub difference: f64,
    /// The variance of the difference.
    pub variance: f64,
    /// The units of both arms.
    pub units: u64,
}

impl Adjusted {
    /// What the tests of a difference take; nothing where no unit varies.
    #[must_use]
    pub fn difference(&self) -> Option<Difference> {
        Difference::new(self.difference, self.variance, self.units).ok()
    }
}

/// The difference of outcomes y, adjusted by covariates x; nothing where an arm has fewer than two units.
#[must_use]
pub fn cuped(canary: &Moments, primary: &Moments) -> Option<Adjusted> {
    let theta = theta(&[canary, primary]);
    let variance = |arm: &Moments| Some(adjusted_variance(arm, theta)? / arm.count() as f64);
    let mean = |arm: &Moments| arm.means().1 - theta * arm.means().0;
    Some(Adjusted {
        theta,
        difference: mean(canary) - mean(primary),
        variance: variance(canary)? + variance(primary)?,
        units: canary.count().saturating_add(primary.count()),
    })
}

/// Cov(y, x)/Var(x) around each arm's own means.
fn theta(arms: &[&Moments]) -> f64 {
    let (xx, xy) = arms.iter().fold((0.0, 0.0), |sum, arm| (sum.0 + arm.sums().0, sum.1 + arm.sums().2));
    if xx > 0.0 { xy / xx } else { 0.0 }
}

/// The variance of y - θx in one arm.
fn adjusted_variance(arm: &Moments, theta: f64) -> Option<f64> {
    let (xx, yy, xy) = arm.variances()?;
    Some((yy - 2.0 * theta * xy + theta * (theta * xx)).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(y: &[f64], x: &[f64]) -> Moments {
        let mut moments = Moments::default();
        for (x, y) in x.iter().zip(y) {
            moments.push(*x, *y).expect("numbers");
        }
        moments
    }

    const Y: [f64; 8] = [3.0, 5.0, 4.0, 6.0, 8.0, 7.0, 9.0, 10.0];
    const X: [f64; 8] = [2.0, 4.0, 4.0, 5.0, 7.0, 6.0, 8.0, 9.0];

    #[test]
    fn known_answers() {
        let one = moments(&Y, &X);
        assert!((theta(&[&one]) - 1.042_904_3).abs() < 1e-7);
        assert!((one.variances().expect("pairs").1 - 6.0).abs() < 1e-12);
        assert!((adjusted_variance(&one, theta(&[&one])).expect("pairs") - 0.115_040_1).abs() < 1e-7);
    }

    #[test]
    fn a_difference_of_the_covariate_alone_is_taken_away() {
        // The same units with x and y moved by the same amount: the outcome differs as the covariate says it should.
        let theta = theta(&[&moments(&Y, &X)]);
        let moved = moments(&Y.map(|y| y + 2.0 * theta), &X.map(|x| x + 2.0));
        let found = cuped(&moved, &moments(&Y, &X)).expect("units");
        assert!(found.difference.abs() < 1e-12 && (found.theta - theta).abs() < 1e-12, "{found:?}");
        assert!((found.variance - 2.0 * 0.115_040_1 / 8.0).abs() < 1e-7);
        assert_eq!(found.units, 16);
        assert!(found.difference().is_some());
    }

    #[test]
    fn without_a_covariate_it_is_the_plain_difference() {
        let found = cuped(&moments(&Y.map(|y| y + 1.0), &[0.0; 8]), &moments(&Y, &[0.0; 8])).expect("units");
        assert_eq!(found.theta, 0.0);
        assert!((found.difference - 1.0).abs() < 1e-12 && (found.variance - 1.5).abs() < 1e-12);
        assert_eq!(cuped(&Moments::default(), &moments(&Y, &X)), None);
        let same = cuped(&moments(&[1.0; 3], &[0.0; 3]), &moments(&[1.0; 3], &[0.0; 3])).expect("units");
        assert!(same.difference().is_none());
    }
}
