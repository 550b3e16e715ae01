//! The binary tensor extension, in both directions.

use pointsman_core::Datatype;
use pointsman_tests::{OnnxModel, Start, TestRegistry, post, request, v2};
use serde_json::{Value, json};

use super::{floats, post_binary, start};

const ADD: &str = "/v2/models/add/infer";
const PAIR: &str = "/v2/models/pair/infer";

fn binary(name: &str, shape: Value, bytes: usize) -> Value {
    json!({"name": name, "shape": shape, "datatype": "FP32", "parameters": {"binary_data_size": bytes}})
}

/// V2: binary tensors in, beside JSON ones; out as each output asks.
#[test]
fn binary_and_json_tensors_mixed() {
    let gateway = start();
    let b = json!({"name": "b", "shape": [1, 2], "datatype": "FP32", "data": [1, 1]});
    let json = json!({"inputs": [binary("a", json!([1, 2]), 8), b]}).to_string();
    let answer = post_binary(&gateway, ADD, &json, &floats(&[1.0, 2.0]));
    assert_eq!(answer.json()["outputs"][0]["data"], json!([2.0, 3.0]));

    let outputs = json!([{"name": "twice", "parameters": {"binary_data": true}}, {"name": "same"}]);
    let json = json!({"inputs": [binary("x", json!([1, 2]), 8)], "outputs": outputs}).to_string();
    let answer = post_binary(&gateway, PAIR, &json, &floats(&[1.0, 2.0]));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    let length: usize = answer.header(v2::HEADER_LENGTH).expect("binary").parse().expect("a number");
    let head: Value = serde_json::from_slice(&answer.body[..length]).expect("JSON of that length");
    assert_eq!(head["outputs"][0]["parameters"], json!({"binary_data_size": 8}));
    assert_eq!((head["outputs"][0].get("data"), &head["outputs"][1]["data"]), (None, &json!([1.0, 2.0])));
    assert_eq!(answer.body[length..], floats(&[2.0, 4.0]));
}

/// V10: what is asked for all outputs holds for those that are not listed.
#[test]
fn the_default_for_outputs_leaves_listed_ones_alone() {
    let gateway = start();
    let x = json!({"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]});
    let ask = |outputs: Option<Value>| {
        let mut body = json!({"inputs": [x], "parameters": {"binary_data_output": true}});
        if let Some(outputs) = outputs {
            body["outputs"] = outputs;
        }
        post(gateway.http, PAIR, body.to_string())
    };
    let unlisted = ask(None);
    assert_eq!(unlisted.header("content-type"), Some("application/octet-stream"));
    let names: Vec<String> = v2::outputs(&unlisted).into_iter().map(|output| output.name).collect();
    assert_eq!(names, ["twice", "same"], "blobs stand in the order of the outputs");
    let listed = ask(Some(json!([{"name": "same"}])));
    assert_eq!(
        (listed.header("content-type"), listed.header(v2::HEADER_LENGTH)),
        (Some("application/json"), None)
    );
    assert_eq!(listed.json()["outputs"][0]["data"], json!([1.0, 2.0]));
    let mixed = ask(Some(json!([{"name": "same", "parameters": {"binary_data": true}}, {"name": "twice"}])));
    let outputs = v2::outputs(&mixed);
    assert_eq!((outputs[0].name.as_str(), &outputs[0].tensor.data()[..]), ("same", &floats(&[1.0, 2.0])[..]));
    assert_eq!(
        (outputs[1].name.as_str(), &outputs[1].tensor.data()[..]),
        ("twice", &floats(&[2.0, 4.0])[..])
    );
}

/// V3: nothing behind the JSON, with the header and without, and an empty output is JSON alone.
#[test]
fn empty_tensors_need_no_bytes() {
    let gateway = start();
    let json = json!({"inputs": [binary("x", json!([0, 2]), 0)], "parameters": {"binary_data_output": true}});
    for answer in
        [post(gateway.http, PAIR, json.to_string()), post_binary(&gateway, PAIR, &json.to_string(), &[])]
    {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header(v2::HEADER_LENGTH), None);
        let output = &answer.json()["outputs"][0];
        assert_eq!(
            (&output["shape"], &output["parameters"]),
            (&json!([0, 2]), &json!({"binary_data_size": 0}))
        );
    }
}

/// V4 and V5: lengths that do not fit.
#[test]
fn lengths_that_do_not_fit_are_named() {
    let gateway = start();
    let json = json!({"inputs": [binary("x", json!([1, 2]), 8)]}).to_string();
    let total = json.len();
    for length in [(total + 1).to_string(), "-1".into(), "x".into(), "9223372036854775808".into()] {
        let headers = [(v2::HEADER_LENGTH, length.as_str())];
        let answer = request("POST", gateway.http, PAIR, &headers, Some(json.as_bytes()));
        let expected = format!("inference header size should be in range (0, {total}), got: {length}");
        assert_eq!((answer.status, answer.error().0), (400, expected));
    }
    for (size, bytes, text) in [
        (8, 7, "unexpected size for input 'x', expecting 1 additional bytes for model 'pair'"),
        (8, 9, "unexpected additional input data for model 'pair'"),
        (4, 4, "FP32 of shape [1,2] takes 8 bytes, got 4"),
        (16, 16, "FP32 of shape [1,2] takes 8 bytes, got 16"),
        (usize::MAX, 8, "unexpected size for input 'x'"),
    ] {
        let json = json!({"inputs": [binary("x", json!([1, 2]), size)]}).to_string();
        let answer = post_binary(&gateway, PAIR, &json, &vec![0; bytes]);
        assert_eq!(answer.status, 400, "{size} {bytes}: {}", answer.text());
        assert!(answer.error().0.contains(text), "{size} {bytes}: {}", answer.text());
    }
}

/// V8: strings behind the JSON, any bytes among them, and a prefix that points past the end.
#[test]
fn strings_keep_every_byte() {
    let model = OnnxModel::identity(Datatype::Bytes, &[-1]).bytes();
    let gateway = Start::over(TestRegistry::new().file("text/1/model.onnx", model).path()).start();
    let ask = |data: &[u8], count: usize| {
        let size = json!({"binary_data_size": data.len()});
        let input = json!({"name": "x", "shape": [count], "datatype": "BYTES", "parameters": size});
        let json = json!({"inputs": [input], "parameters": {"binary_data_output": true}}).to_string();
        post_binary(&gateway, "/v2/models/text/infer", &json, data)
    };
    let data = b"\x03\0\0\0abc\0\0\0\0";
    assert_eq!(v2::outputs(&ask(data, 2))[0].tensor.data()[..], data[..]);
    let odd = v2::strings(&[4], &[b"a\0b", b"\xff\xfe", "\u{1f600}".as_bytes(), b""]);
    assert_eq!(v2::outputs(&ask(odd.data(), 4))[0].tensor, odd);
    for (data, count) in
        [(&b"\x04\0\0\0abc"[..], 1), (b"\x03\0\0", 1), (data, 1), (data, 3), (b"\xff\xff\xff\xff", 1)]
    {
        assert_eq!(ask(data, count).status, 400, "{data:?}");
    }

    let input =
        json!({"name": "x", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}});
    let json = json!({"inputs": [input]}).to_string();
    let answer = post_binary(&gateway, "/v2/models/text/infer", &json, b"\x02\0\0\0\xff\xfe");
    assert_eq!(
        (answer.status, answer.error().1.as_str()),
        (400, "NOT_REPRESENTABLE"),
        "no UTF-8: {}",
        answer.text()
    );
    assert!(answer.error().0.contains("'y'"), "{}", answer.text());
}
