//! Wishes that have to wait: each is answered, and truthfully, whatever happens meanwhile.

use std::sync::mpsc::{Receiver, channel};
use std::thread;

use pointsman_tests::{Gateway, Start, TestRegistry, get, post, test_model, wait_for};
use serde_json::{Value, json};

use crate::swaps::{iris, wish};

const CONFIG: &str = "[shutdown]\ndrain_delay = \"0s\"\n[registry]\nsettle = \"0s\"\npoll = \"1s\"\n";

/// A model `m` whose version 1 serves, and whose version 2 is half a minute under way, as its first run does not
/// end.
fn slow() -> TestRegistry {
    let endless = test_model("endless");
    TestRegistry::new()
        .made("m", "gather")
        .file("m/2/model.onnx", endless)
        .file("m/model.toml", "serve = 1\n")
}

/// Brings a wish forward on a thread of its own, and returns once it waits.
fn wait_with(gateway: &Gateway, path: &'static str, body: Value, shown: &str) -> Receiver<(u16, Value)> {
    let (sender, answer) = channel();
    let admin = gateway.admin;
    thread::spawn(move || {
        let answer = post(admin, path, body.to_string());
        let _ = sender.send((answer.status, answer.json()));
    });
    wait_for("the wish to wait", || pending(gateway).contains(&json!(shown)).then_some(()));
    answer
}

fn pending(gateway: &Gateway) -> Vec<Value> {
    let models = get(gateway.admin, "/models").json();
    models["models"][0]["pending"].as_array().cloned().unwrap_or_default()
}

#[test]
fn only_a_wish_that_can_be_granted_takes_the_place_of_another() {
    let registry = slow();
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let first = wait_with(&gateway, "/models/m/promote", json!({"version": 2}), "promote 2");
    let (code, answer) = wish(&gateway, "/models/m/promote", json!({"version": 9}));
    assert_eq!((code, &answer["code"]), (404, &json!("UNKNOWN_VERSION")), "{answer}");
    wait_for("it to wait alone", || (pending(&gateway) == [json!("promote 2")]).then_some(()));
    assert!(first.try_recv().is_err());
    let (code, answer) = wish(&gateway, "/models/m/pin", json!({"version": 1}));
    assert_eq!((code, &answer["outcome"]), (200, &json!("done")), "{answer}");
    let (code, answer) = first.recv().expect("an answer");
    assert_eq!((code, &answer["code"]), (409, &json!("SUPERSEDED")), "{answer}");
    assert!(answer["error"].as_str().expect("an error").contains("`pin 1`"), "{answer}");
}

#[test]
fn a_stop_waits_for_no_wish() {
    let registry = slow();
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let first = wait_with(&gateway, "/models/m/promote", json!({"version": 2}), "promote 2");
    gateway.signal("TERM");
    let (code, answer) = first.recv().expect("an answer");
    assert_eq!((code, &answer["code"]), (503, &json!("SHUTTING_DOWN")), "{answer}");
    assert_eq!(gateway.wait().code, Some(0), "and all that was accepted is answered in time");
}

#[test]
fn a_load_that_does_not_end_holds_nothing_up_for_long() {
    // It comes first by name, and one load is made at a time.
    let registry = iris("", &[1]).made("endless", "endless");
    let config = format!(
        "{}load_timeout = \"1s\"\nattempts_max = 1\n",
        CONFIG.replace("poll = \"1s\"", "poll = \"60s\"")
    );
    let gateway = Start::over(registry.path()).config(&config).start();
    let index = post(gateway.http, "/v2/repository/index", "").json();
    let state = |name: &str| {
        let entry = index.as_array().expect("a list").iter().find(|entry| entry["name"] == name);
        entry.cloned().unwrap_or_default()
    };
    assert_eq!(state("iris")["state"], "READY", "{index:#}");
    assert_eq!(state("endless")["state"], "UNAVAILABLE", "{index:#}");
    assert!(state("endless")["reason"].to_string().contains("loading it took longer than 1s"), "{index:#}");
    assert_eq!(gateway.metric("pointsman_loads_total", "model=\"endless\",result=\"engine\""), 1.0);
}

#[test]
fn a_wish_for_a_version_whose_folder_is_gone_is_answered() {
    let registry = iris("serve = 1\n", &[1, 2]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    assert_eq!(wish(&gateway, "/models/iris/unload", json!({})).0, 200);
    std::fs::remove_dir_all(registry.join("iris/1")).expect("removed");
    let (code, answer) = wish(&gateway, "/models/iris/load", json!({}));
    assert_eq!((code, &answer["code"]), (404, &json!("UNKNOWN_VERSION")), "{answer}");
    // The answer comes a moment before the board shows it.
    wait_for("it to wait no more", || pending(&gateway).is_empty().then_some(()));
}
