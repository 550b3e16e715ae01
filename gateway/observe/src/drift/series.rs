//! Windows one after the other: what each is held against, and since when a column has drifted.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::judge::{Judged, Verdict, judge};
use super::settings::{Look, Rules};
use crate::profile::{Kept, Profile};

/// The most windows before one that it is held against together.
const PREVIOUS_MAX: usize = 7;

/// What windows are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The training data: skew.
    Training,
    /// What came before: drift.
    Previous,
}

impl Against {
    /// The word in commands and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Previous => "previous",
        }
    }

    /// What a difference is called.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Training => "skew",
            Self::Previous => "drift",
        }
    }
}

/// The windows of one arm, or of all arms together.
#[derive(Clone, Debug)]
pub struct Series<'k> {
    kept: &'k Kept,
    windows: BTreeMap<i64, Cow<'k, Profile>>,
}

/// One window, judged.
#[derive(Clone, Debug)]
pub struct Point {
    /// When it begins, in seconds since 1970.
    pub window: i64,
    /// Its rows.
    pub rows: u64,
    /// Its columns, in the order of the layout.
    pub columns: Vec<Judged>,
}

impl<'k> Series<'k> {
    /// The windows of an arm; without one those of all.
    #[must_use]
    pub fn new(kept: &'k Kept, arm: Option<&str>) -> Self {
        let mut windows: BTreeMap<i64, Cow<'k, Profile>> = BTreeMap::new();
        for ((of, window), profile) in &kept.windows {
            if arm.is_none_or(|arm| arm == &**of) {
                match windows.get_mut(window) {
                    Some(sum) => sum.to_mut().merge(profile),
                    None => drop(windows.insert(*window, Cow::Borrowed(profile))),
                }
            }
        }
        Self { kept, windows }
    }

    /// When all windows begin, ascending. Those of all arms together are of one time where arms have windows at the same
    /// times.
    pub fn places(&self) -> impl DoubleEndedIterator<Item = i64> {
        self.windows.keys().copied()
    }

    /// A window.
    #[must_use]
    pub fn window(&self, place: i64) -> Option<&Profile> {
        self.windows.get(&place).map(|profile| &**profile)
    }

    /// Windows that begin from one second up to another, which is left out, together.
    #[must_use]
    pub fn together(&self, from: i64, to: i64) -> Profile {
        let mut windows = self.windows.range(from..to.max(from)).map(|(_, profile)| &**profile);
        let Some(first) = windows.next() else { return Profile::new(&self.kept.layout) };
        let mut sum = first.clone();
        windows.for_each(|profile| sum.merge(profile));
        sum
    }

    /// What a window is held against: the training data, or the windows before it, the nearest first, until they have as
    /// many rows as it has.
    #[must_use]
    pub fn reference(&self, place: i64, against: Against) -> Option<Cow<'_, Profile>> {
        if against == Against::Training {
            return self.kept.training.as_deref().map(Cow::Borrowed);
        }
        let goal = self.windows.get(&place)?.rows();
        let mut before = self.windows.range(..place).rev().take(PREVIOUS_MAX).map(|(_, profile)| &**profile);
        let mut sum = Cow::Borrowed(before.next()?);
        while sum.rows() < goal
            && let Some(next) = before.next()
        {
            sum.to_mut().merge(next);
        }
        Some(sum)
    }

    /// A window, judged; nothing where there is nothing to hold it against.
    #[must_use]
    pub fn point(&self, place: i64, against: Against, rules: &Rules, look: Look) -> Option<Point> {
        let current = self.window(place)?;
        let reference = self.reference(place, against)?;
        let layout = &self.kept.layout;
        let (reference, current) = (reference.effective(layout), current.effective(layout));
        let columns = judge(layout, &reference, &current, rules, look);
        Some(Point { window: place, rows: current.rows(), columns })
    }
}

/// Since which window a column has drifted without a break up to the last one; windows that say nothing are no break.
/// `verdicts` are those of a column, the oldest first.
pub fn onset(verdicts: impl DoubleEndedIterator<Item = (i64, Verdict)>) -> Option<i64> {
    let mut since = None;
    for (window, verdict) in verdicts.rev() {
        match verdict {
            Verdict::Drifted { .. } => since = Some(window),
            Verdict::Ok => break,
            Verdict::Insufficient { .. } | Verdict::Unknown => {}
        }
    }
    since
}

#[cfg(test)]
mod tests {
    use super::super::settings::Statistic;
    use super::*;

    #[test]
    fn drift_begins_where_it_has_held_since() {
        let drifted = Verdict::Drifted { statistic: Statistic::Psi, effect: 1.0, limit: 0.2, p: 0.0 };
        let few = Verdict::Insufficient { needed: 1 };
        let of = |verdicts: &[Verdict]| onset(verdicts.iter().enumerate().map(|(at, v)| (at as i64, *v)));
        assert_eq!(of(&[drifted, Verdict::Ok, drifted, few, drifted]), Some(2));
        assert_eq!(of(&[drifted, drifted, few]), Some(0));
        assert_eq!(of(&[drifted, Verdict::Ok]), None);
        assert_eq!(of(&[few, Verdict::Unknown]), None);
    }
}
