//! Input that is meant to do harm is refused with a reason: no panic, no overflow of the stack, no
//! memory that a claim in the request asks for.

use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::{Datatype, Dim, PredictError, RequestId, Signature, TensorSpec, VersionSelector};
use pointsman_wire::limits::Limits;
use pointsman_wire::v1::{PredictHead, decode_predict};
use pointsman_wire::v2::{InferHead, Nonfinite, decode_infer};
use proptest::prelude::*;

use crate::fixtures::{infer, predict, spec};

fn input(rest: &str) -> String {
    format!(r#"{{"inputs":[{{"name":"x",{rest}}}]}}"#)
}

fn check(body: &str, reason: &str) {
    let error = infer(body.to_owned(), None).expect_err(body);
    let shown = &body[..body.len().min(200)];
    assert!(matches!(error, PredictError::BadRequest(_)), "{shown}: {error}");
    assert!(error.to_string().contains(reason), "{shown}: {error}");
    assert!(error.to_string().len() < 1000, "{shown}");
}

#[test]
fn depth() {
    let arrays = format!("{}1{}", "[".repeat(250_000), "]".repeat(250_000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(250_000), "}".repeat(250_000));
    for deep in [arrays.as_str(), &objects, &arrays[..250_000]] {
        assert!(infer(deep.to_owned(), None).is_err());
        check(&format!(r#"{{"unknown":{deep},"inputs":[]}}"#), "recursion limit exceeded");
        check(&input(&format!(r#""data":{deep},"shape":[1],"datatype":"FP32""#)), "recursion limit exceeded");
        assert!(infer(input(&format!(r#""shape":[1],"datatype":"FP32","data":{deep}"#)), None).is_err());
        let ones = ["1"; 32].join(",");
        assert!(infer(input(&format!(r#""shape":[{ones}],"datatype":"FP32","data":{deep}"#)), None).is_err());
        assert!(infer(format!(r#"{{"inputs":[],"parameters":{{"a":{deep}}}}}"#), None).is_err());
        for specs in [vec![spec("x", Datatype::Fp32, false)], vec![spec("x", Datatype::Bytes, false)]] {
            assert!(predict(&format!(r#"{{"instances":{deep}}}"#), &specs).is_err());
            assert!(predict(&format!(r#"{{"inputs":{{"x":{deep}}}}}"#), &specs).is_err());
        }
    }
}

#[test]
fn shapes() {
    for (shape, reason) in [
        ("[9223372036854775808]", "takes 9223372036854775808 elements, got 1"),
        ("[18446744073709551615]", "takes 18446744073709551615 elements, got 1"),
        ("[18446744073709551616]", "must be a whole number from 0"),
        ("[16,1152921504606846978]", "more elements than can be addressed"),
        ("[-1]", "dimension 0 of the shape of inputs[0] must be a whole number from 0, got -1"),
        ("[1,-5]", "dimension 1 of the shape"),
        ("[1.0]", "got 1.0"),
        ("[\"1\"]", "got \"1\""),
        ("[null]", "got null"),
        ("[[1]]", "got [1]"),
        ("4", "expected array but found int"),
        ("null", "expected array but found null"),
        ("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "more than 32 dimensions"),
    ] {
        check(&input(&format!(r#""shape":{shape},"datatype":"FP32","data":[1]"#)), reason);
    }
    // 2^62 elements of 4 bytes: the bytes overflow where the elements do not.
    let binary =
        input(r#""shape":[4611686018427387904,2],"datatype":"FP64","parameters":{"binary_data_size":0}"#);
    check(&binary, "more elements than can be addressed");
    let huge =
        input(r#""shape":[1],"datatype":"FP32","parameters":{"binary_data_size":18446744073709551615}"#);
    check(&huge, "expecting 18446744073709551615 additional bytes");
}

#[test]
fn structure() {
    let good = r#""shape":[1],"datatype":"FP32","data":[1]"#;
    assert!(infer(input(good), None).is_ok());
    for (body, reason) in [
        ("", "EOF while parsing a value"),
        ("null", "expected object but found null"),
        ("[]", "expected object but found array"),
        ("\u{feff}{}", "expected value"),
        ("{}", "the request has no 'inputs'"),
        (r#"{"inputs":null}"#, "expected array but found null"),
        (r#"{"inputs":{}}"#, "expected array but found object"),
        (r#"{"inputs":[1]}"#, "expected object but found int"),
        (r#"{"inputs":[{}]}"#, "inputs[0] has no 'name'"),
        (r#"{"inputs":[],"inputs":[]}"#, "'inputs' appears more than once in the request"),
        (r#"{"inputs":[],"id":7}"#, "expected string but found int"),
        (r#"{"inputs":[],}"#, "trailing comma"),
        (r#"{"inputs":[]}x"#, "trailing characters"),
        (r#"{"inputs":[]/**/}"#, "expected `,` or `}`"),
        (r#"{"inputs":[],"outputs":[{}]}"#, "outputs[0] has no 'name'"),
        (
            r#"{"inputs":[],"outputs":[{"name":"y","name":"z"}]}"#,
            "'name' appears more than once in outputs[0]",
        ),
        (
            r#"{"inputs":[],"outputs":[{"name":"y","parameters":{"binary_data":1}}]}"#,
            "expected bool but found int",
        ),
        (
            r#"{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":-1}}]}"#,
            "must be a whole number",
        ),
        (r#"{"inputs":[],"id":"\ud800"}"#, "hex escape"),
    ] {
        check(body, reason);
    }
    for (rest, reason) in [
        (r#""datatype":"FP32","data":[1]"#, "inputs[0] has no 'shape'"),
        (r#""shape":[1],"data":[1]"#, "inputs[0] has no 'datatype'"),
        (r#""shape":[1],"datatype":"fp32","data":[1]"#, "unknown datatype 'fp32', use one of BOOL, UINT8"),
        (r#""shape":[1],"datatype":1,"data":[1]"#, "expected string but found int"),
        (
            r#""shape":[1],"datatype":"FP32","data":[1],"data":[1]"#,
            "'data' appears more than once in inputs[0]",
        ),
        (r#""shape":[1],"shape":[1],"datatype":"FP32","data":[1]"#, "'shape' appears more than once"),
        (
            r#""shape":[1],"datatype":"FP32","datatype":"FP32","data":[1]"#,
            "'datatype' appears more than once",
        ),
        (r#""name":"y","shape":[1],"datatype":"FP32","data":[1]"#, "'name' appears more than once"),
        (r#""shape":[2],"datatype":"FP32","data":[1,null]"#, "input 'x': element 1 is null"),
        (r#""data":[1,null],"shape":[2],"datatype":"FP32""#, "input 'x': element 1 is null"),
        (r#""shape":[1],"datatype":"FP32","data":null"#, "'data' must be a list, got null"),
        (
            r#""shape":[1],"datatype":"FP32","parameters":{"binary_data_size":-4}"#,
            "must be a whole number from 0, got -4",
        ),
    ] {
        check(&input(rest), reason);
    }
    assert!(infer(Bytes::from_static(b"{\"inputs\":[],\"id\":\"\xff\"}"), None).is_err());
}

#[test]
fn limits() {
    let limits = Limits::default();
    let one = r#"{"name":"x","shape":[1],"datatype":"FP32","data":[1]}"#;
    let body = |count: usize| format!(r#"{{"inputs":[{}]}}"#, vec![one; count].join(","));
    assert!(infer(body(limits.tensors_max), None).is_ok());
    check(&body(limits.tensors_max + 1), "the request has more than 256 inputs (limits.tensors_max)");
    let outputs = vec![r#"{"name":"y"}"#; limits.tensors_max + 1].join(",");
    check(&format!(r#"{{"inputs":[],"outputs":[{outputs}]}}"#), "more than 256 outputs (limits.tensors_max)");
    let parameters = |count: usize| {
        let each: Vec<String> = (0..count).map(|i| format!(r#""p{i}":1"#)).collect();
        format!(r#"{{"inputs":[],"parameters":{{{}}}}}"#, each.join(","))
    };
    assert!(infer(parameters(limits.parameters_max), None).is_ok());
    check(
        &parameters(limits.parameters_max + 1),
        "the request has more than 64 parameters (limits.parameters_max)",
    );
    let long = "x".repeat(limits.text_bytes_max + 1);
    assert!(infer(format!(r#"{{"inputs":[],"id":"{}"}}"#, &long[1..]), None).is_ok());
    for body in [
        format!(r#"{{"inputs":[],"id":"{long}"}}"#),
        format!(r#"{{"inputs":[],"parameters":{{"{long}":1}}}}"#),
        format!(r#"{{"inputs":[],"parameters":{{"a":"{long}"}}}}"#),
        format!(r#"{{"inputs":[{{"name":"{long}"}}]}}"#),
        format!(r#"{{"inputs":[],"outputs":[{{"name":"{long}"}}]}}"#),
    ] {
        check(&body, "is 4097 bytes long, over the limit of 4096 (limits.text_bytes_max)");
    }
}

#[test]
fn every_truncation_is_refused() {
    let body = r#"{"id":"é\n","inputs":[{"name":"x","shape":[2,1],"datatype":"BYTES","data":[["a"],["ü"]]}],"outputs":[{"name":"y","parameters":{"binary_data":false}}],"parameters":{"a":-1.5e3}}"#;
    assert!(infer(body, None).is_ok());
    for cut in 0..body.len() {
        assert!(infer(Bytes::copy_from_slice(&body.as_bytes()[..cut]), None).is_err(), "cut at {cut}");
    }
    let body = r#"{"signature_name":"serving_default","instances":[{"x":[NaN,-1.5]},{"x":[1,2e2]}]}"#;
    let specs = [spec("x", Datatype::Fp64, false)];
    assert!(predict(body, &specs).is_ok());
    for cut in 0..body.len() {
        assert!(predict(&body[..cut], &specs).is_err(), "cut at {cut}");
    }
}

/// Text that is nearly a request, so that decoders are reached behind their first check.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "1",
        "-1",
        "1.5",
        "1e999",
        "18446744073709551616",
        "NaN",
        "-Infinity",
        "null",
        "true",
        "\"x\"",
        "\"name\"",
        "\"inputs\"",
        "\"outputs\"",
        "\"instances\"",
        "\"shape\"",
        "\"datatype\"",
        "\"data\"",
        "\"parameters\"",
        "\"FP32\"",
        "\"BYTES\"",
        "\"b64\"",
        "\"AAE=\"",
        "\"\\ud800\"",
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[2],\"datatype\":\"FP32\",\"data\":[",
        "{\"instances\":[",
    ]);
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn decode_all(body: &Bytes, header_length: Option<&str>, datatype: Datatype) {
    let shape = Some(vec![Dim::Dynamic(None), Dim::Fixed(2)]);
    let x = TensorSpec { name: "x".into(), datatype, shape, optional: false, labels: None };
    let signature = Arc::new(Signature { inputs: vec![x], outputs: Vec::new() });
    let id = RequestId::generate();
    let version = VersionSelector::Default;
    let head = InferHead {
        id,
        model: "m".into(),
        version: version.clone(),
        header_length,
        nonfinite: Nonfinite::Token,
    };
    let _ = decode_infer(head, body.clone(), &Limits::default(), || Ok(signature.clone()));
    let head = PredictHead { id, model: "m".into(), version };
    let _ = decode_predict(head, body.clone(), &Limits::default(), || Ok(signature));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..80), length in 0_usize..90) {
        let body = Bytes::from(body);
        decode_all(&body, None, Datatype::Fp32);
        decode_all(&body, Some(&length.to_string()), Datatype::Bytes);
    }

    #[test]
    fn nearly_json_never_panics(body in nearly_json(), datatype in proptest::sample::select(Datatype::ALL.to_vec())) {
        decode_all(&Bytes::from(body), None, datatype);
    }

    #[test]
    fn nearly_numbers_never_panic(text in "[-+.0-9eEINa]{1,24}", digits in 1_usize..6000, datatype in proptest::sample::select(Datatype::ALL.to_vec())) {
        for text in [text.clone(), format!("1{}{text}", "0".repeat(digits))] {
            let body = input(&format!(r#""shape":[1],"datatype":"{datatype}","data":[{text}]"#));
            decode_all(&Bytes::from(body), None, datatype);
        }
    }

    #[test]
    fn binary_requests_never_panic(size in any::<u64>(), dims in proptest::collection::vec(any::<u64>(), 0..4), blob in proptest::collection::vec(any::<u8>(), 0..64), datatype in proptest::sample::select(Datatype::ALL.to_vec())) {
        for size in [size, blob.len() as u64] {
            let json = format!(
                r#"{{"inputs":[{{"name":"x","shape":{dims:?},"datatype":"{datatype}","parameters":{{"binary_data_size":{size}}}}}]}}"#
            );
            let length = json.len().to_string();
            let body = Bytes::from([json.as_bytes(), &blob].concat());
            decode_all(&body, Some(&length), datatype);
        }
    }
}
