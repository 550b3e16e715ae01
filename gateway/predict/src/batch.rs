//! Which of the waiting jobs are run together, and when. A function of what waits and of the time.

use std::time::Instant;

use crate::limits::RunLimits;

/// What is asked of one waiting job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) rows: u64,
    /// Whether it can be run with the first one.
    pub(crate) fits: bool,
    pub(crate) deadline: Option<Instant>,
    pub(crate) queued_at: Instant,
}

/// What is to be done with those that stand first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// There are none.
    Nothing,
    /// So many of them are run together, now.
    Run(usize),
    /// Others are waited for until then, to be run with them.
    Wait(Instant),
}

/// Chooses from the jobs in their order, `count_max` at most and of `rows_max` rows in all.
///
/// Nothing that stands in line is passed by, and no job is added whose rows would keep the run from ending before the
/// deadline of one that is in it.
pub(crate) fn choose(
    mut candidates: impl Iterator<Item = Candidate>,
    limits: &RunLimits,
    rows_max: u64,
    count_max: usize,
    now: Instant,
) -> Choice {
    let Some(first) = candidates.next() else { return Choice::Nothing };
    let (mut count, mut rows, mut deadline) = (1, first.rows, first.deadline);
    let preferred = |rows: u64| limits.batch_rows_preferred.binary_search(&rows).is_ok();
    let mut preferred_count = preferred(rows).then_some(1);
    let mut is_full = rows >= rows_max || !first.fits;
    while !is_full && let Some(next) = candidates.next() {
        let sum = rows.checked_add(next.rows).filter(|sum| *sum <= rows_max);
        let earliest = [deadline, next.deadline].into_iter().flatten().min();
        let Some(sum) = sum.filter(|sum| {
            count < count_max
                && next.fits
                && earliest.is_none_or(|until| now + limits.run_times.least(*sum) <= until)
        }) else {
            is_full = true;
            break;
        };
        (count, rows, deadline) = (count + 1, sum, earliest);
        if preferred(rows) {
            preferred_count = Some(count);
        }
        is_full = rows >= rows_max;
    }
    if let Some(count) = preferred_count {
        return Choice::Run(count);
    }
    let last_start =
        deadline.and_then(|until| until.checked_sub(limits.run_times.usual(rows).unwrap_or_default()));
    let due = first.queued_at + limits.batch_delay;
    let due = last_start.map_or(due, |start| due.min(start));
    if is_full || due <= now { Choice::Run(count) } else { Choice::Wait(due) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pointsman_core::{RunTime, SizeTime};
    use proptest::prelude::*;

    use super::*;
    use crate::limits::RunTimes;

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    fn limits(batch_rows_max: u64, preferred: &[u64], delay: u64) -> RunLimits {
        RunLimits {
            batch_rows_max,
            batch_rows_preferred: preferred.into(),
            batch_delay: micros(delay),
            ..RunLimits::default()
        }
    }

    fn of(rows: &[u64], limits: &RunLimits, waited: u64) -> Choice {
        let queued_at = Instant::now();
        let candidate = |&rows: &u64| Candidate { rows, fits: rows < 50, deadline: None, queued_at };
        match choose(
            rows.iter().map(candidate),
            limits,
            limits.batch_rows_max,
            usize::MAX,
            queued_at + micros(waited),
        ) {
            Choice::Wait(until) => {
                assert_eq!(until, queued_at + limits.batch_delay);
                Choice::Wait(until)
            }
            other => other,
        }
    }

    #[test]
    fn whatever_fits_is_run_at_once_where_nothing_is_waited_for() {
        let eight = limits(8, &[], 0);
        for (rows, expected) in [
            (&[][..], Choice::Nothing),
            (&[1], Choice::Run(1)),
            (&[1, 1, 1], Choice::Run(3)),
            (&[4, 4, 1], Choice::Run(2)),
            (&[4, 5, 1], Choice::Run(1)),
            (&[9, 1], Choice::Run(1)),
            (&[1, 60, 1], Choice::Run(1)),
            (&[60, 1], Choice::Run(1)),
            (&[1, u64::MAX], Choice::Run(1)),
        ] {
            assert_eq!(of(rows, &eight, 0), expected, "{rows:?}");
        }
        assert_eq!(of(&[1, 1], &limits(1, &[], 0), 0), Choice::Run(1));
    }

    #[test]
    fn a_delay_is_waited_out_unless_there_are_enough() {
        let patient = limits(8, &[], 100);
        assert!(matches!(of(&[1, 1], &patient, 99), Choice::Wait(_)));
        assert_eq!(of(&[1, 1], &patient, 100), Choice::Run(2));
        assert_eq!(of(&[4, 4], &patient, 0), Choice::Run(2));
        assert_eq!(of(&[4, 5], &patient, 0), Choice::Run(1), "more would not fit");
        assert_eq!(
            of(&[1, 60], &patient, 0),
            Choice::Run(1),
            "whoever comes stands behind one that does not fit"
        );
    }

    #[test]
    fn preferred_numbers_of_rows_are_not_waited_with() {
        let choosy = limits(16, &[4, 8], 100);
        assert!(matches!(of(&[1, 1, 1], &choosy, 0), Choice::Wait(_)));
        assert_eq!(of(&[1, 1, 1], &choosy, 100), Choice::Run(3));
        assert_eq!(of(&[1, 1, 1, 1, 1], &choosy, 0), Choice::Run(4));
        assert_eq!(of(&[4, 4, 4], &choosy, 0), Choice::Run(2));
        assert_eq!(of(&[4], &choosy, 0), Choice::Run(1));
    }

    #[test]
    fn nobody_misses_a_deadline_for_others() {
        let size = |rows, time| {
            let run_time = RunTime { median: micros(time), spread: Duration::ZERO, runs: 9 };
            SizeTime { rows, run_time, slowest: micros(time) }
        };
        let run_times = RunTimes::new(&[size(1, 100), size(2, 200), size(4, 400)]);
        let now = Instant::now();
        let with = |delay, deadlines: &[Option<u64>]| {
            let limits = RunLimits { run_times: run_times.clone(), ..limits(4, &[], delay) };
            let candidate = |&until: &Option<u64>| {
                let deadline = until.map(|until| now + micros(until));
                Candidate { rows: 1, fits: true, deadline, queued_at: now }
            };
            choose(deadlines.iter().map(candidate), &limits, 4, usize::MAX, now)
        };
        assert_eq!(with(0, &[Some(300), None, None, None]), Choice::Run(3));
        assert_eq!(with(0, &[Some(399), None, None, None]), Choice::Run(3));
        assert_eq!(with(0, &[Some(400), None, None, None]), Choice::Run(4));
        assert_eq!(
            with(0, &[None, Some(150), None]),
            Choice::Run(1),
            "the second would be late in either case"
        );
        assert_eq!(with(1000, &[Some(300)]), Choice::Wait(now + micros(200)), "then it is high time");
    }

    proptest! {
        #[test]
        fn what_is_run_together_stands_first_fits_and_is_no_more_than_allowed(
            jobs in proptest::collection::vec((1_u64..12, any::<bool>(), proptest::option::of(0_u64..500), 0_u64..200), 0..20),
            rows_max in 1_u64..20,
            count_max in 1_usize..10,
            delay in prop_oneof![Just(0_u64), 1_u64..200],
            preferred in proptest::collection::btree_set(1_u64..20, 0..3),
        ) {
            let start = Instant::now();
            let now = start + micros(200);
            let preferred: Vec<u64> = preferred.into_iter().collect();
            let limits = limits(rows_max, &preferred, delay);
            let candidates: Vec<Candidate> = jobs.iter().map(|&(rows, fits, deadline, at)| Candidate {
                rows, fits, deadline: deadline.map(|d| now + micros(d)), queued_at: start + micros(at),
            }).collect();
            match choose(candidates.iter().copied(), &limits, rows_max, count_max, now) {
                Choice::Nothing => prop_assert!(candidates.is_empty()),
                Choice::Run(count) => {
                    prop_assert!((1..=count_max.max(1)).contains(&count) && count <= candidates.len());
                    let rows: u64 = candidates[..count].iter().map(|c| c.rows).sum();
                    prop_assert!(count == 1 || rows <= rows_max);
                    prop_assert!(count == 1 || candidates[..count].iter().all(|c| c.fits));
                }
                Choice::Wait(until) => {
                    prop_assert!(until > now && until <= candidates[0].queued_at + micros(delay));
                    prop_assert!(candidates.iter().all(|c| c.fits), "one that does not fit is behind the first, or is it");
                }
            }
        }
    }
}
