//! Profiles that are made of a sample log say what those of the traffic itself say.

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use pointsman_core::{
    Arm, Datatype, Dim, ModelName, OutputTensor, RequestId, Shape, Signature, StageTimes, Tensor, TensorSpec,
    VersionNumber,
};
use pointsman_observe::drift::{Against, Ask, DriftReport, Rules};
use pointsman_observe::profile::{
    Baseline, Example, Exchange, Kept, Layout as Cells, Learner, LogView, LogWindows, Lost, Profile,
    Recorder, Span,
};
use pointsman_observe::sample_log::{
    Account, Bounds, Chosen, Class, HashKey, Layout, Made, Origin, Reader, Record, Writer,
};

const DAY: u64 = 86_400;
const FIRST: u64 = 17_000 * DAY;

fn signature() -> Arc<Signature> {
    let spec = |name: &str, datatype, width: u64, labels: &[&str]| TensorSpec {
        name: name.into(),
        datatype,
        shape: Some(vec![Dim::Dynamic(None), Dim::Fixed(width)]),
        optional: false,
        labels: (!labels.is_empty()).then(|| labels.iter().map(|label| (*label).to_owned()).collect()),
    };
    Arc::new(Signature {
        inputs: vec![spec("X", Datatype::Fp32, 2, &["a", "b"]), spec("n", Datatype::Int64, 1, &[])],
        outputs: vec![spec("scores", Datatype::Fp32, 2, &["no", "yes"])],
    })
}

/// A request of some rows, in its time.
struct Asked {
    at: u64,
    rows: u64,
    inputs: Vec<Option<Tensor>>,
    outputs: Vec<OutputTensor>,
}

fn normal(random: &mut fastrand::Rng) -> f32 {
    let (u, v) = (1.0 - random.f64(), random.f64());
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}

fn asked(at: u64, rows: u64, shift: f32, random: &mut fastrand::Rng) -> Asked {
    let shape = |width: u64| Shape::new(&[rows, width]).expect("small");
    let mut x: Vec<f32> = Vec::new();
    for _ in 0..rows {
        x.push(normal(random));
        x.push(normal(random) + shift);
    }
    if random.u8(0..10) == 0 {
        x[0] = f32::NAN;
    }
    let n: Vec<i64> = (0..rows).map(|_| random.i64(0..40)).collect();
    let scores: Vec<f32> = (0..rows).flat_map(|_| [0.5 + 0.1 * normal(random), 0.5]).collect();
    let output = Tensor::from_vec(Datatype::Fp32, shape(2), scores).expect("fits");
    Asked {
        at,
        rows,
        inputs: vec![
            Some(Tensor::from_vec(Datatype::Fp32, shape(2), x).expect("fits")),
            Some(Tensor::from_vec(Datatype::Int64, shape(1), n).expect("fits")),
        ],
        outputs: vec![OutputTensor { name: "scores".into(), tensor: output, labels: None }],
    }
}

impl Asked {
    fn example(&self) -> Example<'_> {
        Example { inputs: &self.inputs, outputs: Some(&self.outputs), rows: self.rows }
    }
}

fn baseline(random: &mut fastrand::Rng) -> Baseline {
    let (signature, training) = (signature(), asked(0, 4000, 0.0, random));
    let mut learner = Learner::new(&signature, None, true);
    learner.add(&training.example());
    let layout = learner.layout(&signature, None);
    let mut profile = Profile::new(&layout);
    profile.add(&layout, &training.example());
    Baseline::of(&signature, &layout, &profile, "now", "here")
}

/// Writes requests to a log, each with the probability that `included` has for it.
fn log(asked: &[Asked], included: impl Fn(&Asked) -> f64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let (signature, model) = (signature(), ModelName::new("m").expect("a name"));
    let made = Made {
        model: &model,
        version: VersionNumber::new(3).expect("above zero"),
        digest: "d",
        signature: &signature,
        schema: None,
        key: &HashKey::new([7; 32]),
        sampling: "{}",
        gateway: "0",
    };
    let layout = Arc::new(Layout::new(made, Arc::new(Account::default()), &mut Vec::new()));
    let mut writer = Writer::new(folder.path(), "host", Bounds::default());
    let now = Instant::now();
    for asked in asked {
        layout.account().queued();
        let at = UNIX_EPOCH + Duration::from_secs(asked.at);
        let record = Record {
            id: RequestId::generate(),
            trace: None,
            at,
            origin: Origin { protocol: "v2-rest", arm: Some("default"), way: None, drawn: None },
            chosen: Chosen { probability: included(asked), class: Class::Uniform, is_kept: true },
            parameters: &Vec::new(),
            inputs: &asked.inputs,
            rows: asked.rows,
            violations: &[],
            outputs: Ok(&asked.outputs),
            times: StageTimes::default(),
            decode: Duration::ZERO,
            encode: Duration::ZERO,
            total: Duration::ZERO,
            shadows: &[],
        };
        writer.take(&layout, &record, at, now);
    }
    writer.finish(now);
    folder
}

/// What the log keeps of the version, by days.
fn logged(folder: &std::path::Path, cells: &Arc<Cells>) -> (LogWindows, Vec<String>) {
    let mut view = LogView::new(&signature(), 3);
    let mut windows = LogWindows::new(cells.clone(), DAY, 100);
    let reader = Reader::open(folder).columns(&view.needed()).batch_rows(100);
    for batch in reader.batches().expect("files") {
        windows.add(&view.rows(&batch.expect("a batch"))).expect("few windows");
    }
    (windows, view.absent())
}

fn report(kept: &Kept, against: Against) -> DriftReport {
    let ask = Ask {
        model: "m",
        version: 3,
        arm: None,
        against,
        window: Some(DAY),
        since: None,
        until: None,
        span: Span { seconds: DAY, rows_max: None, windows_max: 100 },
        lost: Lost::default(),
    };
    DriftReport::new(kept, &Rules::default(), &ask).expect("a report")
}

#[test]
fn a_log_with_a_planted_shift_says_what_the_traffic_itself_says() {
    let mut random = fastrand::Rng::with_seed(11);
    let baseline = baseline(&mut random);
    let reference = || baseline.reference(&signature(), None, &mut Vec::new()).expect("a baseline");
    let days = 4_u64;
    let all: Vec<Asked> = (0..days * 100)
        .map(|n| {
            let day = n / 100;
            let shift = if day == days - 1 { 0.8 } else { 0.0 };
            asked(FIRST + day * DAY + n, 1 + random.u64(0..8), shift, &mut random)
        })
        .collect();
    let span = Span { seconds: DAY, rows_max: None, windows_max: 100 };
    let recorder = Recorder::new(span, signature(), None, Some(reference()));
    let arm = Arm::default();
    for asked in &all {
        let now = FIRST + days * DAY;
        recorder.record(&Exchange { arm: &arm, at: asked.at, now, example: asked.example() });
    }
    let live = recorder.kept().expect("a baseline");
    // Of which all are logged with the same probability, whatever that is.
    for probability in [1.0, 0.3] {
        let folder = log(&all, |_| probability);
        let (windows, absent) = logged(folder.path(), &live.layout);
        assert_eq!(absent, [""; 0]);
        let kept = windows.kept(Some(Arc::new(reference().profile)));
        for against in [Against::Training, Against::Previous] {
            let (live, mine) = (report(&live, against), report(&kept, against));
            assert_eq!((mine.rows, mine.since, mine.until), (live.rows, live.since, live.until));
            assert!(mine.notes[0].contains("inclusion probabilities"), "{:?}", mine.notes);
            for (mine, live) in mine.columns.iter().zip(&live.columns) {
                assert_eq!((&mine.name, mine.verdict), (&live.name, live.verdict));
                assert_eq!(mine.verdict.is_drifted(), mine.name == "b", "{mine:?}");
                assert_eq!((mine.onset, &mine.points), (live.onset, &live.points));
                let both = [mine, live].map(|column| (column.current.nan, column.current.distinct));
                assert_eq!(both[0], both[1], "{}", mine.name);
                let means = mine.current.mean.zip(live.current.mean).expect("numbers");
                assert!((means.0 - means.1).abs() < 1e-9, "{means:?}");
            }
        }
    }
}

#[test]
fn rows_of_unequal_probabilities_say_what_all_rows_say() {
    let mut random = fastrand::Rng::with_seed(12);
    let baseline = baseline(&mut random);
    let cells = Arc::new(baseline.reference(&signature(), None, &mut Vec::new()).expect("good").layout);
    let all: Vec<Asked> = (0..20_000).map(|n| asked(FIRST + n, 1, 0.0, &mut random)).collect();
    let b = |asked: &Asked| match &asked.inputs[0] {
        Some(tensor) => pointsman_core::Elements::of(tensor).map_or(f64::NAN, |all| all.get(1)),
        None => f64::NAN,
    };
    // Those with large numbers are always kept, as a schema's violations are.
    let probability = |asked: &Asked| if b(asked) > 1.0 { 1.0 } else { 0.1 };
    let kept: Vec<Asked> = all.iter().filter(|asked| random.f64() < probability(asked)).map(copy).collect();
    let folder = log(&kept, probability);
    let (windows, _) = logged(folder.path(), &cells);
    assert_eq!(windows.rows(), (kept.len() as u64, 0));
    let sum = windows.together();
    let weights = sum.weights().expect("weighted");
    // Kish's size, and totals within four standard errors of a Poisson sample.
    let of = |power: i32| kept.iter().map(|of| (1.0 / probability(of)).powi(power)).sum::<f64>();
    assert!((weights.total - of(1)).abs() < 1e-6 * of(1), "{weights:?}");
    assert!((weights.effective - of(1).powi(2) / of(2)).abs() < 1e-3, "{weights:?}");
    let error = kept.iter().map(|of| (1.0 - probability(of)) / probability(of).powi(2)).sum::<f64>().sqrt();
    assert!((weights.total - all.len() as f64).abs() < 4.0 * error, "{weights:?}, {error}");
    let profile = sum.effective(&cells);
    assert_eq!(profile.rows(), weights.effective.round() as u64);
    let at = cells.columns().iter().position(|of| &*of.column.name == "b").expect("a column");
    let seen = profile.column(&cells, at);
    assert_eq!(seen.rows(), profile.rows());
    let pointsman_observe::profile::Frame::Grid(grid) = &cells.columns()[at].frame else { panic!("numbers") };
    // The share of large numbers, and the mean, are those of all rows; those of the rows as they are would not be.
    let truth = all.iter().map(b).sum::<f64>() / all.len() as f64;
    let bare = kept.iter().map(b).sum::<f64>() / kept.len() as f64;
    let mean = seen.sums.mean(grid.origin()).expect("numbers");
    let allowed = 4.0 / (weights.effective).sqrt();
    assert!((mean - truth).abs() < allowed && (bare - truth).abs() > 3.0 * allowed, "{mean} {bare} {truth}");
}

fn copy(of: &Asked) -> Asked {
    Asked { at: of.at, rows: of.rows, inputs: of.inputs.clone(), outputs: of.outputs.clone() }
}
