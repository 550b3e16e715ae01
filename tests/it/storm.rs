//! Many operators who load and unload the same models at once, while others are asked for predictions.
//!
//! `POINTSMAN_TEST_STORM_CALLS` sets how many calls; README.md has the command for 65 536.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use pointsman_tests::{Start, TestRegistry, Traffic, get, post, test_model, wait_for};
use serde_json::json;

const CLIENTS: u64 = 32;

#[test]
fn every_call_gets_its_final_answer_and_no_prediction_fails() {
    let calls: u64 = std::env::var("POINTSMAN_TEST_STORM_CALLS")
        .ok()
        .map_or(2048, |calls| calls.parse().expect("a number"));
    let mut registry = TestRegistry::new().made("steady", "gather");
    for model in 0..4 {
        for version in 1..=2 {
            registry = registry.file(&format!("stormy{model}/{version}/model.onnx"), test_model("gather"));
        }
    }
    let config = "[shutdown]\ndrain_delay = \"0s\"\n[serving]\nworkers = 1\n[gates]\nlatency = \"off\"\n\
                  [registry]\nsettle = \"0s\"\nprevious_kept = \"0s\"\n";
    let gateway = Start::over(registry.path()).config(config).start();
    let body = r#"{"inputs":[{"name":"indices","datatype":"INT64","shape":[2],"data":[3,0]}]}"#;
    let traffic = Traffic::start(gateway.http, "/v2/models/steady/infer", body, 2);
    let next = AtomicU64::new(0);
    let outcomes = std::thread::scope(|scope| {
        let client = || {
            let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
            loop {
                let call = next.fetch_add(1, Ordering::Relaxed);
                if call >= calls {
                    return outcomes;
                }
                let verb = if (call / 7) % 2 == 0 { "load" } else { "unload" };
                let (model, version) = (call % 4, call % 3);
                let body = if version == 0 { json!({}) } else { json!({"version": version}) };
                let answer = post(gateway.admin, &format!("/models/stormy{model}/{verb}"), body.to_string());
                let json = answer.json();
                let outcome =
                    json["outcome"].as_str().or(json["code"].as_str()).expect("an outcome or a code");
                assert!(
                    ["done", "unchanged", "SUPERSEDED", "REFUSED"].contains(&outcome),
                    "{verb} {body}: {}",
                    answer.text()
                );
                if outcome == "REFUSED" {
                    // The one reason there is: a version of a model that is unloaded as a whole, or a model of
                    // which all versions are.
                    let reason = json["error"].as_str().unwrap_or_default();
                    assert!(
                        reason.contains("the whole model is unloaded")
                            || reason.contains("no version of it can serve"),
                        "{reason}"
                    );
                }
                *outcomes.entry(outcome.to_owned()).or_default() += 1;
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        for client in clients {
            for (outcome, count) in client.join().expect("every answer is one") {
                *all.entry(outcome).or_default() += count;
            }
        }
        all
    });
    assert_eq!(outcomes.values().sum::<u64>(), calls, "{outcomes:?}");
    assert!(outcomes["done"] > 0, "{outcomes:?}");
    traffic.wait_for_more(20);
    let answered = traffic.stop();
    assert!(answered["1"] > 100, "{answered:?}");
    // The last wish of each model is the one that holds.
    for model in 0..4 {
        let load = post(gateway.admin, &format!("/models/stormy{model}/reset"), "{}");
        assert_eq!(load.status, 200, "{}", load.text());
        for version in 1..=2 {
            let load = post(
                gateway.admin,
                &format!("/models/stormy{model}/load"),
                json!({"version": version}).to_string(),
            );
            assert_eq!(load.status, 200, "{}", load.text());
        }
        let path = format!("/v2/models/stormy{model}/versions/2/infer");
        wait_for("the model to answer", || (post(gateway.http, &path, body).status == 200).then_some(()));
    }
    let models = get(gateway.admin, "/models").json();
    let pending: Vec<_> = models["models"]
        .as_array()
        .expect("models")
        .iter()
        .flat_map(|m| m["pending"].as_array().cloned().unwrap_or_default())
        .collect();
    assert_eq!(pending, Vec::<serde_json::Value>::new());
    assert_eq!(gateway.metric("pointsman_control_panics_total", ""), 0.0);
    assert_eq!(gateway.stop().code, Some(0));
}
