//! Streams in which nothing drifts: how often rules say that something does.

use std::sync::Arc;

use pointsman_core::{Datatype, Dim, Shape, Signature, StringTensorBuilder, Tensor, TensorSpec};
use pointsman_observe::drift::{Limits, Look, Rules, Verdict, judge};
use pointsman_observe::profile::{Example, Frame, Layout, Learner, Profile};
use pointsman_stats::{
    Distribution, ExpectedShares, Sample, goodness_of_fit, kolmogorov_smirnov_p, wasserstein,
};

/// Numbers with a normal law, numbers with a long tail, categories, yes and no.
const COLUMNS: [(&str, usize); 4] = [("normal", 25), ("tail", 10), ("category", 10), ("flag", 5)];

/// How often rules alarm on windows without drift.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Alarms {
    /// Windows that were looked at.
    pub(crate) windows: u32,
    /// Those in which any column is significant, whatever the effect.
    pub(crate) significant: u32,
    /// Those in which any column is an alarm.
    pub(crate) alarms: u32,
    /// Those in which Evidently's defaults call any column drifted.
    pub(crate) evidently: u32,
    /// Columns that they call drifted.
    pub(crate) evidently_columns: u32,
}

/// A stream's rows, by column.
struct Rows {
    numbers: Vec<Vec<f64>>,
    texts: Vec<Vec<usize>>,
}

fn names() -> Vec<(String, bool)> {
    let all = COLUMNS
        .iter()
        .flat_map(|(kind, count)| (0..*count).map(move |at| (format!("{kind}_{at}"), *kind == "category")));
    all.collect()
}

fn signature() -> Arc<Signature> {
    let spec = |(name, is_text): &(String, bool)| TensorSpec {
        name: name.as_str().into(),
        datatype: if *is_text { Datatype::Bytes } else { Datatype::Fp64 },
        shape: Some(vec![Dim::Dynamic(None)]),
        optional: false,
        labels: None,
    };
    Arc::new(Signature { inputs: names().iter().map(spec).collect(), outputs: vec![] })
}

fn draw(rows: usize, random: &mut fastrand::Rng) -> Rows {
    let (mut numbers, mut texts) = (Vec::new(), Vec::new());
    for (name, is_text) in names() {
        if is_text {
            // Ten categories, each half as frequent as the one before.
            texts.push((0..rows).map(|_| (random.u64(1..1024).leading_zeros() as usize) - 54).collect());
            continue;
        }
        let mut normal = || {
            let (u, v) = (1.0 - random.f64(), random.f64());
            (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        };
        let one = |_: usize| match name.as_bytes()[0] {
            b'n' => normal(),
            b't' => (1.5 * normal()).exp(),
            _ => f64::from(u8::from(normal() > 1.0)),
        };
        numbers.push((0..rows).map(one).collect());
    }
    Rows { numbers, texts }
}

fn tensors(rows: &Rows) -> (Vec<Option<Tensor>>, u64) {
    let count = rows.numbers[0].len() as u64;
    let shape = Shape::new(&[count]).expect("small");
    let (mut numbers, mut texts) = (rows.numbers.iter(), rows.texts.iter());
    let tensor = |(_, is_text): &(String, bool)| {
        if *is_text {
            let mut builder = StringTensorBuilder::default();
            let all = texts.next().expect("a column");
            all.iter().for_each(|text| builder.push(&[b'a' + *text as u8]).expect("short"));
            return Tensor::new(Datatype::Bytes, shape.clone(), builder.finish()).expect("fits");
        }
        Tensor::from_vec(Datatype::Fp64, shape.clone(), numbers.next().expect("a column").clone())
            .expect("fits")
    };
    (names().iter().map(tensor).map(Some).collect(), count)
}

fn profile(layout: &Layout, rows: &Rows) -> Profile {
    let (inputs, rows) = tensors(rows);
    let mut profile = Profile::new(layout);
    profile.add(layout, &Example { inputs: &inputs, outputs: None, rows });
    profile
}

/// Columns that Evidently 0.7.23 calls drifted by its defaults: by the size of the reference, tests at 0.05 or distances
/// of 0.1, each column by itself.
fn evidently(reference: &Rows, current: &Rows) -> u32 {
    let small = reference.numbers[0].len() <= 1000;
    let of_counts = |a: &[u64], b: &[u64]| {
        if small {
            // The reference is taken as exact; what it does not have cannot be tested.
            let seen: Vec<(u64, u64)> =
                a.iter().copied().zip(b.iter().copied()).filter(|(a, _)| *a > 0).collect();
            let all: u64 = seen.iter().map(|(a, _)| a).sum();
            let shares: Vec<f64> = seen.iter().map(|(a, _)| *a as f64 / all as f64).collect();
            let counts: Vec<u64> = seen.iter().map(|(_, b)| *b).collect();
            let Ok(expected) = ExpectedShares::new(&shares) else { return false };
            return goodness_of_fit(&expected, &counts).expect("as many").p() < 0.05;
        }
        let (a, b) =
            (Distribution::of_counts(a).expect("counts"), Distribution::of_counts(b).expect("counts"));
        a.against(&b).expect("as many").jensen_shannon_distance() >= 0.1
    };
    let sample = |values: &[f64]| Sample::new(values.to_vec()).expect("numbers");
    let numbers = reference.numbers.iter().zip(&current.numbers).filter(|(a, b)| {
        let ones = |values: &[f64]| values.iter().filter(|value| **value == 1.0).count() as u64;
        if a.iter().all(|value| *value == 0.0 || *value == 1.0) {
            let (n, m) = (a.len() as u64, b.len() as u64);
            return of_counts(&[n - ones(a), ones(a)], &[m - ones(b), ones(b)]);
        }
        let (first, second) = (sample(a), sample(b));
        if small {
            return kolmogorov_smirnov_p(&first, &second) < 0.05;
        }
        let mean = a.iter().sum::<f64>() / a.len() as f64;
        let std = (a.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / a.len() as f64).sqrt();
        wasserstein(&first, &second).expect("finite") / std >= 0.1
    });
    let counts = |texts: &[usize]| {
        let mut counts = vec![0_u64; 10];
        texts.iter().for_each(|text| counts[*text] += 1);
        counts
    };
    let texts = reference.texts.iter().zip(&current.texts).filter(|(a, b)| of_counts(&counts(a), &counts(b)));
    (numbers.count() + texts.count()) as u32
}

/// Looks at so many windows of `rows` rows, each against a training set of `training` rows of its own from the same
/// law; `false_alarm_every` is the operator's.
pub(crate) fn study(rows: usize, training: usize, windows: u32, false_alarm_every: u64, seed: u64) -> Alarms {
    let mut random = fastrand::Rng::with_seed(seed);
    let signature = signature();
    let rules = Rules { false_alarm_every, ..Rules::default() };
    let nothing = Limits { psi: 0.0, ks: 0.0, missing: 0.0, out_of_domain: 0.0 };
    let bare = Rules { limits: nothing, ..rules.clone() };
    let mut found = Alarms::default();
    for _ in 0..windows {
        let (reference, current) = (draw(training, &mut random), draw(rows, &mut random));
        let (inputs, count) = tensors(&reference);
        let mut learner = Learner::new(&signature, None, true);
        learner.add(&Example { inputs: &inputs, outputs: None, rows: count });
        let layout = learner.layout(&signature, None);
        assert!(layout.columns().iter().all(|of| matches!(&of.frame, Frame::Grid(_) | Frame::Categories(_))));
        let (before, now) = (profile(&layout, &reference), profile(&layout, &current));
        let any = |rules: &Rules| {
            judge(&layout, &before, &now, rules, Look::Closed)
                .iter()
                .any(|judged| judged.verdict.is_drifted())
        };
        let said = judge(&layout, &before, &now, &rules, Look::Closed);
        assert!(
            said.iter()
                .all(|judged| !matches!(judged.verdict, Verdict::Insufficient { .. } | Verdict::Unknown))
        );
        found.windows += 1;
        found.significant += u32::from(any(&bare));
        found.alarms += u32::from(any(&rules));
        let columns = evidently(&reference, &current);
        found.evidently += u32::from(columns > 0);
        found.evidently_columns += columns;
    }
    found
}

/// With what probability the last look at a window of so many rows may be wrong, by the operator's unit: a quarter of
/// what the window may spend, as there are skew and drift, and looks before it. The rules aim at half of that.
pub(crate) fn target(rows: usize, false_alarm_every: u64) -> f64 {
    let rules = Rules { false_alarm_every, ..Rules::default() };
    2.0 * rules.level(rows as u64, Look::Closed)
}
