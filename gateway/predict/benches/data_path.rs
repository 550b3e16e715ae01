//! What a request passes on the data path: the pick of its version, rows that are put together and cut apart, and the
//! whole way with a session that takes no time.
//!
//! `cargo bench -p pointsman-predict --features bench` runs these and those of single parts; a word behind `--` names
//! those that are run: `pick`, `rows`, `predict`.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use pointsman_core::{
    Datatype, Dim, Findings, InputTensor, Interrupt, LoadError, LoadedModel, ModelName, PredictRequest,
    RequestId, RunError, RunInputs, RunOutputs, Session, Shape, Signature, Tensor, TensorSpec, VersionNumber,
    VersionSelector,
};
use pointsman_predict::{
    AdmissionLimits, Cores, Driver, Ground, Metrics, Outcome, Predictor, Protocol, RunLimits, ServedModel,
    Sessions, Version, VersionSpec, Witnesses, rows, snapshot_cell,
};
use pointsman_route::{Bare, Plan};
use prometheus_client::registry::Registry;
use tokio::runtime;

/// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(500));
    let mut criterion = criterion.measurement_time(Duration::from_secs(2)).configure_from_args();
    pick(&mut criterion);
    rows(&mut criterion);
    predict(&mut criterion);
    criterion.final_summary();
}

/// Answers with its inputs, as they are.
struct Same(Signature);

impl Session for Same {
    fn run(&mut self, inputs: RunInputs<'_>) -> Result<RunOutputs, RunError> {
        Ok(inputs.tensors.iter().flatten().cloned().collect())
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::new(Never)
    }
}

impl LoadedModel for Same {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn session(&self) -> Result<Box<dyn Session>, LoadError> {
        Ok(Box::new(Self(self.0.clone())))
    }
}

/// Its runs are over before anybody could end them.
struct Never;

impl Interrupt for Never {
    fn terminate(&self) {}

    fn reset(&self) {}
}

fn signature() -> Signature {
    let spec = |name: &str| {
        let shape = Some(vec![Dim::Dynamic(None), Dim::Fixed(64)]);
        TensorSpec { name: name.into(), datatype: Datatype::Fp32, shape, optional: false, labels: None }
    };
    Signature { inputs: vec![spec("x")], outputs: vec![spec("y")] }
}

/// So many rows of 64 numbers.
fn tensor(rows: u64) -> Tensor {
    let shape = Shape::new(&[rows, 64]).expect("two dimensions");
    let values = (0..rows * 64).map(|at| at as f32).collect();
    Tensor::from_vec(Datatype::Fp32, shape, values).expect("counted")
}

fn name(model: usize) -> ModelName {
    ModelName::new(&format!("model-{model}")).expect("a name")
}

/// Models of one version each, with one worker or none.
fn predictor(models: usize, workers: usize, limits: &RunLimits) -> Predictor {
    let metrics = Metrics::register(&mut Registry::default());
    let (mut publisher, reader) = snapshot_cell();
    let ground = Ground { metrics: metrics.clone(), cores: Cores::new(2) };
    let number = VersionNumber::new(1).expect("above 0");
    let served = |model: usize| {
        let session = || Box::new(Same(signature())) as Box<dyn Session>;
        let spec = VersionSpec {
            model: name(model),
            number,
            signature: Arc::new(signature()),
            engine: "same",
            digest: String::new(),
            queue_max: 1024,
            request_rows_max: None,
            limits: limits.clone(),
            cache_bytes_max: None,
            nonfinite: None,
            findings: Arc::new(Findings::default()),
            validator: None,
            monitor: None,
        };
        let inline = (limits.inline_rows_max > 0).then(session);
        let sessions = Sessions { workers: (0..workers).map(|_| session()).collect(), inline };
        let version = Version::start(spec, Box::new(Same(signature())), sessions, Arc::new(()), &ground);
        let served = ServedModel {
            name: name(model),
            plan: Plan {
                default: Some(number),
                aliases: BTreeMap::from([("champion".into(), number)]),
                ..Plan::default()
            },
            versions: BTreeMap::from([(number, version.expect("a thread"))]),
            unavailable: BTreeMap::new(),
            retired: BTreeMap::new(),
            held: BTreeMap::new(),
            tee: None,
            witnesses: Witnesses::default(),
            problem: String::new(),
        };
        (name(model), Arc::new(served))
    };
    publisher.publish((0..models).map(served).collect::<HashMap<_, _>>());
    Predictor::new(reader, AdmissionLimits::default(), metrics)
}

/// From a name to the version of it that answers, out of the current snapshot.
fn pick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick");
    group.throughput(Throughput::Elements(1));
    for models in [1, 1000] {
        let snapshots = predictor(models, 0, &RunLimits::default()).snapshots().clone();
        for (what, selector) in [("default", ""), ("number", "1"), ("alias", "champion")] {
            let selector = VersionSelector::parse(selector).expect("a selector");
            let (model, bare) = (name(models / 2), Bare(RequestId::generate()));
            group.bench_function(BenchmarkId::new(what, format!("{models} models")), |bencher| {
                bencher.iter(|| {
                    let snapshot = snapshots.pin();
                    let (pick, version) =
                        snapshot.pick(black_box(model.as_str()), &selector, &bare).expect("it is there");
                    (pick, version.clone())
                });
            });
        }
    }
}

/// Requests of one row as one, and its answer cut apart again.
fn rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rows");
    for count in [2_u64, 16] {
        group.throughput(Throughput::Bytes(count * 64 * 4));
        let request = vec![Some(tensor(1))];
        let requests = vec![request.as_slice(); count as usize];
        group.bench_function(BenchmarkId::new("fit and join", count), |bencher| {
            bencher.iter(|| {
                assert!(requests.iter().all(|other| rows::fit(&request, other)));
                rows::join(black_box(&requests)).expect("alike")
            });
        });
        let answer = tensor(count);
        group.bench_function(BenchmarkId::new("slice", count), |bencher| {
            bencher.iter(|| {
                (0..count).for_each(|row| drop(black_box(rows::slice(&answer, row, 1).expect("a row"))));
            });
        });
    }
}

/// From the pick to the answer, with a session that takes no time: on the thread of the request, and by a worker.
fn predict(criterion: &mut Criterion) {
    let runtime = runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut group = criterion.benchmark_group("predict");
    let together = RunLimits { batch_rows_max: 16, ..RunLimits::default() };
    for (what, limits) in
        [("inline", RunLimits { inline_rows_max: 16, ..together.clone() }), ("worker", together)]
    {
        let predictor = predictor(1, 1, &limits);
        let input = tensor(1);
        for requests in [1_u64, 64] {
            group.throughput(Throughput::Elements(requests));
            group.bench_function(BenchmarkId::new(what, format!("{requests} at once")), |bencher| {
                bencher.iter(|| {
                    let all: Vec<_> =
                        (0..requests).map(|_| runtime.spawn(ask(predictor.clone(), input.clone()))).collect();
                    runtime.block_on(async {
                        for one in all {
                            one.await.expect("no panic");
                        }
                    });
                });
            });
        }
    }
}

async fn ask(predictor: Predictor, tensor: Tensor) {
    let request = PredictRequest {
        id: RequestId::generate(),
        client_id: None,
        model: name(0).to_string(),
        version: VersionSelector::Default,
        parameters: Vec::new(),
        inputs: vec![InputTensor { name: "x".into(), tensor }],
        outputs: Vec::new(),
        priority: 0,
        deadline: None,
    };
    let mut outcome = Outcome::received(predictor.metrics(), RequestId::generate(), Protocol::V2Rest);
    let pinned =
        predictor.pin(&request.model, &request.version, &Bare(request.id), &mut outcome).expect("it serves");
    let chosen = predictor.choose(pinned, &Bare(request.id), &mut outcome).expect("it serves");
    let answer = predictor.predict(chosen, request, Driver::Task, &mut outcome).await.expect("an answer");
    outcome.ok(&answer.times, Duration::ZERO);
    black_box(answer);
}
