//! A registry that Triton serves: its `config.pbtxt` is honoured, and what is not is said.

use pointsman_tests::{Answer, Gateway, Pointsman, Start, TestRegistry, get, post, test_model};
use serde_json::json;

const CONFIG: &str = r#"
name: "rows"
platform: "onnxruntime_onnx"
max_batch_size: 2
input [ { name: "X" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "Y" data_type: TYPE_FP32 dims: [ 4 ] label_filename: "species.txt" } ]
version_policy { specific { versions: [ 1, 3 ] } }
instance_group [ { count: 2 kind: KIND_CPU } ]
optimization { execution_accelerators { cpu_execution_accelerator: [ { name: "openvino" } ] } }
response_cache { enable: true }
some_field_of_2031: 7
"#;

fn registry() -> TestRegistry {
    let identity = || test_model("identity");
    TestRegistry::new()
        .file("rows/config.pbtxt", CONFIG)
        .file("rows/species.txt", "setosa\nversicolor\nvirginica\nother\n")
        .file("rows/1/model.onnx", identity())
        .file("rows/2/model.onnx", identity())
        .file("rows/3/model.onnx", identity())
}

fn ask(gateway: &Gateway, path: &str, rows: usize, classes: u32) -> Answer {
    let data: Vec<usize> = (0..4 * rows).collect();
    let input = json!({"name": "X", "datatype": "FP32", "shape": [rows, 4], "data": data});
    let output = json!({"name": "Y", "parameters": {"classification": classes}});
    let outputs = if classes > 0 { json!([output]) } else { json!([]) };
    post(gateway.http, path, json!({"inputs": [input], "outputs": outputs}).to_string())
}

#[test]
fn check_warns_of_what_is_not_honoured() {
    let registry = registry();
    let said = Pointsman::new([std::ffi::OsStr::new("check"), registry.path().as_os_str()]).run();
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    for field in ["optimization", "some_field_of_2031"] {
        let warned = |line: &str| line.contains("warning") && line.contains(field);
        assert!(said.stdout.lines().any(warned), "{field} is not in\n{}", said.stdout);
    }
    for field in ["max_batch_size", "version_policy", "label_filename", "instance_group", "response_cache"] {
        assert!(!said.stdout.contains(field), "{field} is honoured, and is in\n{}", said.stdout);
    }
}

#[test]
fn its_settings_are_served() {
    let registry = registry();
    let gateway = Start::over(registry.path()).start();
    let infer = "/v2/models/rows/infer";
    assert_eq!(ask(&gateway, infer, 2, 0).status, 200);
    let (message, code) = ask(&gateway, infer, 3, 0).error();
    assert_eq!(code, "INPUT_MISMATCH");
    assert!(
        message.contains("must be <= 2") && message.contains("'rows'") && message.contains('3'),
        "{message}"
    );

    let config = get(gateway.http, "/v2/models/rows/config").json();
    assert_eq!(config["max_batch_size"], 2, "{config}");
    let classes = ask(&gateway, infer, 1, 1).json();
    assert_eq!(classes["outputs"][0]["data"], json!(["3.000000:3:other"]), "{classes}");

    // The policy loads the first and the third.
    let versions = get(gateway.http, "/v2/models/rows").json()["versions"].clone();
    assert_eq!(versions, json!(["1", "3"]));
    assert_eq!(ask(&gateway, "/v2/models/rows/versions/1/infer", 1, 0).status, 200);
    assert_eq!(ask(&gateway, "/v2/models/rows/versions/2/infer", 1, 0).status, 503);
    let models = get(gateway.admin, "/models").json();
    assert_eq!(models["models"][0]["default"], 3, "{models}");
    assert_eq!(models["models"][0]["versions"][0]["workers"], 2, "{models}");

    // The answer to the same two rows is kept, until the card says otherwise.
    assert_eq!(config["response_cache"]["enable"], true, "{config}");
    let hits = gateway.metric("pointsman_cache_hits_total", "model=\"rows\",version=\"3\"");
    assert_eq!(ask(&gateway, infer, 2, 0).status, 200);
    assert_eq!(gateway.metric("pointsman_cache_hits_total", "model=\"rows\",version=\"3\""), hits + 1.0);
    let registry = self::registry().file("rows/model.toml", "cache_bytes_max = 0\n");
    let gateway = Start::over(registry.path()).start();
    let config = get(gateway.http, "/v2/models/rows/config").json();
    assert_eq!(config["response_cache"]["enable"], false, "{config}");
}

#[test]
fn what_cannot_be_served_at_all_is_a_problem() {
    for (config, says) in [
        ("platform: \"tensorflow_savedmodel\"\n", "tensorflow_savedmodel"),
        ("max_batch_size: -1\n", "max_batch_size"),
        ("max_batch_size: {\n", "line"),
    ] {
        let registry = registry().file("rows/config.pbtxt", config);
        let said = Pointsman::new([std::ffi::OsStr::new("check"), registry.path().as_os_str()]).run();
        assert_eq!(said.code, Some(1), "{config}: {}", said.stdout);
        assert!(said.stdout.contains(says), "{config}: {}", said.stdout);
    }
}
