//! The windows of an arm in time, and which of them are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::recorder::Span;
use super::sample::Profile;

/// The most arms of a version that are profiled.
pub const ARMS_MAX: usize = 16;

/// A window: its arm, and when it begins, in seconds since 1970.
pub type Key = (Arc<str>, i64);

/// Profiles by arm and window. Of each arm the newest are kept.
#[derive(Debug, Default)]
pub(super) struct Windows {
    kept: BTreeMap<Key, Arc<Profile>>,
}

/// What becomes of rows that come to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// Its window is older than all that are kept.
    Late,
    /// There are too many arms.
    Crowded,
}

impl Windows {
    /// Adds rows to a window. Where it is new and there are more than `most` of its arm, the oldest goes.
    pub(super) fn add(&mut self, key: &Key, profile: Profile, most: usize) -> Taken {
        if let Some(kept) = self.kept.get_mut(key) {
            Arc::make_mut(kept).merge(&profile);
            return Taken::Yes;
        }
        let of_arm = self.of(&key.0);
        match of_arm.first() {
            None if self.arms().len() >= ARMS_MAX => return Taken::Crowded,
            Some(oldest) if of_arm.len() >= most.max(1) => {
                if key.1 < *oldest {
                    return Taken::Late;
                }
                self.kept.remove(&(key.0.clone(), *oldest));
            }
            _ => {}
        }
        self.kept.insert(key.clone(), Arc::new(profile));
        Taken::Yes
    }

    /// The window that rows of an arm belong to next: that which is open in a stretch of time from `window` on, or a new one
    /// that begins with the first of the rows, where that has as many rows as it may. No two begin in the same second.
    pub(super) fn open(&self, arm: &Arc<str>, window: i64, first: u64, span: Span) -> i64 {
        let Some(rows_max) = span.rows_max else { return window };
        let ends = window.saturating_add(i64::try_from(span.seconds).unwrap_or(i64::MAX));
        let within = (arm.clone(), window)..(arm.clone(), ends);
        let Some(((_, last), profile)) = self.kept.range(within).next_back() else { return window };
        let next = i64::try_from(first).unwrap_or(i64::MAX).max(last.saturating_add(1));
        if profile.rows() < rows_max || next >= ends { *last } else { next }
    }

    /// The windows of an arm, the oldest first.
    fn of(&self, arm: &Arc<str>) -> Vec<i64> {
        self.kept.range((arm.clone(), i64::MIN)..=(arm.clone(), i64::MAX)).map(|(key, _)| key.1).collect()
    }

    /// The arms.
    pub(super) fn arms(&self) -> Vec<Arc<str>> {
        let mut arms: Vec<Arc<str>> = self.kept.keys().map(|key| key.0.clone()).collect();
        arms.dedup();
        arms
    }

    /// All windows.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Key, &Arc<Profile>)> {
        self.kept.iter()
    }
}
