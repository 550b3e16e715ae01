//! Files that a registry has been seen to hold, and what the look says about each.

use bytes::Bytes;
use proptest::prelude::*;

use super::sample::{self, encode, external, field, model, with as graph};
use super::schema::{AttributeProto, FunctionProto, GraphProto, ModelProto, SparseTensorProto, TensorProto};
use super::*;

fn refused(model: &ModelProto) -> OnnxFault {
    look(&encode(model)).expect_err("a malformed model")
}

fn with_tensor(tensor: TensorProto) -> ModelProto {
    let mut model = model();
    graph(&mut model).initializer = vec![tensor];
    model
}

#[test]
fn a_sound_model_is_summarised() {
    let mut model = model();
    graph(&mut model).input.push(super::sample::fp32("W", &[3]));
    let summary = look(&encode(&model)).expect("sound");
    assert_eq!(summary.producer, "sample 1");
    assert_eq!(summary.opsets, BTreeMap::from([("ai.onnx".to_owned(), 17)]));
    assert_eq!(summary.operators.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ai.onnx.Mul"]);
    let names = |specs: &[pointsman_core::TensorSpec]| -> Vec<(String, bool)> {
        specs.iter().map(|spec| (spec.name.to_string(), spec.optional)).collect()
    };
    assert_eq!(names(&summary.declared.inputs), [("X".into(), false), ("W".into(), true)]);
    assert_eq!(names(&summary.declared.outputs), [("Y".into(), false)]);
}

#[test]
fn what_is_something_else_is_named() {
    for (bytes, kind) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"[..], "git-LFS"),
        (b"\n <!DOCTYPE html><html>404</html>", "HTML"),
        (b"<HTML>", "HTML"),
        (b"<?xml version='1.0'?><Error/>", "XML"),
        (b"{\"error\":\"not found\"}", "JSON"),
        (b"PK\x03\x04", "zip"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x80\x04\x95", "pickle"),
        (b"\x7fELF", "program"),
        (b"\x1c\0\0\0ORTM\0", ".ort"),
    ] {
        let fault = look(&Bytes::from_static(bytes)).expect_err("no model");
        assert!(matches!(fault, OnnxFault::SomethingElse { .. }), "{fault}");
        assert!(fault.to_string().contains(kind), "{fault}");
    }
    assert_eq!(look(&Bytes::new()), Err(OnnxFault::Empty));
}

#[test]
fn a_model_cut_off_anywhere_is_refused_or_says_what_is_missing() {
    let whole = encode(&model());
    for length in 0..whole.len() {
        let cut = whole.slice(..length);
        // Cut between two fields it is sound as far as it goes: only a digest can tell.
        if let Ok(summary) = look(&cut) {
            assert!(
                summary.declared.outputs.is_empty() || !summary.opsets.is_empty(),
                "{length}: {summary:?}"
            );
        }
    }
    let end = whole.len() - 1;
    assert!(matches!(look(&whole.slice(..end)), Err(OnnxFault::Broken { .. })));
}

#[test]
fn versions_beyond_what_is_known_are_refused() {
    assert_eq!(look(&encode(&ModelProto { graph: None, ..model() })), Err(OnnxFault::NoGraph));
    let ir = |ir_version| refused(&ModelProto { ir_version, ..model() });
    assert_eq!(ir(None), OnnxFault::NoIrVersion);
    assert_eq!(ir(Some(14)), OnnxFault::IrVersion { found: 14, known: 13 });
    assert_eq!(ir(Some(0)), OnnxFault::IrVersion { found: 0, known: 13 });

    let opset = |domain: &str, version| {
        let import = OperatorSetIdProto { domain: domain.into(), version };
        look(&encode(&ModelProto { opset_import: vec![import], ..model() }))
    };
    for version in [0, -1, 27, 999] {
        assert!(matches!(opset("", version), Err(OnnxFault::Opset { .. })), "{version}");
    }
    assert!(opset("ai.onnx", 26).is_ok());
    assert!(opset("some.unused.domain", 1000).is_ok());
    assert_eq!(refused(&ModelProto { opset_import: vec![], ..model() }), OnnxFault::NoOpset);
    assert!(look(&encode(&ModelProto { opset_import: vec![], ir_version: Some(2), ..model() })).is_ok());
}

#[test]
fn an_operator_of_an_unknown_domain_is_named_unless_the_model_defines_it() {
    let mut model = model();
    graph(&mut model).node[0].domain = "my.ops".into();
    graph(&mut model).node[0].op_type = "Magic".into();
    let fault = refused(&model);
    assert_eq!(fault.to_string(), "uses operator Magic of domain my.ops, which is not known");
    let inner = sample::node("Mul", &["a", "b"], &["c"]);
    let magic = FunctionProto {
        name: "Magic".into(),
        domain: "my.ops".into(),
        node: vec![inner],
        ..FunctionProto::default()
    };
    model.functions = vec![magic];
    let summary = look(&encode(&model)).expect("defined by the model");
    assert_eq!(summary.operators.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ai.onnx.Mul"]);
}

#[test]
fn a_number_of_parts_is_at_least_one() {
    let with_group = |i| {
        let mut model = model();
        let group = AttributeProto { name: "group".into(), i: Some(i), ..AttributeProto::default() };
        graph(&mut model).node[0].attribute = vec![group];
        look(&encode(&model)).map_err(|fault| fault.to_string())
    };
    assert!(with_group(1).is_ok());
    assert_eq!(with_group(0), Err("sets group of operator Mul to 0".into()));
    assert!(with_group(-1).is_err());
}

#[test]
fn tensors_hold_what_their_dimensions_call_for() {
    let fault = |tensor: TensorProto| match refused(&with_tensor(tensor)) {
        OnnxFault::Tensor { name, fault } => {
            assert_eq!(name, "W");
            fault
        }
        other => panic!("{other}"),
    };
    let weights = sample::weights;
    assert_eq!(fault(TensorProto { data_type: 0, ..weights() }), TensorFault::Datatype(0));
    assert_eq!(fault(TensorProto { data_type: 99, ..weights() }), TensorFault::Datatype(99));
    assert_eq!(fault(TensorProto { data_type: 8, ..weights() }), TensorFault::RawText);
    assert_eq!(fault(TensorProto { dims: vec![-1, 2], ..weights() }), TensorFault::NegativeDimension(-1));
    for dims in [vec![i64::MAX, i64::MAX], vec![1 << 32, 1 << 32], vec![i64::MAX], vec![16, (1 << 60) + 2]] {
        assert_eq!(fault(TensorProto { dims, ..weights() }), TensorFault::Overflow);
    }
    assert_eq!(
        fault(TensorProto { dims: vec![3], ..weights() }),
        TensorFault::Length { expected: 12, found: 8 }
    );
    let listed = TensorProto { float_data: vec![Bytes::from_static(&[0; 8])], ..weights() };
    assert_eq!(fault(listed.clone()), TensorFault::Twice);
    assert_eq!(
        fault(TensorProto { raw_data: None, dims: vec![3], ..listed.clone() }),
        TensorFault::Count { expected: 3, found: 2 }
    );
    assert!(look(&encode(&with_tensor(TensorProto { raw_data: None, ..listed }))).is_ok());
    let int64 = TensorProto {
        data_type: 7,
        raw_data: None,
        int64_data: vec![Bytes::from_static(&[1, 0x80, 1])],
        ..weights()
    };
    assert!(look(&encode(&with_tensor(int64))).is_ok());
    let empty = TensorProto { dims: vec![0, i64::MAX], raw_data: None, ..weights() };
    assert!(look(&encode(&with_tensor(empty))).is_ok());
}

#[test]
fn tensors_in_attributes_subgraphs_and_sparse_halves_are_seen() {
    let bad = TensorProto { dims: vec![5], ..sample::weights() };
    let mut in_attribute = model();
    graph(&mut in_attribute).node[0].attribute =
        vec![AttributeProto { t: Some(bad.clone()), ..AttributeProto::default() }];
    assert!(matches!(refused(&in_attribute), OnnxFault::Tensor { .. }));

    let mut in_subgraph = model();
    let inner = GraphProto { initializer: vec![bad.clone()], ..GraphProto::default() };
    graph(&mut in_subgraph).node[0].attribute =
        vec![AttributeProto { graphs: vec![inner], ..AttributeProto::default() }];
    assert!(matches!(refused(&in_subgraph), OnnxFault::Tensor { .. }));

    let mut sparse = model();
    let half = SparseTensorProto { values: Some(sample::weights()), ..SparseTensorProto::default() };
    graph(&mut sparse).sparse_initializer = vec![half];
    assert!(matches!(refused(&sparse), OnnxFault::Tensor { fault: TensorFault::Half, .. }));
}

#[test]
fn external_data_stays_inside_the_folder() {
    let fault = |entries: &[(&str, &str)]| match refused(&external(entries)) {
        OnnxFault::External { fault, .. } => fault,
        other => panic!("{other}"),
    };
    for location in ["../w", "a/../w", "/etc/passwd", "..", "a\\b", "", "*/_ORT_MEM_ADDR_/*", "a\0b"] {
        assert!(matches!(fault(&[("location", location)]), ExternalFault::Location { .. }), "{location}");
    }
    assert_eq!(fault(&[]), ExternalFault::NoLocation);
    assert_eq!(fault(&[("location", "w"), ("__class__", "x")]), ExternalFault::Key("__class__".into()));
    assert_eq!(fault(&[("location", "w"), ("location", "w")]), ExternalFault::Twice("location".into()));
    for value in ["-1", "", "1e3", "+4", "99999999999999999999"] {
        assert!(matches!(fault(&[("location", "w"), ("offset", value)]), ExternalFault::Number { .. }));
    }
    assert_eq!(fault(&[("location", "w"), ("length", "9")]), ExternalFault::Length { expected: 8, found: 9 });
    let end = u64::MAX.to_string();
    assert_eq!(fault(&[("location", "w"), ("offset", &end)]), ExternalFault::Overflow);

    let good = external(&[("location", "w"), ("offset", "4096"), ("length", "8"), ("checksum", "x")]);
    let summary = look(&encode(&good)).expect("sound");
    assert_eq!(summary.external, BTreeMap::from([("w".to_owned(), 4104)]));
}

#[test]
fn nesting_and_parts_are_bounded() {
    assert!(look(&sample::nested(20)).is_ok());
    assert_eq!(look(&sample::nested(1000)), Err(OnnxFault::TooDeep { limit: 96 }));
    let mut graph = Vec::new();
    for _ in 0..4_000_000 {
        field(&mut graph, 1, &[]);
    }
    let mut bytes = Vec::new();
    field(&mut bytes, 7, &graph);
    assert!(matches!(look(&bytes.into()), Err(OnnxFault::TooManyParts { .. })));
}

#[test]
fn nodes_and_tensors_are_bounded() {
    let of = |nodes, tensors| {
        let mut model = model();
        graph(&mut model).node = vec![sample::node("Mul", &["X", "X"], &["Y"]); nodes];
        graph(&mut model).initializer = vec![sample::weights(); tensors];
        look(&encode(&model)).map(drop)
    };
    assert_eq!(of(100_000, 1), Ok(()));
    assert_eq!(of(100_001, 1), Err(OnnxFault::TooManyNodes { limit: 100_000 }));
    assert_eq!(of(1, 100_000), Ok(()));
    assert_eq!(of(1, 100_001), Err(OnnxFault::TooManyTensors { limit: 100_000 }));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = look(&bytes.into());
    }

    #[test]
    fn a_model_with_bytes_changed_never_panics(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = encode(&external(&[("location", "w"), ("offset", "4096")])).to_vec();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = look(&bytes.into());
    }
}
