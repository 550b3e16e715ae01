//! The conformance vectors of V1 and TensorFlow Serving that concern codecs (T1 to T5).

use pointsman_core::{Datatype, PredictError, Tensor, TensorSpec};
use pointsman_wire::v1::{PredictForm, encode_predict};
use serde_json::json;

use crate::fixtures::{fp32, json, predict, prediction, spec, strings};

fn one(datatype: Datatype) -> Vec<TensorSpec> {
    vec![spec("x", datatype, false)]
}

fn several() -> Vec<TensorSpec> {
    vec![
        spec("a", Datatype::Fp32, false),
        spec("b", Datatype::Bytes, false),
        spec("c", Datatype::Int64, true),
    ]
}

fn inputs(body: &str, specs: &[TensorSpec]) -> Vec<(String, Tensor)> {
    let call = predict(body, specs).expect(body);
    call.request.inputs.into_iter().map(|input| (input.name, input.tensor)).collect()
}

fn encoded(outputs: &[(&str, &Tensor)], form: PredictForm) -> Result<String, PredictError> {
    encode_predict(&prediction(outputs), form).map(|b| String::from_utf8_lossy(&b).into_owned())
}

#[test]
fn t1_and_t2_rows_and_columns() {
    let expected = vec![("x".to_owned(), fp32(&[3], &[1.0, 2.0, 5.0]))];
    for (body, form) in [
        (r#"{"instances":[1.0,2.0,5.0]}"#, PredictForm::Row),
        (
            r#"{"signature_name":"serving_default","instances":[{"x":1.0},{"x":2.0},{"x":5.0}]}"#,
            PredictForm::Row,
        ),
        (r#"{"inputs":[1.0,2.0,5.0]}"#, PredictForm::Columnar),
        (r#"{"other":[{}],"inputs":{"x":[1,2,5]},"signature_name":""}"#, PredictForm::Columnar),
    ] {
        assert_eq!(inputs(body, &one(Datatype::Fp32)), expected, "{body}");
        assert_eq!(predict(body, &one(Datatype::Fp32)).map(|call| call.form), Ok(form), "{body}");
    }
    let y = fp32(&[3], &[2.5, 3.0, 4.5]);
    assert_eq!(encoded(&[("y", &y)], PredictForm::Row).as_deref(), Ok(r#"{"predictions":[2.5,3.0,4.5]}"#));
    assert_eq!(encoded(&[("y", &y)], PredictForm::Columnar).as_deref(), Ok(r#"{"outputs":[2.5,3.0,4.5]}"#));
}

#[test]
fn t3_rows_of_objects_are_columns() {
    let rows = r#"{"instances":[{"a":[1,2],"b":"x"},{"b":{"b64":"AAE="},"a":[3,4]}]}"#;
    let columns = r#"{"inputs":{"b":["x",{"b64":"AAE="}],"a":[[1,2],[3,4]]}}"#;
    let expected = vec![
        ("a".to_owned(), fp32(&[2, 2], &[1.0, 2.0, 3.0, 4.0])),
        ("b".to_owned(), strings(&[2], &[b"x", &[0, 1]])),
    ];
    assert_eq!(inputs(rows, &several()), expected);
    assert_eq!(inputs(columns, &several()), expected);
    let with_optional = r#"{"instances":[{"a":1,"b":"x","c":7}]}"#;
    assert_eq!(inputs(with_optional, &several()).len(), 3);
}

#[test]
fn t4_binary_values() {
    let specs = one(Datatype::Bytes);
    let expected = vec![("x".to_owned(), strings(&[1], &[&[0, 1]]))];
    assert_eq!(inputs(r#"{"instances":[{"b64":"AAE="}]}"#, &specs), expected);
    assert_eq!(inputs(r#"{"instances":[{"x":{"b64":"AAE="}}]}"#, &specs), expected);
    assert_eq!(inputs(r#"{"inputs":{"b64":"AAE="}}"#, &specs), [("x".to_owned(), strings(&[], &[&[0, 1]]))]);
    let named_b64 = vec![spec("b64", Datatype::Fp32, false)];
    assert_eq!(inputs(r#"{"instances":[{"b64":1}]}"#, &named_b64)[0].1, fp32(&[1], &[1.0]));
}

#[test]
fn t5_what_is_refused() {
    let float = one(Datatype::Fp32);
    for (body, specs, reason) in [
        (
            r#"{"instances":[1],"inputs":[1]}"#,
            &float,
            "expecting only one of 'inputs' or 'instances' keys to exist",
        ),
        (
            r#"{"inputs":[1],"instances":[1]}"#,
            &float,
            "expecting only one of 'inputs' or 'instances' keys to exist",
        ),
        (r#"{"instances":[1],"instances":[1]}"#, &float, "a key appears more than once"),
        (r#"{"instances":[]}"#, &float, "No values in 'instances' array"),
        (r#"{"instances":{"x":1}}"#, &float, "Expecting 'instances' to be an list/array"),
        (r#"{"signature_name":"serving_default"}"#, &float, "Missing 'inputs' or 'instances' key"),
        (
            r#"{"signature_name":"other","instances":[1]}"#,
            &float,
            "Serving signature key \"other\" not found",
        ),
        (r#"{"instances":["x"]}"#, &float, "JSON Value: \"x\" Type: String is not of expected type: float"),
        (r#"{"instances":[1,[2]]}"#, &float, "Encountered list at unexpected level"),
        (r#"{"instances":[1,{"x":2}]}"#, &float, "Expecting value/list but got object at item 1"),
        (r#"{"instances":[{"x":2},1]}"#, &float, "Expecting object but got list at item 1"),
        (r#"{"instances":[{"z":2}]}"#, &float, "JSON object: does not have named input: z"),
        (r#"{"instances":[{"x":2,"x":3}]}"#, &float, "the key appears more than once"),
        (r#"{"instances":[1.5]}"#, &one(Datatype::Int32), "is not of expected type: int32"),
        (r#"{"instances":[1]}"#, &several(), "instances is a plain list, but expecting list of objects"),
        (r#"{"inputs":[1]}"#, &several(), "inputs is a plain value/list, but expecting an object"),
        (r#"{"instances":[{"a":1}]}"#, &several(), "keys must be equal to: a,b,c"),
        (
            r#"{"instances":[{"a":1,"b":"x","c":1},{"a":1,"b":"x"}]}"#,
            &several(),
            "element: 1 of 'instances' list",
        ),
        (
            r#"{"instances":[{"a":1,"b":"x"},{"a":1,"b":"x","c":1}]}"#,
            &several(),
            "element: 1 of 'instances' list",
        ),
        (r#"{"inputs":{"a":[1]}}"#, &several(), "Missing named input: b in 'inputs' object."),
        (r#"{"inputs":{"a":[1],"a":[1]}}"#, &several(), "appears more than once in 'inputs'"),
        (r#"{"instances":[1]"#, &float, "EOF while parsing an object"),
        (r#"{"instances":[1]} x"#, &float, "trailing characters"),
        ("[1]", &float, "expected object but found array"),
    ] {
        let error = predict(body, specs).expect_err(body);
        assert!(matches!(error, PredictError::BadRequest(_)), "{body}: {error}");
        assert!(error.to_string().contains(reason), "{body}: {error}");
    }
    let failed = predict(r#"{"instances":[1]}"#, &[]).unwrap_err();
    assert!(failed.to_string().contains("plain list"), "a model without inputs takes no rows: {failed}");
}

#[test]
fn t5_nonfinite_tokens_in_and_out() {
    let x = &inputs(r#"{"instances":[NaN,Infinity,-Infinity]}"#, &one(Datatype::Fp32))[0].1;
    let values = x.values::<f32>().expect("FP32");
    assert!(values[0].is_nan() && values[1..] == [f32::INFINITY, f32::NEG_INFINITY]);
    assert_eq!(
        encoded(&[("y", x)], PredictForm::Row).as_deref(),
        Ok(r#"{"predictions":[NaN,Infinity,-Infinity]}"#)
    );
}

#[test]
fn several_outputs_have_names() {
    let (y, z) = (fp32(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), strings(&[2], &[b"a", b"b"]));
    let rows = encoded(&[("y", &y), ("z", &z)], PredictForm::Row).expect("rows");
    assert_eq!(rows, r#"{"predictions":[{"y":[1.0,2.0],"z":"a"},{"y":[3.0,4.0],"z":"b"}]}"#);
    let columns = encoded(&[("y", &y), ("z", &z)], PredictForm::Columnar).expect("columns");
    assert_eq!(
        json(columns.as_bytes()),
        json!({ "outputs": { "y": [[1.0, 2.0], [3.0, 4.0]], "z": ["a", "b"] } })
    );
    let bytes = encoded(&[("z_bytes", &strings(&[1], &[&[0xff]]))], PredictForm::Row).expect("bytes");
    assert_eq!(bytes, r#"{"predictions":[{"b64":"/w=="}]}"#);
}

#[test]
fn outputs_without_common_rows_have_no_row_form() {
    let (scalar, two, three) = (fp32(&[], &[1.5]), fp32(&[2], &[1.0, 2.0]), fp32(&[3], &[1.0; 3]));
    let error = encoded(&[("y", &scalar)], PredictForm::Row).unwrap_err().to_string();
    assert!(error.ends_with("Tensor name: y has no shape information"), "{error}");
    let error = encoded(&[("x", &three), ("y", &two)], PredictForm::Row).unwrap_err().to_string();
    assert!(error.ends_with("Tensor name: y has inconsistent batch size: 2 expecting: 3"), "{error}");
    assert_eq!(encoded(&[("y", &scalar)], PredictForm::Columnar).as_deref(), Ok(r#"{"outputs":1.5}"#));
    assert!(encoded(&[("y", &fp32(&[1 << 62, 0], &[]))], PredictForm::Row).is_err());
    assert_eq!(
        encoded(&[("y", &fp32(&[0, 2], &[]))], PredictForm::Row).as_deref(),
        Ok(r#"{"predictions":[]}"#)
    );
}
