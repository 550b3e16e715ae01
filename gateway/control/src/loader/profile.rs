//! How long runs take by their number of rows, and what follows from that: how many rows are run together, and
//! whether runs are short enough for the threads of requests.

use std::time::{Duration, Instant};

use pointsman_core::{Datatype, Dim, Profile, RunTime, Signature, SizeTime};
use pointsman_registry::OnnxSummary;

/// The most runs of the first size that are measured: the slowest in a hundred has to be known.
const RUNS_MAX: usize = 100;
/// The most of each further one.
const FURTHER_RUNS_MAX: usize = 20;
/// How long all sizes together are measured.
pub(super) const BUDGET: Duration = Duration::from_millis(200);
/// To run rows together has to save at least this share of the time of a row.
const GAIN_MIN: f64 = 0.1;
/// A size that comes this close to the best one is as good, and keeps callers waiting for less.
const NEAR: f64 = 1.1;
/// How long a run may keep the thread of a request, in the slowest of a hundred: nothing else happens there
/// meanwhile, and a hop to another thread and back costs half as much.
const INLINE_MAX: Duration = Duration::from_micros(100);
/// Operators whose runs take as long as the values of their inputs say.
const VARYING: [&str; 19] = [
    "BeamSearch",
    "Compress",
    "ConstantOfShape",
    "Expand",
    "GreedySearch",
    "If",
    "Loop",
    "NonMaxSuppression",
    "NonZero",
    "OneHot",
    "Pad",
    "Range",
    "Resize",
    "Sampling",
    "Scan",
    "SequenceMap",
    "Tile",
    "Unique",
    "Upsample",
];

/// How many runs of the size at this place, from 1 on, are measured.
pub(super) fn runs_max(place: u32) -> usize {
    if place == 1 { RUNS_MAX } else { FURTHER_RUNS_MAX }
}

/// What one run took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Took {
    /// By the clock.
    pub(super) wall: Duration,
    /// Of the processor, on the thread that called. Other than the first it says nothing of what else the machine
    /// does.
    pub(super) cpu: Duration,
    /// Of processors, on all threads of the process: that of the run where nothing else happens meanwhile.
    pub(super) process_cpu: Duration,
}

/// Measures runs of one size until there are enough, or until the moment; `run` gives what one took, or nothing
/// where it failed. Nothing where none succeeded.
pub(super) fn measure<E>(
    rows: u64,
    runs_max: usize,
    until: Instant,
    run: impl FnMut() -> Result<Option<Took>, E>,
) -> Result<Option<SizeTime>, E> {
    Ok(size_time(rows, &repeat(runs_max, until, run)?))
}

/// What runs took, one after the other, until there are enough, or until the moment, or until one fails.
pub(super) fn repeat<E>(
    runs_max: usize,
    until: Instant,
    mut run: impl FnMut() -> Result<Option<Took>, E>,
) -> Result<Vec<Took>, E> {
    let mut took = Vec::new();
    while took.len() < runs_max && (took.is_empty() || Instant::now() < until) {
        match run()? {
            Some(time) => took.push(time),
            None => break,
        }
    }
    Ok(took)
}

/// What runs of one size took, in short; nothing where there was none.
pub(super) fn size_time(rows: u64, took: &[Took]) -> Option<SizeTime> {
    let sorted = |of: fn(&Took) -> Duration| {
        let mut times: Vec<Duration> = took.iter().map(of).collect();
        times.sort_unstable();
        times
    };
    let (wall, cpu) = (sorted(|took| took.wall), sorted(|took| took.cpu));
    let last = wall.len().checked_sub(1)?;
    let quarter = |quarter: usize| wall[last * quarter / 4];
    let spread = quarter(3).saturating_sub(quarter(1));
    let run_time = RunTime { median: quarter(2), spread, runs: wall.len() };
    Some(SizeTime { rows, run_time, slowest: cpu[last * 99 / 100] })
}

/// The most rows of several requests that are run together: the smallest size whose rows take about as little time as
/// they can, or 1 where that saves little. More work is done in less time with it, never less.
pub(super) fn batch_rows_max(sizes: &[SizeTime]) -> u64 {
    let of_row = |size: &SizeTime| size.run_time.median.as_secs_f64() / size.rows.max(1) as f64;
    let Some(alone) = sizes.first().filter(|size| size.rows == 1).map(of_row) else { return 1 };
    let best = sizes.iter().map(of_row).fold(f64::INFINITY, f64::min);
    if best > alone * (1.0 - GAIN_MIN) {
        return 1;
    }
    sizes.iter().find(|size| of_row(size) <= best * NEAR).map_or(1, |size| size.rows)
}

/// The most rows of one request that are run at once, where it is cut: as many as are run together, or, where the largest
/// size is dearer by the row than another one, the largest that is not. Nothing where a request is run whole, as its
/// caller wished.
pub(super) fn part_rows_max(sizes: &[SizeTime], batch_rows_max: u64) -> Option<u64> {
    if batch_rows_max > 1 {
        return Some(batch_rows_max);
    }
    let of_row = |size: &SizeTime| size.run_time.median.as_secs_f64() / size.rows.max(1) as f64;
    let best = sizes.iter().map(of_row).fold(f64::INFINITY, f64::min);
    let (largest, near) = (sizes.last()?, sizes.iter().rfind(|size| of_row(size) <= best * NEAR)?);
    (near.rows < largest.rows).then_some(near.rows)
}

/// The most rows that are run on the thread of a request: those of the largest size of at most `rows_max` that is
/// short, where every smaller one is as well; 0 where none is.
pub(super) fn inline_rows_max(sizes: &[SizeTime], rows_max: u64) -> u64 {
    let short = sizes.iter().take_while(|size| size.rows <= rows_max && size.slowest <= INLINE_MAX);
    short.last().map_or(0, |size| size.rows)
}

/// Whether what was measured says how long other inputs of as many rows take: their sizes are fixed, they hold no text,
/// and no operator takes as long as values say. What is overlooked here, runs find out (`gateway/predict/src/lead.rs`).
pub(super) fn is_steady(signature: &Signature, onnx: &OnnxSummary) -> bool {
    let fixed = |dims: &[Dim]| dims.iter().skip(1).all(|dim| matches!(dim, Dim::Fixed(_)));
    let inputs = signature.inputs.iter();
    let mut steady = inputs.map(|i| i.datatype != Datatype::Bytes && i.shape.as_deref().is_some_and(fixed));
    steady.all(|steady| steady) && !onnx.operators.iter().any(|op| VARYING.contains(&op.name.as_str()))
}

/// What is decided by what was measured.
pub(super) fn decide(sizes: Vec<SizeTime>, steady: bool, wanted: Option<u64>) -> Profile {
    let is_batched = sizes.len() > 1;
    let batch_rows_max = wanted.filter(|_| is_batched).unwrap_or_else(|| batch_rows_max(&sizes)).max(1);
    let rows_max = if is_batched { batch_rows_max } else { u64::MAX };
    let inline_rows_max = if steady { inline_rows_max(&sizes, rows_max) } else { 0 };
    Profile { sizes, batch_rows_max, inline_rows_max }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pointsman_core::TensorSpec;
    use pointsman_registry::Operator;

    use super::*;

    /// Sizes with the time of a run in microseconds.
    fn sizes(times: &[(u64, u64)]) -> Vec<SizeTime> {
        let size = |&(rows, micros): &(u64, u64)| {
            let median = Duration::from_micros(micros);
            SizeTime { rows, run_time: RunTime { median, spread: Duration::ZERO, runs: 9 }, slowest: median }
        };
        times.iter().map(size).collect()
    }

    #[test]
    fn the_size_is_the_smallest_whose_rows_are_about_as_cheap_as_can_be() {
        for (times, expected) in [
            (&[][..], 1),
            (&[(1, 100)], 1),
            (&[(1, 10), (2, 11), (4, 13), (8, 17), (16, 25)], 16), // a call costs, rows hardly do
            (&[(1, 100), (2, 110), (4, 130), (8, 250), (16, 500)], 4),
            (&[(1, 100), (2, 110), (4, 130), (8, 240), (16, 470)], 8), // 30 is within a tenth of 29.4, 32.5 is not
            (&[(1, 6307), (2, 13_000), (4, 28_000), (8, 60_788)], 1),  // a transformer: rows get dearer
            (&[(1, 29_381), (2, 57_000), (4, 112_000), (8, 222_166)], 1), // a convolution: all but the same
            (&[(4, 10), (8, 12)], 1),                                  // it is not known what one costs
        ] {
            let found = batch_rows_max(&sizes(times));
            assert_eq!(found, expected, "{times:?}");
        }
    }

    #[test]
    fn requests_are_cut_where_that_makes_them_no_slower() {
        for (times, together, expected) in [
            (&[(1, 10), (2, 11), (4, 13)][..], 4, Some(4)),
            (&[(1, 6307), (8, 60_788)], 1, Some(1)), // rows get dearer
            (&[(1, 100), (2, 196), (4, 380), (8, 1000)], 1, Some(4)), // the most of them do
            (&[(1, 100), (2, 250), (4, 400)], 1, None), // not in the end
            (&[(1, 29_381), (8, 222_166)], 1, None), // a little cheaper
            (&[(1, 100)], 1, None),
            (&[], 1, None),
        ] {
            assert_eq!(part_rows_max(&sizes(times), together), expected, "{times:?}");
        }
    }

    #[test]
    fn what_is_run_on_the_threads_of_requests_is_short_at_every_size_below() {
        for (times, rows_max, expected) in [
            (&[][..], 16, 0),
            (&[(1, 101)], 1, 0),
            (&[(1, 100)], 1, 1),
            (&[(1, 10), (2, 20), (4, 90), (8, 120), (16, 90)], 16, 4),
            (&[(1, 10), (2, 20), (4, 30)], 2, 2),
        ] {
            assert_eq!(inline_rows_max(&sizes(times), rows_max), expected, "{times:?}");
        }
    }

    #[test]
    fn a_run_is_steady_where_nothing_but_its_rows_varies() {
        let input = |datatype, shape: Option<&[Option<u64>]>| TensorSpec {
            name: "x".into(),
            datatype,
            shape: shape.map(|dims| dims.iter().map(|d| d.map_or(Dim::Dynamic(None), Dim::Fixed)).collect()),
            optional: false,
            labels: None,
        };
        let of = |input, operator: &str| {
            let operator = Operator { domain: "ai.onnx".into(), name: operator.into() };
            let onnx = OnnxSummary { operators: BTreeSet::from([operator]), ..OnnxSummary::default() };
            is_steady(&Signature { inputs: vec![input], outputs: Vec::new() }, &onnx)
        };
        let row = Some(&[None, Some(4)][..]);
        assert!(of(input(Datatype::Fp32, row), "MatMul"));
        assert!(!of(input(Datatype::Fp32, row), "Loop"));
        assert!(!of(input(Datatype::Bytes, row), "MatMul"));
        assert!(!of(input(Datatype::Fp32, Some(&[None, None])), "MatMul"));
        assert!(!of(input(Datatype::Fp32, None), "MatMul"));
    }

    #[test]
    fn times_are_those_of_the_sorted_runs() {
        let took = |wall, cpu| {
            let [wall, cpu] = [wall, cpu].map(Duration::from_micros);
            Took { wall, cpu, process_cpu: cpu }
        };
        assert_eq!(size_time(1, &[]), None);
        let runs: Vec<Took> = [50, 10, 40, 20, 30].iter().map(|&wall| took(wall, wall / 10)).collect();
        let found = size_time(2, &runs).expect("five runs");
        assert_eq!((found.rows, found.run_time.runs), (2, 5));
        assert_eq!(found.run_time.median, Duration::from_micros(30));
        assert_eq!(found.run_time.spread, Duration::from_micros(20));
        assert_eq!(found.slowest, Duration::from_micros(4));
        let hundred: Vec<Took> = (1..=100).map(|micros| took(micros, micros)).collect();
        assert_eq!(size_time(1, &hundred).expect("runs").slowest, Duration::from_micros(99));
    }

    #[test]
    fn measuring_ends_at_the_most_runs_at_the_moment_and_at_a_failure() {
        let later = Instant::now() + Duration::from_secs(60);
        let wall = Duration::from_micros(1);
        let took = Took { wall, cpu: Duration::ZERO, process_cpu: Duration::ZERO };
        let runs = |until, answer: Result<Option<Took>, &'static str>| {
            measure(1, 50, until, || answer).map(|size| size.map_or(0, |size| size.run_time.runs))
        };
        assert_eq!(runs(later, Ok(Some(took))), Ok(50));
        assert_eq!(runs(Instant::now(), Ok(Some(took))), Ok(1), "one run comes whatever it takes");
        assert_eq!(runs(later, Ok(None)), Ok(0));
        assert_eq!(runs(later, Err("too long")), Err("too long"));
    }

    #[test]
    fn what_the_card_says_counts_where_rows_may_be_run_together() {
        let cheap = || sizes(&[(1, 10), (2, 11), (4, 12)]);
        let profile = decide(cheap(), true, None);
        assert_eq!((profile.batch_rows_max, profile.inline_rows_max), (4, 4));
        let profile = decide(cheap(), true, Some(2));
        assert_eq!((profile.batch_rows_max, profile.inline_rows_max), (2, 2));
        let profile = decide(cheap(), false, Some(64));
        assert_eq!((profile.batch_rows_max, profile.inline_rows_max), (64, 0));
        let profile = decide(sizes(&[(1, 10)]), true, Some(64));
        assert_eq!((profile.batch_rows_max, profile.inline_rows_max), (1, 1));
    }
}
