//! Windows, baselines and what becomes of rows that come late, early or from too many arms.

use pointsman_core::{Datatype, Dim, Shape, StringTensorBuilder, TensorSpec};

use super::*;
use crate::profile::column::Sums;
use crate::profile::{Baseline, Frame};

const HOUR: u64 = 3600;
const NOW: u64 = 1_700_000_000;

fn spec(name: &str, datatype: Datatype) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        datatype,
        shape: Some(vec![Dim::Dynamic(None)]),
        optional: true,
        labels: None,
    }
}

fn signature() -> Arc<Signature> {
    let inputs = vec![spec("x", Datatype::Fp32), spec("carrier", Datatype::Bytes)];
    Arc::new(Signature { inputs, outputs: vec![spec("y", Datatype::Int64)] })
}

/// Rows of which `x` is their number, from `from` on.
struct Rows {
    inputs: Vec<Option<Tensor>>,
    outputs: Vec<OutputTensor>,
    rows: u64,
}

impl Rows {
    fn new(from: u64, rows: u64) -> Self {
        let shape = Shape::new(&[rows]).expect("small");
        let x: Vec<f32> = (from..from + rows).map(|row| row as f32).collect();
        let y: Vec<i64> = (from..from + rows).map(|row| (row % 2) as i64).collect();
        let mut carriers = StringTensorBuilder::default();
        (from..from + rows)
            .for_each(|row| carriers.push(["AA", "UA", ""][row as usize % 3].as_bytes()).expect("short"));
        let x = Tensor::from_vec(Datatype::Fp32, shape.clone(), x).expect("fits");
        let carriers = Tensor::new(Datatype::Bytes, shape.clone(), carriers.finish()).expect("fits");
        let tensor = Tensor::from_vec(Datatype::Int64, shape, y).expect("fits");
        let outputs = vec![OutputTensor { name: "y".into(), tensor, labels: None }];
        Self { inputs: vec![Some(x), Some(carriers)], outputs, rows }
    }

    fn example(&self) -> Example<'_> {
        Example { inputs: &self.inputs, outputs: Some(&self.outputs), rows: self.rows }
    }
}

fn baseline(rows: &Rows) -> Baseline {
    let signature = signature();
    let mut learner = Learner::new(&signature, None, true);
    learner.add(&rows.example());
    let layout = learner.layout(&signature, None);
    let mut profile = Profile::new(&layout);
    profile.add(&layout, &rows.example());
    Baseline::of(&signature, &layout, &profile, "2026-01-01T00:00:00Z", "a test")
}

fn recorder(windows_max: usize, baseline: Option<&Baseline>) -> Recorder {
    let span = Span { seconds: HOUR, rows_max: None, windows_max };
    let reference = baseline.map(|b| b.reference(&signature(), None, &mut Vec::new()).expect("good"));
    Recorder::new(span, signature(), None, reference)
}

fn record(recorder: &Recorder, arm: &Arm, at: u64, rows: &Rows) {
    recorder.record(&Exchange { arm, at, now: NOW, example: rows.example() });
}

fn rows_by_window(recorder: &Recorder) -> Vec<(String, i64, u64)> {
    let kept = recorder.kept().expect("cells");
    kept.windows.iter().map(|((arm, window), profile)| (arm.to_string(), *window, profile.rows())).collect()
}

#[test]
fn a_baseline_survives_its_file() {
    let made = baseline(&Rows::new(0, 3000));
    let text = made.json();
    assert!(text.len() < 12_000, "{} bytes", text.len());
    let read = Baseline::read(text.as_bytes()).expect("a baseline");
    assert_eq!((read.json(), read.rows()), (text, 3000));
    let mut warnings = Vec::new();
    let Reference { layout, profile } =
        read.reference(&signature(), None, &mut warnings).expect("its signature");
    assert!(warnings.is_empty(), "{warnings:?}");
    let x = profile.column(&layout, 0);
    assert_eq!((x.rows(), x.sums.range()), (3000, Some((0.0, 2999.0))));
    let carrier = profile.column(&layout, 1);
    assert_eq!((carrier.cells, carrier.sums.missing), (&[1000, 1000, 0][..], 1000));
    assert_eq!(profile.column(&layout, 2).distinct(), Some(2));
}

#[test]
fn a_baseline_of_another_signature_serves_the_columns_that_it_has() {
    let made = baseline(&Rows::new(0, 300));
    let mut other = Signature::clone(&signature());
    other.inputs[0].name = "z".into();
    other.outputs[0].datatype = Datatype::Fp32;
    let mut warnings = Vec::new();
    let Reference { layout, profile } = made.reference(&other, None, &mut warnings).expect("some of it");
    assert!(
        warnings[0].contains("another signature") && warnings[0].ends_with("nothing of: z, y"),
        "{warnings:?}"
    );
    assert_eq!([0, 1, 2].map(|at| profile.column(&layout, at).rows()), [0, 300, 0]);
    let wrong = [
        ("{}", "missing field `format`"),
        ("{\"format\": 2}", "format 2 is not the one that is read, 1"),
        ("[", "EOF"),
    ];
    for (text, said) in wrong {
        let error = Baseline::read(text.as_bytes()).expect_err(text).to_string();
        assert!(error.contains(said), "{error}");
    }
    let out_of_place = made.json().replacen("[0,100]", "[500,100]", 1);
    let read = Baseline::read(out_of_place.as_bytes()).expect("JSON");
    let error = read.reference(&signature(), None, &mut warnings).expect_err("no such cell").to_string();
    assert!(error.contains("has no cell 500"), "{error}");
}

#[test]
fn rows_go_to_the_window_that_they_are_from() {
    let made = baseline(&Rows::new(0, 300));
    let recorder = recorder(3, Some(&made));
    let hour = |hours: u64| NOW - 100 * HOUR + hours * HOUR;
    let begins = |hours: i64| i64::try_from(hour(0) / HOUR * HOUR).expect("small") + hours * HOUR as i64;
    for hours in [0, 2, 1, 0, 2] {
        record(&recorder, &Arm::Default, hour(hours), &Rows::new(0, 10));
    }
    record(&recorder, &Arm::Named("b".into()), hour(1), &Rows::new(0, 1));
    let of = |arm: &str, window: i64, rows: u64| (arm.to_owned(), begins(window), rows);
    let expected = [of("b", 1, 1), of("default", 0, 20), of("default", 1, 10), of("default", 2, 20)];
    assert_eq!(rows_by_window(&recorder), expected);
    // A fourth takes the place of the oldest, whose rows are late from then on.
    record(&recorder, &Arm::Default, hour(5), &Rows::new(0, 7));
    record(&recorder, &Arm::Default, hour(5) + 1, &Rows::new(0, 7));
    assert_eq!(
        rows_by_window(&recorder)[1..],
        [of("default", 1, 10), of("default", 2, 20), of("default", 5, 14)]
    );
    record(&recorder, &Arm::Default, hour(0), &Rows::new(0, 3));
    // A clock that is wrong takes the place of nothing.
    record(&recorder, &Arm::Default, NOW + 2 * HOUR, &Rows::new(0, 4));
    assert_eq!(rows_by_window(&recorder).len(), 4);
    assert_eq!(recorder.lost(), Lost { late: 3, early: 4, crowded: 0 });
}

#[test]
fn a_window_is_closed_by_its_rows_or_by_its_time_whichever_is_first() {
    let made = baseline(&Rows::new(0, 300));
    let reference = made.reference(&signature(), None, &mut Vec::new()).expect("good");
    let span = Span { seconds: HOUR, rows_max: Some(1000), windows_max: 99 };
    let recorder = Recorder::new(span, signature(), None, Some(reference));
    let begins = NOW / HOUR * HOUR - 2 * HOUR;
    // A row in each second, in requests of 50; of another arm a few.
    for request in 0..54 {
        record(&recorder, &Arm::Default, begins + 50 * request, &Rows::new(50 * request, 50));
    }
    record(&recorder, &Arm::Named("b".into()), begins + 7, &Rows::new(0, 3));
    record(&recorder, &Arm::Default, begins + HOUR, &Rows::new(0, 20));
    // A thread hands on what has come to an eighth of a window: 150 rows. Seven of these are one.
    let of = |arm: &str, after: u64, rows: u64| (arm.to_owned(), (begins + after) as i64, rows);
    let expected = [
        of("b", 0, 3),
        of("default", 0, 1050),
        of("default", 1050, 1050),
        of("default", 2100, 600),
        of("default", HOUR, 20),
    ];
    assert_eq!(rows_by_window(&recorder), expected);
    // Late rows go to the last window of their time.
    record(&recorder, &Arm::Default, begins + 5, &Rows::new(0, 10));
    assert_eq!(rows_by_window(&recorder)[3], of("default", 2100, 610));
    // They are gone on with after a restart.
    let document = recorder.save("m", 1).expect("a document");
    let reference = made.reference(&signature(), None, &mut Vec::new()).expect("good");
    let again = Recorder::new(span, signature(), None, Some(reference));
    again.resume_from(&document).expect("its own");
    assert_eq!(rows_by_window(&again), rows_by_window(&recorder));
}

#[test]
fn windows_of_the_format_before_are_read() {
    let made = baseline(&Rows::new(0, 300));
    let before = recorder(9, Some(&made));
    record(&before, &Arm::Default, NOW, &Rows::new(0, 40));
    let document = before.save("m", 1).expect("a document");
    let begins = NOW / HOUR * HOUR;
    let numbered = document
        .replace("\"format\":2", "\"format\":1")
        .replace(&format!("\"window\":{begins}"), &format!("\"window\":{}", begins / HOUR));
    assert_ne!(numbered, document);
    let after = recorder(9, Some(&made));
    after.resume_from(&numbered).expect("the one before");
    assert_eq!(rows_by_window(&after), rows_by_window(&before));
}

#[test]
fn past_the_most_arms_rows_are_counted_alone() {
    let recorder = recorder(3, Some(&baseline(&Rows::new(0, 300))));
    for arm in 0..=super::super::windows::ARMS_MAX {
        record(&recorder, &Arm::Named(format!("a{arm:02}").into()), NOW, &Rows::new(0, 2));
        recorder.collect();
    }
    assert_eq!((rows_by_window(&recorder).len(), recorder.lost().crowded), (16, 2));
}

#[test]
fn more_windows_at_a_time_than_a_thread_has_open_lose_nothing() {
    let recorder = recorder(50, Some(&baseline(&Rows::new(0, 300))));
    for round in 0..3 {
        for hours in 0..20 {
            record(&recorder, &Arm::Default, NOW - hours * HOUR, &Rows::new(round, 1));
        }
    }
    let found = rows_by_window(&recorder);
    assert_eq!((found.len(), found.iter().map(|window| window.2).sum::<u64>()), (20, 60));
}

#[test]
fn without_a_baseline_cells_come_from_the_first_rows() {
    let recorder = recorder(9, None);
    record(&recorder, &Arm::Default, NOW, &Rows::new(0, 999));
    assert!(recorder.kept().is_none());
    record(&recorder, &Arm::Default, NOW, &Rows::new(999, 1));
    record(&recorder, &Arm::Default, NOW, &Rows::new(0, 5));
    let kept = recorder.kept().expect("cells");
    assert!(kept.training.is_none());
    let profile = &kept.windows[0].1;
    assert_eq!((profile.rows(), profile.column(&kept.layout, 0).present()), (1005, 1005));
    // What callers say is no category where nothing says that it may be kept.
    let Frame::Categories(categories) = &kept.layout.columns()[1].frame else { panic!("texts") };
    assert!(categories.names().is_empty());
    let document = recorder.save("m", 1).expect("a document");
    let again = super::tests::recorder(9, None);
    again.resume_from(&document).expect("its own");
    assert_eq!(rows_by_window(&again), rows_by_window(&recorder));
    assert_eq!(again.save("m", 1), Some(document));
}

#[test]
fn windows_survive_a_restart_and_other_cells_do_not_mix() {
    let made = baseline(&Rows::new(0, 300));
    let before = recorder(9, Some(&made));
    for hours in 0..5 {
        record(&before, &Arm::Default, NOW - hours * HOUR, &Rows::new(hours, 40));
    }
    let document = before.save("m", 1).expect("a document");
    let after = recorder(9, Some(&made));
    after.resume_from(&document).expect("the same cells");
    record(&after, &Arm::Default, NOW, &Rows::new(0, 1));
    assert_eq!(rows_by_window(&after).last().expect("windows").2, 41);
    let other = recorder(9, Some(&baseline(&Rows::new(0, 500))));
    let error = other.resume_from(&document).expect_err("other cells").to_string();
    assert!(error.contains("not those of now"), "{error}");
    let longer = Span { seconds: 2 * HOUR, rows_max: None, windows_max: 9 };
    let other = Recorder::new(longer, signature(), None, None);
    assert!(other.resume_from(&document).expect_err("other windows").to_string().contains("3600 s"));
    assert!(recorder(9, None).resume_from("{").is_err());
    // Fewer are kept than there were: the newest.
    let fewer = recorder(2, Some(&made));
    fewer.resume_from(&document).expect("the same cells");
    assert_eq!(rows_by_window(&fewer).len(), 2);
}

#[test]
fn threads_lose_nothing() {
    let recorder = recorder(9, Some(&baseline(&Rows::new(0, 300))));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let rows = Rows::new(0, 1);
                (0..500).for_each(|_| record(&recorder, &Arm::Default, NOW, &rows));
            });
        }
        (0..20).for_each(|_| recorder.collect());
    });
    assert_eq!(rows_by_window(&recorder)[0].2, 2000);
}

/// So many columns that rows are handed on.
fn wide() -> (Recorder, Vec<Option<Tensor>>) {
    let shape = Some(vec![Dim::Dynamic(None), Dim::Fixed(100)]);
    let x = TensorSpec { shape, ..spec("x", Datatype::Fp32) };
    let signature = Arc::new(Signature { inputs: vec![x], outputs: Vec::new() });
    let shape = Shape::new(&[5, 100]).expect("small");
    let values = (0..500_i16).map(f32::from).collect();
    let inputs = vec![Some(Tensor::from_vec(Datatype::Fp32, shape, values).expect("fits"))];
    let mut learner = Learner::new(&signature, None, true);
    learner.add(&Example { inputs: &inputs, outputs: None, rows: 5 });
    let layout = learner.layout(&signature, None);
    let mut profile = Profile::new(&layout);
    profile.add(&layout, &Example { inputs: &inputs, outputs: None, rows: 5 });
    let baseline = Baseline::of(&signature, &layout, &profile, "2026-01-01T00:00:00Z", "a test");
    let reference = baseline.reference(&signature, None, &mut Vec::new()).expect("its own");
    let span = Span { seconds: HOUR, rows_max: None, windows_max: 9 };
    (Recorder::new(span, signature, None, Some(reference)), inputs)
}

#[test]
fn rows_of_many_columns_are_handed_on_and_none_is_lost() {
    const ROUNDS: u64 = 1000;
    for taken_in in [false, true] {
        let (recorder, inputs) = wide();
        let is_done = AtomicBool::new(false);
        let example = Example { inputs: &inputs, outputs: None, rows: 5 };
        let handed: usize = std::thread::scope(|scope| {
            let of_thread = || {
                let record = |round| {
                    let arm = if round % 3 == 0 { Arm::Direct } else { Arm::Default };
                    recorder.record(&Exchange { arm: &arm, at: NOW, now: NOW, example })
                };
                (0..ROUNDS).filter(|round| record(*round)).count()
            };
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(of_thread)).collect();
            scope.spawn(|| {
                while taken_in && !is_done.load(Ordering::Relaxed) {
                    recorder.take_in();
                    recorder.collect();
                }
            });
            let handed = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
            is_done.store(true, Ordering::Relaxed);
            handed
        });
        // Where nobody takes them in, no more wait than may: threads take in their own, and still say that some wait.
        assert!(handed > HANDED_MAX, "{handed}");
        let waiting = locked(&recorder.waiting).handed.len();
        assert!(if taken_in { waiting <= HANDED_MAX } else { waiting == HANDED_MAX }, "{waiting}");
        let kept = recorder.kept().expect("cells");
        assert!(locked(&recorder.waiting).handed.is_empty());
        let rows = |arm: &str| {
            let of_arm = kept.windows.iter().filter(|((of, _), _)| **of == *arm);
            let rows = of_arm.map(|(_, profile)| {
                let column = profile.column(&kept.layout, 99);
                assert_eq!((column.rows(), column.sums.range()), (profile.rows(), Some((99.0, 499.0))));
                profile.rows()
            });
            rows.sum::<u64>()
        };
        let direct = ROUNDS.div_ceil(3);
        assert_eq!((rows("direct"), rows("default")), (3 * 5 * direct, 3 * 5 * (ROUNDS - direct)));
    }
}

#[test]
fn a_number_beyond_all_others_hides_no_column_and_outlives_a_restart() {
    let signature = Arc::new(Signature { inputs: vec![spec("x", Datatype::Fp64)], outputs: Vec::new() });
    let span = Span { seconds: HOUR, rows_max: None, windows_max: 9 };
    let new = || Recorder::new(span, signature.clone(), None, None);
    let recorder = new();
    let mut x: Vec<f64> = (0..1200).map(f64::from).collect();
    (x[7], x[1100]) = (1e200, -1e300);
    let inputs =
        [Some(Tensor::from_vec(Datatype::Fp64, Shape::new(&[1200]).expect("small"), x).expect("fits"))];
    let example = Example { inputs: &inputs, outputs: None, rows: 1200 };
    recorder.record(&Exchange { arm: &Arm::Default, at: NOW, now: NOW, example });
    let kept = recorder.kept().expect("cells");
    let column = kept.windows[0].1.column(&kept.layout, 0);
    let Frame::Grid(grid) = &kept.layout.columns()[0].frame else { panic!("numbers") };
    let mean = column.sums.mean(grid.origin()).expect("numbers");
    assert!((599.0..601.0).contains(&mean), "{mean}");
    assert_eq!((column.sums.infinite, column.sums.range()), (2, Some((0.0, 1199.0))));
    let again = new();
    again.resume_from(&recorder.save("m", 1).expect("a document")).expect("its own");
    assert_eq!(rows_by_window(&again), rows_by_window(&recorder));
}

#[test]
fn rows_of_small_requests_count_as_those_of_a_large_one() {
    let (inputs, outputs) = (
        vec![
            TensorSpec { shape: Some(vec![Dim::Dynamic(None), Dim::Fixed(9)]), ..spec("x", Datatype::Fp32) },
            TensorSpec { shape: Some(vec![Dim::Dynamic(None), Dim::Fixed(2)]), ..spec("z", Datatype::Int32) },
            spec("carrier", Datatype::Bytes),
        ],
        vec![spec("y", Datatype::Int64)],
    );
    let signature = Arc::new(Signature { inputs, outputs });
    let rows = |from: u64, rows: u64| {
        let shape = |width: u64| Shape::new(&[rows, width]).expect("small");
        let x = (from * 9..(from + rows) * 9).map(|at| (at % 53) as f32).collect();
        let x = Tensor::from_vec(Datatype::Fp32, shape(9), x).expect("fits");
        let z = (from * 2..(from + rows) * 2).map(|at| (at % 7) as i32).collect();
        let z = Tensor::from_vec(Datatype::Int32, shape(2), z).expect("fits");
        let Rows { mut inputs, outputs, .. } = Rows::new(from, rows);
        // Now and then a tensor is left out.
        inputs = vec![Some(x), from.is_multiple_of(2).then_some(z), inputs.swap_remove(1)];
        Rows { inputs, outputs, rows }
    };
    let mut learner = Learner::new(&signature, None, true);
    learner.add(&rows(0, 200).example());
    let layout = learner.layout(&signature, None);
    let mut made = Profile::new(&layout);
    made.add(&layout, &rows(0, 200).example());
    let baseline = Baseline::of(&signature, &layout, &made, "2026-01-01T00:00:00Z", "a test");
    let reference = || baseline.reference(&signature, None, &mut Vec::new()).expect("its own");
    let span = Span { seconds: HOUR, rows_max: None, windows_max: 9 };
    let recorder = Recorder::new(span, signature.clone(), None, Some(reference()));
    let layout = reference().layout;
    let mut expected = Profile::new(&layout);
    let mut from = 0;
    for request in 0..300 {
        let rows = rows(from, 1 + request % 6);
        from += rows.rows;
        record(&recorder, &Arm::Default, NOW, &rows);
        expected.add(&layout, &rows.example());
    }
    let kept = recorder.kept().expect("cells");
    for at in 0..layout.columns().len() {
        let of = |profile: &Profile| {
            let column = profile.column(&layout, at);
            let Sums { missing, nan, infinite, .. } = *column.sums;
            let about =
                [column.sums.mean(0.0), column.sums.deviation()].map(|x| x.map(|x| (x * 1e9).round()));
            (column.cells.to_vec(), missing, nan, infinite, column.sums.range(), about, column.distinct())
        };
        assert_eq!(of(&kept.windows[0].1), of(&expected), "column {at}");
    }
    let z = kept.windows[0].1.column(&layout, 9);
    assert!(z.sums.missing > 0 && z.present() > 0, "{z:?}");
}

#[test]
fn tensors_without_a_place_for_a_column_count_as_missing() {
    let recorder = recorder(9, Some(&baseline(&Rows::new(0, 300))));
    let mut rows = Rows::new(0, 4);
    rows.inputs[0] = None;
    rows.rows = 4;
    rows.inputs[1] = Rows::new(0, 3).inputs[1].clone();
    rows.outputs.clear();
    record(&recorder, &Arm::Default, NOW, &rows);
    let kept = recorder.kept().expect("cells");
    let of = |at| kept.windows[0].1.column(&kept.layout, at);
    assert_eq!([0, 1, 2].map(|at| (of(at).sums.missing, of(at).rows())), [(4, 4), (4, 4), (0, 0)]);
}
