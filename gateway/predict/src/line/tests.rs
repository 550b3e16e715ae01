//! The line as those who join it and those who serve it see it.

use std::thread;
use std::time::Duration;

use pointsman_core::{ModelName, QueueDelay};
use tokio::sync::oneshot;

use super::state::{LEAD_WAIT_MAX, LEFT_MAX};
use super::*;
use crate::cores::Cores;
use crate::limits::Priorities;

fn job(place: Place) -> Job {
    job_of(place, 1, false)
}

/// A job of so many rows, which fits any other.
fn job_of(place: Place, rows: u64, is_short: bool) -> Job {
    let (reply, _) = oneshot::channel();
    let (inputs, outputs, queued_at) = (Vec::new(), Vec::new(), Instant::now());
    Job {
        place,
        inputs,
        outputs,
        rows,
        joins: true,
        part_rows: None,
        is_short,
        deadline: None,
        queued_at,
        reply,
    }
}

/// A line of so many places, for runs of so many rows.
fn line(places: usize, batch_rows_max: u64) -> Arc<Line> {
    Line::new(places, RunLimits { batch_rows_max, ..RunLimits::default() }, 1)
}

fn share(cores: usize) -> Arc<Share> {
    Cores::new(cores).share(&ModelName::new("m").unwrap())
}

fn ids(jobs: &[Job]) -> Vec<u64> {
    jobs.iter().map(|job| job.place.id).collect()
}

fn taken(jobs: &Jobs) -> Option<Vec<u64>> {
    let mut taken = Vec::new();
    jobs.next(&share(2), 1, &mut taken).map(|_turn| ids(&taken))
}

impl Line {
    fn add(&self, job: impl FnOnce(Place) -> Job) -> Result<Place, JoinError> {
        self.join(1, job).map(|joined| joined.place)
    }
}

#[test]
fn whoever_leaves_gives_its_place_to_another() {
    let line = line(2, 1);
    let jobs = line.jobs();
    let first = line.add(job).unwrap();
    let second = line.add(job).unwrap();
    assert_eq!(line.add(job), Err(JoinError::Full));
    line.leave(first);
    line.leave(first);
    assert_eq!(line.len(), 1);
    let third = line.add(job).unwrap();
    assert_eq!(taken(&jobs), Some(vec![second.id]));
    line.leave(second);
    line.close();
    assert_eq!(taken(&jobs), Some(vec![third.id]));
    assert_eq!(taken(&jobs), None);
}

#[test]
fn those_behind_the_first_come_along_while_they_fit() {
    let line = line(16, 6);
    let jobs = line.jobs();
    for rows in [1, 2, 3, 9, 1, 1] {
        line.add(|place| job_of(place, rows, false)).unwrap();
    }
    line.add(|place| Job { joins: false, ..job_of(place, 1, false) }).unwrap();
    line.add(|place| job_of(place, 1, false)).unwrap();
    line.add(|place| Job { outputs: vec![0], ..job_of(place, 1, false) }).unwrap();
    line.close();
    let mut all = Vec::new();
    while let Some(taken) = taken(&jobs) {
        all.push(taken);
    }
    // 9 rows are more than are run together: they were the caller's own wish, and go alone.
    assert_eq!(all, [vec![0, 1, 2], vec![3], vec![4, 5], vec![6], vec![7], vec![8]]);
}

#[test]
fn short_jobs_are_left_to_the_first_who_came() {
    let line = line(200, 8);
    let jobs = line.jobs();
    let short = || line.join(1, |place| job_of(place, 1, true)).unwrap().leads;
    assert!(short() && !short() && !short());
    let is_left = || line.state.lock().is_left(Instant::now());
    assert!(is_left());
    let mut led = Vec::new();
    line.take_short(2, &mut led);
    assert_eq!(ids(&led), [0, 1]);
    line.put_back(&mut led);
    line.end_lead();
    assert!(!is_left(), "what is left over is the workers'");
    assert_eq!(taken(&jobs), Some(vec![0, 1, 2]));
    // One that is long is not left to whoever leads, and nobody leads past it.
    assert!(line.join(1, |place| job_of(place, 1, true)).unwrap().leads);
    line.add(|place| Job { joins: false, ..job_of(place, 1, false) }).unwrap();
    line.take_short(8, &mut led);
    assert_eq!(ids(&led), [3]);
    led.clear();
    line.take_short(8, &mut led);
    assert!(led.is_empty());
    assert_eq!(taken(&jobs), Some(vec![4]));
    // Past the limit the workers help.
    for _ in 0..=LEFT_MAX {
        line.add(|place| job_of(place, 1, true)).unwrap();
    }
    assert!(!is_left());
    assert_eq!(taken(&jobs), Some((5..13).collect()));
}

#[test]
fn nobody_is_left_to_a_lead_that_is_held_up_or_where_there_is_hardly_room() {
    let line = line(4, 8);
    let jobs = line.jobs();
    assert!(line.join(1, |place| job_of(place, 1, true)).unwrap().leads);
    let now = Instant::now();
    assert!(line.state.lock().is_left(now));
    assert!(!line.state.lock().is_left(now + LEAD_WAIT_MAX));
    for _ in 0..2 {
        line.add(|place| job_of(place, 1, true)).unwrap();
    }
    assert!(!line.state.lock().is_left(now), "half of the places are taken");
    assert_eq!(taken(&jobs), Some(vec![0, 1, 2]));
    let small = self::line(1, 8);
    let _jobs = small.jobs();
    assert!(!small.join(1, |place| job_of(place, 1, true)).unwrap().leads);
}

#[test]
fn rows_beyond_counting_are_run_alone() {
    let line = line(8, u64::MAX);
    let jobs = line.jobs();
    for rows in [1, u64::MAX, u64::MAX, 1] {
        line.add(|place| job_of(place, rows, false)).unwrap();
    }
    line.close();
    let all: Vec<_> = std::iter::from_fn(|| taken(&jobs)).collect();
    assert_eq!(all, [vec![0], vec![1], vec![2], vec![3]]);
}

#[test]
fn workers_who_have_nothing_to_do_take_their_share() {
    let line = line(16, 16);
    let (one, other) = (line.jobs(), line.jobs());
    for _ in 0..7 {
        line.add(job).unwrap();
    }
    line.state.lock().idle = 1; // the other one waits
    assert_eq!(taken(&one), Some(vec![0, 1, 2, 3]));
    line.state.lock().idle = 0;
    assert_eq!(taken(&other), Some(vec![4, 5, 6]));
}

#[test]
fn nobody_waits_for_workers_that_are_gone() {
    let line = line(2, 1);
    let (one, other) = (line.jobs(), line.jobs());
    drop(one);
    line.add(job).unwrap();
    drop(other);
    assert_eq!((line.len(), line.add(job)), (0, Err(JoinError::Closed)));
}

#[test]
fn jobs_go_to_the_unable_only_where_nobody_is_able() {
    let line = line(4, 1);
    let (mut one, mut other) = (line.jobs(), line.jobs());
    one.set_able(false);
    let first = line.add(job).unwrap();
    assert!(matches!(one.next_unable(Instant::now()), Unable::TimeUp));
    other.set_able(false);
    assert!(matches!(one.next_unable(Instant::now()), Unable::Job(job) if job.place == first));
    let second = line.add(job).unwrap();
    other.set_able(true);
    assert!(matches!(one.next_unable(Instant::now()), Unable::TimeUp));
    line.close();
    assert!(matches!(one.next_unable(Instant::now()), Unable::Closed));
    assert_eq!(taken(&other), Some(vec![second.id]));
}

#[test]
fn a_line_that_closes_is_served_by_the_unable_where_nobody_else_is_left() {
    let line = line(4, 1);
    let mut only = line.jobs();
    only.set_able(false);
    let id = line.add(job).unwrap();
    line.close();
    assert!(matches!(only.next_unable(Instant::now()), Unable::Job(job) if job.place == id));
    assert!(matches!(only.next_unable(Instant::now()), Unable::Closed));
}

#[test]
fn no_more_is_taken_by_one_where_there_is_no_core_for_another() {
    let line = line(16, 16);
    let (jobs, _other) = (line.jobs(), line.jobs());
    for _ in 0..6 {
        line.add(job).unwrap();
    }
    line.state.lock().idle = 1;
    let mut taken = Vec::new();
    let _turn = jobs.next(&share(1), 1, &mut taken);
    assert_eq!(ids(&taken), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn jobs_stand_in_line_until_it_is_their_models_turn() {
    let line = line(16, 16);
    let jobs = line.jobs();
    let share = share(1);
    let turn = share.try_turn(1).unwrap();
    line.add(job).unwrap();
    let worker = thread::spawn({
        let share = share.clone();
        move || {
            let mut taken = Vec::new();
            let turn = jobs.next(&share, 1, &mut taken);
            (turn.is_some(), ids(&taken))
        }
    });
    while share.waiting() == 0 {
        thread::yield_now();
    }
    // Whoever comes meanwhile is run with it.
    line.add(job).unwrap();
    assert_eq!(line.len(), 2);
    drop(turn);
    assert_eq!(worker.join().unwrap(), (true, vec![0, 1]));
}

#[test]
fn the_lowest_priority_gives_way_and_the_highest_is_served_first() {
    let limits = RunLimits { priorities: Priorities { levels: 3, default: 2 }, ..RunLimits::default() };
    let line = Line::new(3, limits, 1);
    let jobs = line.jobs();
    for level in [2, 3, 2] {
        assert!(line.join(level, job).unwrap().shed.is_none());
    }
    assert_eq!(line.join(3, job).err(), Some(JoinError::Full));
    assert_eq!(line.check(3), Err(JoinError::Full));
    assert_eq!(line.check(2), Ok(()));
    let joined = line.join(1, job).unwrap();
    assert_eq!(joined.shed.unwrap().place, Place { level: 3, id: 1 });
    assert_eq!(line.join(2, job).err(), Some(JoinError::Full));
    line.leave(Place { level: 2, id: 2 });
    line.leave(Place { level: 2, id: 2 });
    line.close();
    let order: Vec<_> = std::iter::from_fn(|| taken(&jobs)).flatten().collect();
    assert_eq!(order, [joined.place.id, 0]);
}

#[test]
fn a_delay_is_waited_out_for_others() {
    let limits =
        RunLimits { batch_rows_max: 4, batch_delay: Duration::from_secs(60), ..RunLimits::default() };
    let line = Line::new(16, limits, 1);
    let jobs = line.jobs();
    line.add(job).unwrap();
    let worker = thread::spawn(move || taken(&jobs));
    for _ in 0..3 {
        line.add(job).unwrap();
    }
    // A minute has not passed, but there are as many as are run at once.
    assert_eq!(worker.join().unwrap(), Some(vec![0, 1, 2, 3]));
    let limits =
        RunLimits { batch_rows_max: 4, batch_delay: Duration::from_millis(1), ..RunLimits::default() };
    let line = Line::new(16, limits, 1);
    let jobs = line.jobs();
    line.add(job).unwrap();
    assert_eq!(taken(&jobs), Some(vec![0]));
}

#[test]
fn a_line_that_does_not_get_shorter_is_cut() {
    let target = Duration::from_millis(10);
    let limits = RunLimits { queue_delay: QueueDelay::Within(target), ..RunLimits::default() };
    let line = Line::new(100, limits, 1);
    let jobs = line.jobs();
    let (start, mut joined, mut refused) = (Instant::now(), 0_u32, None);
    // Each job has waited a fifth of a second when it is taken.
    while refused.is_none() {
        assert!(joined < 10_000, "nothing was ever refused");
        let at = |place| Job { queued_at: start + 5 * joined * target / 10 - 20 * target, ..job(place) };
        match line.add(at) {
            Ok(_) => joined += 1,
            Err(error) => refused = Some(error),
        }
        if joined > 50 {
            let mut state = line.state.lock();
            let job = state.pop().unwrap();
            let (now, len) = (start + 5 * joined * target / 10, state.len());
            state.note_wait(&job, len, now);
        }
    }
    assert!(
        matches!(refused, Some(JoinError::Long { limit: 2..100, target: t }) if t == target),
        "{refused:?}"
    );
    drop(jobs);
}
