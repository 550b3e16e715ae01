//! Versions come, go and roll back under traffic.

use std::path::Path;

use pointsman_tests::{Gateway, Start, TestRegistry, Traffic, get, post, repository, request, wait_for};
use serde_json::{Value, json};

const INFER: &str = "/v2/models/iris/infer";
const BODY: &str = r#"{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}"#;
/// Quick to settle and to poll, and nothing stays for a rollback unless a test wants it.
const CONFIG: &str =
    "[shutdown]\ndrain_delay = \"0s\"\n[registry]\nsettle = \"0s\"\npoll = \"1s\"\nprevious_kept = \"0s\"\n";

/// Copies a version of the shipped iris into a registry, the manifest last.
pub(crate) fn copy_version(from: u64, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for file in ["model.onnx", "golden.json", "baseline.json", "manifest.toml"] {
        let source = repository().join(format!("models/iris/{from}/{file}"));
        std::fs::copy(source, to.join(file)).expect("copied");
    }
}

/// A registry with these versions of iris.
pub(crate) fn iris(card: &str, versions: &[u64]) -> TestRegistry {
    let registry = TestRegistry::new().file("iris/model.toml", card);
    for version in versions {
        copy_version(*version, &registry.join(&format!("iris/{version}")));
    }
    registry
}

/// A wish at the admin listener; the answer's status and JSON.
pub(crate) fn wish(gateway: &Gateway, path: &str, body: Value) -> (u16, Value) {
    let answer = post(gateway.admin, path, body.to_string());
    (answer.status, answer.json())
}

/// What the admin listener says of iris.
pub(crate) fn status(gateway: &Gateway) -> Value {
    let models = get(gateway.admin, "/models").json();
    models["models"]
        .as_array()
        .expect("models")
        .iter()
        .find(|model| model["name"] == "iris")
        .cloned()
        .unwrap_or_default()
}

fn version_status(gateway: &Gateway, version: u64) -> Value {
    let status = status(gateway);
    let versions = status["versions"].as_array().cloned().unwrap_or_default();
    versions.into_iter().find(|v| v["version"] == version).unwrap_or_default()
}

fn wait_for_default(gateway: &Gateway, version: u64) {
    wait_for(&format!("version {version} to serve"), || {
        let status = status(gateway);
        (status["default"] == version && status["next"].is_null()).then_some(())
    });
}

/// The version that answers.
fn answering(gateway: &Gateway) -> String {
    let answer = post(gateway.http, INFER, BODY);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("pointsman-version").expect("a version").to_owned()
}

#[test]
fn a_version_dropped_in_takes_over_without_a_lost_request() {
    let registry = iris("", &[1]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let traffic = Traffic::start(gateway.http, INFER, BODY, 4);
    traffic.wait_for_more(50);
    for version in [2, 3] {
        copy_version(version, &registry.join(&format!("iris/.{version}")));
        std::fs::rename(
            registry.join(&format!("iris/.{version}")),
            registry.join(&format!("iris/{version}")),
        )
        .expect("renamed");
        wait_for_default(&gateway, version);
        traffic.wait_for_more(50);
    }
    gateway.wait_for_metric("pointsman_versions_gone_total", "", |gone| gone == 2.0);
    let answered = traffic.stop();
    assert_eq!(answered.keys().collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(gateway.metric("pointsman_changes_total", "change=\"swap\""), 3.0);
    // Statistics of versions that left stay readable.
    for (version, count) in &answered {
        let stats = get(gateway.http, &format!("/v2/models/iris/versions/{version}/stats")).json();
        assert_eq!(
            stats["model_stats"][0]["inference_stats"]["success"]["count"], *count,
            "{version}: {stats}"
        );
    }
    assert_eq!(gateway.stop().code, Some(0));
}

#[test]
fn a_bad_version_never_takes_over_and_says_why_everywhere() {
    let registry = iris("", &[1]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let traffic = Traffic::start(gateway.http, INFER, BODY, 2);
    // The golden cases of version 1 with the model of version 2, under a manifest that agrees.
    copy_version(2, &registry.join("iris/.2"));
    let golden = std::fs::read(registry.join("iris/1/golden.json")).expect("golden cases");
    std::fs::write(registry.join("iris/.2/golden.json"), golden).expect("written");
    std::fs::remove_file(registry.join("iris/.2/manifest.toml")).expect("removed");
    std::fs::rename(registry.join("iris/.2"), registry.join("iris/2")).expect("renamed");
    let refused = wait_for("the verdict", || {
        let version = version_status(&gateway, 2);
        (version["gate"] == "golden").then_some(version)
    });
    assert!(refused["reason"].as_str().expect("a reason").contains("golden case"), "{refused}");
    let index = post(gateway.http, "/v2/repository/index", "").json();
    let entry = index
        .as_array()
        .expect("a list")
        .iter()
        .find(|entry| entry["version"] == "2")
        .expect("listed")
        .clone();
    assert!(
        entry["state"] == "UNAVAILABLE" && entry["reason"].as_str().expect("a reason").contains("golden"),
        "{entry}"
    );
    assert!(gateway.metric("pointsman_loads_total", "result=\"golden\"") >= 1.0);
    let (code, answer) = wish(&gateway, "/models/iris/promote", json!({"version": 2}));
    assert_eq!((code, &answer["code"]), (409, &json!("REFUSED")), "{answer}");
    assert!(answer["error"].as_str().expect("an error").contains("golden case"), "{answer}");
    traffic.wait_for_more(50);
    assert_eq!(traffic.stop().keys().collect::<Vec<_>>(), ["1"]);
    let entries = get(gateway.admin, "/journal?model=iris").json();
    let said = |what: &str| {
        entries["entries"].as_array().expect("entries").iter().any(|entry| entry["what"] == what)
    };
    assert!(said("ready") && said("swap") && said("refused") && said("wish-refused"), "{entries}");
    assert!(gateway.stderr().contains("gate=\"golden\""), "{}", gateway.stderr());
}

#[test]
fn a_rollback_is_quick_and_holds() {
    let registry = iris("", &[1]);
    let config = CONFIG.replace("previous_kept = \"0s\"", "previous_kept = \"10m\"");
    let gateway = Start::over(registry.path()).config(&config).start();
    copy_version(2, &registry.join("iris/2"));
    wait_for_default(&gateway, 2);
    assert_eq!(version_status(&gateway, 1)["kept"], true);
    let traffic = Traffic::start(gateway.http, INFER, BODY, 2);
    traffic.wait_for_more(20);
    let (code, answer) = wish(&gateway, "/models/iris/rollback", json!({}));
    assert_eq!((code, &answer["outcome"]), (200, &json!("done")), "{answer}");
    assert_eq!(answering(&gateway), "1", "at once: the answer comes when it is in effect");
    traffic.wait_for_more(20);
    let _ = traffic.stop();
    // The one that was left is not latest again, and something newer is.
    let reason = || version_status(&gateway, 2)["reason"].as_str().map(str::to_owned);
    wait_for("the reason", || reason().filter(|reason| reason.contains("rolled back")));
    copy_version(3, &registry.join("iris/3"));
    wait_for_default(&gateway, 3);
    let (code, _) = wish(&gateway, "/models/iris/rollback", json!({}));
    assert_eq!(code, 200);
    assert_eq!(answering(&gateway), "1");
}

#[test]
fn what_vanishes_from_the_registry_goes_on_serving_and_a_tombstone_ends_it() {
    let registry = iris("load = \"all\"", &[1, 2]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    std::fs::remove_dir_all(registry.join("iris/2")).expect("removed");
    wait_for("the folder to be missed", || {
        (version_status(&gateway, 2)["note"] == "its folder is gone from the registry").then_some(())
    });
    assert_eq!(answering(&gateway), "2");
    std::fs::remove_dir_all(registry.join("iris")).expect("removed");
    wait_for("version 1 to be missed", || {
        (version_status(&gateway, 1)["note"] == "its folder is gone from the registry").then_some(())
    });
    // The registry itself goes away and comes back.
    let away = registry.path().with_extension("away");
    std::fs::rename(registry.path(), &away).expect("moved");
    gateway.wait_for_metric("pointsman_registry_failures_total", "", |failures| failures > 0.0);
    assert_eq!(answering(&gateway), "2");
    std::fs::rename(&away, registry.path()).expect("moved back");
    copy_version(1, &registry.join("iris/1"));
    std::fs::create_dir_all(registry.join("iris/2")).expect("a folder");
    std::fs::write(registry.join("iris/2/tombstone"), "").expect("a tombstone");
    wait_for_default(&gateway, 1);
    assert_eq!(answering(&gateway), "1");
    std::fs::write(registry.join("iris/tombstone"), "").expect("a tombstone");
    wait_for("the model to leave", || (post(gateway.http, INFER, BODY).status == 503).then_some(()));
}

#[test]
fn a_card_that_vanishes_or_is_cut_off_changes_nothing() {
    let registry = iris("serve = 1\n[aliases]\nbest = 2\n", &[1, 2, 3]);
    let config = CONFIG.replace("settle = \"0s\"", "settle = \"1s\"");
    let gateway = Start::over(registry.path()).config(&config).start();
    let card = registry.join("iris/model.toml");
    let whole = std::fs::read(&card).expect("a card");
    let best = || post(gateway.http, "/v2/models/iris@best/infer", BODY).status;
    std::fs::remove_file(&card).expect("removed");
    // A look that has seen the registry without it.
    assert_eq!(wish(&gateway, "/models/iris/load", json!({"version": 3})).0, 200);
    assert_eq!((answering(&gateway), best()), ("1".to_owned(), 200));
    std::fs::write(&card, "load = \"all\"\n").expect("written");
    assert_eq!(wish(&gateway, "/models/iris/load", json!({"version": 2})).0, 200);
    assert_eq!((answering(&gateway), best()), ("1".to_owned(), 200));
    std::fs::write(&card, &whole).expect("written");
    // One that stays counts.
    std::fs::write(&card, "serve = 2\n").expect("written");
    wait_for_default(&gateway, 2);
    assert_eq!(best(), 404);
}

#[test]
fn what_is_written_over_a_serving_version_takes_its_place_or_is_refused() {
    let registry = iris("", &[1]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let digest = |gateway: &Gateway| version_status(gateway, 1)["digest"].clone();
    let first = digest(&gateway);
    let traffic = Traffic::start(gateway.http, INFER, BODY, 2);
    std::fs::write(registry.join("iris/1/model.onnx"), "no model").expect("written");
    wait_for("the verdict", || (version_status(&gateway, 1)["attempts"].as_u64() > Some(0)).then_some(()));
    assert_eq!(
        (digest(&gateway), version_status(&gateway, 1)["state"].clone()),
        (first.clone(), json!("READY"))
    );
    copy_version(2, &registry.join("iris/1"));
    wait_for("the new content", || (digest(&gateway) != first && digest(&gateway).is_string()).then_some(()));
    traffic.wait_for_more(20);
    assert_eq!(traffic.stop().keys().collect::<Vec<_>>(), ["1"]);
    // It is a swap like any other.
    let entries = get(gateway.admin, "/journal?model=iris").json();
    let entries = entries["entries"].as_array().expect("entries").clone();
    let swap = entries.iter().rfind(|entry| entry["what"] == "swap").expect("is journalled");
    assert_eq!((&swap["from"], &swap["version"]), (&json!(1), &json!(1)));
    assert!(swap["why"].as_str().expect("says why").contains("written over"), "{swap}");
}

#[test]
fn tritons_clients_load_and_unload_on_the_admin_port_alone() {
    let registry = iris("", &[1]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    for verb in ["load", "unload"] {
        assert_eq!(post(gateway.http, &format!("/v2/repository/models/iris/{verb}"), "").status, 501);
    }
    let unload = post(
        gateway.admin,
        "/v2/repository/models/iris/unload",
        r#"{"parameters":{"unload_dependents":false}}"#,
    );
    assert_eq!(unload.status, 200, "{}", unload.text());
    let answer = post(gateway.http, INFER, BODY);
    assert_eq!((answer.status, answer.error().1), (503, "NOT_READY".to_owned()));
    copy_version(2, &registry.join("iris/2"));
    let load = post(gateway.admin, "/v2/repository/models/iris/load", "");
    assert_eq!(load.status, 200, "{}", load.text());
    assert_eq!(answering(&gateway), "2");
    assert_eq!(post(gateway.admin, "/v2/repository/models/nobody/load", "").status, 404);
    let config = post(gateway.admin, "/v2/repository/models/iris/load", r#"{"parameters":{"config":"{}"}}"#);
    assert_eq!(config.status, 501, "{}", config.text());
}

#[test]
fn wishes_survive_a_restart() {
    let registry = iris("", &[1, 2, 3]);
    let state = tempfile::tempdir().expect("a folder");
    let start =
        || Start::over(registry.path()).config(CONFIG).argument("--state").argument(state.path()).start();
    let gateway = start();
    assert_eq!(answering(&gateway), "3");
    assert_eq!(wish(&gateway, "/models/iris/promote", json!({"version": 1})).0, 200);
    assert_eq!(wish(&gateway, "/models/iris/alias", json!({"alias": "best", "version": 2})).0, 200);
    gateway.signal("KILL");
    drop(gateway.wait());
    let gateway = start();
    assert_eq!(answering(&gateway), "1");
    assert_eq!(post(gateway.http, "/v2/models/iris@best/infer", BODY).header("pointsman-version"), Some("2"));
    let status = status(&gateway);
    assert!(status["why"].as_str().expect("says why").contains("promoted by"), "{status}");
    let second = Start::over(registry.path()).argument("--state").argument(state.path()).run_to_end();
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("in use by another gateway"), "{}", second.stderr);
    assert_eq!(wish(&gateway, "/models/iris/reset", json!({})).0, 200);
    wait_for_default(&gateway, 3);
}

#[test]
fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let registry = iris("", &[1, 2]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let before = get(gateway.admin, "/models").json();
    let (code, plan) = wish(&gateway, "/models/iris/promote", json!({"version": 1, "dry_run": true}));
    assert_eq!((code, &plan["outcome"]), (200, &json!("planned")));
    let changes = plan["changes"].to_string();
    assert!(changes.contains("version 1 is loaded first") && changes.contains("default 2 -> 1"), "{changes}");
    let (code, _) = wish(&gateway, "/models/iris/rollback", json!({"dry_run": true}));
    assert_eq!(code, 409);
    assert_eq!(get(gateway.admin, "/models").json()["models"], before["models"]);
    let (code, answer) = wish(&gateway, "/models/iris/promote", json!({"verison": 1}));
    assert_eq!((code, &answer["code"]), (400, &json!("BAD_REQUEST")));
}

#[test]
fn the_admin_port_takes_nothing_from_other_hosts_pages() {
    let registry = iris("", &[1]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let own = format!("http://{}", gateway.admin);
    for (headers, status) in [
        (vec![("host", "evil.example:8003")], 403),
        (vec![("origin", "http://evil.example")], 403),
        (vec![("origin", own.as_str())], 200),
        (vec![], 200),
    ] {
        let answer = request("POST", gateway.admin, "/models/iris/load", &headers, Some(b"{}"));
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text());
    }
    let refused = Start::over(registry.path()).argument("--admin").argument("0.0.0.0:0").run_to_end();
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("no loopback address"), "{}", refused.stderr);
}

#[test]
fn the_configuration_is_read_again_and_a_bad_one_is_not_taken() {
    let registry = iris("", &[1, 2]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pointsman.toml");
    std::fs::write(&file, CONFIG).expect("written");
    let gateway = Start::over(registry.path()).config_file(&file).start();
    assert_eq!(answering(&gateway), "2");
    std::fs::write(&file, format!("{CONFIG}[model.iris]\nserve = 1\n[limits]\ntensors_max = 7\n"))
        .expect("written");
    let answer = post(gateway.admin, "/config/reload", "").json();
    assert_eq!(answer["restart_needed"], json!(["limits.tensors_max"]), "{answer}");
    assert_eq!(answer["changed"], json!(["model.iris.serve"]), "{answer}");
    wait_for_default(&gateway, 1);
    std::fs::write(&file, format!("{CONFIG}[model.iris]\nsreve = 2\n")).expect("written");
    gateway.signal("HUP");
    gateway.wait_for_metric("pointsman_config_reloads_total", "result=\"kept\"", |kept| kept == 1.0);
    let refused = post(gateway.admin, "/config/reload", "");
    assert!(refused.status == 409 && refused.text().contains("sreve"), "{}", refused.text());
    assert_eq!(answering(&gateway), "1");
    let config = get(gateway.admin, "/config").json();
    let key = |name: &str| {
        config["config"].as_array().expect("keys").iter().find(|key| key["key"] == name).cloned()
    };
    assert_eq!(key("registry.settle").expect("is there")["origin"], "file");
    assert_eq!(key("model.iris.serve").expect("is there")["value"], "1");
    assert_eq!(key("listen.http").expect("is there")["origin"], "--http");
    assert_eq!(
        key("limits.tensors_max").expect("is there"),
        json!({"key": "limits.tensors_max", "value": "256", "origin": "default"})
    );
}
