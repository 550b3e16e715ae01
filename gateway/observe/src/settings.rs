//! What two answers are held to: tolerances, the threshold of a decision, and what each output means.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most outputs that can be declared, and that are compared.
pub(crate) const OUTPUTS_MAX: usize = 64;
/// The most classes at the top that are held against each other.
pub(crate) const TOP_MAX: usize = 10;

/// What an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A score for each class along the last dimension. One column alone is the score of the class 1.
    Scores,
    /// Each element is a class.
    Labels,
    /// Numbers.
    Numbers,
}

/// How outputs are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How far a number may be from the primary's, as a part of that.
    pub rtol: f64,
    /// How far it may be in any case.
    pub atol: f64,
    /// The score from which on a decision is taken.
    pub threshold: f64,
    /// How many classes at the top are held against each other.
    pub top: usize,
    /// What outputs are, by name. An output that is not named has scores where it has labels, or where each of its rows
    /// is a distribution over at least two classes; has labels where it is of whole numbers, booleans or text; and
    /// numbers otherwise.
    pub outputs: BTreeMap<String, Kind>,
    /// Chooses which values are kept as a sample.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        // The tolerances are those of golden cases that name none.
        Self { rtol: 1e-4, atol: 1e-5, threshold: 0.5, top: 5, outputs: BTreeMap::new(), seed: 0 }
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// A tolerance or the threshold.
    #[error("{key} is {value}, and must be a finite number of at least 0")]
    Number {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: f64,
    },
    /// The number of classes at the top.
    #[error("top is {0}, and must be from 1 to {TOP_MAX}")]
    Top(usize),
    /// Too many outputs.
    #[error("{0} outputs are declared, and there must be at most {OUTPUTS_MAX}")]
    Outputs(usize),
}

impl Settings {
    /// Whether they can be used.
    ///
    /// # Errors
    /// [`SettingsError`] with the first that cannot.
    pub fn check(&self) -> Result<(), SettingsError> {
        for (key, value) in [("rtol", self.rtol), ("atol", self.atol), ("threshold", self.threshold)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(SettingsError::Number { key, value });
            }
        }
        if !(1..=TOP_MAX).contains(&self.top) {
            return Err(SettingsError::Top(self.top));
        }
        if self.outputs.len() > OUTPUTS_MAX {
            return Err(SettingsError::Outputs(self.outputs.len()));
        }
        Ok(())
    }

    /// Whether a number is as good as the primary's. Two that are no numbers are, and equal infinities.
    pub(crate) fn is_close(&self, primary: f64, shadow: f64) -> bool {
        if primary.is_nan() || shadow.is_nan() {
            return primary.is_nan() && shadow.is_nan();
        }
        primary == shadow
            || primary.is_finite() && (primary - shadow).abs() <= self.atol + self.rtol * primary.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named() {
        assert_eq!(Settings::default().check(), Ok(()));
        let refused = |settings: Settings| settings.check().expect_err("out of range").to_string();
        assert_eq!(
            refused(Settings { rtol: -1.0, ..Settings::default() }),
            "rtol is -1, and must be a finite number of at least 0"
        );
        assert!(
            refused(Settings { threshold: f64::NAN, ..Settings::default() }).starts_with("threshold is NaN")
        );
        assert_eq!(refused(Settings { top: 0, ..Settings::default() }), "top is 0, and must be from 1 to 10");
        assert!(Settings { top: TOP_MAX, ..Settings::default() }.check().is_ok());
        assert!(Settings { top: TOP_MAX + 1, ..Settings::default() }.check().is_err());
        let outputs = |count: usize| (0..count).map(|n| (n.to_string(), Kind::Labels)).collect();
        assert!(Settings { outputs: outputs(OUTPUTS_MAX), ..Settings::default() }.check().is_ok());
        assert!(Settings { outputs: outputs(OUTPUTS_MAX + 1), ..Settings::default() }.check().is_err());
    }

    #[test]
    fn closeness_is_that_of_golden_cases() {
        let settings = Settings { rtol: 0.1, atol: 0.5, ..Settings::default() };
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        for (primary, shadow, close) in [
            (10.0, 11.5, true),
            (10.0, 11.6, false),
            (0.0, -0.5, true),
            (nan, nan, true),
            (nan, 0.0, false),
            (0.0, nan, false),
            (inf, inf, true),
            (inf, -inf, false),
            (inf, 1.0, false),
            (1.0, inf, false),
        ] {
            assert_eq!(settings.is_close(primary, shadow), close, "{primary} {shadow}");
        }
    }
}
