//! What an experiment costs on the thread of a request, after its answer: `cargo bench -p pointsman-observe`.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use pointsman_core::{Datatype, OutputTensor, Shape, Tensor};
use pointsman_observe::experiment::{ArmSetup, OutputMetric, Place, Recorder, Seen, Setup};

/// Users that ask again and again.
const USERS: u64 = 10_000;

/// Two arms, and so many metrics of a row of three scores.
fn recorder(metrics: usize, covariate: bool) -> Option<Recorder> {
    let arm = |name: &str, version| ArmSetup { name: name.into(), version };
    let metric = |at| OutputMetric {
        name: format!("m{at}"),
        output: "probabilities".into(),
        place: if at % 2 == 0 { Place::Index(1) } else { Place::Class(2) },
    };
    let setup = Setup {
        model: "iris".into(),
        name: "petals".into(),
        salt: "iris/petals/1".into(),
        units: vec!["header:x-user-id".into()],
        arms: vec![arm("default", 3), arm("next", 2)],
        metrics: (0..metrics).map(metric).collect(),
        covariate: covariate.then(|| "header:x-history".into()),
    };
    Recorder::new(setup, &[5000, 5000], String::new(), 0)
}

fn main() {
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(500));
    let mut criterion = criterion.measurement_time(Duration::from_secs(2)).configure_from_args();
    let shape = Shape::new(&[1, 3]).unwrap_or_default();
    let Ok(tensor) = Tensor::from_vec(Datatype::Fp32, shape, vec![0.1_f32, 0.2, 0.7]) else { return };
    let outputs = [OutputTensor { name: "probabilities".into(), tensor, labels: None }];
    let mut group = criterion.benchmark_group("record");
    for (name, metrics, covariate) in [
        ("what every experiment has", 0, false),
        ("2 metrics", 2, false),
        ("8 metrics and a covariate", 8, true),
    ] {
        let Some(recorder) = recorder(metrics, covariate) else { continue };
        let mut user = 0_u64;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                user = (user + 1) % USERS;
                let unit = user.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                recorder.record(black_box(&Seen {
                    arm: (unit & 1) as usize,
                    version: 3 - (unit & 1),
                    weight: 5000,
                    unit,
                    is_request: false,
                    covariate: covariate.then_some(1.5),
                    outputs: Ok(&outputs),
                    total: Duration::from_micros(800),
                }));
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
