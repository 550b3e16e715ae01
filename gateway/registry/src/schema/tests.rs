//! Schemas are read, refused with reasons, and written as they are read.

use pointsman_core::{Action, ColumnKind, Redaction};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

fn problems(text: &str) -> Vec<String> {
    let problems = read_schema("flights/schema.toml", text.as_bytes()).expect_err("a bad schema");
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_full_schema_is_read() {
    let text = r#"
        event_time = true
        slices = ["carrier", "parameter.region"]
        [inputs.temp]
        type = "float"
        missing = "flag"
        missing_max = 0.01
        infinite = "reject"
        min = -40
        max = 130.5
        range = "reject"
        bins = [20, 40.5, 60]
        log = { round = 0.5 }
        [inputs.dewp]
        at_most = "temp"
        [inputs.carrier]
        type = "string"
        values = ["UA", "B6"]
        log = "keep"
        [inputs.hour]
        values = [5, 6]
        domain = "off"
        max = 23
        [inputs.name]
        log = { truncate = 8 }
        [outputs."probabilities.late"]
        min = 0
    "#;
    let schema = read_schema("x", text.as_bytes()).expect("a good schema");
    assert!(schema.event_time && schema.digest.len() == 64);
    assert_eq!(schema.slices, [Arc::from("carrier"), Arc::from("parameter.region")]);
    let temp = &schema.inputs["temp"];
    assert_eq!(
        (temp.kind, temp.missing, temp.infinite),
        (Some(ColumnKind::Float), Action::Flag, Action::Reject)
    );
    assert_eq!((temp.min, temp.max, temp.range), (Some(-40.0), Some(130.5), Action::Reject));
    assert_eq!((temp.missing_max, temp.bins.as_deref()), (Some(0.01), Some(&[20.0, 40.5, 60.0][..])));
    assert_eq!(temp.log, Some(Redaction::Round(0.5)));
    // What is spelled out counts, unless it is switched off.
    assert_eq!((schema.inputs["dewp"].relation, schema.inputs["dewp"].missing), (Action::Flag, Action::Off));
    assert_eq!(schema.inputs["carrier"].domain, Action::Flag);
    assert_eq!((schema.inputs["hour"].domain, schema.inputs["hour"].range), (Action::Off, Action::Flag));
    assert_eq!(schema.inputs["hour"].values.as_deref(), Some(&["5".to_owned(), "6".to_owned()][..]));
    assert_eq!(schema.inputs["name"].log, Some(Redaction::Truncate(8)));
    assert_eq!(schema.outputs["probabilities.late"].range, Action::Flag);
}

#[test]
fn every_problem_is_named_with_key_value_and_remedy() {
    let text = r#"
        event_time = "yes"
        slices = [1]
        speed = 1
        [inputs.a]
        type = "double"
        missing = "warn"
        missing_max = 2
        min = inf
        values = []
        bins = [1, 1]
        log = { round = 0 }
        colour = "red"
        [outputs.y]
        range = "reject"
    "#;
    assert_eq!(
        problems(text),
        [
            "flights/schema.toml: key event_time = \"yes\"; give true or false",
            "flights/schema.toml: key slices = a list; give a list of up to 16 names of input columns, or of request \
             parameters as in \"parameter.region\"",
            "flights/schema.toml: key inputs.a.type = \"double\"; give one of \"float\", \"int\", \"bool\", \"string\"",
            "flights/schema.toml: key inputs.a.missing = \"warn\"; give one of \"off\", \"flag\", \"reject\"",
            "flights/schema.toml: key inputs.a.missing_max = 2; give a part from 0 to 1, such as 0.01",
            "flights/schema.toml: key inputs.a.min = inf; give a number",
            "flights/schema.toml: key inputs.a.values = a list; give a list of 1 to 10000 texts of up to 1024 bytes, \
             whole numbers, or true and false",
            "flights/schema.toml: key inputs.a.bins = a list; give up to 256 numbers, each greater than the one before, \
             such as [0, 10, 20]",
            "flights/schema.toml: key inputs.a.log = a table; give \"keep\", \"drop\", \"hash\", \"bucketise\", \
             { round = STEP } with a step above 0, or { truncate = CHARACTERS } of 0 to 1024",
            "flights/schema.toml: key inputs.a.colour is unknown; the keys here are type, missing, missing_max, infinite, \
             min, max, range, values, domain, at_most, relation, bins, log",
            "flights/schema.toml: key outputs.y.range = \"reject\"; give one of \"off\", \"flag\"",
            "flights/schema.toml: key speed is unknown; the keys here are event_time, slices, inputs, outputs",
        ]
    );
    let one = |body: &str| problems(&format!("[inputs.a]\n{body}")).join("\n");
    for (body, said) in [
        ("min = 2\nmax = 1", "inputs.a.min = 2 is above max = 1; exchange them"),
        ("range = \"flag\"", "inputs.a.range has neither min nor max"),
        ("relation = \"flag\"", "inputs.a.relation has no column to compare with"),
        ("type = \"int\"\ndomain = \"flag\"", "inputs.a.domain has no values"),
        ("type = \"int\"\nvalues = [1.5]", "inputs.a.values has \"1.5\", which is no int"),
        ("type = \"string\"\nmax = 1", "inputs.a.max is for numbers, and type = \"string\""),
        ("type = \"float\"\nlog = { truncate = 8 }", "inputs.a.log shortens texts"),
        ("log = \"bucketise\"", "inputs.a.log = \"bucketise\" needs bins"),
        ("log = { truncate = 1025 }", "inputs.a.log = a table"),
    ] {
        assert!(one(body).contains(said), "{body}: {}", one(body));
    }
}

#[test]
fn lists_and_names_are_bounded() {
    let columns = |count: usize| (0..count).map(|i| format!("[inputs.c{i}]\n")).collect::<String>();
    assert!(read_schema("x", columns(SCHEMA_COLUMNS_MAX).as_bytes()).is_ok());
    assert!(problems(&columns(SCHEMA_COLUMNS_MAX + 1))[0].contains("has 2049 columns, more than 2048"));
    let of = |body: String| read_schema("x", format!("[inputs.a]\n{body}").as_bytes()).is_ok();
    let numbers = |count: usize| (0..count).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    for (key, max) in [("values", COLUMN_VALUES_MAX), ("bins", COLUMN_BINS_MAX)] {
        assert!(of(format!("{key} = [{}]", numbers(max))), "{key}");
        assert!(!of(format!("{key} = [{}]", numbers(max + 1))), "{key}");
    }
    let value = |length: usize| format!("values = [\"{}\"]", "x".repeat(length));
    assert!(of(value(COLUMN_VALUE_BYTES_MAX)) && !of(value(COLUMN_VALUE_BYTES_MAX + 1)));
    let name =
        |length: usize| read_schema("x", format!("[inputs.{}]", "n".repeat(length)).as_bytes()).is_ok();
    assert!(name(COLUMN_NAME_MAX) && !name(COLUMN_NAME_MAX + 1));
    let slices = |count: usize| format!("slices = [{}]", vec!["\"a\""; count].join(","));
    assert!(read_schema("x", slices(SLICES_MAX).as_bytes()).is_ok());
    assert!(read_schema("x", slices(SLICES_MAX + 1).as_bytes()).is_err());
}

fn name() -> impl Strategy<Value = Arc<str>> {
    prop_oneof!["[a-z_]{1,8}", "[ -~]{1,12}", "\\PC{1,6}", "[\\x00-\\x1f\"\\\\]{1,4}"].prop_map(Arc::from)
}

fn action() -> impl Strategy<Value = Action> {
    prop::sample::select(Action::ALL.to_vec())
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![-1e3..1e3_f64, prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO]
}

fn number_column() -> impl Strategy<Value = ColumnSchema> {
    let log = prop_oneof![
        Just(Redaction::Keep),
        Just(Redaction::Drop),
        Just(Redaction::Hash),
        (1e-9..1e9_f64).prop_map(Redaction::Round)
    ];
    let rules = (action(), action(), action(), action());
    let numbers = (option::of(finite()), option::of(finite()), vec(finite(), 1..6), option::of(0.0..=1.0));
    let kind = prop::sample::select(vec![None, Some(ColumnKind::Float)]);
    (kind, rules, numbers, option::of(name()), option::of(log)).prop_map(
        |(kind, (missing, infinite, range, relation), (a, b, mut bins, missing_max), at_most, log)| {
            bins.sort_by(f64::total_cmp);
            bins.dedup();
            let (min, max) = if a > b && b.is_some() { (b, a) } else { (a, b) };
            let has_range = min.is_some() || max.is_some();
            ColumnSchema {
                kind,
                missing,
                missing_max,
                infinite,
                min,
                max,
                range: if has_range { range } else { Action::Off },
                relation: if at_most.is_some() { relation } else { Action::Off },
                at_most,
                bins: Some(bins.into()),
                log,
                ..ColumnSchema::default()
            }
        },
    )
}

fn domain_column() -> impl Strategy<Value = ColumnSchema> {
    let texts = || vec(prop_oneof!["\\PC{0,6}", "[0-9]{1,4}", "true", "[\\x00-\\x1f]{1,3}"], 1..5);
    let whole = vec(any::<i64>().prop_map(|n| n.to_string()), 1..5);
    let of = prop_oneof![
        texts().prop_map(|values| (Some(ColumnKind::String), values)),
        texts().prop_map(|values| (None, values)),
        whole.prop_map(|values| (Some(ColumnKind::Int), values)),
        Just((Some(ColumnKind::Bool), vec!["true".to_owned()])),
    ];
    (of, action(), action()).prop_map(|((kind, values), missing, domain)| {
        let log = (kind == Some(ColumnKind::String)).then_some(Redaction::Truncate(8));
        ColumnSchema { kind, missing, values: Some(values.into()), domain, log, ..ColumnSchema::default() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_is_read_as_it_was(
        event_time in any::<bool>(),
        slices in vec(name(), 0..4),
        inputs in btree_map(name(), prop_oneof![number_column(), domain_column()], 0..5),
        outputs in btree_map(name(), number_column(), 0..3),
    ) {
        let tame = |action: Action| if action == Action::Reject { Action::Flag } else { action };
        let outputs = outputs.into_iter().map(|(name, column)| {
            let ColumnSchema { missing, infinite, range, relation, .. } = column;
            let [missing, infinite, range, relation] = [missing, infinite, range, relation].map(tame);
            (name, ColumnSchema { missing, infinite, range, relation, ..column })
        });
        let schema = Schema { digest: String::new(), event_time, slices, inputs, outputs: outputs.collect() };
        let text = schema_text(&schema);
        let read = read_schema("x", text.as_bytes());
        let read = read.unwrap_or_else(|problems| panic!("{}\n{text}", problems[0]));
        prop_assert_eq!(Schema { digest: String::new(), ..read }, schema);
    }

    #[test]
    fn schemas_of_schema_like_pieces_never_panic(
        pieces in vec(prop::sample::select(vec![
            "[inputs.a]\n", "[outputs.y]\n", "min", "max", "=", "1", "-1e308", "nan", "\n", "values", "[", "]", ",",
            "\"x\"", "log", "{", "}", "round", "truncate", "\"flag\"", "missing", "at_most", "event_time", "true",
        ]), 0..40),
    ) {
        let _ = read_schema("x", pieces.concat().as_bytes());
    }
}
