//! Many operators who load and unload the same models at once, while others are asked for predictions.
//!
//! `POINTSMAN_TEST_STORM_CALLS` sets how many calls; README.md has the command for 65 536.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use pointsman_tests::{Gateway, Start, TestRegistry, Traffic, get, post, test_model, wait_for};
use serde_json::{Value, json};

const CLIENTS: u64 = 32;
const MODELS: u64 = 4;
const CONFIG: &str = "[shutdown]\ndrain_delay = \"0s\"\n[serving]\nworkers = 1\n[gates]\nlatency = \"off\"\n\
                      [registry]\nsettle = \"0s\"\nprevious_kept = \"0s\"\n";
const BODY: &str = r#"{"inputs":[{"name":"indices","datatype":"INT64","shape":[2],"data":[3,0]}]}"#;

/// A model that is asked all the time, and four that are loaded and unloaded.
fn registry() -> TestRegistry {
    let mut registry = TestRegistry::new().made("steady", "gather");
    for model in 0..MODELS {
        for version in 1..=2 {
            registry = registry.file(&format!("stormy{model}/{version}/model.onnx"), test_model("gather"));
        }
    }
    registry
}

/// One call, and the final word on it.
fn call(gateway: &Gateway, number: u64) -> String {
    let verb = if (number / 7).is_multiple_of(2) { "load" } else { "unload" };
    let body = match number % 3 {
        0 => json!({}),
        version => json!({ "version": version }),
    };
    let answer = post(gateway.admin, &format!("/models/stormy{}/{verb}", number % MODELS), body.to_string());
    let json = answer.json();
    let outcome = json["outcome"].as_str().or(json["code"].as_str()).expect("an outcome or a code");
    match outcome {
        "done" | "unchanged" | "SUPERSEDED" => {}
        // The reasons there are: a version of a model that is unloaded as a whole, or a model of which all
        // versions are.
        "REFUSED" => {
            let reason = json["error"].as_str().unwrap_or_default();
            let known = ["the whole model is unloaded", "no version of it can serve"];
            assert!(known.iter().any(|known| reason.contains(known)), "{reason}");
        }
        _ => panic!("{verb} {body}: {}", answer.text()),
    }
    outcome.to_owned()
}

/// So many calls by all clients at once; how often each outcome came.
fn storm(gateway: &Gateway, calls: u64) -> BTreeMap<String, u64> {
    let next = AtomicU64::new(0);
    let client = || {
        let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= calls {
                return outcomes;
            }
            *outcomes.entry(call(gateway, number)).or_default() += 1;
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        for client in clients {
            for (outcome, count) in client.join().expect("every answer is one") {
                *all.entry(outcome).or_default() += count;
            }
        }
        all
    })
}

#[test]
fn every_call_gets_its_final_answer_and_no_prediction_fails() {
    let calls = std::env::var("POINTSMAN_TEST_STORM_CALLS").ok();
    let calls = calls.map_or(2048, |calls| calls.parse().expect("a number"));
    let registry = registry();
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let traffic = Traffic::start(gateway.http, "/v2/models/steady/infer", BODY, 2);
    let outcomes = storm(&gateway, calls);
    assert_eq!(outcomes.values().sum::<u64>(), calls, "{outcomes:?}");
    assert!(outcomes["done"] > 0, "{outcomes:?}");
    traffic.wait_for_more(20);
    let answered = traffic.stop();
    assert!(answered["1"] > 100, "{answered:?}");

    // Nothing is stuck: what is asked for now is done.
    for model in 0..MODELS {
        assert_eq!(post(gateway.admin, &format!("/models/stormy{model}/reset"), "{}").status, 200);
        for version in 1..=2 {
            let body = json!({ "version": version }).to_string();
            let load = post(gateway.admin, &format!("/models/stormy{model}/load"), body);
            assert_eq!(load.status, 200, "{}", load.text());
        }
        let path = format!("/v2/models/stormy{model}/versions/2/infer");
        wait_for("the model to answer", || (post(gateway.http, &path, BODY).status == 200).then_some(()));
    }
    let models = get(gateway.admin, "/models").json();
    let models = models["models"].as_array().expect("models");
    let pending: Vec<&Value> = models.iter().filter_map(|m| m["pending"].as_array()).flatten().collect();
    assert!(pending.is_empty(), "{pending:?}");
    assert_eq!(gateway.metric("pointsman_control_panics_total", ""), 0.0);
    assert_eq!(gateway.stop().code, Some(0));
}
