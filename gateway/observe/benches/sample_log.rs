//! What the sample log costs: the decision on the thread of a request, and a row on the log's own threads, from the
//! tensors to the Parquet file: `cargo bench -p pointsman-observe --bench sample_log`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use criterion::{Criterion, Throughput};
use pointsman_core::{
    Datatype, Dim, ModelName, OutputTensor, RequestId, Shape, Signature, StageTimes, Tensor, TensorSpec,
    VersionNumber,
};
use pointsman_observe::sample_log::{
    Account, Bounds, Chosen, Class, Classes, Directory, HashKey, Layout, Made, Origin, Rates, Record,
    Retention, Rule, Sampler, Store, Writer,
};

/// Requests that are written together, and the rows of each.
const REQUESTS: usize = 2_500;
const ROWS: usize = 4;
/// Values of a row: a picture of digits, its label, and how likely each digit is.
const PIXELS: usize = 64;
const DIGITS: usize = 10;

fn spec(name: &str, datatype: Datatype, width: Option<usize>) -> TensorSpec {
    let width = width.map(|width| Dim::Fixed(width as u64));
    let shape = Some(std::iter::once(Dim::Dynamic(None)).chain(width).collect());
    TensorSpec { name: name.into(), datatype, shape, optional: false, labels: None }
}

/// The same, with a name for each value of a row: each is a column of the log.
fn named(spec: TensorSpec, width: usize) -> TensorSpec {
    TensorSpec { labels: Some((0..width).map(|at| format!("{}_{at}", spec.name)).collect()), ..spec }
}

fn layout() -> Option<Arc<Layout>> {
    let signature = Signature {
        inputs: vec![named(spec("pixels", Datatype::Fp32, Some(PIXELS)), PIXELS)],
        outputs: vec![
            spec("label", Datatype::Int64, None),
            named(spec("probabilities", Datatype::Fp32, Some(DIGITS)), DIGITS),
        ],
    };
    let made = Made {
        model: &ModelName::new("digits").ok()?,
        version: VersionNumber::new(1)?,
        digest: &"0".repeat(64),
        signature: &signature,
        schema: None,
        key: &HashKey::new([0; 32]),
        sampling: "{}",
        gateway: "bench",
    };
    Some(Arc::new(Layout::new(made, Arc::new(Account::default()), &mut Vec::new())))
}

/// Rows like those of digits: whole numbers up to 16, and probabilities.
fn tensors(n: usize) -> Option<(Tensor, Vec<OutputTensor>)> {
    let shape = |width: usize| Shape::new(&[ROWS as u64, width as u64]);
    let pixels = (0..ROWS * PIXELS).map(|at| ((at * 7 + n * 13) % 17) as f32).collect();
    let pixels = Tensor::from_vec(Datatype::Fp32, shape(PIXELS)?, pixels).ok()?;
    let label = (0..ROWS).map(|row| ((n + row) % DIGITS) as i64).collect();
    let label = Tensor::from_vec(Datatype::Int64, Shape::new(&[ROWS as u64])?, label).ok()?;
    let scores = (0..ROWS * DIGITS).map(|at| 1.0 / (1 + at + n % 97) as f32).collect();
    let scores = Tensor::from_vec(Datatype::Fp32, shape(DIGITS)?, scores).ok()?;
    let output = |name: &str, tensor| OutputTensor { name: name.into(), tensor, labels: None };
    Some((pixels, vec![output("label", label), output("probabilities", scores)]))
}

fn main() {
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(500));
    let mut criterion = criterion.measurement_time(Duration::from_secs(3)).configure_from_args();
    let mut group = criterion.benchmark_group("sample log, a request");
    for (name, cap) in [("judged, without a cap", None), ("judged, with a cap", Some(1_000_000))] {
        let rates = Rates { uniform: Rule { rate: 0.01, cap }, ..Rates::default() };
        let sampler = Sampler::new(&rates);
        let mut point = 0_u64;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                point = point.wrapping_add(0x9e37_79b9_7f4a_7c15);
                sampler.judge(black_box(point), black_box(Classes::default()))
            });
        });
    }
    group.finish();

    let Some(layout) = layout() else { return };
    let exchanges: Option<Vec<_>> = (0..REQUESTS).map(tensors).collect();
    let Some(exchanges) = exchanges else { return };
    let exchanges: Vec<_> = exchanges
        .into_iter()
        .map(|(input, outputs)| (RequestId::generate(), vec![Some(input)], outputs))
        .collect();
    let mut group = criterion.benchmark_group("sample log, 10 000 rows of 75 values");
    group.throughput(Throughput::Elements((REQUESTS * ROWS) as u64)).sample_size(10);
    for (name, is_whole) in [("redacted and spooled", false), ("and made a Parquet file", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| write(&layout, &exchanges, is_whole));
        });
    }
    group.finish();
}

/// A request with its inputs and outputs.
type Exchange = (RequestId, Vec<Option<Tensor>>, Vec<OutputTensor>);

/// Writes all of them.
fn write(layout: &Arc<Layout>, exchanges: &[Exchange], is_whole: bool) -> Option<()> {
    let folder = tempfile::tempdir().ok()?;
    let mut writer = Writer::new(folder.path(), "host", Bounds::default());
    let (clock, now) = (SystemTime::now(), Instant::now());
    for (id, inputs, outputs) in exchanges {
        layout.account().queued();
        let record = Record {
            id: *id,
            trace: None,
            at: clock,
            origin: Origin { protocol: "v2-rest", arm: Some("default"), way: Some("default"), drawn: None },
            chosen: Chosen { probability: 1.0, class: Class::Uniform, is_kept: true },
            parameters: &Vec::new(),
            inputs,
            rows: ROWS as u64,
            violations: &[],
            outputs: Ok(outputs),
            times: StageTimes::default(),
            decode: Duration::from_micros(3),
            encode: Duration::from_micros(2),
            total: Duration::from_micros(80),
            shadows: &[],
        };
        writer.take(layout, &record, clock, now);
    }
    writer.finish(now);
    let store = Store::of(&writer, Arc::new(Directory::new(folder.path())), Retention::default());
    for path in writer.sealed().into_iter().filter(|_| is_whole) {
        store.make_part(&path).ok()?;
    }
    Some(())
}
