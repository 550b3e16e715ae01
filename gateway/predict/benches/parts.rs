//! Single parts of the data path that nobody outside reaches: the digest of the response cache, the choice of who is
//! run together, and the queue.
//!
//! `cargo bench -p pointsman-predict --features bench` runs these and those of the whole path; a word behind `--`
//! names those that are run: `digest`, `choose`, `queue`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use pointsman_core::{Datatype, ModelName, RunTime, Shape, SizeTime, Tensor};
use pointsman_predict::bench::{self, Line, Place};
use pointsman_predict::{RunLimits, RunTimes};

/// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Places of the queue.
const PLACES: usize = 1024;

fn main() {
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(500));
    let mut criterion = criterion.measurement_time(Duration::from_secs(2)).configure_from_args();
    digest(&mut criterion);
    choose(&mut criterion);
    queue(&mut criterion);
    criterion.final_summary();
}

/// A request of one row of so many numbers.
fn inputs(numbers: u64) -> Vec<Option<Tensor>> {
    let shape = Shape::new(&[1, numbers]).expect("two dimensions");
    let values = (0..numbers).map(|at| at as f32).collect();
    vec![Some(Tensor::from_vec(Datatype::Fp32, shape, values).expect("counted"))]
}

/// Rows are run together up to this many; runs take 100 us and 1 us more for each row.
fn limits(batch_rows_max: u64) -> RunLimits {
    let size = |rows| {
        let median = Duration::from_micros(100 + rows);
        SizeTime { rows, run_time: RunTime { median, spread: Duration::ZERO, runs: 20 }, slowest: median }
    };
    let run_times = RunTimes::new(&[1, 2, 4, 8, 16].map(size));
    RunLimits { batch_rows_max, run_times, ..RunLimits::default() }
}

fn digest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("digest");
    for numbers in [4, 1024, 3 * 224 * 224] {
        let inputs = inputs(numbers);
        group.throughput(Throughput::Bytes(numbers * 4));
        group.bench_function(BenchmarkId::from_parameter(format!("1x{numbers}")), |bencher| {
            bencher.iter(|| bench::digest(black_box(&inputs), &[0]));
        });
    }
}

/// Which of those who wait are run together, each with a deadline that is far away.
fn choose(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("choose");
    let deadline = Instant::now() + Duration::from_secs(3600);
    for rows_max in [1, 16, 256] {
        let (limits, waiting) = (limits(rows_max), vec![1; PLACES]);
        assert_eq!(bench::choose(&waiting, deadline, &limits) as u64, rows_max);
        group.throughput(Throughput::Elements(rows_max));
        group.bench_function(BenchmarkId::from_parameter(format!("{rows_max} of {PLACES}")), |bencher| {
            bencher.iter(|| bench::choose(black_box(&waiting), deadline, &limits));
        });
    }
}

/// Requests that join and are taken out, or give their place up.
fn queue(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue");
    let (model, inputs) = (ModelName::new("m").expect("a name"), inputs(64));
    let join = |line: &Line, count: usize| -> Vec<Place> {
        (0..count).map(|_| line.join(inputs.clone()).expect("a place")).collect()
    };
    for (requests, rows_max) in [(1, 1), (64, 1), (64, 16)] {
        let mut line = Line::new(PLACES, limits(rows_max), &model);
        group.throughput(Throughput::Elements(requests as u64));
        let what = format!("{requests}, {rows_max} at a time");
        group.bench_function(BenchmarkId::new("join and take", what), |bencher| {
            bencher.iter(|| {
                let places = join(&line, requests);
                let mut left = requests;
                while left > 0 {
                    left -= line.take();
                }
                drop(places);
            });
        });
    }
    let line = Line::new(PLACES, limits(1), &model);
    group.throughput(Throughput::Elements(PLACES as u64));
    group.bench_function(BenchmarkId::new("join and leave", PLACES), |bencher| {
        bencher.iter(|| drop(join(&line, PLACES)));
    });
}
