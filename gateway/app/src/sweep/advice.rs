//! What follows from a sweep: a function of what was measured.

use std::fmt;
use std::time::Duration;

use pointsman_control::loader::{Cost, Measured};
use serde_json::{Value, json};

/// Threads of one run have to do this much more than as many workers. They cost memory and turns of other models.
const GAIN_MIN: f64 = 1.05;
/// What makes a run so much quicker is worth a word where it does not do more in all.
const QUICKER: f64 = 0.5;

/// What to set, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Advice {
    pub(super) intra_op_threads: usize,
    pub(super) workers: usize,
    pub(super) batch_rows_max: u64,
    pub(super) why: String,
}

impl Advice {
    pub(super) fn as_json(&self) -> Value {
        let Self { intra_op_threads, workers, batch_rows_max, why } = self;
        json!({
            "intra_op_threads": intra_op_threads, "workers": workers, "batch_rows_max": batch_rows_max, "why": why,
        })
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { intra_op_threads, workers, batch_rows_max, why } = self;
        write!(
            f,
            "serving.intra_op_threads = {intra_op_threads}, and in the card workers = {workers}, \
             batch_rows_max = {batch_rows_max}: {why}"
        )
    }
}

/// Rows in a second, of all workers.
pub(super) fn per_second(measured: &Measured, cost: &Cost) -> f64 {
    let seconds = cost.size.run_time.median.as_secs_f64().max(1e-9);
    measured.way.workers as f64 * cost.size.rows as f64 / seconds
}

/// Rows in a second with as many rows in a run as would be run together.
fn most(measured: &Measured) -> f64 {
    let together = measured.costs.iter().find(|cost| cost.size.rows == measured.batch_rows_max);
    together.or(measured.costs.first()).map_or(0.0, |cost| per_second(measured, cost))
}

/// How long the smallest run takes.
fn alone(measured: &Measured) -> Option<Duration> {
    measured.costs.first().map(|cost| cost.size.run_time.median)
}

/// What to set on so many cores. Threads of a run are worth it where they do more than as many workers; where they only
/// make a run quicker, it is said.
pub(super) fn advise(measured: &[Measured], cores: usize) -> Option<Advice> {
    let by_way =
        |workers, threads| measured.iter().find(|m| (m.way.workers, m.way.threads) == (workers, threads));
    let base = by_way(1, 1)?;
    let pairs = || {
        let threaded = measured.iter().filter(|m| (2..=cores).contains(&m.way.threads));
        threaded.filter_map(|threaded| Some((threaded, by_way(threaded.way.threads, 1)?)))
    };
    let held = |(threaded, workers): (&Measured, &Measured)| {
        let threads = threaded.way.threads;
        format!(
            "runs of {threads} threads do {:.0} rows/s, {threads} workers of one thread {:.0}",
            most(threaded),
            most(workers)
        )
    };
    let gain =
        |(threaded, workers): &(&Measured, &Measured)| most(threaded) / most(workers).max(f64::MIN_POSITIVE);
    let winner = pairs().filter(|pair| gain(pair) > GAIN_MIN).max_by(|a, b| gain(a).total_cmp(&gain(b)));
    if let Some(pair) = winner {
        let (intra_op_threads, batch_rows_max) = (pair.0.way.threads, pair.0.batch_rows_max);
        let workers = (cores / intra_op_threads).max(1);
        return Some(Advice { intra_op_threads, workers, batch_rows_max, why: held(pair) });
    }
    let best = pairs().max_by(|a, b| gain(a).total_cmp(&gain(b)));
    let mut why = match best {
        Some(pair) => held(pair),
        None => format!("a worker of one thread does {:.0} rows/s", most(base)),
    };
    let one = alone(base)?;
    let quicker =
        pairs().find(|(threaded, _)| alone(threaded).is_some_and(|time| time <= one.mul_f64(QUICKER)));
    if let Some((threaded, _)) = quicker {
        let (threads, time) = (threaded.way.threads, alone(threaded).unwrap_or_default());
        why.push_str(&format!(
            "; where one request at a time has to be quick, intra_op_threads = {threads} brings a run from {one:.1?} \
             to {time:.1?}"
        ));
    }
    Some(Advice { intra_op_threads: 1, workers: cores, batch_rows_max: base.batch_rows_max, why })
}

#[cfg(test)]
mod tests {
    use pointsman_control::loader::Way;
    use pointsman_core::{Batching, RunTime, SizeTime};

    use super::*;

    /// Runs that take so many microseconds by their number of rows.
    fn measured(workers: usize, threads: usize, times: &[(u64, u64)]) -> Measured {
        let cost = |&(rows, micros): &(u64, u64)| {
            let median = Duration::from_micros(micros);
            let run_time = RunTime { median, spread: Duration::ZERO, runs: 9 };
            Cost { size: SizeTime { rows, run_time, slowest: median }, cpu: median }
        };
        Measured {
            way: Way { workers, threads },
            engine: "onnxruntime",
            batching: Batching::Forbidden,
            costs: times.iter().map(cost).collect(),
            batch_rows_max: times.last().map_or(1, |(rows, _)| *rows),
        }
    }

    fn advised(measured: &[Measured], cores: usize) -> (usize, usize, u64, String) {
        let Advice { intra_op_threads, workers, batch_rows_max, why } =
            advise(measured, cores).expect("a base");
        (intra_op_threads, workers, batch_rows_max, why)
    }

    #[test]
    fn workers_come_before_threads_that_do_no_more() {
        let base = measured(1, 1, &[(1, 100), (8, 200)]);
        let threaded = measured(1, 2, &[(1, 80), (8, 110)]);
        let workers = measured(2, 1, &[(1, 100), (8, 210)]);
        let (threads, count, rows, why) = advised(&[base, threaded, workers], 4);
        assert_eq!((threads, count, rows), (1, 4, 8));
        assert_eq!(why, "runs of 2 threads do 72727 rows/s, 2 workers of one thread 76190");
    }

    #[test]
    fn threads_are_advised_where_they_do_more_than_workers() {
        // Two workers are in each other's way.
        let base = measured(1, 1, &[(1, 100)]);
        let threaded = measured(1, 2, &[(1, 60)]);
        let workers = measured(2, 1, &[(1, 190)]);
        let (threads, count, rows, why) = advised(&[base, threaded, workers], 4);
        assert_eq!((threads, count, rows), (2, 2, 1));
        assert!(why.contains("16667") && why.contains("10526"), "{why}");
    }

    #[test]
    fn a_run_that_takes_half_the_time_is_mentioned() {
        let base = measured(1, 1, &[(1, 1000)]);
        let of = |time| {
            let (threaded, workers) = (measured(1, 4, &[(1, time)]), measured(4, 1, &[(1, 1100)]));
            advised(&[base.clone(), threaded, workers], 4)
        };
        let (threads, workers, _, why) = of(500);
        assert_eq!((threads, workers), (1, 4));
        assert!(why.ends_with("intra_op_threads = 4 brings a run from 1.0ms to 500.0µs"), "{why}");
        assert!(!of(501).3.contains("quick"));
    }

    #[test]
    fn more_threads_than_cores_are_not_advised() {
        let base = measured(1, 1, &[(1, 100)]);
        let threaded = measured(1, 4, &[(1, 10)]);
        let workers = measured(4, 1, &[(1, 900)]);
        let (threads, count, _, why) = advised(&[base, threaded, workers], 2);
        assert_eq!((threads, count, why.as_str()), (1, 2, "a worker of one thread does 10000 rows/s"));
        assert_eq!(advise(&[], 2), None);
    }
}
