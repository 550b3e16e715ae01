//! Requests and answers of JSON alone.

use pointsman_tests::{Gateway, post, request};
use serde_json::{Value, json};

use super::start;

const ADD: &str = "/v2/models/add/infer";

fn tensor(name: &str, shape: Value, data: Value) -> Value {
    json!({"name": name, "shape": shape, "datatype": "FP32", "data": data})
}

fn inputs() -> Value {
    json!([
        tensor("a", json!([2, 2]), json!([[1, 2], [3, 4]])),
        tensor("b", json!([2, 2]), json!([1, 1, 1, 1]))
    ])
}

/// The data of the first output, for the version that `path` names.
fn first(gateway: &Gateway, path: &str) -> (Value, Value) {
    let answer = post(gateway.http, path, json!({"inputs": inputs()}).to_string());
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let version = answer.header("pointsman-version").map(str::to_owned);
    assert_eq!(answer.json()["model_version"].as_str(), version.as_deref(), "{path}");
    (answer.json()["model_version"].clone(), answer.json()["outputs"][0]["data"].clone())
}

/// V1: nested and flat data are the same, the id is echoed, the version is a text, keys come in any
/// order, and unknown ones (KServe's client sends the model's name) change nothing.
#[test]
fn nested_and_flat_data_with_id_and_outputs() {
    let gateway = start();
    let body = json!({"id": "7", "inputs": inputs(), "outputs": [{"name": "y"}]}).to_string();
    let answer = post(gateway.http, ADD, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("inference-header-content-length"), None);
    let expected = json!({"id": "7", "model_name": "add", "model_version": "1", "outputs": [
        {"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [2.0, 3.0, 4.0, 5.0]},
    ]});
    assert_eq!(answer.json(), expected);
    assert!(answer.text().contains("[2.0,3.0,4.0,5.0]"), "floats have a point: {}", answer.text());
    assert_eq!(answer.header("pointsman-version"), Some("1"));
    assert!(answer.header("pointsman-arm").is_some_and(|arm| !arm.is_empty()));
    let id = answer.header("pointsman-request-id").expect("the gateway's id");
    assert!(id.len() == 36 && id.as_bytes()[14] == b'7', "{id} is a UUIDv7");

    let reversed = r#"{"outputs": [{"name": "y"}], "parameters": {"mine": 1.5}, "model_name": "add",
        "extra": [{}], "inputs": [{"data": [1, 1, 1, 1], "parameters": {"content_type": "np"}, "datatype": "FP32",
        "shape": [2, 2],
        "name": "b"}, {"data": [1, 2, 3, 4], "datatype": "FP32", "name": "a", "shape": [2, 2]}], "id": "7"}"#;
    assert_eq!(post(gateway.http, ADD, reversed).json(), expected);
    let no_id = post(gateway.http, ADD, json!({"inputs": inputs()}).to_string()).json();
    assert_eq!(no_id.get("id"), None, "an id that was not given is not answered");
}

#[test]
fn versions_and_aliases_stand_in_the_same_places() {
    let gateway = start();
    let (sum, product) = (json!([2.0, 3.0, 4.0, 5.0]), json!([1.0, 2.0, 3.0, 4.0]));
    for (place, version, data) in [
        ("add", "1", &sum),
        ("add/versions/1", "1", &sum),
        ("add/versions/champion", "1", &sum),
        ("add@champion", "1", &sum),
        ("add%40champion", "1", &sum),
        ("a%64d@1", "1", &sum),
        ("add/versions/2", "2", &product),
        ("add/versions/challenger", "2", &product),
        ("add@challenger", "2", &product),
    ] {
        assert_eq!(first(&gateway, &format!("/v2/models/{place}/infer")), (json!(version), data.clone()));
    }
    for (place, status, code) in [
        ("none", 404, "UNKNOWN_MODEL"),
        ("add/versions/9", 404, "UNKNOWN_VERSION"),
        ("add/versions/nobody", 404, "UNKNOWN_VERSION"),
        ("add@nobody", 404, "UNKNOWN_VERSION"),
        ("add/versions/0", 400, "BAD_REQUEST"),
        ("add@champion/versions/1", 400, "BAD_REQUEST"),
        ("broken", 503, "NOT_READY"),
    ] {
        let answer =
            post(gateway.http, &format!("/v2/models/{place}/infer"), json!({"inputs": []}).to_string());
        assert_eq!((answer.status, answer.error().1.as_str()), (status, code), "{place}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"), "{place}");
        assert_eq!(answer.header("retry-after").is_some(), status == 503, "{place}");
    }
}

/// V6, and the rows of the error table that a JSON request can reach.
#[test]
fn what_does_not_fit_is_named() {
    let gateway = start();
    let a = |rest: Value| {
        let mut input = json!({"name": "a", "shape": [1, 2], "datatype": "FP32"});
        let rest = rest.as_object().expect("an object").clone();
        input.as_object_mut().expect("an object").extend(rest);
        json!({"inputs": [input, tensor("b", json!([1, 2]), json!([1, 1]))]})
    };
    let data = || json!([1, 2]);
    let only = "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters'";
    for (body, code, text) in [
        (a(json!({"data": data(), "parameters": {"binary_data_size": 8}})), "BAD_REQUEST", only),
        (a(json!({})), "BAD_REQUEST", only),
        (a(json!({"data": [1]})), "BAD_REQUEST", "'a'"),
        (a(json!({"data": [1, 2, 3]})), "BAD_REQUEST", "'a'"),
        (a(json!({"data": ["1", 2]})), "BAD_REQUEST", "'a'"),
        (a(json!({"data": [[1, 2], [3]], "shape": [2, 2]})), "BAD_REQUEST", "'a'"),
        (a(json!({"data": data(), "datatype": "FP31"})), "BAD_REQUEST", "FP31"),
        (
            a(json!({"data": data(), "datatype": "INT32"})),
            "INPUT_MISMATCH",
            "inference input 'a' data-type is 'INT32', but model 'add' expects 'FP32'",
        ),
        (
            a(json!({"data": data(), "shape": [2, 1]})),
            "INPUT_MISMATCH",
            "unexpected shape for input 'a' for model 'add'. Expected [-1,2], got [2,1]",
        ),
        (
            a(json!({"data": data(), "name": "z"})),
            "INPUT_MISMATCH",
            "unexpected inference input 'z' for model 'add'",
        ),
        (a(json!({"data": data(), "name": "b"})), "INPUT_MISMATCH", "'b' appears more than once"),
        (
            json!({"inputs": [tensor("a", json!([1, 2]), data())]}),
            "INPUT_MISMATCH",
            "expected 2 inputs but got 1 inputs for model 'add'. Got input(s) ['a'], but missing required \
             input(s) ['b']. Please provide all required input(s).",
        ),
        (
            json!({"inputs": inputs(), "outputs": [{"name": "q"}]}),
            "INPUT_MISMATCH",
            "unexpected inference output 'q' for model 'add'",
        ),
        (json!({"inputs": inputs(), "parameters": {"triton_x": 1}}), "BAD_REQUEST", "reserved"),
        (
            json!({"inputs": inputs(), "parameters": {"x": []}}),
            "BAD_REQUEST",
            "parameter 'x' has invalid type",
        ),
        (json!({}), "BAD_REQUEST", "no 'inputs'"),
        (json!([]), "BAD_REQUEST", ""),
    ] {
        let answer = post(gateway.http, ADD, body.to_string());
        let (message, found) = answer.error();
        assert_eq!((answer.status, found.as_str()), (400, code), "{body}: {message}");
        assert!(message.contains(text), "{body}: {message}");
    }
    assert_eq!(gateway.metric("pointsman_requests_total", "code=\"INPUT_MISMATCH\""), 6.0);
}

/// Parts of the protocol that this gateway does not have are refused by name, not passed over.
#[test]
fn sequences_and_shared_memory_are_refused() {
    let gateway = start();
    let output = json!({"name": "y", "parameters": {"shared_memory_region": "r"}});
    for (body, name) in [
        (json!({"inputs": inputs(), "parameters": {"sequence_id": 7}}), "sequence_id"),
        (json!({"inputs": inputs(), "outputs": [output]}), "shared_memory_region"),
    ] {
        let answer = post(gateway.http, ADD, body.to_string());
        assert_eq!((answer.status, answer.error().1.as_str()), (501, "UNSUPPORTED"), "{}", answer.text());
        assert!(answer.error().0.contains(&format!("'{name}'")), "{}", answer.text());
    }
}

#[test]
fn classes_in_place_of_scores() {
    let gateway = start();
    let ask = |classes: Value| {
        let output = json!({"name": "y", "parameters": {"classification": classes}});
        post(gateway.http, ADD, json!({"inputs": inputs(), "outputs": [output]}).to_string())
    };
    let output = |classes: u64| ask(json!(classes)).json()["outputs"][0].clone();
    assert_eq!(
        output(1),
        json!({"name": "y", "datatype": "BYTES", "shape": [2, 1], "data": ["3.000000:1:dog", "5.000000:1:dog"]})
    );
    let all = json!(["3.000000:1:dog", "2.000000:0:cat", "5.000000:1:dog", "4.000000:0:cat"]);
    assert_eq!((&output(9)["data"], &output(9)["shape"]), (&all, &json!([2, 2])));
    assert_eq!(output(0)["datatype"], "FP32", "0 asks for the scores");
    assert_eq!(ask(json!(-1)).status, 400);
}

/// The deadline: a parameter in microseconds and a header in milliseconds.
#[test]
fn a_deadline_that_has_passed() {
    let gateway = start();
    let body = json!({"inputs": inputs(), "parameters": {"timeout": 1}}).to_string();
    let answer = post(gateway.http, ADD, body);
    assert_eq!((answer.status, answer.error().1.as_str()), (504, "DEADLINE_EXCEEDED"));
    assert!(answer.error().0.starts_with("Request timeout expired"), "{}", answer.text());
    let body = json!({"inputs": inputs(), "parameters": {"timeout": 0, "priority": 1}}).to_string();
    assert_eq!(post(gateway.http, ADD, &body).status, 200, "0 is no deadline");
    let with =
        |value| request("POST", gateway.http, ADD, &[("pointsman-timeout-ms", value)], Some(body.as_bytes()));
    assert_eq!(with("0").status, 504);
    assert_eq!(with("10000").status, 200);
    assert_eq!(with("soon").status, 400);
}
