//! Whether units stay with their arms, and leave them only for one that grows.

use std::collections::HashMap;
use std::time::Duration;

use super::Met;

/// A time in which nothing changes of who belongs to which arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

/// How units were given to arms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Units that came, by window and arm.
    pub(crate) units: Vec<HashMap<Box<str>, u64>>,
    /// Answers to a unit with another arm than before in the same window.
    pub(crate) moved: u64,
    /// Units that came in several windows, and were with another arm later although theirs did not shrink for the one
    /// that grew.
    pub(crate) strayed: u64,
    /// Units that left their arm for the one that grew.
    pub(crate) grown: u64,
}

/// Looks at all answers. From each window to the next only units of `from` may move, and to `to` alone. What was under
/// way between windows may have been given by either.
pub(crate) fn kept(met: &[Met], windows: &[Window], from: &str, to: &str) -> Kept {
    let mut found = Kept::default();
    let mut before: HashMap<u64, &str> = HashMap::new();
    for window in windows {
        let mut now: HashMap<u64, &str> = HashMap::new();
        let within = met.iter().filter(|met| met.sent >= window.from && met.ended <= window.to);
        for (unit, arm) in within.filter_map(|met| Some((met.unit, met.arm()?))) {
            found.moved += u64::from(*now.entry(unit).or_insert(arm) != arm);
        }
        let mut units: HashMap<Box<str>, u64> = HashMap::new();
        for (unit, arm) in now {
            *units.entry(arm.into()).or_default() += 1;
            match before.insert(unit, arm) {
                Some(was) if was != arm && was == from && arm == to => found.grown += 1,
                Some(was) if was != arm => found.strayed += 1,
                _ => {}
            }
        }
        found.units.push(units);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Gave;
    use super::*;

    fn met(unit: u64, at: u64, arm: &str) -> Met {
        let [due, sent, ended] = [at, at, at + 1].map(Duration::from_millis);
        Met { unit, due, sent, ended, gave: Gave::Answer { arm: arm.into(), version: 1 } }
    }

    fn looked(met: &[Met]) -> Kept {
        let window = |from, to| Window { from: Duration::from_millis(from), to: Duration::from_millis(to) };
        kept(met, &[window(0, 100), window(110, 200)], "default", "next")
    }

    #[test]
    fn units_may_only_move_to_what_grows_and_only_between_windows() {
        let sound = [
            met(1, 10, "default"),
            met(1, 20, "default"),
            met(2, 10, "next"),
            met(3, 10, "other"),
            // Between the windows either is right.
            met(1, 100, "next"),
            met(1, 105, "default"),
            met(1, 120, "next"),
            met(2, 120, "next"),
            met(3, 120, "other"),
            met(4, 120, "default"),
        ];
        let found = looked(&sound);
        assert_eq!((found.moved, found.strayed, found.grown), (0, 0, 1));
        assert_eq!((found.units[0]["next"], found.units[1]["next"], found.units[1]["default"]), (1, 2, 1));
    }

    #[test]
    fn what_must_not_be_is_counted() {
        let moved = looked(&[met(1, 10, "default"), met(1, 20, "next")]);
        assert_eq!((moved.moved, moved.strayed), (1, 0));
        for (was, is) in [("next", "default"), ("other", "next"), ("default", "other")] {
            let strayed = looked(&[met(1, 10, was), met(1, 120, is)]);
            assert_eq!((strayed.moved, strayed.strayed, strayed.grown), (0, 1, 0), "{was} to {is}");
        }
    }
}
