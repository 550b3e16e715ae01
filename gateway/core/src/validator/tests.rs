//! What the rules find, against a plain reading of the schema.

use half::{bf16, f16};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::schema::{Redaction, Schema};
use crate::shape::Shape;
use crate::signature::{Dim, Signature, TensorSpec};
use crate::strings::StringTensorBuilder;
use crate::tensor::Datatype;

const ANY: Dim = Dim::Dynamic(None);

fn spec(name: &str, datatype: Datatype, width: u64) -> TensorSpec {
    let shape = Some(vec![ANY, Dim::Fixed(width)]);
    TensorSpec { name: name.into(), datatype, shape, optional: false, labels: None }
}

fn signature() -> Signature {
    Signature {
        inputs: vec![
            spec("temp", Datatype::Fp32, 1),
            spec("dewp", Datatype::Fp64, 1),
            spec("carrier", Datatype::Bytes, 1),
            spec("X", Datatype::Fp32, 3),
            spec("hour", Datatype::Int64, 1),
        ],
        outputs: vec![spec("y", Datatype::Fp32, 1), spec("p", Datatype::Fp32, 2)],
    }
}

fn numbers(datatype: Datatype, width: u64, values: &[f64]) -> Tensor {
    let shape = Shape::new(&[values.len() as u64 / width, width]).expect("small");
    macro_rules! of {
        ($convert:expr) => {
            Tensor::from_vec(datatype, shape, values.iter().map(|x| $convert(*x)).collect::<Vec<_>>())
        };
    }
    let tensor = match datatype {
        Datatype::Fp32 => of!(|x: f64| x as f32),
        Datatype::Fp64 => of!(|x: f64| x),
        Datatype::Fp16 => of!(f16::from_f64),
        Datatype::Bf16 => of!(bf16::from_f64),
        Datatype::Int64 => of!(|x: f64| x as i64),
        Datatype::Uint8 => of!(|x: f64| x as u8),
        other => panic!("no values of {other} here"),
    };
    tensor.expect("fits")
}

fn texts(values: &[&[u8]]) -> Tensor {
    let mut builder = StringTensorBuilder::default();
    values.iter().for_each(|text| builder.push(text).expect("short"));
    let shape = Shape::new(&[values.len() as u64, 1]).expect("small");
    Tensor::new(Datatype::Bytes, shape, builder.finish()).expect("counted")
}

fn schema(inputs: Vec<(&str, ColumnSchema)>, outputs: Vec<(&str, ColumnSchema)>) -> Schema {
    let of = |columns: Vec<(&str, ColumnSchema)>| {
        columns.into_iter().map(|(name, column)| (Arc::from(name), column)).collect()
    };
    Schema { inputs: of(inputs), outputs: of(outputs), ..Schema::default() }
}

fn compiled(schema: &Schema) -> Validator {
    let (validator, warnings) = Validator::compile(schema, &signature());
    assert_eq!(warnings, [] as [String; 0]);
    validator
}

fn range(min: f64, max: f64, action: Action) -> ColumnSchema {
    ColumnSchema { min: Some(min), max: Some(max), range: action, ..ColumnSchema::default() }
}

fn domain(values: &[&str], action: Action) -> ColumnSchema {
    let values = Some(values.iter().map(ToString::to_string).collect());
    ColumnSchema { values, domain: action, ..ColumnSchema::default() }
}

fn inputs(temp: &[f64], dewp: &[f64], carrier: &[&[u8]]) -> Vec<Option<Tensor>> {
    let rows = temp.len();
    vec![
        Some(numbers(Datatype::Fp32, 1, temp)),
        Some(numbers(Datatype::Fp64, 1, dewp)),
        Some(texts(carrier)),
        Some(numbers(Datatype::Fp32, 3, &vec![0.0; rows * 3])),
        Some(numbers(Datatype::Int64, 1, &vec![12.0; rows])),
    ]
}

fn found(violations: &[Violation]) -> Vec<(&str, Anomaly, usize)> {
    violations.iter().map(|v| (&*v.column, v.anomaly, v.values)).collect()
}

#[test]
fn each_rule_finds_what_breaks_it_and_nothing_else() {
    let temp =
        ColumnSchema { missing: Action::Flag, infinite: Action::Flag, ..range(-40.0, 130.0, Action::Flag) };
    let dewp =
        ColumnSchema { at_most: Some("temp".into()), relation: Action::Flag, ..ColumnSchema::default() };
    let carrier = ColumnSchema { missing: Action::Flag, ..domain(&["UA", "B6"], Action::Flag) };
    let validator = compiled(&schema(vec![("temp", temp), ("dewp", dewp), ("carrier", carrier)], vec![]));
    let check = |temp: &[f64], dewp: &[f64], carrier: &[&[u8]]| {
        let checked = validator.check(&inputs(temp, dewp, carrier), temp.len() as u64);
        assert_eq!(checked.rejected, None);
        checked.violations
    };
    assert_eq!(check(&[], &[], &[]), []);
    assert_eq!(check(&[-40.0, 130.0], &[-40.0, 1.0], &[b"UA", b"B6"]), []);
    let all = check(
        &[f64::NAN, f64::INFINITY, 131.0, -41.0, 60.0, f64::NEG_INFINITY],
        &[1.0, 1.0, 1.0, -40.0, f64::NAN, -1e300],
        &[b"UA", b"", b"XX", b"\xff", b"xx", b"B6"],
    );
    assert_eq!(
        found(&all),
        [
            ("temp", Anomaly::Missing, 1),
            ("temp", Anomaly::HasInf, 2),
            ("temp", Anomaly::BigNumber, 1),
            ("temp", Anomaly::SmallNumber, 1),
            ("dewp", Anomaly::AboveOther, 2),
            ("carrier", Anomaly::Missing, 1),
            ("carrier", Anomaly::UnexpectedValue, 2),
            ("carrier", Anomaly::InvalidUtf8, 1),
        ]
    );
}

#[test]
fn the_first_value_that_is_refused_is_named_where_it_may_be() {
    let keep = |column: ColumnSchema| ColumnSchema { log: Some(Redaction::Keep), ..column };
    let refused = |columns: Vec<(&str, ColumnSchema)>, of: &[Option<Tensor>]| {
        let checked = compiled(&schema(columns, vec![])).check(of, 2);
        assert!(!checked.violations.is_empty());
        checked.rejected.expect("refused").describe("flights")
    };
    let of = inputs(&[60.0, 212.5], &[10.0, 61.0], &[b"UA", b"a\n'secret'"]);
    assert_eq!(
        refused(vec![("temp", range(-40.0, 130.0, Action::Reject))], &of),
        "the value 212.5 of input column 'temp' in row 1 breaks the schema of model 'flights': it is above the \
         maximum, 130 (FLOAT_TYPE_BIG_FLOAT)"
    );
    let carriers = || domain(&["UA"], Action::Reject);
    assert_eq!(
        refused(vec![("carrier", carriers())], &of),
        "the value of input column 'carrier' in row 1 breaks the schema of model 'flights': it is none of the 1 that \
         there may be (ENUM_TYPE_UNEXPECTED_STRING_VALUES)"
    );
    assert!(refused(vec![("carrier", keep(carriers()))], &of).contains("the value 'a\\n'secret'' of input"));
    for log in [Redaction::Drop, Redaction::Hash, Redaction::Bucketise, Redaction::Round(1.0)] {
        let temp = ColumnSchema { log: Some(log), ..range(-40.0, 130.0, Action::Reject) };
        assert!(refused(vec![("temp", temp)], &of).starts_with("the value of input column 'temp'"));
    }
    let dewp =
        ColumnSchema { at_most: Some("temp".into()), relation: Action::Reject, ..ColumnSchema::default() };
    let cold = inputs(&[60.0, 16.0], &[10.0, 61.0], &[b"UA", b"UA"]);
    assert!(refused(vec![("dewp", dewp)], &cold).contains("the value 61 of input column 'dewp' in row 1"));
    // What is only counted stands beside what is refused.
    let columns =
        vec![("temp", range(0.0, 130.0, Action::Reject)), ("carrier", domain(&["UA"], Action::Flag))];
    let checked = compiled(&schema(columns, vec![])).check(&of, 2);
    assert_eq!(checked.violations.len(), 2);
}

#[test]
fn columns_of_one_tensor_have_rules_of_their_own() {
    let columns = vec![
        ("X.0", range(0.0, 1.0, Action::Flag)),
        ("X.2", ColumnSchema { missing: Action::Flag, ..ColumnSchema::default() }),
        ("hour", domain(&["12", "13"], Action::Flag)),
    ];
    let validator = compiled(&schema(columns, vec![]));
    let mut of = inputs(&[1.0; 3], &[0.0; 3], &[b"", b"", b""]);
    let x = [0.5, f64::NAN, 9.0, f64::NAN, 9.0, f64::NAN, -1.0, 0.0, 1.0];
    of[3] = Some(numbers(Datatype::Fp32, 3, &x));
    of[4] = Some(numbers(Datatype::Int64, 1, &[12.0, 13.0, 14.0]));
    assert_eq!(
        found(&validator.check(&of, 3).violations),
        [
            ("X.0", Anomaly::SmallNumber, 1),
            ("X.2", Anomaly::Missing, 1),
            ("hour", Anomaly::UnexpectedValue, 1)
        ]
    );
    // What is left out is missing in every row.
    of[3] = None;
    assert_eq!(found(&validator.check(&of, 3).violations)[0], ("X.2", Anomaly::Missing, 3));
    assert_eq!(found(&validator.check(&of, 0).violations).len(), 1);
}

#[test]
fn outputs_are_looked_at_by_name_and_never_refused() {
    let p = ColumnSchema { missing: Action::Flag, ..range(0.0, 1.0, Action::Flag) };
    let validator = compiled(&schema(vec![], vec![("p.1", p)]));
    let output = |name: &str, tensor| OutputTensor { name: name.into(), tensor, labels: None };
    let p = numbers(Datatype::Fp32, 2, &[0.5, f64::NAN, 0.5, 1.5]);
    let y = numbers(Datatype::Fp32, 1, &[9.0, 9.0]);
    let violations = validator.check_outputs(&[output("p", p.clone()), output("y", y)]);
    assert_eq!(found(&violations), [("p.1", Anomaly::HasNan, 1), ("p.1", Anomaly::BigNumber, 1)]);
    assert!(violations.iter().all(|violation| violation.origin == Origin::Output));
    // An output of another shape than the model declares is no table.
    let odd = numbers(Datatype::Fp32, 4, &[9.0; 4]);
    assert_eq!(validator.check_outputs(&[output("p", odd)]), []);
    assert_eq!(validator.check_outputs(&[output("q", p)]), []);
    assert!(!validator.is_idle());
    assert!(compiled(&schema(vec![("temp", ColumnSchema::default())], vec![])).is_idle());
}

#[test]
fn rules_that_cannot_count_are_told() {
    let of_kind = |kind| ColumnSchema { kind: Some(kind), ..range(0.0, 1.0, Action::Reject) };
    let relation = |name: &str| ColumnSchema {
        at_most: Some(name.into()),
        relation: Action::Flag,
        ..ColumnSchema::default()
    };
    let columns = vec![
        ("tmp", ColumnSchema::default()),
        ("temp", of_kind(ColumnKind::String)),
        ("carrier", range(0.0, 1.0, Action::Flag)),
        ("dewp", relation("carrier")),
        ("hour", domain(&["noon"], Action::Flag)),
    ];
    let schema = Schema {
        slices: vec!["parameter.region".into(), "temp".into(), "planet".into()],
        ..schema(columns, vec![("z", ColumnSchema::default())])
    };
    let (validator, warnings) = Validator::compile(&schema, &signature());
    let columns = "temp, dewp, carrier, X.0, X.1, X.2, hour";
    let expected = [
        format!("inputs.tmp is no column of this version; they are {columns}"),
        "inputs.temp.type = \"string\", and here it is \"float\": none of its rules counts".into(),
        "inputs.carrier.range makes no sense for type \"string\", and does not count".into(),
        format!(
            "inputs.dewp.at_most = 'carrier' is no column of numbers of this version; its columns are {columns}"
        ),
        "inputs.hour.values are not all ints, and do not count".into(),
        "outputs.z is no column of this version; they are y, p.0, p.1".into(),
        format!("slices has 'planet', which is no input column; they are {columns}"),
    ];
    assert_eq!(warnings, expected);
    let odd = inputs(&[9.0], &[9.0], &[b"x"]);
    assert_eq!(validator.check(&odd, 1), Checked::default());
}

/// Bounds that FP32 does not have: what lies between a number and its neighbour is told apart as with doubles.
#[test]
fn bounds_hold_for_each_datatype_as_for_doubles() {
    for (min, max) in [(0.1, 0.3), (-1e300, 1e300), (f64::MIN, f64::MAX), (-0.0, 0.0), (1e-46, 1e-45)] {
        for datatype in [Datatype::Fp32, Datatype::Fp64, Datatype::Fp16, Datatype::Bf16] {
            let signature = Signature { inputs: vec![spec("x", datatype, 1)], outputs: vec![] };
            let (validator, _) =
                Validator::compile(&schema(vec![("x", range(min, max, Action::Flag))], vec![]), &signature);
            let near = |x: f64| [(x as f32).next_down(), x as f32, (x as f32).next_up()].map(f64::from);
            let values = [near(min), near(max), near(0.0), [f64::INFINITY, f64::NEG_INFINITY, f64::NAN]];
            for value in values.concat() {
                let tensor = numbers(datatype, 1, &[value]);
                let value = Elements::of(&tensor).expect("numbers").get(0);
                let is_beyond = value < min || value > max;
                let checked = validator.check(&[Some(tensor)], 1);
                assert_eq!(
                    !checked.violations.is_empty(),
                    is_beyond,
                    "{value:?} in [{min:?}, {max:?}] {datatype}"
                );
            }
        }
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -3.0..3.0_f64,
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.0]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The quick look and the rules, one by one, agree.
    #[test]
    fn what_is_found_is_what_a_plain_reading_finds(
        values in vec(value(), 0..12),
        datatype in prop::sample::select(vec![Datatype::Fp32, Datatype::Fp64, Datatype::Fp16, Datatype::Int64]),
        rules in vec((0_u8..3, 0_u8..2, -2.0..0.0_f64, 0.0..2.0_f64, any::<bool>()), 3),
    ) {
        let flag = |on: bool| if on { Action::Flag } else { Action::Off };
        let columns: Vec<(String, ColumnSchema)> = rules.iter().enumerate().map(|(at, rule)| {
            let (missing_infinite, range, min, max, has_domain) = *rule;
            (format!("x.{at}"), ColumnSchema {
                missing: flag(missing_infinite > 0),
                infinite: flag(missing_infinite > 1),
                min: Some(min),
                max: Some(max),
                range: flag(range > 0),
                values: Some(["0", "1", "-2"].map(str::to_owned).into()),
                domain: flag(has_domain),
                ..ColumnSchema::default()
            })
        }).collect();
        let schema = schema(columns.iter().map(|(name, column)| (&**name, column.clone())).collect(), vec![]);
        let signature = Signature { inputs: vec![spec("x", datatype, 3)], outputs: vec![] };
        let (validator, warnings) = Validator::compile(&schema, &signature);
        prop_assert_eq!(warnings, Vec::<String>::new());
        let rows = values.len() / 3;
        let tensor = numbers(datatype, 3, &values[..rows * 3]);
        let elements = Elements::of(&tensor).expect("numbers");
        let mut expected: BTreeMap<(usize, Anomaly), usize> = BTreeMap::new();
        for index in 0..elements.len() {
            let (value, (_, column)) = (elements.get(index), &columns[index % 3]);
            let anomaly = if value.is_nan() {
                Some(Anomaly::Missing).filter(|_| column.missing == Action::Flag)
            } else if value.is_infinite() && column.infinite == Action::Flag {
                Some(Anomaly::HasInf)
            } else if column.range == Action::Flag && column.min > Some(value) {
                Some(Anomaly::SmallNumber)
            } else if column.range == Action::Flag && column.max < Some(value) {
                Some(Anomaly::BigNumber)
            } else {
                let is_known = [0.0, 1.0, -2.0].contains(&value);
                Some(Anomaly::UnexpectedValue).filter(|_| column.domain == Action::Flag && !is_known)
            };
            if let Some(anomaly) = anomaly {
                *expected.entry((index % 3, anomaly)).or_default() += 1;
            }
        }
        let found = validator.check(&[Some(tensor)], rows as u64).violations;
        let found: BTreeMap<(usize, Anomaly), usize> = found.iter().map(|violation| {
            ((violation.column[2..].parse().expect("a place"), violation.anomaly), violation.values)
        }).collect();
        prop_assert_eq!(found, expected);
    }
}
