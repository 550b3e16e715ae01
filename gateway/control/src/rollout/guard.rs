//! What is looked at while a version takes over, and what must not happen.

use pointsman_stats::{Alpha, Proportion, Ratio};
use serde::{Deserialize, Serialize};

/// What a guard looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Whether requests fail more often.
    Errors,
    /// Whether outputs are not finite, or not what the signature says, more often.
    Invalid,
    /// Whether answers are more often over thresholds that were frozen at the start.
    Latency,
    /// Whether a shadow answers otherwise than the primary.
    Disagreement,
    /// Whether classes are predicted more or less often.
    Distribution,
    /// Whether labels that came later prove it wrong more often.
    Labels,
}

impl Question {
    /// Every question.
    pub const ALL: [Self; 6] =
        [Self::Errors, Self::Invalid, Self::Latency, Self::Disagreement, Self::Distribution, Self::Labels];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Invalid => "invalid",
            Self::Latency => "latency",
            Self::Disagreement => "disagreement",
            Self::Distribution => "distribution",
            Self::Labels => "labels",
        }
    }

    /// By its word.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|question| question.name() == name)
    }

    /// Whether a shadow is asked it. Its times are those of the lowest priority, and what it predicts is compared pair
    /// by pair.
    #[must_use]
    pub fn is_of_shadows(self) -> bool {
        matches!(self, Self::Errors | Self::Invalid | Self::Disagreement)
    }

    /// Whether a canary is asked it.
    #[must_use]
    pub fn is_of_canaries(self) -> bool {
        self != Self::Disagreement
    }

    /// Whether it has to be certain that nothing is wrong before a stage ends. Labels come late or never, and classes
    /// may well be others: those only stop what is certainly wrong.
    #[must_use]
    pub fn certifies(self) -> bool {
        !matches!(self, Self::Distribution | Self::Labels)
    }
}

/// A question with what is tolerated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// What is looked at.
    pub question: Question,
    /// How many times as often it may happen. Of disagreement nothing.
    pub margin: Ratio,
    /// How often it may happen whatever the primary does. Of disagreement: in how large a share of pairs, beyond what
    /// the primary disagrees with itself.
    pub floor: Proportion,
    /// Its part of alpha, in relation to the parts of the others.
    pub part: u32,
}

/// Of fifteen parts errors have ten, so that a doubling is found in two looks.
const ERRORS_PART: u32 = 10;
/// The most parts.
pub(super) const PART_MAX: u32 = 1000;

impl Guard {
    /// The margin, unless somebody says otherwise.
    pub const MARGIN: f64 = 1.25;
    /// The floor, unless somebody says otherwise.
    pub const FLOOR: f64 = 0.005;
    /// The same of disagreement.
    pub const DISAGREEMENT: f64 = 0.05;
    /// How many times as often a class may be predicted: a model that was trained anew predicts others than before.
    pub const CLASS_MARGIN: f64 = 2.0;

    /// A guard as it is in the default set.
    #[must_use]
    pub fn default_of(question: Question) -> Self {
        let margin = if question == Question::Distribution { Self::CLASS_MARGIN } else { Self::MARGIN };
        let floor = if question == Question::Disagreement { Self::DISAGREEMENT } else { Self::FLOOR };
        let part = if question == Question::Errors { ERRORS_PART } else { 1 };
        Self { question, margin: ratio(margin), floor: proportion(floor), part }
    }

    /// The default set: every question.
    #[must_use]
    pub fn default_set() -> Vec<Self> {
        Question::ALL.map(Self::default_of).into()
    }
}

/// The level of one guard: its part of alpha (Bonferroni, weighed).
#[must_use]
pub fn level(alpha: Alpha, guard: &Guard, all: &[Guard]) -> Alpha {
    let parts: u64 = all.iter().map(|guard| u64::from(guard.part)).sum();
    let share = f64::from(guard.part) / (parts.max(u64::from(guard.part)).max(1) as f64);
    Alpha::new(alpha.get() * share).unwrap_or(alpha)
}

/// A constant of this file.
fn ratio(value: f64) -> Ratio {
    Ratio::new(value).unwrap_or_else(|_| unreachable!("{value} is a ratio"))
}

/// A constant of this file.
fn proportion(value: f64) -> Proportion {
    Proportion::new(value).unwrap_or_else(|_| unreachable!("{value} is a proportion"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_sum_to_alpha() {
        let alpha = Alpha::new(0.05).expect("a level");
        let all = Guard::default_set();
        let sum: f64 = all.iter().map(|guard| level(alpha, guard, &all).get()).sum();
        assert!((sum - 0.05).abs() < 1e-15);
        assert!((level(alpha, &all[0], &all).get() - 0.05 / 1.5).abs() < 1e-15);
        assert_eq!(level(alpha, &all[1], &all[1..2]), alpha);
        for question in Question::ALL {
            assert_eq!(Question::parse(question.name()), Some(question));
        }
    }
}
