//! V12 to V14: what the server tells about itself and its models, and paths and methods that it
//! does not have.

use pointsman_tests::{get, post, request};
use serde_json::{Value, json};

use super::start;

#[test]
fn health_tells_the_truth_as_json() {
    let gateway = start();
    for (path, body) in [
        ("/v2/health/live", json!({"live": true})),
        ("/v2/health/ready", json!({"ready": true})),
        ("/v2/models/add/ready", json!({"name": "add", "ready": true})),
        ("/v2/models/add/versions/2/ready", json!({"name": "add", "ready": true})),
        ("/v2/models/add/versions/champion/ready", json!({"name": "add", "ready": true})),
    ] {
        let answer = get(gateway.http, path);
        assert_eq!((answer.status, answer.json()), (200, body), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        let head = request("HEAD", gateway.http, path, &[], None);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
    let broken = get(gateway.http, "/v2/models/broken/ready");
    assert_eq!((broken.status, &broken.json()["ready"]), (503, &json!(false)));
    assert!(broken.error().0.contains("not at ready state"), "{}", broken.text());
    assert_eq!(get(gateway.http, "/v2/models/none/ready").status, 404);
}

#[test]
fn metadata_of_the_server_and_its_models() {
    let gateway = start();
    for path in ["/v2", "/v2/"] {
        let server = get(gateway.http, path).json();
        assert_eq!(server["name"], "pointsman");
        let extensions: Vec<&str> =
            server["extensions"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        for extension in ["binary_tensor_data", "classification", "model_configuration", "statistics"] {
            assert!(extensions.contains(&extension), "{extension} in {extensions:?}");
        }
    }
    assert_eq!(get(gateway.http, "/v2/models").json(), json!({"models": ["add", "broken", "pair"]}));
    let tensor = |name: &str| json!({"name": name, "datatype": "FP32", "shape": [-1, 2]});
    let add = json!({"name": "add", "versions": ["1", "2"], "platform": "onnxruntime_onnx",
                     "inputs": [tensor("a"), tensor("b")], "outputs": [tensor("y")]});
    for path in ["/v2/models/add", "/v2/models/add/versions/1", "/v2/models/add@champion"] {
        assert_eq!(get(gateway.http, path).json(), add, "{path}");
    }
    let config = get(gateway.http, "/v2/models/add/config").json();
    assert_eq!((&config["name"], &config["max_batch_size"]), (&json!("add"), &json!(0)));
    assert_eq!(
        config["input"][0],
        json!({"name": "a", "data_type": "TYPE_FP32", "dims": [-1, 2], "optional": false})
    );
    assert_eq!(config["output"][0], json!({"name": "y", "data_type": "TYPE_FP32", "dims": [-1, 2]}));
    assert_eq!(config["parameters"]["engine"]["string_value"], "onnxruntime");
    assert_eq!(config["model_transaction_policy"], json!({"decoupled": false}));
}

#[test]
fn statistics_count_rows_runs_and_failures() {
    let gateway = start();
    let input = |name: &str, rows: usize| {
        let data = vec![1; 2 * rows];
        json!({"name": name, "shape": [rows, 2], "datatype": "FP32", "data": data})
    };
    for rows in [1, 2, 5] {
        let body = json!({"inputs": [input("a", rows), input("b", rows)]}).to_string();
        assert_eq!(post(gateway.http, "/v2/models/add/infer", body).status, 200);
    }
    let body = json!({"inputs": [input("a", 1)]}).to_string();
    assert_eq!(post(gateway.http, "/v2/models/add/infer", body).status, 400);
    let stats = get(gateway.http, "/v2/models/add/versions/1/stats").json();
    let row = &stats["model_stats"][0];
    assert_eq!((&row["name"], &row["version"]), (&json!("add"), &json!("1")));
    assert_eq!((&row["inference_count"], &row["execution_count"]), (&json!(8), &json!(3)));
    assert!(row["last_inference"].as_u64().is_some_and(|ms| ms > 1_600_000_000_000), "{row}");
    for name in [
        "success",
        "fail",
        "queue",
        "compute_input",
        "compute_infer",
        "compute_output",
        "cache_hit",
        "cache_miss",
    ] {
        let duration = &row["inference_stats"][name];
        assert!(duration["count"].is_u64() && duration["ns"].is_u64(), "{name}: {row}");
    }
    assert_eq!(row["inference_stats"]["success"]["count"], 3);
    assert!(row["inference_stats"]["compute_infer"]["ns"].as_u64().is_some_and(|ns| ns > 0), "{row}");
    let of_model = get(gateway.http, "/v2/models/add/stats").json();
    assert_eq!(of_model["model_stats"].as_array().map(Vec::len), Some(2), "one row for each version");
    let all = get(gateway.http, "/v2/models/stats").json();
    assert_eq!(all["model_stats"].as_array().map(Vec::len), Some(3));
}

#[test]
fn the_index_is_a_list_with_reasons() {
    let gateway = start();
    let index = |body: &str| post(gateway.http, "/v2/repository/index", body).json();
    let all = index("");
    assert_eq!(index("{}"), all);
    let entry = |name: &str, version: &str| json!({"name": name, "version": version, "state": "READY"});
    let ready = json!([entry("add", "1"), entry("add", "2"), entry("pair", "1")]);
    assert_eq!(index(r#"{"ready": true}"#), ready);
    let broken =
        all.as_array().expect("a list").iter().find(|entry| entry["name"] == "broken").expect("listed");
    assert_eq!((&broken["version"], &broken["state"]), (&json!("1"), &json!("UNAVAILABLE")));
    assert!(broken["reason"].as_str().is_some_and(|reason| reason.contains("HTML")), "{broken}");
    assert_eq!(post(gateway.http, "/v2/repository/index", "[").status, 400);
}

#[test]
fn the_openapi_document_names_what_the_server_has() {
    let gateway = start();
    let answer = get(gateway.http, "/openapi.json");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{document}");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 15, "{:?}", paths.keys());
    for (path, methods) in paths {
        let concrete =
            path.replace("{model}", "add").replace("{version}", "1").replace("{alias}", "champion");
        let concrete = concrete.replace("{model_name}", "add").replace("{label}", "champion");
        assert!(!concrete.contains('{'), "{path} has a parameter that this test does not know");
        for method in
            methods.as_object().expect("methods").keys().filter(|key| ["get", "post"].contains(&key.as_str()))
        {
            let body = (method == "post").then_some(&b"{}"[..]);
            let status = request(&method.to_uppercase(), gateway.http, &concrete, &[], body).status;
            assert!(![404, 405].contains(&status), "{method} {path}: {status}");
        }
    }
}

/// V12: unknown paths and wrong methods, as JSON.
#[test]
fn paths_and_methods_that_are_not_there() {
    let gateway = start();
    for path in ["/v3", "/v2/nothing", "/v2/models/add/nothing", "/v2/health", "/v2/models/add/versions"] {
        let answer = get(gateway.http, path);
        assert_eq!(
            (answer.status, answer.error().1.as_str()),
            (404, "NOT_FOUND"),
            "{path}: {}",
            answer.text()
        );
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
    }
    for (method, path, allow) in [
        ("POST", "/v2/health/live", "GET, HEAD"),
        ("POST", "/v2/models/add", "GET, HEAD"),
        ("GET", "/v2/models/add/infer", "POST"),
        ("GET", "/v2/repository/index", "POST"),
        ("DELETE", "/v2", "GET, HEAD"),
    ] {
        let answer = request(method, gateway.http, path, &[], None);
        assert_eq!(
            (answer.status, answer.error().0.as_str()),
            (405, "Method Not Allowed"),
            "{method} {path}"
        );
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    for (method, path) in [
        ("POST", "/v2/repository/models/add/load"),
        ("GET", "/v2/systemsharedmemory/status"),
        ("GET", "/v2/logging"),
        ("POST", "/v2/models/add/generate"),
        ("POST", "/v2/repository/mine/index"),
    ] {
        let answer = request(method, gateway.http, path, &[], None);
        assert_eq!((answer.status, answer.error().1.as_str()), (501, "UNSUPPORTED"), "{method} {path}");
    }
    let answer = get(gateway.http, "/v2/models/add/versions/abc");
    assert_eq!((answer.status, answer.error().1.as_str()), (404, "UNKNOWN_VERSION"));
}
