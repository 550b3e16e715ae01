//! The highest rate that holds: by steps until one does not, then by halves of what lies between.
//!
//! Pure: it says which rate to try next, and is told what came of it.

/// The factor from one step to the next.
const STEP: f64 = 2.0;

/// Steps down, where the first rate does not hold, before it is said that none does.
const STEPS_DOWN_MAX: usize = 10;

/// How a search goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The first rate.
    pub(crate) start: f64,
    /// The highest that is tried.
    pub(crate) rate_max: f64,
    /// It ends where what did not hold is above what held by this share at most.
    pub(crate) precision: f64,
    /// How often a rate is tried before it does not hold.
    pub(crate) tries: usize,
}

/// Where a search is.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    bounds: Bounds,
    /// The highest rate that held.
    held: Option<f64>,
    /// The lowest that did not.
    missed: Option<f64>,
    /// The rate that is to be tried, and how often it was.
    next: f64,
    tried: usize,
    steps_down: usize,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Next {
    /// Try this rate.
    Try(f64),
    /// This is the highest rate that holds.
    Found(f64),
    /// The highest rate that may be tried holds: there is room above.
    AtMost(f64),
    /// None was found that holds: this one, the lowest that was tried, does not.
    None(f64),
}

impl Search {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let next = bounds.start.min(bounds.rate_max);
        Self { bounds, held: None, missed: None, next, tried: 0, steps_down: 0 }
    }

    /// What is to be done next.
    pub(crate) fn next(&self) -> Next {
        match (self.held, self.missed) {
            (Some(held), Some(missed)) if missed <= held * (1.0 + self.bounds.precision) => Next::Found(held),
            (Some(held), None) if held >= self.bounds.rate_max => Next::AtMost(held),
            (None, Some(missed)) if self.steps_down > STEPS_DOWN_MAX => Next::None(missed),
            _ => Next::Try(self.next),
        }
    }

    /// The rate that was to be tried held, or did not.
    pub(crate) fn tell(&mut self, held: bool) {
        self.tried += 1;
        if !held && self.tried < self.bounds.tries {
            return;
        }
        self.tried = 0;
        if held {
            self.held = Some(self.next);
        } else {
            self.missed = Some(self.next);
        }
        self.next = match (self.held, self.missed) {
            // Halves by ratio: a precision is one.
            (Some(held), Some(missed)) => (held * missed).sqrt(),
            (Some(held), None) => (held * STEP).min(self.bounds.rate_max),
            (None, _) => {
                self.steps_down += 1;
                self.next / STEP
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// More tries than any search within the bounds of these tests needs.
    const TRIES_MAX: usize = 200;

    fn bounds(start: f64) -> Bounds {
        Bounds { start, rate_max: 1e6, precision: 0.05, tries: 2 }
    }

    /// Searches against a server that says which rates hold, and gives what it tried.
    fn searched(bounds: Bounds, mut holds: impl FnMut(f64) -> bool) -> (Next, Vec<f64>) {
        let (mut search, mut tried) = (Search::new(bounds), Vec::new());
        for _ in 0..TRIES_MAX {
            let Next::Try(rate) = search.next() else { return (search.next(), tried) };
            tried.push(rate);
            search.tell(holds(rate));
        }
        panic!("it does not end: {tried:?}");
    }

    /// The mean time in a queue with one server (M/M/1) as a simulated latency: it has no bound at saturation.
    fn latency(rate: f64, capacity: f64) -> f64 {
        if rate < capacity { 1.0 / (capacity - rate) } else { f64::INFINITY }
    }

    #[test]
    fn a_moment_of_bad_luck_does_not_end_the_search() {
        let mut tries = 0;
        let (next, _) = searched(bounds(100.0), |rate| {
            tries += 1;
            rate <= 1000.0 && tries != 2
        });
        assert!(matches!(next, Next::Found(rate) if (950.0..=1000.0).contains(&rate)), "{next:?}");
    }

    #[test]
    fn a_search_ends_where_it_may_go_no_further() {
        let narrow = Bounds { rate_max: 700.0, ..bounds(100.0) };
        assert_eq!(searched(narrow, |_| true).0, Next::AtMost(700.0));
        let (next, tried) = searched(bounds(1024.0), |_| false);
        assert_eq!((next, tried.len()), (Next::None(1.0), 2 * (STEPS_DOWN_MAX + 1)));
    }

    proptest! {
        /// From any start, what is found holds, and a little more does not.
        #[test]
        fn it_finds_the_rate_where_a_queue_is_too_long(
            capacity in 2.0f64..100_000.0, start in 1.0f64..10_000.0, slack in 1.5f64..100.0,
        ) {
            // The objective is so many service times.
            let holds = |rate: f64| latency(rate, capacity) <= slack / capacity;
            let highest = capacity * (1.0 - 1.0 / slack);
            prop_assume!(highest * 1000.0 > start);
            let (next, tried) = searched(bounds(start), holds);
            let Next::Found(found) = next else { return Err(TestCaseError::fail(format!("{next:?}"))) };
            prop_assert!(found <= highest * (1.0 + 1e-9) && found >= highest / 1.0501, "{found} of {highest}");
            prop_assert!(tried.len() < 60, "{tried:?}");
        }
    }
}
