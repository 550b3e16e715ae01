//! Errors by weight: what a ramp has seen, without the order in which it saw it.

use serde::{Deserialize, Serialize};

use crate::errors::Errors;
use crate::number::Weight;

/// The most weights of one ramp.
pub const WEIGHTS_MAX: usize = 64;

/// A ramp that has more weights than can be kept apart.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("weight {weight} would be number {} of this ramp, which may have {WEIGHTS_MAX}: use fewer steps", WEIGHTS_MAX + 1)]
pub struct TooManyWeights {
    /// The one that does not fit.
    pub weight: f64,
}

/// What was seen at one weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stratum {
    /// The share of the canary.
    pub weight: Weight,
    /// The errors while it had that share.
    pub errors: Errors,
}

/// Errors by weight. Integers alone, so that whoever has them computes the same bounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Stratum>", into = "Vec<Stratum>")]
pub struct Strata(Vec<Stratum>);

impl Strata {
    /// Takes in errors of a step with one weight.
    ///
    /// # Errors
    /// Where the weight is new, and there are as many as there may be. Nothing is taken in then.
    pub fn push(&mut self, weight: Weight, errors: Errors) -> Result<(), TooManyWeights> {
        if let Some(stratum) = self.0.iter_mut().find(|stratum| stratum.weight == weight) {
            stratum.errors = stratum.errors.and(errors);
        } else if self.0.len() < WEIGHTS_MAX {
            self.0.push(Stratum { weight, errors });
        } else {
            return Err(TooManyWeights { weight: weight.get() });
        }
        Ok(())
    }

    /// Each weight with its errors, in the order in which they first came.
    #[must_use]
    pub fn get(&self) -> &[Stratum] {
        &self.0
    }

    /// The errors at all weights.
    #[must_use]
    pub fn errors(&self) -> Errors {
        self.0.iter().fold(Errors::default(), |sum, stratum| sum.and(stratum.errors))
    }

    /// For the formulas.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part> + Clone {
        self.0.iter().map(|stratum| {
            let canary = stratum.errors.canary as f64;
            Part { weight: stratum.weight.get(), canary, all: canary + stratum.errors.primary as f64 }
        })
    }
}

impl TryFrom<Vec<Stratum>> for Strata {
    type Error = TooManyWeights;
    fn try_from(list: Vec<Stratum>) -> Result<Self, TooManyWeights> {
        let mut strata = Self::default();
        list.into_iter().try_for_each(|stratum| strata.push(stratum.weight, stratum.errors))?;
        Ok(strata)
    }
}

impl From<Strata> for Vec<Stratum> {
    fn from(strata: Strata) -> Self {
        strata.0
    }
}

/// Errors at one weight, which need not be whole: a plan expects parts of errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// The canary's share of the traffic.
    pub(crate) weight: f64,
    /// Errors of the canary.
    pub(crate) canary: f64,
    /// Errors of both arms.
    pub(crate) all: f64,
}

impl Part {
    /// The canary taken for the primary, and the other way round.
    pub(crate) fn turned(self) -> Self {
        Self { weight: 1.0 - self.weight, canary: self.all - self.canary, all: self.all }
    }

    /// The log-likelihood of a log-ratio η of error rates, but for what does not depend on it:
    /// x η - n ln(1 - w + w exp(η)). It is concave in η.
    pub(crate) fn log_likelihood(self, log_ratio: f64) -> f64 {
        self.canary * log_ratio - self.all * (self.weight * log_ratio.exp_m1()).ln_1p()
    }

    /// Its derivative: the errors of the canary, less those that it is expected to have.
    pub(crate) fn slope(self, log_ratio: f64) -> f64 {
        let odds = self.weight / (1.0 - self.weight) * log_ratio.exp();
        self.canary - self.all * odds / (1.0 + odds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(canary: u64, primary: u64) -> Errors {
        Errors { canary, primary }
    }

    fn weight(number: usize) -> Weight {
        Weight::new(number as f64 / 1000.0).expect("a weight")
    }

    #[test]
    fn errors_at_one_weight_are_kept_together() {
        let mut strata = Strata::default();
        for (w, x, y) in [(10, 1, 2), (50, 3, 4), (10, 5, 6)] {
            strata.push(weight(w), errors(x, y)).expect("room");
        }
        assert_eq!(strata.get().iter().map(|s| s.errors).collect::<Vec<_>>(), [errors(6, 8), errors(3, 4)]);
        assert_eq!(strata.errors(), errors(9, 12));
        strata.push(weight(50), errors(u64::MAX, 0)).expect("room");
        assert_eq!(strata.errors(), errors(u64::MAX, 12));
        let text = serde_json::to_string(&strata).expect("JSON");
        assert_eq!(serde_json::from_str::<Strata>(&text).expect("strata"), strata);
    }

    #[test]
    fn there_are_at_most_so_many_weights() {
        let mut strata = Strata::default();
        for number in 1..=WEIGHTS_MAX {
            strata.push(weight(number), errors(1, 1)).expect("room");
        }
        assert_eq!(strata.push(weight(999), errors(1, 1)), Err(TooManyWeights { weight: 0.999 }));
        strata.push(weight(1), errors(1, 1)).expect("a weight that is there");
        assert_eq!(strata.errors(), errors(65, 65));
        let mut list: Vec<Stratum> = strata.into();
        list.push(Stratum { weight: weight(999), errors: errors(0, 0) });
        assert!(serde_json::from_str::<Strata>(&serde_json::to_string(&list).expect("JSON")).is_err());
    }
}
