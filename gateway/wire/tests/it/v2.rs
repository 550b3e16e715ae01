//! The conformance vectors of V2 that concern codecs (V1 to V14), and the worked example.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use half::f16;
use pointsman_core::{
    Datatype, Dim, ParameterValue, PredictError, RequestId, Shape, Signature, Tensor, TensorSpec,
    VersionSelector,
};
use pointsman_wire::encoding::{Encoding, compress, decompress};
use pointsman_wire::limits::Limits;
use pointsman_wire::v2::{
    InferCall, InferHead, JSON, Nonfinite, OCTET_STREAM, OutputForm, ResponseForm, decode_infer, encode_infer,
};
use serde_json::json;

use crate::fixtures::{fp32, infer, json, prediction, strings};

/// The JSON of the worked example, 135 bytes long.
const EXAMPLE: &str = r#"{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","parameters":{"binary_data_size":16}}],"parameters":{"binary_data_output":true}}"#;

fn with_blob(json: &str, blob: &[u8]) -> (Bytes, String) {
    (Bytes::from([json.as_bytes(), blob].concat()), json.len().to_string())
}

fn refused(body: impl Into<Bytes>, header_length: Option<&str>) -> String {
    let error = infer(body, header_length).expect_err("to be refused");
    assert!(matches!(error, PredictError::BadRequest(_)), "{error}");
    error.to_string()
}

#[test]
fn worked_example() {
    assert_eq!(EXAMPLE.len(), 135);
    let values = [1.0_f32, -2.0, 0.5, f32::MAX];
    let blob: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let (body, length) = with_blob(EXAMPLE, &blob);
    assert_eq!(body.len(), 151);
    let call = infer(body, Some(&length)).expect("the example");
    assert_eq!(call.request.inputs[0].tensor, fp32(&[1, 4], &values));

    let y = fp32(&[1, 2], &[3.0, 4.0]);
    let answer = encode_infer(&prediction(&[("y", &y)]), &call.form).expect("an answer");
    assert_eq!(answer.content_type, OCTET_STREAM);
    let head = r#"{"model_name":"m","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]}"#;
    assert_eq!(answer.segments[0], head);
    assert_eq!(answer.header_length, Some(head.len()));
    assert_eq!(answer.segments[1].as_ptr(), y.data().as_ptr(), "outputs leave without a copy");
}

#[test]
fn v1_json_in_and_out() {
    let body = r#"{"id":"7","inputs":[{"name":"a","shape":[2,2],"datatype":"FP32","data":[[1,2],[3,4]]},{"name":"b","shape":[2,2],"datatype":"FP32","data":[1,1,1,1]}],"outputs":[{"name":"y"}]}"#;
    let call = infer(body, None).expect("V1");
    assert_eq!(call.request.outputs, ["y"]);
    assert_eq!(call.request.inputs[0].tensor, fp32(&[2, 2], &[1.0, 2.0, 3.0, 4.0]));
    assert_eq!(call.request.inputs[1].tensor, fp32(&[2, 2], &[1.0; 4]));
    let y = fp32(&[2, 2], &[2.0, 3.0, 4.0, 5.0]);
    let answer = encode_infer(&prediction(&[("y", &y)]), &call.form).expect("an answer");
    assert_eq!((answer.content_type, answer.header_length), (JSON, None));
    assert_eq!(
        answer.segments,
        [
            r#"{"id":"7","model_name":"m","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[2,2],"data":[2.0,3.0,4.0,5.0]}]}"#
        ]
    );
}

#[test]
fn v1_key_order_is_free_and_unknown_keys_are_skipped() {
    let usual = r#"{"inputs":[{"name":"a","shape":[2],"datatype":"INT64","data":[1,2]}]}"#;
    let unusual = r#"{"model_name":"m","x":{"y":[null]},"inputs":[{"data":[1,2],"z":1,"datatype":"INT64","parameters":{"content_type":"np"},"shape":[2],"name":"a"}],"parameters":null,"outputs":null,"id":null}"#;
    let tensor = |body: &str| infer(body.to_owned(), None).expect(body).request.inputs[0].tensor.clone();
    assert_eq!(tensor(usual), tensor(unusual));
}

#[test]
fn v2_binary_and_json_outputs_are_mixed() {
    let body = r#"{"inputs":[],"outputs":[{"name":"y","parameters":{"binary_data":true}},{"name":"z"}]}"#;
    let form = infer(body, None).expect("V2").form;
    let (y, z) = (fp32(&[1], &[1.5]), strings(&[2], &[b"a\"", b""]));
    let answer = encode_infer(&prediction(&[("y", &y), ("z", &z)]), &form).expect("an answer");
    let outputs = &json(&answer.segments[0])["outputs"];
    assert_eq!(outputs[0]["parameters"], json!({ "binary_data_size": 4 }));
    assert!(outputs[0].get("data").is_none());
    assert_eq!(outputs[1]["data"], json!(["a\"", ""]));
    assert_eq!(answer.segments[1..], [y.data().clone()]);
}

#[test]
fn v3_empty_binary_tensors_need_no_header() {
    let body =
        r#"{"inputs":[{"name":"x","shape":[0,4],"datatype":"FP32","parameters":{"binary_data_size":0}}]}"#;
    let call = infer(body, None).expect("V3");
    assert_eq!(call.request.inputs[0].tensor.elements(), 0);
    let form =
        ResponseForm { unlisted: OutputForm { binary: true, classification: 0 }, ..ResponseForm::default() };
    let answer = encode_infer(&prediction(&[("y", &fp32(&[0, 4], &[]))]), &form).expect("an answer");
    assert_eq!((answer.content_type, answer.header_length, answer.segments.len()), (JSON, None, 1));
    assert_eq!(json(&answer.segments[0])["outputs"][0]["parameters"]["binary_data_size"], 0);
}

#[test]
fn v4_and_v5_lengths_must_agree() {
    let error = refused(EXAMPLE, Some("136"));
    assert_eq!(error, "inference header size should be in range (0, 135), got: 136");
    let (short, length) = with_blob(EXAMPLE, &[0; 15]);
    let error = refused(short, Some(&length));
    assert_eq!(error, "unexpected size for input 'x', expecting 1 additional bytes for model 'm'");
    let (long, length) = with_blob(EXAMPLE, &[0; 17]);
    assert!(refused(long, Some(&length)).starts_with("unexpected additional input data for model 'm'"));
    let (body, length) = with_blob(&EXAMPLE.replace(":16}", ":12}"), &[0; 12]);
    assert_eq!(refused(body, Some(&length)), "input 'x': FP32 of shape [1,4] takes 16 bytes, got 12");
}

#[test]
fn v6_one_source_per_input() {
    let text = "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in 'parameters'. But";
    let body = |rest: &str| format!(r#"{{"inputs":[{{"name":"x","shape":[1],"datatype":"FP32"{rest}}}]}}"#);
    assert_eq!(refused(body(""), None), format!("{text} no field is set"));
    let both = body(r#","data":[1],"parameters":{"binary_data_size":4}"#);
    assert_eq!(refused(both, None), format!("{text} set 'data' 'binary_data_size'"));
    let shared = body(r#","parameters":{"shared_memory_region":"r"}"#);
    let error = infer(shared, None).unwrap_err();
    assert!(
        matches!(&error, PredictError::Unsupported(text) if text.contains("shared_memory_region")),
        "{error}"
    );
}

#[test]
fn v7_half_precision_in_both_forms() {
    let json = r#"{"inputs":[{"name":"x","shape":[2],"datatype":"FP16","data":[0.5,-1]}]}"#;
    let call = infer(json, None).expect("a superset of the protocol");
    let values = vec![f16::from_f32(0.5), f16::from_f32(-1.0)];
    let tensor = Tensor::from_vec(Datatype::Fp16, Shape::new(&[2]).expect("small"), values).expect("counted");
    assert_eq!(call.request.inputs[0].tensor, tensor);
    let json =
        r#"{"inputs":[{"name":"x","shape":[2],"datatype":"FP16","parameters":{"binary_data_size":4}}]}"#;
    let (body, length) = with_blob(json, tensor.data());
    assert_eq!(infer(body, Some(&length)).expect("V7").request.inputs[0].tensor, tensor);
}

#[test]
fn v8_strings_carry_their_length() {
    let json =
        r#"{"inputs":[{"name":"x","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":11}}]}"#;
    let (body, length) = with_blob(json, b"\x03\0\0\0abc\0\0\0\0");
    let call = infer(body, Some(&length)).expect("V8");
    assert_eq!(call.request.inputs[0].tensor, strings(&[2], &[b"abc", b""]));
    let (body, length) = with_blob(json, b"\x08\0\0\0abc\0\0\0\0");
    assert!(refused(body, Some(&length)).contains("points past the end"));
}

#[test]
fn v9_lengths_count_unpacked_bytes() {
    let (body, length) = with_blob(EXAMPLE, &[0; 16]);
    for encoding in [Encoding::Gzip, Encoding::Deflate] {
        let packed = compress(encoding, std::slice::from_ref(&body));
        let unpacked = decompress(Some(encoding.name()), packed, 1 << 20).expect("unpacked");
        assert!(infer(unpacked, Some(&length)).is_ok());
    }
    let error = decompress(Some("br"), body, 1 << 20).unwrap_err();
    assert_eq!(error, PredictError::UnsupportedEncoding { found: "br".into() });
}

#[test]
fn v10_listed_outputs_are_json_by_themselves() {
    let body = r#"{"inputs":[],"outputs":[{"name":"y"}],"parameters":{"binary_data_output":true}}"#;
    let form = infer(body, None).expect("V10").form;
    assert!(!form.output(0).binary && form.unlisted.binary);
}

fn raw(body: &'static [u8]) -> Result<InferCall, PredictError> {
    let shape = Some(vec![Dim::Dynamic(None), Dim::Fixed(4)]);
    let x = TensorSpec { name: "x".into(), datatype: Datatype::Fp32, shape, optional: false, labels: None };
    let head = InferHead {
        id: RequestId::generate(),
        model: "m".into(),
        version: VersionSelector::Default,
        header_length: Some("0"),
        nonfinite: Nonfinite::Token,
    };
    let signature = Arc::new(Signature { inputs: vec![x], outputs: Vec::new() });
    decode_infer(head, Bytes::from_static(body), &Limits::default(), || Ok(signature))
}

#[test]
fn v11_raw_requests_need_no_json() {
    let call = raw(&[0; 32]).expect("V11");
    assert_eq!(call.request.inputs[0].tensor.shape().dims(), [2, 4]);
    assert!(call.form.output(0).binary);
    assert!(raw(&[0; 33]).is_err());
}

#[test]
fn parameters_with_and_without_a_meaning() {
    let body = r#"{"inputs":[],"parameters":{"timeout":1500,"priority":1,"nonfinite":"null","a":true,"b":-2,"c":18446744073709551615,"d":1.5,"e":"text"}}"#;
    let call = infer(body, None).expect("parameters");
    assert_eq!(call.timeout, Some(Duration::from_micros(1500)));
    assert_eq!(call.form.nonfinite, Nonfinite::Null);
    assert_eq!(call.request.priority, 1);
    let expected = [
        ("a", ParameterValue::Bool(true)),
        ("b", ParameterValue::Int(-2)),
        ("c", ParameterValue::Uint(u64::MAX)),
        ("d", ParameterValue::Double(1.5)),
        ("e", ParameterValue::String("text".into())),
    ];
    assert_eq!(call.request.parameters, expected.map(|(key, value)| (key.to_owned(), value)));
    for (parameters, reason) in [
        (r#"{"triton_x":1}"#, "reserved for Triton usage"),
        (r#"{"headers":1}"#, "reserved for Triton usage"),
        (r#"{"sequence_id":1}"#, "parameter 'sequence_id': sequences of requests are not supported"),
        (r#"{"timeout":-1}"#, "parameter 'timeout' must be a whole number from 0, got -1"),
        (r#"{"priority":"high"}"#, "parameter 'priority' must be a whole number from 0, got \"high\""),
        (r#"{"nonfinite":"zero"}"#, "must be \"token\", \"null\" or \"error\""),
        (r#"{"a":{}}"#, "parameter 'a' has invalid type"),
        (r#"{"a":null}"#, "parameter 'a' has invalid type"),
        (r#"{"a":1e999}"#, "parameter 'a' is out of range"),
        (r#"{"a":1,"a":1}"#, "parameter 'a' appears more than once"),
    ] {
        let body = format!(r#"{{"inputs":[],"parameters":{parameters}}}"#);
        let error = infer(body, None).expect_err(parameters).to_string();
        assert!(error.contains(reason), "{parameters}: {error}");
    }
}

#[test]
fn classification_is_strings() {
    let body = r#"{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":2}}]}"#;
    let form = infer(body, None).expect("classification").form;
    let y = fp32(&[1, 3], &[0.1, 0.7, 0.2]);
    let answer = encode_infer(&prediction(&[("y", &y)]), &form).expect("an answer");
    assert_eq!(
        json(&answer.segments[0])["outputs"][0],
        json!({ "name": "y", "datatype": "BYTES", "shape": [1, 2], "data": ["0.700000:1", "0.200000:2"] })
    );
}

#[test]
fn nonfinite_outputs_follow_the_request() {
    let y = fp32(&[2], &[f32::NAN, f32::INFINITY]);
    let text = |nonfinite| {
        let form = ResponseForm { nonfinite, ..ResponseForm::default() };
        let answer = encode_infer(&prediction(&[("y", &y)]), &form);
        answer.map(|a| String::from_utf8_lossy(&a.segments[0]).into_owned())
    };
    assert!(text(Nonfinite::Token).is_ok_and(|t| t.contains(r#""data":[NaN,Infinity]"#)));
    assert!(text(Nonfinite::Null).is_ok_and(|t| t.contains(r#""data":[null,null]"#)));
    assert!(matches!(text(Nonfinite::Error), Err(PredictError::NotRepresentable { .. })));
    let bytes = strings(&[1], &[&[0xff]]);
    let error = encode_infer(&prediction(&[("y", &bytes)]), &ResponseForm::default()).unwrap_err();
    assert!(error.to_string().contains("ask for it with binary_data"), "{error}");
}
