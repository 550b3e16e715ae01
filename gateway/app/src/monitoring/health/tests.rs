//! What is counted of exchanges, and which examples are kept.

use std::time::{Duration, SystemTime};

use pointsman_core::Code;
use pointsman_core::{
    ColumnSchema, Datatype, Dim, OutputTensor, ParameterValue, Parameters, Redaction, RequestId, Shape,
    Signature, StageTimes, StringTensorBuilder, Tensor, TensorSpec, Violation,
};
use pointsman_predict::{Monitored, Protocol};

use super::*;

fn signature() -> Arc<Signature> {
    let spec = |name: &str, datatype, width| TensorSpec {
        name: name.into(),
        datatype,
        shape: Some(vec![Dim::Dynamic(None), Dim::Fixed(width)]),
        optional: false,
        labels: None,
    };
    let inputs = vec![spec("temp", Datatype::Fp32, 1), spec("name", Datatype::Bytes, 1)];
    Arc::new(Signature { inputs, outputs: vec![spec("y", Datatype::Fp32, 2)] })
}

fn schema(name: ColumnSchema) -> Arc<Schema> {
    let temp = ColumnSchema {
        min: Some(0.0),
        range: Action::Flag,
        missing: Action::Reject,
        ..ColumnSchema::default()
    };
    let inputs = [("temp".into(), temp), ("name".into(), name)].into();
    Arc::new(Schema { digest: "d".into(), event_time: true, inputs, ..Schema::default() })
}

fn health(schema: &Arc<Schema>, number: u64) -> VersionHealth {
    let (model, signature) = (ModelName::new("m").expect("a name"), signature());
    VersionHealth::new(Subject {
        model: &model,
        number: VersionNumber::new(number).expect("above zero"),
        digest: "sha256:x",
        signature: &signature,
        schema: Some(schema),
        baseline: None,
        golden: None,
        manifest: None,
    })
}

fn numbers(width: u64, values: &[f32]) -> Tensor {
    let shape = Shape::new(&[values.len() as u64 / width, width]).expect("small");
    Tensor::from_vec(Datatype::Fp32, shape, values.to_vec()).expect("fits")
}

fn seen(temp: &[f32], outputs: Result<&[f32], Code>, parameters: Parameters) -> Arc<Seen> {
    let mut names = StringTensorBuilder::default();
    (0..temp.len()).for_each(|row| names.push(format!("name {row}").as_bytes()).expect("short"));
    let shape = Shape::new(&[temp.len() as u64, 1]).expect("small");
    let names = Tensor::new(Datatype::Bytes, shape, names.finish()).expect("counted");
    let output = |values| OutputTensor { name: "y".into(), tensor: numbers(2, values), labels: None };
    let exchange = Monitored {
        id: RequestId::generate(),
        trace: None,
        protocol: Protocol::V2Rest,
        pick: None,
        parameters,
        inputs: vec![Some(numbers(1, temp)), Some(names)],
        rows: temp.len() as u64,
        violations: Vec::new(),
        outputs: outputs.map(|values| vec![output(values)]),
        times: StageTimes::default(),
        decode: Duration::ZERO,
        encode: Duration::ZERO,
        total: Duration::ZERO,
        is_shadowed: false,
    };
    let no_event_time = super::super::event_time(&exchange).err();
    Arc::new(Seen { exchange, at: SystemTime::UNIX_EPOCH, no_event_time })
}

#[test]
fn the_first_example_of_each_fault_is_kept_as_far_as_it_may_be_shown() {
    let health = health(&schema(ColumnSchema::default()), 1);
    health.saw(&seen(&[1.0, 2.0], Ok(&[0.5, 0.5, 0.1, 0.9]), vec![]));
    assert!(health.examples().is_empty());
    let first = seen(&[1.0, f32::NAN], Ok(&[0.5, 0.5, f32::INFINITY, f32::NAN]), vec![]);
    health.saw(&first);
    health.saw(&seen(&[9.0], Ok(&[f32::NAN, 1e-40]), vec![]));
    let counts: Vec<u64> = health.outputs[0].faults.iter().map(Count::get).collect();
    assert_eq!(counts, [2, 1, 1, 1]);
    let examples = health.examples();
    let told: Vec<_> = examples.iter().map(|example| (example.fault, example.index)).collect();
    let (nan, inf) = (NumericFault::Nan, NumericFault::Infinite);
    let expected = [(nan, 3), (inf, 2), (NumericFault::Subnormal, 1), (NumericFault::Overflow, 2)];
    assert_eq!(told, expected);
    assert_eq!(examples[0].id, first.exchange.id);
    // The row that the number stands in, and no text that nobody declared.
    let inputs = serde_json::Value::Object(examples[0].inputs.clone()).to_string();
    assert_eq!((inputs.as_str(), examples[0].withheld), (r#"{"temp":"NaN"}"#, 1));
    let keep = ColumnSchema { log: Some(Redaction::Keep), ..ColumnSchema::default() };
    let health = self::health(&schema(keep), 1);
    health.saw(&first);
    assert_eq!(health.examples()[0].inputs["name"], "name 1");
}

#[test]
fn violations_are_counted_by_rule_and_by_what_came_of_them() {
    let health = health(&schema(ColumnSchema::default()), 1);
    let broken = |anomaly, values, outputs: Result<&[f32], Code>| {
        let mut seen = seen(&[1.0], outputs, vec![]);
        let violation = Violation { origin: Origin::Input, column: "temp".into(), anomaly, values };
        Arc::get_mut(&mut seen).expect("its own").exchange.violations = vec![violation];
        seen
    };
    health.saw(&broken(Anomaly::SmallNumber, 3, Ok(&[0.0, 0.0])));
    health.saw(&broken(Anomaly::SmallNumber, 1, Ok(&[0.0, 0.0])));
    health.saw(&broken(Anomaly::Missing, 1, Err(Code::InputMismatch)));
    let told: Vec<_> =
        health.rules.iter().map(|of| (of.rule.anomaly, of.values.get(), of.requests.get())).collect();
    assert_eq!(told, [(Anomaly::Missing, 1, 1), (Anomaly::SmallNumber, 4, 2)]);
    assert_eq!((health.requests.get(), health.flagged.get(), health.rejected.get()), (3, 2, 1));
}

#[test]
fn event_times_that_cannot_be_used_are_counted() {
    let health = health(&schema(ColumnSchema::default()), 1);
    let said = |value: ParameterValue| {
        health.saw(&seen(&[1.0], Ok(&[0.0, 0.0]), vec![("event_time".into(), value)]));
        (health.absent_event_times.get(), health.malformed_event_times.get())
    };
    let text = |text: &str| ParameterValue::String(text.into());
    assert_eq!(said(text("2013-07-01T10:00:00Z")), (0, 0));
    assert_eq!(said(text("2013-07-01 10:00")), (0, 1));
    assert_eq!(said(text("2200-01-01T00:00:00Z")), (0, 2));
    assert_eq!(said(ParameterValue::Int(5)), (0, 3));
    health.saw(&seen(&[1.0], Ok(&[0.0, 0.0]), vec![]));
    assert_eq!(said(text("1970-01-01T00:00:00.5Z")), (1, 3));
}

#[test]
fn a_version_that_comes_again_goes_on_and_those_remembered_are_bounded() {
    let kept = Health::default();
    let schema = schema(ColumnSchema::default());
    let first = kept.keep(health(&schema, 1));
    first.requests.add(7);
    assert_eq!(kept.keep(health(&schema, 1)).requests.get(), 7);
    let other = Arc::new(Schema { digest: "e".into(), ..(*schema).clone() });
    assert_eq!(kept.keep(health(&other, 1)).requests.get(), 0);
    let serving = Watching::of(kept.keep(health(&schema, 2)));
    (3..LEFT_MAX as u64 + 10).for_each(|number| drop(kept.keep(health(&schema, number))));
    let versions = kept.versions();
    assert_eq!(versions.len(), LEFT_MAX + 1);
    assert!(versions.iter().any(|(version, is_watched)| version.number == serving.0.number && *is_watched));
}

#[test]
fn what_is_new_since_the_last_look_is_a_signal() {
    use crate::alerts::Source;
    let all = Health::default();
    let version = all.keep(health(&schema(ColumnSchema::default()), 1));
    let broken = |anomaly| {
        let mut seen = seen(&[1.0], Ok(&[0.0, 0.0]), vec![]);
        let violation = Violation { origin: Origin::Input, column: "temp".into(), anomaly, values: 1 };
        Arc::get_mut(&mut seen).expect("its own").exchange.violations = vec![violation];
        version.saw(&seen);
    };
    let told = || -> Vec<(String, f64)> {
        let signals = all.signals().expect("knows");
        signals.into_iter().map(|signal| (signal.subject, signal.value)).collect()
    };
    version.saw(&seen(&[1.0], Ok(&[0.0, 0.0]), vec![]));
    broken(Anomaly::SmallNumber);
    assert_eq!(told(), [("temp:FLOAT_TYPE_SMALL_FLOAT".to_owned(), 0.5)]);
    assert_eq!(told(), []);
    version.saw(&seen(&[1.0], Ok(&[f32::NAN, f32::INFINITY]), vec![]));
    assert_eq!(told(), [("y".to_owned(), 2.0)]);

    // So many may be missing.
    let mut allowing = (*schema(ColumnSchema::default())).clone();
    let temp = allowing.inputs.get_mut("temp").expect("a column");
    (temp.missing, temp.missing_max) = (Action::Flag, Some(0.5));
    allowing.digest = "e".into();
    let version = all.keep(health(&Arc::new(allowing), 1));
    let missing = |count| {
        for _ in 0..count {
            let mut seen = seen(&[f32::NAN], Ok(&[0.0, 0.0]), vec![]);
            let violation = Violation {
                origin: Origin::Input,
                column: "temp".into(),
                anomaly: Anomaly::Missing,
                values: 1,
            };
            Arc::get_mut(&mut seen).expect("its own").exchange.violations = vec![violation];
            version.saw(&seen);
        }
    };
    missing(1);
    version.saw(&seen(&[1.0], Ok(&[0.0, 0.0]), vec![]));
    let (one, two) = (told(), {
        missing(2);
        told()
    });
    assert_eq!((one, two), (vec![], vec![("temp:FEATURE_TYPE_NOT_PRESENT".to_owned(), 1.0)]));
}
