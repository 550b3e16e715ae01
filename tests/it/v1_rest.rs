//! V1 and TensorFlow Serving's REST against the real server: the vectors T1 to T6 of the protocol's
//! reference, and the sentences of its errors.

use pointsman_core::Datatype;
use pointsman_tests::{Answer, Gateway, OnnxModel, Start, TestRegistry, get, post, request};
use serde_json::{Value, json};

/// `twice` gives `x + x`, in version 1 as `champion`; its version 2, `canary`, gives `x * x`. `add`
/// gives `a + b` and `a`. `text` and `echo_bytes` give the strings that they get, the latter under a
/// name that says bytes; `scalar` has no rows.
fn models() -> TestRegistry {
    let fp32 = Datatype::Fp32;
    let single = |operator: &str| {
        let model = OnnxModel::new().input("x", fp32, &[-1]).node(operator, &["x", "x"], "y");
        model.output("y", fp32, &[-1]).bytes()
    };
    let add = OnnxModel::new().input("a", fp32, &[-1, 2]).input("b", fp32, &[-1, 2]);
    let add = add.node("Add", &["a", "b"], "sum").node("Identity", &["a"], "same");
    let add = add.output("sum", fp32, &[-1, 2]).output("same", fp32, &[-1, 2]);
    let bytes = OnnxModel::new().input("x", Datatype::Bytes, &[-1]).node("Identity", &["x"], "y_bytes");
    TestRegistry::new()
        .file("twice/1/model.onnx", single("Add"))
        .file("twice/2/model.onnx", single("Mul"))
        .file("twice/model.toml", "serve = 1\nload = \"all\"\n[aliases]\nchampion = 1\ncanary = 2\n")
        .file("add/1/model.onnx", add.bytes())
        .file("int/1/model.onnx", OnnxModel::identity(Datatype::Int64, &[-1]).bytes())
        .file("text/1/model.onnx", OnnxModel::identity(Datatype::Bytes, &[-1]).bytes())
        .file("echo_bytes/1/model.onnx", bytes.output("y_bytes", Datatype::Bytes, &[-1]).bytes())
        .file("scalar/1/model.onnx", OnnxModel::identity(fp32, &[]).bytes())
        .file("broken/1/model.onnx", "")
}

fn start() -> Gateway {
    Start::over(models().path()).start()
}

fn predict(gateway: &Gateway, place: &str, body: &str) -> Answer {
    post(gateway.http, &format!("/v1/models/{place}:predict"), body)
}

/// The answer's text, which has tokens that JSON does not have.
fn ok(gateway: &Gateway, place: &str, body: &str) -> String {
    let answer = predict(gateway, place, body);
    assert_eq!(answer.status, 200, "{place} {body}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.text()
}

/// T1 to T3: rows and columns, one input and several.
#[test]
fn rows_and_columns() {
    let gateway = start();
    for (model, body, expected) in [
        ("twice", r#"{"instances": [1.0, 2.0, 5.0]}"#, r#"{"predictions":[2.0,4.0,10.0]}"#),
        ("twice", r#"{"instances": [{"x": 1}, {"x": 2}]}"#, r#"{"predictions":[2.0,4.0]}"#),
        ("twice", r#"{"inputs": [1.0, 2.0, 5.0]}"#, r#"{"outputs":[2.0,4.0,10.0]}"#),
        ("twice", r#"{"inputs": {"x": [0.5]}, "other": [{}]}"#, r#"{"outputs":[1.0]}"#),
        ("twice", r#"{"signature_name": "serving_default", "instances": [1]}"#, r#"{"predictions":[2.0]}"#),
        ("int", r#"{"instances": [9007199254740993]}"#, r#"{"predictions":[9007199254740993]}"#),
        ("scalar", r#"{"inputs": 7}"#, r#"{"outputs":7.0}"#),
    ] {
        assert_eq!(ok(&gateway, model, body), expected, "{model} {body}");
    }
    let rows = r#"{"instances": [{"a": [1, 2], "b": [3, 4]}, {"b": [1, 1], "a": [5, 6]}]}"#;
    let rows: Value = serde_json::from_str(&ok(&gateway, "add", rows)).expect("JSON");
    let columns = r#"{"inputs": {"a": [[1, 2], [5, 6]], "b": [[3, 4], [1, 1]]}}"#;
    let columns: Value = serde_json::from_str(&ok(&gateway, "add", columns)).expect("JSON");
    assert_eq!(
        columns["outputs"],
        json!({"sum": [[4.0, 6.0], [6.0, 7.0]], "same": [[1.0, 2.0], [5.0, 6.0]]})
    );
    let row = |i: usize| json!({"sum": columns["outputs"]["sum"][i], "same": columns["outputs"]["same"][i]});
    assert_eq!(rows["predictions"], json!([row(0), row(1)]));
}

/// T4: bytes as base64, in and out; text as text.
#[test]
fn bytes_travel_as_base64() {
    let gateway = start();
    let answer = ok(&gateway, "echo_bytes", r#"{"instances": [{"b64": "AAE="}, "abc"]}"#);
    assert_eq!(answer, r#"{"predictions":[{"b64":"AAE="},{"b64":"YWJj"}]}"#);
    let answer = ok(&gateway, "text", r#"{"instances": [{"x": {"b64": "YWJj"}}, {"x": "d"}]}"#);
    assert_eq!(answer, r#"{"predictions":["abc","d"]}"#);
    let refused = predict(&gateway, "text", r#"{"instances": [{"b64": "/w=="}]}"#);
    assert_eq!(
        (refused.status, refused.error().1.as_str()),
        (400, "NOT_REPRESENTABLE"),
        "{}",
        refused.text()
    );
    assert_eq!(predict(&gateway, "text", r#"{"instances": [{"b64": "*"}]}"#).status, 400);
}

/// T5: NaN in and out, aliases, and what is refused with which sentence.
#[test]
fn nonfinite_numbers_and_versions() {
    let gateway = start();
    let answer = ok(&gateway, "twice", r#"{"instances": [NaN, Infinity, -Infinity]}"#);
    assert_eq!(answer, r#"{"predictions":[NaN,Infinity,-Infinity]}"#);
    for (place, version, value) in [
        ("twice", "1", "6.0"),
        ("twice/versions/2", "2", "9.0"),
        ("twice/labels/canary", "2", "9.0"),
        ("twice/labels/champion", "1", "6.0"),
        ("twice/versions/canary", "2", "9.0"),
        ("twice@canary", "2", "9.0"),
    ] {
        let answer = predict(&gateway, place, r#"{"instances": [3]}"#);
        assert_eq!(answer.text(), format!(r#"{{"predictions":[{value}]}}"#), "{place}");
        assert_eq!(answer.header("pointsman-version"), Some(version), "{place}");
        assert!(answer.header("pointsman-request-id").is_some(), "{place}");
    }
    for (place, status, code) in [
        ("none", 404, "UNKNOWN_MODEL"),
        ("twice/versions/9", 404, "UNKNOWN_VERSION"),
        ("twice/labels/nobody", 404, "UNKNOWN_VERSION"),
        ("broken", 503, "NOT_READY"),
    ] {
        let answer = predict(&gateway, place, r#"{"instances": [3]}"#);
        assert_eq!((answer.status, answer.error().1.as_str()), (status, code), "{place}: {}", answer.text());
    }
    let answer =
        request("POST", gateway.http, "/V1/Models/twice:PREDICT", &[], Some(br#"{"instances":[1]}"#));
    assert_eq!(answer.status, 200, "TensorFlow Serving's paths ignore case");
}

#[test]
fn what_does_not_fit_has_tensorflow_servings_sentences() {
    let gateway = start();
    for (model, body, text) in [
        ("twice", "{}", "Missing 'inputs' or 'instances' key"),
        (
            "twice",
            r#"{"instances": [1], "inputs": [1]}"#,
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist",
        ),
        ("twice", r#"{"instances": 1}"#, "Expecting 'instances' to be an list/array"),
        ("twice", r#"{"instances": []}"#, "No values in 'instances' array"),
        ("twice", r#"{"instances": ["x"]}"#, "\"x\" Type: String is not of expected type: float"),
        ("int", r#"{"instances": [1.5]}"#, "is not of expected type: int64"),
        ("twice", r#"{"instances": [1, {"x": 2}]}"#, "got object at item 1 of input list"),
        ("twice", r#"{"instances": [[1], [1, 2]]}"#, ""),
        ("add", r#"{"instances": [[1, 2]]}"#, "expecting list of objects as multiple input tensors required"),
        ("add", r#"{"instances": [{"a": [1, 2]}]}"#, "keys must be equal to: a,b"),
        ("add", r#"{"instances": [{"a": [1, 2], "b": [1, 2], "c": 1}]}"#, "does not have named input: c"),
        ("add", r#"{"inputs": {"a": [[1, 2]]}}"#, "Missing named input: b in 'inputs' object"),
        ("add", r#"{"inputs": [[1, 2]]}"#, "expecting an object as multiple input tensors required"),
        ("twice", r#"{"signature_name": "other", "instances": [1]}"#, "\"other\" not found"),
        ("scalar", r#"{"instances": [1]}"#, "unexpected shape for input 'x' for model 'scalar'"),
        ("twice", "{", ""),
        ("twice", "", ""),
    ] {
        let answer = predict(&gateway, model, body);
        assert_eq!(answer.status, 400, "{model} {body}: {}", answer.text());
        assert!(answer.error().0.contains(text), "{model} {body}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    for (path, status, text) in [
        ("/v1/models/twice:frobnicate", 400, "Malformed request: POST /v1/models/twice:frobnicate"),
        ("/v1/models/twice:classify", 501, "use predict"),
        ("/v1/models/twice", 405, "Method Not Allowed"),
    ] {
        let answer = post(gateway.http, path, "{}");
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.error().0.contains(text), "{path}: {}", answer.text());
    }
}

/// T6: the keys of both servers, in one document.
#[test]
fn status_and_metadata() {
    let gateway = start();
    assert_eq!(get(gateway.http, "/").json(), json!({"status": "alive"}));
    let models = json!({"models": ["add", "broken", "echo_bytes", "int", "scalar", "text", "twice"]});
    assert_eq!(get(gateway.http, "/v1/models").json(), models);
    let fine = json!({"error_code": "OK", "error_message": ""});
    let version = |number: &str| json!({"version": number, "state": "AVAILABLE", "status": fine});
    for (place, versions) in [
        ("twice", json!([version("1"), version("2")])),
        ("twice/versions/2", json!([version("2")])),
        ("twice/labels/champion", json!([version("1")])),
    ] {
        let expected = json!({"model_version_status": versions, "name": "twice", "ready": true});
        assert_eq!(get(gateway.http, &format!("/v1/models/{place}")).json(), expected, "{place}");
    }
    let broken = get(gateway.http, "/v1/models/broken");
    assert_eq!((broken.status, &broken.json()["ready"]), (503, &json!(false)));
    let row = &broken.json()["model_version_status"][0];
    assert_eq!((&row["version"], &row["state"]), (&json!("1"), &json!("END")));
    assert!(row["status"]["error_message"].as_str().is_some_and(|text| !text.is_empty()), "{row}");
    for place in ["none", "twice/versions/9", "twice/labels/nobody"] {
        assert_eq!(get(gateway.http, &format!("/v1/models/{place}")).status, 404, "{place}");
    }

    let metadata = get(gateway.http, "/v1/models/add/metadata").json();
    assert_eq!(metadata["model_spec"], json!({"name": "add", "signature_name": "", "version": "1"}));
    let signature = &metadata["metadata"]["signature_def"]["signature_def"]["serving_default"];
    let dims = json!([{"size": "-1", "name": ""}, {"size": "2", "name": ""}]);
    let shape = json!({"dim": dims, "unknown_rank": false});
    assert_eq!(signature["inputs"]["a"], json!({"dtype": "DT_FLOAT", "tensor_shape": shape, "name": "a:0"}));
    assert_eq!(signature["outputs"]["same"]["dtype"], "DT_FLOAT");
    assert_eq!(signature["method_name"], "tensorflow/serving/predict");
    let of_version = get(gateway.http, "/v1/models/twice/labels/canary/metadata").json();
    assert_eq!(of_version["model_spec"]["version"], "2");
}

#[test]
fn nothing_that_serves_is_not_ready() {
    let registry = TestRegistry::new().file("broken/1/model.onnx", "");
    let gateway = Start::over(registry.path()).start_unready();
    for path in ["/v2/health/ready", "/v1/models/broken", "/v2/models/broken/ready"] {
        let answer = get(gateway.http, path);
        assert_eq!((answer.status, &answer.json()["ready"]), (503, &json!(false)), "{path}");
    }
    assert_eq!(get(gateway.http, "/v2/health/live").status, 200);
}
