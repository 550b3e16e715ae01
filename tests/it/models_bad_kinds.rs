//! Every kind of bad model file beside a good one: each is refused with its reason, or a bad run of it
//! is an error of that request alone; the good one answers and the process lives.

use std::collections::BTreeMap;

use pointsman_tests::bad_models::{BadModel, Expected, bad_models, bit_flips, sound_models, truncations};
use pointsman_tests::{Gateway, Pointsman, Start, Stopped, TestRegistry, fixture, post};
use serde_json::{Value, json};

/// Those that are put before the binary: what crashes an engine waits for a trial load, and a warm-up that
/// does not end takes longer than a test may.
fn is_put_before(model: &BadModel) -> bool {
    match model.expected {
        Expected::Refused { gate, .. } => gate != "warm_up",
        Expected::Contained(_) => true,
        Expected::NeedsTrial { .. } => false,
    }
}

fn check(registry: &TestRegistry) -> Stopped {
    Pointsman::new(["check".as_ref(), registry.path().as_os_str(), "--json".as_ref()]).run()
}

/// What `check` found of each version, by model and version.
fn findings(said: &Stopped) -> BTreeMap<(String, String), String> {
    let json: Value = serde_json::from_str(&said.stdout)
        .unwrap_or_else(|e| panic!("{e}: code {:?}\n{}\n{}", said.code, said.stdout, said.stderr));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = json["findings"].as_array().expect("a list").iter();
    let findings = findings.filter(|finding| finding["verdict"] != "warning");
    findings.map(|f| ((text(&f["model"]), text(&f["version"])), text(&f["what"]))).collect()
}

fn assert_good_serves(gateway: &Gateway) {
    let input = json!({"name": "indices", "datatype": "INT64", "shape": [2], "data": [3, 0]});
    let answer = post(gateway.http, "/v2/models/good/infer", json!({ "inputs": [input] }).to_string());
    assert_eq!(answer.json()["outputs"][0]["data"], json!([40.0, 10.0]));
}

#[test]
fn every_kind_is_refused_or_contained() {
    let all = bad_models();
    let kinds: Vec<&BadModel> = all.iter().filter(|model| is_put_before(model)).collect();
    let registry = TestRegistry::new().made("good", "gather");
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    for model in &kinds {
        model.write(&registry.join(model.name).join("1"), elsewhere.path());
    }

    let mut wrong = Vec::new();
    let said = check(&registry);
    let found = findings(&said);
    let gateway = Start::over(registry.path()).start();
    let index: Vec<Value> = serde_json::from_value(post(gateway.http, "/v2/repository/index", "").json())
        .expect("a list of versions");
    for model in &kinds {
        let name = model.name;
        let what = &found[&(name.to_owned(), "1".to_owned())];
        let entry = index.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("{name}"));
        let reason = entry["reason"].as_str().unwrap_or_default();
        match model.expected {
            Expected::Refused { words, .. } => {
                let refused = entry["state"] == "UNAVAILABLE" && !what.is_empty();
                if !(refused && what.contains(words) && reason.contains(words)) {
                    wrong.push(format!("{name}: not {words:?}: {what:?}, {entry}"));
                }
            }
            Expected::Contained(contained) => {
                let answer = post(gateway.http, &format!("/v2/models/{name}/infer"), contained.request);
                let code = if answer.status == 200 { "OK".to_owned() } else { answer.error().1 };
                if !what.is_empty() || code != contained.code {
                    wrong.push(format!("{name}: not {}: {what:?}, {}", contained.code, answer.text()));
                }
            }
            Expected::NeedsTrial { .. } => {}
        }
        assert_good_serves(&gateway);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // One of them makes the binding to the runtime panic: that is caught, and its version refused.
    let log = gateway.stderr();
    assert_eq!(log.matches("' panicked at").count() + log.matches(") panicked at").count(), 1, "{log}");
    assert_eq!(gateway.stop().code, Some(0));
}

/// The negative control: without their faults nothing is found.
#[test]
fn the_same_without_faults_pass() {
    let registry = sound_models().into_iter().fold(TestRegistry::new(), |registry, (name, bytes)| {
        registry.file(&format!("{name}/1/model.onnx"), bytes)
    });
    let said = check(&registry);
    assert_eq!(said.code, Some(0), "{}", said.stdout);
    assert_eq!(findings(&said).len(), sound_models().len());
}

/// A registry with these files as the versions of one model each, none of which is more than 1000.
fn damaged(models: &[(&str, Vec<Vec<u8>>)]) -> TestRegistry {
    let mut registry = TestRegistry::new();
    for (model, versions) in models {
        for (index, bytes) in versions.iter().enumerate() {
            registry = registry.file(&format!("{model}/{}/model.onnx", index + 1), bytes);
        }
    }
    registry
}

/// Checks all of a registry in one process: it goes through to the end, with a finding for each.
fn assert_survives(registry: &TestRegistry, versions: usize) -> usize {
    let said = check(registry);
    assert!(matches!(said.code, Some(0 | 1)), "{:?}: {}", said.code, said.stderr);
    let found = findings(&said);
    assert_eq!(found.len(), versions);
    for (version, what) in &found {
        assert!(what.len() < 2000 && !what.contains(char::is_control), "{version:?}: {what:?}");
    }
    found.values().filter(|what| !what.is_empty()).count()
}

#[test]
fn models_cut_off_anywhere_are_refused() {
    let read = |name: &str| std::fs::read(fixture(name).join("model.onnx")).expect("a fixture");
    let fixtures = ["flights_champion", "iris_lr_zipmap_str", "surfaces_validity", "iris_lr_columns"];
    let models: Vec<_> = fixtures.into_iter().map(|name| (name, truncations(&read(name)))).collect();
    let count = models.iter().map(|(_, versions)| versions.len()).sum();
    let refused = assert_survives(&damaged(&models), count);
    // Cut between two fields at its end, a model may be whole as far as a runtime needs it.
    assert!(refused * 100 >= count * 99, "{refused} of {count} are refused");
}

#[test]
fn models_with_bits_changed_do_not_end_the_process() {
    let read = |name: &str| std::fs::read(fixture(name).join("model.onnx")).expect("a fixture");
    let fixtures = ["iris_lr_zipmap_str", "flights_champion", "titanic_name_text", "digits_mlp"];
    let models: Vec<_> = fixtures.into_iter().map(|name| (name, bit_flips(&read(name), 0..250))).collect();
    let refused = assert_survives(&damaged(&models), 1000);
    assert!(refused > 100, "{refused} of 1000 are refused");
}
