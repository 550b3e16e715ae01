//! Every kind of bad model file beside a good one: each is refused with its reason, or a bad run of it
//! is an error of that request alone; the good one answers and the process lives.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pointsman_tests::bad_models::{BadModel, Expected, bad_models, bit_flips, sound_models, truncations};
use pointsman_tests::{Gateway, Pointsman, Start, Stopped, TestRegistry, fixture, post, wait_for};
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

/// Models with a million of something: seconds of a processor each, in a build without optimisation.
fn is_large(model: &BadModel) -> bool {
    model.name.starts_with("a-million-")
}

#[test]
fn every_kind_is_refused_or_contained() {
    let all = bad_models();
    let log = refused_or_contained(all.iter().filter(|model| is_put_before(model) && !is_large(model)));
    // One of them makes the binding to the runtime panic: that is caught, and its version refused.
    assert_eq!(log.matches("' panicked at").count() + log.matches(") panicked at").count(), 1, "{log}");
}

#[test]
fn a_million_of_anything_is_refused_or_contained() {
    let all = bad_models();
    let log = refused_or_contained(all.iter().filter(|model| is_put_before(model) && is_large(model)));
    assert!(!log.contains("panicked at"), "{log}");
}

/// Puts these before `check`, and beside a good model before the gateway: each becomes what is expected of
/// it, while the good one answers. What the gateway said on its standard error.
fn refused_or_contained<'a>(kinds: impl Iterator<Item = &'a BadModel>) -> String {
    let kinds: Vec<&BadModel> = kinds.collect();
    assert!(!kinds.is_empty());
    let registry = TestRegistry::new().made("good", "gather");
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    for model in &kinds {
        model.write(&registry.join(model.name).join("1"), elsewhere.path());
    }

    let mut wrong = Vec::new();
    let said = check(&registry);
    let found = findings(&said);
    // One try of each is enough.
    let config =
        "[shutdown]\ndrain_delay = \"0s\"\n[registry]\nsettle = \"0s\"\nattempts_max = 1\nloads_max = 2\n";
    let gateway = Start::over(registry.path()).config(config).start();
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
    let log = gateway.stderr();
    assert_eq!(gateway.stop().code, Some(0));
    log
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

/// The reason of version 2 in the index, once it is refused.
fn refusal(gateway: &Gateway) -> Option<String> {
    let index = post(gateway.http, "/v2/repository/index", "").json();
    let mut entries = index.as_array().expect("a list").iter();
    let entry = entries.find(|entry| entry["name"] == "good" && entry["version"] == "2")?;
    let reason = entry["reason"].as_str().unwrap_or_default().to_owned();
    // Not yet the last word: it is seen, settles, waits to be loaded or is. One that loads is held, as its
    // signature is another.
    let words = ["being loaded", "waits to be loaded", "unchanged", "answers what it was asked"];
    let under_way = reason.is_empty() || words.iter().any(|word| reason.contains(word));
    (!under_way).then_some(reason)
}

fn is_listed(gateway: &Gateway) -> bool {
    let index = post(gateway.http, "/v2/repository/index", "").json();
    index.as_array().expect("a list").iter().any(|entry| entry["name"] == "good" && entry["version"] == "2")
}

/// Drops each of these as version 2 beside a version 1 under steady requests: each ends up refused with its
/// reason, and no request fails or is answered by another version than 1.
fn second_versions_are_refused_under_load(cases: &[&BadModel]) {
    let registry = TestRegistry::new().made("good", "gather");
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let config = "[shutdown]\ndrain_delay = \"0s\"\n[registry]\nsettle = \"50ms\"\npoll = \"1s\"\n";
    let gateway = Start::over(registry.path()).config(config).start();
    let (ends, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let body = r#"{"inputs":[{"name":"indices","datatype":"INT64","shape":[2],"data":[3,0]}]}"#;
    let ask = || {
        while !ends.load(Ordering::Acquire) {
            let answer = post(gateway.http, "/v2/models/good/infer", body);
            assert_eq!(answer.status, 200, "{}", answer.text());
            let json = answer.json();
            assert_eq!(
                (&json["model_version"], &json["outputs"][0]["data"]),
                (&json!("1"), &json!([40.0, 10.0]))
            );
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut wrong = Vec::new();
    std::thread::scope(|scope| {
        let asker = scope.spawn(ask);
        // Ends the asker even where a wait below panics.
        let _end = EndOnDrop(&ends);
        for model in cases {
            let (staged, version) =
                (elsewhere.path().join("staged").join(model.name), registry.join("good/2"));
            model.write(&staged, elsewhere.path());
            std::fs::rename(&staged, &version).expect("the same file system");
            let reason = wait_for(model.name, || refusal(&gateway));
            if let Expected::Refused { words, .. } = model.expected
                && !reason.contains(words)
            {
                wrong.push(format!("{}: not {words:?}: {reason:?}", model.name));
            }
            std::fs::remove_dir_all(&version).expect("the version");
            // One that is loaded and held stays when its folder goes: it leaves when told so.
            let _ = post(gateway.admin, "/models/good/unload", r#"{"version": 2}"#);
            wait_for("version 2 to be forgotten", || (!is_listed(&gateway)).then_some(()));
            assert!(!asker.is_finished(), "a request failed beside {}", model.name);
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(answered.load(Ordering::Relaxed) > cases.len() as u64);
    assert_eq!(
        gateway.metric("pointsman_requests_total", "model=\"good\""),
        answered.load(Ordering::Relaxed) as f64
    );
    assert_eq!(gateway.stop().code, Some(0));
}

struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn as_second_versions_they_never_take_over() {
    let all = bad_models();
    // Those that load are held, because callers of version 1 cannot use them. The loader does not get seconds
    // of a processor beside requests.
    let cases: Vec<&BadModel> = all.iter().filter(|model| is_put_before(model) && !is_large(model)).collect();
    second_versions_are_refused_under_load(&cases);
}
