//! What the profile of a request costs, on its thread after its answer and where its rows are taken in: `cargo bench -p pointsman-observe --bench profile`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use pointsman_core::{
    Arm, Datatype, Dim, OutputTensor, Shape, Signature, StringTensorBuilder, Tensor, TensorSpec,
};
use pointsman_observe::profile::{Baseline, Example, Exchange, Learner, Profile, Recorder, Span};

const NOW: u64 = 1_700_000_000;

fn spec(name: &str, datatype: Datatype, width: u64) -> TensorSpec {
    let shape = Some(vec![Dim::Dynamic(None), Dim::Fixed(width)]);
    TensorSpec { name: name.into(), datatype, shape, optional: false, labels: None }
}

/// An input of so many numbers, one text, a class and ten probabilities, as of the digits and flights models.
fn signature(width: u64, texts: usize) -> Arc<Signature> {
    let texts = (0..texts).map(|at| spec(&format!("text{at}"), Datatype::Bytes, 1));
    let inputs = std::iter::once(spec("X", Datatype::Fp32, width)).chain(texts).collect();
    let outputs = vec![spec("label", Datatype::Int64, 1), spec("probabilities", Datatype::Fp32, 10)];
    Arc::new(Signature { inputs, outputs })
}

/// Rows of such a model: pixels of sixteen shades, and scores of which nearly all are next to nothing.
fn rows(
    width: u64,
    texts: usize,
    count: u64,
    random: &mut fastrand::Rng,
) -> (Vec<Option<Tensor>>, Vec<OutputTensor>) {
    let shape = |width: u64| Shape::new(&[count, width]).expect("small");
    let pixels = (0..count * width).map(|_| f32::from(random.u8(0..17))).collect();
    let mut inputs = vec![Some(Tensor::from_vec(Datatype::Fp32, shape(width), pixels).expect("fits"))];
    for _ in 0..texts {
        let mut builder = StringTensorBuilder::default();
        let carriers = ["AA", "UA", "DL", "B6", "EV", "MQ", "US", "WN"];
        (0..count).for_each(|_| builder.push(carriers[random.usize(0..8)].as_bytes()).expect("short"));
        inputs.push(Some(Tensor::new(Datatype::Bytes, shape(1), builder.finish()).expect("fits")));
    }
    let labels = (0..count).map(|_| random.i64(0..10)).collect();
    let scores = (0..count * 10).map(|_| 10_f32.powf(-12.0 * random.f32())).collect();
    let output = |name: &str, tensor| OutputTensor { name: name.into(), tensor, labels: None };
    let outputs = vec![
        output("label", Tensor::from_vec(Datatype::Int64, shape(1), labels).expect("fits")),
        output("probabilities", Tensor::from_vec(Datatype::Fp32, shape(10), scores).expect("fits")),
    ];
    (inputs, outputs)
}

fn recorder(width: u64, texts: usize, random: &mut fastrand::Rng) -> Recorder {
    let signature = signature(width, texts);
    let (inputs, outputs) = rows(width, texts, 1500, random);
    let example = Example { inputs: &inputs, outputs: Some(&outputs), rows: 1500 };
    let mut learner = Learner::new(&signature, None, true);
    learner.add(&example);
    let layout = learner.layout(&signature, None);
    let mut profile = Profile::new(&layout);
    profile.add(&layout, &example);
    let baseline = Baseline::of(&signature, &layout, &profile, "", "");
    let reference = baseline.reference(&signature, None, &mut Vec::new()).expect("its own");
    Recorder::new(Span { seconds: 86_400, rows_max: None, windows_max: 30 }, signature, None, Some(reference))
}

fn main() {
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(500));
    let mut criterion = criterion.measurement_time(Duration::from_secs(2)).configure_from_args();
    let mut random = fastrand::Rng::with_seed(1);
    let mut group = criterion.benchmark_group("profile");
    for (name, width, texts, count) in
        [("digits, 1 row", 64, 0, 1), ("flights, 1 row", 9, 2, 1), ("digits, 100 rows", 64, 0, 100)]
    {
        let recorder = recorder(width, texts, &mut random);
        let requests: Vec<_> = (0..256).map(|_| rows(width, texts, count, &mut random)).collect();
        let mut turn = 0;
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let (inputs, outputs) = &requests[turn % requests.len()];
                turn += 1;
                let example = Example { inputs, outputs: Some(outputs), rows: count };
                let exchange = Exchange { arm: &Arm::Default, at: NOW, now: NOW, example };
                if recorder.record(black_box(&exchange)) {
                    recorder.take_in();
                }
            });
        });
    }
    group.finish();
}
