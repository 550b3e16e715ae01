//! How far two versions are apart on the same inputs: sums over pairs of numbers as they come.

use serde::{Deserialize, Serialize};

use crate::moments::bounded;
use crate::number::{OutOfRange, nonnegative};

/// How many standard deviations the limits of agreement are from the bias (Bland and Altman, 1986).
const LIMITS: f64 = 1.96;

/// Running sums over pairs (a, b). NaN and infinities are for the caller to count: they are refused.
///
/// Its floats come back from JSON as they went in where the reader rounds correctly (`float_roundtrip` of
/// serde_json).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paired {
    count: u64,
    /// The mean of a - b, and the sum of squares around it.
    bias: f64,
    spread: f64,
    aa: f64,
    ab: f64,
    bb: f64,
    max_abs: f64,
    max_rel: f64,
}

/// Bland and Altman's: how much a is over b on average, and between which limits 95 % of the differences lie if they
/// are normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitsOfAgreement {
    /// The mean difference.
    pub bias: f64,
    /// The bias less 1.96 standard deviations.
    pub lower: f64,
    /// The bias and 1.96 standard deviations.
    pub upper: f64,
}

impl Paired {
    /// Takes in a pair. Relative differences are over the larger of |a| and `floor`, which keeps numbers near 0 from
    /// looking far apart.
    ///
    /// # Errors
    /// Where one is no number or too large, or the floor is below 0. Nothing is taken in then.
    pub fn push(&mut self, a: f64, b: f64, floor: f64) -> Result<(), OutOfRange> {
        let (a, b, floor) = (bounded("a", a)?, bounded("b", b)?, nonnegative("the floor", floor)?);
        let difference = a - b;
        self.count = self.count.saturating_add(1);
        let step = difference - self.bias;
        self.bias += step / self.count as f64;
        self.spread += step * (difference - self.bias);
        self.aa += a * a;
        self.ab += a * b;
        self.bb += b * b;
        self.max_abs = self.max_abs.max(difference.abs());
        if difference != 0.0 {
            // Over a floor of 0 it may be infinite: then it is the largest double.
            self.max_rel = self.max_rel.max((difference.abs() / a.abs().max(floor)).min(f64::MAX));
        }
        Ok(())
    }

    /// The pairs of both (Chan, Golub and LeVeque, 1982, for the sum of squares).
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let count = self.count.saturating_add(other.count);
        if count == 0 {
            return Self::default();
        }
        let (here, there, all) = (self.count as f64, other.count as f64, count as f64);
        let apart = other.bias - self.bias;
        Self {
            count,
            bias: self.bias + apart * (there / all),
            spread: self.spread + other.spread + apart * apart * here * (there / all),
            aa: self.aa + other.aa,
            ab: self.ab + other.ab,
            bb: self.bb + other.bb,
            max_abs: self.max_abs.max(other.max_abs),
            max_rel: self.max_rel.max(other.max_rel),
        }
    }

    /// How many pairs.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The largest |a - b|.
    #[must_use]
    pub const fn max_abs(&self) -> f64 {
        self.max_abs
    }

    /// The largest |a - b| over |a| or the floor.
    #[must_use]
    pub const fn max_rel(&self) -> f64 {
        self.max_rel
    }

    /// The root of the mean squared difference; nothing for no pairs.
    #[must_use]
    pub fn rmse(&self) -> Option<f64> {
        let count = (self.count > 0).then_some(self.count as f64)?;
        Some((self.spread.max(0.0) / count + self.bias * self.bias).sqrt())
    }

    /// The cosine of the angle between all a and all b as vectors; nothing where one of them is 0.
    #[must_use]
    pub fn cosine(&self) -> Option<f64> {
        let lengths = self.aa.sqrt() * self.bb.sqrt();
        (lengths > 0.0).then(|| (self.ab / lengths).clamp(-1.0, 1.0))
    }

    /// Bias and limits of agreement; nothing for fewer than two pairs.
    #[must_use]
    pub fn limits_of_agreement(&self) -> Option<LimitsOfAgreement> {
        let degrees = (self.count > 1).then(|| (self.count - 1) as f64)?;
        let reach = LIMITS * (self.spread.max(0.0) / degrees).sqrt();
        Some(LimitsOfAgreement { bias: self.bias, lower: self.bias - reach, upper: self.bias + reach })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paired(pairs: &[(f64, f64)]) -> Paired {
        let mut paired = Paired::default();
        for (a, b) in pairs {
            paired.push(*a, *b, 1e-6).expect("numbers");
        }
        paired
    }

    #[test]
    fn known_answers() {
        let found = paired(&[(0.7, 0.6), (0.2, 0.25), (0.1, 0.15)]);
        assert!((found.max_abs() - 0.1).abs() < 1e-12 && (found.max_rel() - 0.5).abs() < 1e-12);
        assert!((found.cosine().expect("vectors") - 0.989_383_9).abs() < 1e-7);
        assert!((found.rmse().expect("pairs") - 0.070_710_7).abs() < 1e-7);
        // Differences 1, 2, 3: bias 2, deviation 1.
        let found = paired(&[(1.0, 0.0), (2.0, 0.0), (3.0, 0.0)]).limits_of_agreement().expect("pairs");
        assert_eq!((found.bias, found.lower, found.upper), (2.0, 2.0 - 1.96, 2.0 + 1.96));
    }

    #[test]
    fn what_is_no_number_is_refused_and_nothing_is_known_of_nothing() {
        let mut found = Paired::default();
        for (a, b, floor) in
            [(f64::NAN, 0.0, 0.0), (0.0, f64::INFINITY, 0.0), (0.0, 0.0, f64::NAN), (1e101, 0.0, 0.0)]
        {
            assert!(found.push(a, b, floor).is_err());
        }
        assert_eq!(found, Paired::default());
        assert_eq!((found.rmse(), found.cosine(), found.limits_of_agreement()), (None, None, None));
        found.push(0.0, 0.0, 0.0).expect("numbers");
        assert_eq!((found.rmse(), found.cosine(), found.max_rel()), (Some(0.0), None, 0.0));
        found.push(0.0, 1.0, 0.0).expect("numbers");
        assert_eq!(found.max_rel(), f64::MAX);
        assert!(serde_json::to_string(&found).is_ok_and(|text| !text.contains("null")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn they_are_those_of_the_whole_list(pairs in prop::collection::vec((-1e3..1e3, -1e3..1e3), 2..50)) {
            let found = paired(&pairs);
            let n = pairs.len() as f64;
            let squares: f64 = pairs.iter().map(|(a, b)| (a - b).powi(2)).sum();
            prop_assert!((found.rmse().expect("pairs") - (squares / n).sqrt()).abs() < 1e-8);
            prop_assert!(found.rmse().expect("pairs") <= found.max_abs() + 1e-9);
            let (left, right) = pairs.split_at(pairs.len() / 2);
            let both = paired(left).and(paired(right));
            prop_assert_eq!((both.count(), both.max_abs(), both.max_rel()), (found.count(), found.max_abs(), found.max_rel()));
            prop_assert!((both.rmse().expect("pairs") - found.rmse().expect("pairs")).abs() < 1e-8);
            let limits = |paired: Paired| paired.limits_of_agreement().expect("pairs");
            prop_assert!((limits(both).upper - limits(found).upper).abs() < 1e-8);
            prop_assert!((limits(both).bias - limits(found).bias).abs() < 1e-9);
            prop_assert_eq!(found.and(Paired::default()), found);
            let turned = paired(&pairs.iter().map(|(a, b)| (*b, *a)).collect::<Vec<_>>());
            prop_assert_eq!(found.cosine(), turned.cosine());
            let (here, there) = (found.limits_of_agreement().expect("pairs"), turned.limits_of_agreement().expect("pairs"));
            prop_assert!((here.upper + there.lower).abs() < 1e-9 && here.lower <= here.bias && here.bias <= here.upper);
            let text = serde_json::to_string(&found).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Paired>(&text).expect("sums"), found);
        }
    }
}
