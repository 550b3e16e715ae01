//! How long a drift report over a sample log takes, and how much memory:
//! `cargo bench -p pointsman-observe --bench log_report`. `ROWS` says how many rows, where it is not 10 million.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use pointsman_core::{
    Datatype, Dim, ModelName, OutputTensor, RequestId, Shape, Signature, StageTimes, Tensor, TensorSpec,
    VersionNumber,
};
use pointsman_observe::drift::{Against, Ask, DriftReport, Rules};
use pointsman_observe::profile::{
    Baseline, Example, Learner, LogView, LogWindows, Lost, Profile, Reference, Span,
};
use pointsman_observe::sample_log::{
    Account, Bounds, Chosen, Class, Directory, HashKey, Layout, Made, Origin, Reader, Record, Retention,
    Store, Writer,
};

const ROWS: u64 = 10_000_000;
const FEATURES: u64 = 20;
/// Rows of one request: what is measured is reading.
const REQUEST: u64 = 10_000;
const DAYS: u64 = 20;
const DAY: u64 = 86_400;
const FIRST: u64 = 18_000 * DAY;

fn signature() -> Signature {
    let names = (0..FEATURES).map(|at| format!("f{at}")).collect();
    let spec = |name: &str, width: u64, labels| TensorSpec {
        name: name.into(),
        datatype: Datatype::Fp32,
        shape: Some(vec![Dim::Dynamic(None), Dim::Fixed(width)]),
        optional: false,
        labels,
    };
    Signature { inputs: vec![spec("X", FEATURES, Some(names))], outputs: vec![spec("score", 1, None)] }
}

/// Numbers with a bell, each feature about its own place; the first one moves by `shift`.
fn request(shift: f32, random: &mut fastrand::Rng) -> (Vec<Option<Tensor>>, Vec<OutputTensor>) {
    let shape = |width: u64| Shape::new(&[REQUEST, width]).expect("small");
    let bell = |random: &mut fastrand::Rng| (0..4).map(|_| random.f32()).sum::<f32>();
    let x = (0..REQUEST * FEATURES).map(|at| {
        let feature = at % FEATURES;
        bell(random) + feature as f32 + if feature == 0 { shift } else { 0.0 }
    });
    let x = Tensor::from_vec(Datatype::Fp32, shape(FEATURES), x.collect()).expect("fits");
    let scores = (0..REQUEST).map(|_| random.f32()).collect();
    let scores = Tensor::from_vec(Datatype::Fp32, shape(1), scores).expect("fits");
    (vec![Some(x)], vec![OutputTensor { name: "score".into(), tensor: scores, labels: None }])
}

fn reference(signature: &Signature, random: &mut fastrand::Rng) -> Reference {
    let (inputs, outputs) = request(0.0, random);
    let example = Example { inputs: &inputs, outputs: Some(&outputs), rows: REQUEST };
    let mut learner = Learner::new(signature, None, true);
    learner.add(&example);
    let layout = learner.layout(signature, None);
    let mut profile = Profile::new(&layout);
    profile.add(&layout, &example);
    let baseline = Baseline::of(signature, &layout, &profile, "now", "here");
    baseline.reference(signature, None, &mut Vec::new()).expect("a baseline")
}

/// Writes the log as a gateway does: spool, and Parquet files. The last day differs.
fn write(folder: &Path, signature: &Signature, rows: u64, random: &mut fastrand::Rng) {
    let model = ModelName::new("m").expect("a name");
    let made = Made {
        model: &model,
        version: VersionNumber::new(1).expect("above zero"),
        digest: "0000000000000000",
        signature,
        schema: None,
        key: &HashKey::new([0; 32]),
        sampling: "{}",
        gateway: "bench",
    };
    let layout = Arc::new(Layout::new(made, Arc::new(Account::default()), &mut Vec::new()));
    let mut writer = Writer::new(folder, "host", Bounds::default());
    let store = Store::of(&writer, Arc::new(Directory::new(folder)), Retention::default());
    let (requests, now) = (rows / REQUEST, Instant::now());
    for n in 0..requests {
        let day = n * DAYS / requests;
        let (inputs, outputs) = request(if day == DAYS - 1 { 0.5 } else { 0.0 }, random);
        let at = UNIX_EPOCH + Duration::from_secs(FIRST + n * DAYS * DAY / requests);
        // As where one in a hundred is kept, and one in ten of what a schema flags.
        let probability = if n % 10 == 0 { 0.1 } else { 0.01 };
        layout.account().queued();
        let record = Record {
            id: RequestId::generate(),
            trace: None,
            at,
            origin: Origin { protocol: "v2-rest", arm: Some("default"), way: Some("default"), drawn: None },
            chosen: Chosen { probability, class: Class::Uniform, is_kept: true },
            parameters: &Vec::new(),
            inputs: &inputs,
            rows: REQUEST,
            violations: &[],
            outputs: Ok(&outputs),
            times: StageTimes::default(),
            decode: Duration::ZERO,
            encode: Duration::ZERO,
            total: Duration::ZERO,
            shadows: &[],
        };
        writer.take(&layout, &record, at, now);
        for path in writer.sealed() {
            store.make_part(&path).expect("a part");
        }
    }
    writer.finish(now);
    for path in writer.sealed() {
        store.make_part(&path).expect("a part");
    }
}

/// The report as `pointsman drift --log` makes it.
fn report(folder: &Path, signature: &Signature, reference: Reference) -> DriftReport {
    let mut view = LogView::new(signature, 1);
    let mut windows = LogWindows::new(Arc::new(reference.layout), DAY, 1000);
    let reader = Reader::open(folder).columns(&view.needed());
    for batch in reader.batches().expect("files") {
        windows.add(&view.rows(&batch.expect("a batch"))).expect("few windows");
    }
    let kept = windows.kept(Some(Arc::new(reference.profile)));
    let ask = Ask {
        model: "m",
        version: 1,
        arm: None,
        against: Against::Training,
        window: Some(DAY),
        since: None,
        until: None,
        span: Span { seconds: DAY, rows_max: None, windows_max: 60 },
        lost: Lost::default(),
    };
    DriftReport::new(&kept, &Rules::default(), &ask).expect("a report")
}

/// The most memory that the process had, in MiB, since it was forgotten.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0_u64) / 1024
}

fn main() {
    let mut out = std::io::stdout();
    let rows = std::env::var("ROWS").ok().map_or(ROWS, |rows| rows.parse().expect("a number of rows"));
    let (folder, signature) = (tempfile::tempdir().expect("a folder"), signature());
    let mut random = fastrand::Rng::with_seed(1);
    let reference = reference(&signature, &mut random);
    let began = Instant::now();
    write(folder.path(), &signature, rows, &mut random);
    let written = began.elapsed().as_secs_f64();
    writeln!(out, "{rows} rows of {FEATURES} features are written in {written:.1} s").expect("output");
    // Linux then counts the peak anew.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (before, began) = (peak(), Instant::now());
    let report = report(folder.path(), &signature, reference);
    let took = began.elapsed().as_secs_f64();
    let what = format!("the report takes {took:.1} s on one thread, and {} MiB at most", peak());
    writeln!(out, "{}\n{what} ({before} before it)", report.verdict()).expect("output");
}
