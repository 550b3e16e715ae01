//! What it costs to hold a request against a schema, and to look at the numbers of an answer.
//!
//! `cargo bench -p pointsman-core` runs both; a word behind `--` names one: `validator`, `numerics`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use pointsman_core::{
    Action, ColumnSchema, Datatype, Dim, NumericFaults, Schema, Shape, Signature, StringTensorBuilder,
    Tensor, TensorSpec, Validator,
};

fn main() {
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(300));
    let mut criterion = criterion.measurement_time(Duration::from_secs(1)).configure_from_args();
    validator(&mut criterion);
    numerics(&mut criterion);
    criterion.final_summary();
}

fn spec(name: &str, datatype: Datatype, width: u64) -> TensorSpec {
    let shape = Some(vec![Dim::Dynamic(None), Dim::Fixed(width)]);
    TensorSpec { name: name.into(), datatype, shape, optional: false, labels: None }
}

fn numbers(rows: u64, width: u64) -> Tensor {
    let shape = Shape::new(&[rows, width]).expect("two dimensions");
    let values: Vec<f32> = (0..rows * width).map(|at| (at % 17) as f32).collect();
    Tensor::from_vec(Datatype::Fp32, shape, values).expect("counted")
}

fn texts(rows: u64, text: &str) -> Tensor {
    let mut builder = StringTensorBuilder::default();
    (0..rows).for_each(|_| builder.push(text.as_bytes()).expect("short"));
    Tensor::new(Datatype::Bytes, Shape::new(&[rows, 1]).expect("two dimensions"), builder.finish())
        .expect("counted")
}

/// The digits' 64 columns of one tensor, and the flights' eleven tensors of one column, two of them texts.
fn validator(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("validator");
    let number = || ColumnSchema {
        min: Some(0.0),
        max: Some(16.0),
        range: Action::Flag,
        missing: Action::Flag,
        infinite: Action::Flag,
        ..ColumnSchema::default()
    };
    let carriers: Arc<[String]> = (0..16).map(|at| format!("C{at}")).collect();
    let text = || ColumnSchema {
        values: Some(carriers.clone()),
        domain: Action::Flag,
        missing: Action::Flag,
        ..ColumnSchema::default()
    };
    let compiled = |inputs: Vec<TensorSpec>, columns: Vec<(String, ColumnSchema)>| {
        let inputs_of = columns.into_iter().map(|(name, column)| (name.into(), column));
        let schema = Schema { inputs: inputs_of.collect::<BTreeMap<_, _>>(), ..Schema::default() };
        let (validator, warnings) = Validator::compile(&schema, &Signature { inputs, outputs: vec![] });
        assert!(warnings.is_empty(), "{warnings:?}");
        validator
    };
    let pixels = (0..64).map(|at| (format!("X.{at}"), number())).collect();
    let digits = compiled(vec![spec("X", Datatype::Fp32, 64)], pixels);
    let names: Vec<String> = (0..9).map(|at| format!("n{at}")).collect();
    let mut inputs: Vec<TensorSpec> = names.iter().map(|name| spec(name, Datatype::Fp32, 1)).collect();
    inputs.extend([spec("origin", Datatype::Bytes, 1), spec("carrier", Datatype::Bytes, 1)]);
    let mut columns: Vec<(String, ColumnSchema)> = names.into_iter().map(|name| (name, number())).collect();
    columns.extend([("origin".to_owned(), text()), ("carrier".to_owned(), text())]);
    let flights = compiled(inputs, columns);
    for rows in [1, 16, 1024] {
        group.throughput(Throughput::Elements(rows));
        let request = vec![Some(numbers(rows, 64))];
        group.bench_function(BenchmarkId::new("digits", rows), |bencher| {
            bencher.iter(|| digits.check(black_box(&request), rows));
        });
        let mut request: Vec<_> = (0..9).map(|_| Some(numbers(rows, 1))).collect();
        request.extend([Some(texts(rows, "C3")), Some(texts(rows, "C15"))]);
        group.bench_function(BenchmarkId::new("flights", rows), |bencher| {
            bencher.iter(|| flights.check(black_box(&request), rows));
        });
    }
    let odd: Vec<f32> = (0..64).map(|at| if at == 40 { 17.0 } else { 1.0 }).collect();
    let odd = Tensor::from_vec(Datatype::Fp32, Shape::new(&[1, 64]).expect("two dimensions"), odd);
    let request = vec![Some(odd.expect("counted"))];
    group.bench_function("digits, one pixel too dark", |bencher| {
        bencher.iter(|| digits.check(black_box(&request), 1));
    });
    group.finish();
}

fn numerics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("numerics");
    for count in [11, 1000] {
        group.throughput(Throughput::Elements(count));
        let output = numbers(1, count);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| NumericFaults::of(black_box(&output), || false));
        });
    }
    group.finish();
}
