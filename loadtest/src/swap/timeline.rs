//! Which versions could answer when: a function of the swaps alone.
//!
//! The moment at which a swap takes effect lies somewhere between its call and the final answer to it,
//! its window. Outside windows the default version is known.

use std::time::Duration;

/// One swap of the default version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Swap {
    to: u64,
    /// When it was called for.
    from: Duration,
    /// When its final answer was there; nothing while it is under way.
    until: Option<Duration>,
    /// Whether the answer said that it is done. A swap that failed may have taken effect or not.
    landed: bool,
}

/// How long after its final answer a swap is still felt: the version that left answers its last requests,
/// frees its sessions and gives its memory back.
const AFTERMATH: Duration = Duration::from_millis(50);

/// Swaps one after the other, beginning with a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timeline {
    first: u64,
    swaps: Vec<Swap>,
}

impl Timeline {
    /// Before any swap.
    pub(super) fn new(first: u64) -> Self {
        Self { first, swaps: Vec::new() }
    }

    /// A swap is called for.
    pub(super) fn begin(&mut self, to: u64, at: Duration) {
        self.swaps.push(Swap { to, from: at, until: None, landed: false });
    }

    /// The swap under way has got its final answer.
    pub(super) fn end(&mut self, landed: bool, at: Duration) {
        if let Some(swap) = self.swaps.last_mut() {
            (swap.until, swap.landed) = (Some(at), landed);
        }
    }

    /// Swaps that began by then, the last first.
    fn begun(&self, by: Duration) -> impl Iterator<Item = &Swap> {
        self.swaps[..self.swaps.partition_point(|swap| swap.from <= by)].iter().rev()
    }

    /// Whether a version was, or may have been, the default one at some moment of this time.
    pub(super) fn may_answer(&self, version: u64, sent: Duration, answered: Duration) -> bool {
        // Going back, until when the version looked at may have been the default one.
        let mut until = Duration::MAX;
        for swap in self.begun(answered) {
            if swap.to == version {
                return true;
            }
            if swap.landed {
                until = swap.until.unwrap_or(Duration::MAX);
            }
            if until < sent {
                return false;
            }
        }
        version == self.first
    }

    /// Whether a request that was due then counts as during a swap: from its call on, until what it left
    /// behind is gone.
    ///
    /// By when a request was due and not by how long it took: of requests that merely overlap a swap the
    /// slow ones are more, whatever made them slow.
    pub(super) fn covers(&self, due: Duration) -> bool {
        // Swaps follow each other: of those that began by then, the last one ended last.
        self.begun(due).next().is_some_and(|swap| swap.until.is_none_or(|end| end + AFTERMATH >= due))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// From version 3 to 1 between 10 and 20, to 2 between 30 and 40, and one under way to 3 since 50.
    fn timeline() -> Timeline {
        let mut timeline = Timeline::new(3);
        for (to, from, until) in [(1, 10, 20), (2, 30, 40)] {
            timeline.begin(to, at(from));
            timeline.end(true, at(until));
        }
        timeline.begin(3, at(50));
        timeline
    }

    #[test]
    fn the_versions_that_may_answer_are_those_of_the_time() {
        for (sent, answered, may) in [
            (0, 9, &[3][..]),
            (0, 10, &[3, 1]),
            (12, 18, &[3, 1]),
            (15, 25, &[3, 1]),
            (21, 29, &[1]), // sent after promote(1) was answered, answered before the next was called
            (25, 35, &[1, 2]),
            (5, 35, &[3, 1, 2]),
            (41, 49, &[2]),
            (41, 51, &[2, 3]),
            (60, 61, &[2, 3]),
            (0, 99, &[3, 1, 2]),
        ] {
            let found: Vec<u64> =
                [3, 1, 2].into_iter().filter(|&v| timeline().may_answer(v, at(sent), at(answered))).collect();
            let mut may = may.to_vec();
            may.sort_by_key(|v| [3, 1, 2].iter().position(|o| o == v));
            assert_eq!(found, may, "sent at {sent}, answered at {answered}");
        }
        assert!(!timeline().may_answer(9, at(0), at(99)), "a version that never was the default one");
    }

    #[test]
    fn a_swap_that_failed_leaves_both_versions_possible() {
        let mut timeline = Timeline::new(1);
        timeline.begin(2, at(10));
        timeline.end(false, at(20));
        assert!(timeline.may_answer(1, at(25), at(26)) && timeline.may_answer(2, at(25), at(26)));
        timeline.begin(3, at(30));
        timeline.end(true, at(40));
        for version in [1, 2] {
            assert!(timeline.may_answer(version, at(35), at(36)));
            assert!(!timeline.may_answer(version, at(41), at(42)));
        }
    }

    #[test]
    fn a_request_is_during_a_swap_by_when_it_was_due() {
        for (due, during) in [
            (9, false),
            (10, true),
            (15, true),
            (20, true),
            (21, false),
            (29, false),
            (35, true),
            (49, false),
            (70, true),
        ] {
            assert_eq!(timeline().covers(at(due)), during, "{due}");
        }
        assert!(timeline().covers(at(20) + AFTERMATH));
        assert!(!timeline().covers(at(20) + AFTERMATH + Duration::from_nanos(1)));
        assert!(!Timeline::new(1).covers(at(0)));
    }

    proptest! {
        /// Whenever each swap took effect inside its window, whoever was the default one while the
        /// request was answered is found to be right.
        #[test]
        fn the_true_version_is_always_accepted(
            steps in prop::collection::vec((1_u64..5, 0_u64..20, 0_u64..20, 0_u64..20, any::<bool>()), 0..12),
            sent in 0_u64..500, lasts in 0_u64..60, pick in 0_u64..=60,
        ) {
            let mut timeline = Timeline::new(1);
            let (mut now, mut reigns) = (0, vec![(0, 1)]);
            for (to, gap, before, after, landed) in steps {
                timeline.begin(to, at(now + gap));
                timeline.end(landed, at(now + gap + before + after));
                if landed {
                    reigns.push((now + gap + before, to));
                }
                now += gap + before + after + 1;
            }
            // The default version at the moment at which the request was really answered.
            let moment = sent + pick.min(lasts);
            let truth = reigns.iter().rfind(|(from, _)| *from <= moment).expect("the first reigns from 0").1;
            prop_assert!(timeline.may_answer(truth, at(sent), at(sent + lasts)));
        }

        /// Between windows only one version may answer.
        #[test]
        fn between_windows_one_version_alone_is_accepted(to in 1_usize..30, version in 1_u64..5) {
            let mut timeline = Timeline::new(1);
            for swap in 1..=to as u64 {
                timeline.begin(swap % 4 + 1, at(swap * 10));
                timeline.end(true, at(swap * 10 + 5));
            }
            for swap in 1..=to as u64 {
                let accepted = timeline.may_answer(version, at(swap * 10 + 6), at(swap * 10 + 9));
                prop_assert_eq!(accepted, version == swap % 4 + 1);
            }
        }
    }
}
