//! Models that would end or hang the gateway: with a trial in a child process each is a load error.

use pointsman_tests::{Gateway, Pointsman, Start, TestRegistry, post, wait_for};
use serde_json::json;

/// With a trial that gives up after this time.
fn config(timeout: &str) -> String {
    format!(
        "[gates]\ninteger_division = \"allow\"\n[shutdown]\ndrain_delay = \"0s\"\n\
         [trial]\nenabled = true\nmemory_max = \"1GiB\"\ntimeout = \"{timeout}\"\n"
    )
}

/// A golden case of `gather` that no model answers.
const WRONG: &str = r#"{"cases": [{"note": "wrong", "request": {"inputs": [
    {"name": "indices", "datatype": "INT64", "shape": [1], "data": [2]}]},
    "expected": {"outputs": [{"name": "values", "datatype": "FP32", "shape": [1], "data": [31]}]}}]}"#;

fn ask(gateway: &Gateway, model: &str) -> pointsman_tests::Answer {
    let input = json!({"name": "indices", "datatype": "INT64", "shape": [2], "data": [3, 0]});
    post(gateway.http, &format!("/v2/models/{model}/infer"), json!({ "inputs": [input] }).to_string())
}

#[test]
fn what_crashes_hangs_or_eats_memory_is_a_load_error_and_the_rest_serves() {
    let registry = TestRegistry::new()
        .made("endless", "endless")
        .made("good", "gather")
        .made("greedy", "greedy")
        .made("overflow", "overflow")
        .made("wrong", "gather")
        .file("wrong/1/golden.json", WRONG);
    let gateway = Start::over(registry.path()).config(&config("8s")).start();
    assert_eq!(ask(&gateway, "good").json()["outputs"][0]["data"], json!([40.0, 10.0]));
    for (model, gate, reason) in [
        ("endless", "trial", "it took longer than 8s and was ended"),
        ("greedy", "warm_up", "Failed to allocate memory"),
        ("overflow", "trial", "its process died of signal 8"),
        ("wrong", "golden", "golden case 0 (wrong)"),
    ] {
        let index = post(gateway.http, "/v2/repository/index", "").json();
        let entry = index.as_array().expect("a list").iter().find(|entry| entry["name"] == model);
        let entry = entry.unwrap_or_else(|| panic!("{model} is not in {index:#}"));
        let found = entry["reason"].as_str().unwrap_or_default();
        assert!(
            found.contains(reason) && !found.contains('\n'),
            "{model}: {found:?} does not say {reason:?}"
        );
        let log = gateway.stderr();
        let logged = |line: &str| line.contains(model) && line.contains(&format!("gate=\"{gate}\""));
        assert!(log.lines().any(logged), "{model}: {log}");
    }
}

/// The negative control: without a trial the same model ends whoever loads it.
#[test]
fn without_a_trial_a_crash_is_everybodys() {
    let registry = TestRegistry::new()
        .made("overflow", "overflow")
        .file("overflow/model.toml", "integer_division = \"allow\"\n");
    let said = Pointsman::new([std::ffi::OsStr::new("check"), registry.path().as_os_str()]).run();
    assert_eq!(said.code, None, "a signal ends it: {}{}", said.stdout, said.stderr);
}

/// Whether a process of a trial over this registry is there.
fn trial_runs(registry: &TestRegistry) -> bool {
    let path = registry.path().to_str().expect("a path in UTF-8");
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let mut commands = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    commands.any(|command| {
        let command = String::from_utf8_lossy(&command);
        command.contains("trial-load") && command.contains(path)
    })
}

#[test]
fn a_trial_does_not_outlive_its_gateway() {
    let registry = TestRegistry::new().made("endless", "endless");
    let gateway = Start::over(registry.path()).config(&config("10m")).launch();
    wait_for("the trial to begin", || trial_runs(&registry).then_some(()));
    gateway.signal("KILL");
    wait_for("the trial to end", || (!trial_runs(&registry)).then_some(()));
}
