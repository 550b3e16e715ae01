//! What a new user does first.

use pointsman_tests::{Start, get, post, repository};
use serde_json::json;

#[test]
fn the_shipped_models_serve() {
    let gateway = Start::over(repository().join("models")).start();
    assert_eq!(get(gateway.http, "/v2/health/ready").json(), json!({"ready": true}));
    let request = json!({"id": "7", "inputs": [
        {"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]},
    ]});
    for version in ["", "/versions/1", "/versions/2", "/versions/3"] {
        let answer = post(gateway.http, &format!("/v2/models/iris{version}/infer"), request.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["outputs"][0]["data"], json!([0]));
        assert_eq!(answer.json()["id"], "7");
    }
    assert_eq!(gateway.metric("pointsman_requests_total", "code=\"OK\""), 4.0);
    let stopped = gateway.stop();
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    assert!(stopped.stdout.contains("iris"), "{}", stopped.stdout);
}
