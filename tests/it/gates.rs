//! What the checks of a version find, as the admin listener and `check` show it.

use pointsman_tests::{Gateway, Pointsman, Start, TestRegistry, fixture, get};
use serde_json::{Value, json};

/// Models and fixtures, and what is found of their batching: whether it is batched, the finding, and words of it.
const BATCHING: [(&str, bool, &str, &str); 14] = [
    ("attention", false, "disagrees", "row 0, alone and with 2 other(s), output 'y'"),
    ("bare", false, "unknown", "it has no golden cases"),
    ("bare_allowed", true, "allowed", "it has no golden cases"),
    ("columns", false, "unfit", "output 'y' has the shape [4,1] for 1 row(s)"),
    ("identity", true, "checked", "3 rows have the same answers alone and together, exactly"),
    ("identity_forbidden", false, "forbidden", "forbidden by the card"),
    ("quantised", false, "disagrees", "output 'y'"),
    ("quantised_allowed", true, "checked", "but for"),
    ("total", false, "unfit", "output 'y' has the shape [] for 1 row(s)"),
    ("flights_challenger", true, "checked", "6 rows"),
    ("iris_lr_zipmap_str", false, "unfit", "'output_probability.keys' has the shape [3]"),
    ("logreg_iris", false, "unfit", "the first dimension of input 'float_input' is always 3"),
    ("silero_vad_v6", false, "unfit", "the first dimension of input 'state' is always 2"),
    ("titanic_name_text", true, "checked", "7 rows"),
];

/// A golden case of three rows for an input of this name.
fn rows(input: &str) -> String {
    let data = [1.0, 2.0, 3.0, 4.0, 0.5, 0.25, -1.0, 0.0, 10.0, 20.0, 30.0, 40.5];
    let input = json!({"name": input, "datatype": "FP32", "shape": [3, 4], "data": data});
    json!({"cases": [{"note": "rows", "request": {"inputs": [input]}, "expected": {"outputs": []}}]})
        .to_string()
}

fn registry() -> TestRegistry {
    let mut registry = TestRegistry::new()
        .made("bare", "identity")
        .made("bare_allowed", "identity")
        .file("bare_allowed/model.toml", "batching = \"allow\"\n")
        .file("identity_forbidden/model.toml", "batching = \"forbid\"\n")
        .file("quantised_allowed/model.toml", "batching = \"allow\"\nbatch_atol = 0.2\n");
    for (model, ..) in BATCHING {
        let made = model.trim_end_matches("_forbidden").trim_end_matches("_allowed");
        registry = match made {
            "bare" => registry,
            "attention" | "columns" | "identity" | "quantised" | "total" => {
                let input = if made == "identity" { "X" } else { "x" };
                registry.made(model, made).file(&format!("{model}/1/golden.json"), rows(input))
            }
            _ => {
                let cases = std::fs::read(fixture(made).join("cases.json")).expect("a fixture has cases");
                registry.version(model, 1, made).file(&format!("{model}/1/golden.json"), cases)
            }
        };
    }
    registry
}

/// What was found of a model's only version.
fn findings(gateway: &Gateway, model: &str) -> Value {
    let models = get(gateway.admin, "/models").json();
    let of = |m: &&Value| m["name"] == model;
    let found = models["models"].as_array().expect("models").iter().find(of).expect(model);
    assert_eq!(found["versions"][0]["state"], "READY", "{found:#}");
    found["versions"][0]["findings"].clone()
}

#[test]
fn models_are_batched_where_rows_do_not_change_each_others_answers() {
    let registry = registry();
    let gateway = Start::over(registry.path()).start();
    for (model, batched, finding, what) in BATCHING {
        let batching = &findings(&gateway, model)["batching"];
        let said = batching["what"].as_str().unwrap_or_default();
        assert_eq!(
            (&batching["batched"], &batching["finding"]),
            (&json!(batched), &json!(finding)),
            "{model}: {said}"
        );
        assert!(said.contains(what), "{model}: {said:?} does not say {what:?}");
    }
    let bare = findings(&gateway, "bare");
    assert_eq!((&bare["golden_cases"], &bare["warm_up"]["inputs"]), (&json!(0), &json!("zeros")));
    assert!(bare["warnings"][0].as_str().is_some_and(|w| w.contains("no golden.json")), "{bare:#}");
    let flights = findings(&gateway, "flights_challenger");
    assert_eq!((&flights["golden_cases"], &flights["warm_up"]["inputs"]), (&json!(2), &json!("golden")));
    assert_eq!(flights["warm_up"]["rows_max"], 16);
    assert!(flights["run_time"]["median_seconds"].as_f64().is_some_and(|s| s > 0.0), "{flights:#}");
}

#[test]
fn check_says_the_same() {
    let registry = registry();
    let path = registry.path().to_str().expect("a path in UTF-8");
    let said = Pointsman::new(["check", path]).run();
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    for (model, _, _, what) in BATCHING {
        let says = |line: &str| line.split_whitespace().next() == Some(model) && line.contains(what);
        assert!(said.stdout.lines().any(says), "{model} with {what:?} is not in\n{}", said.stdout);
    }
    let json: Value =
        serde_json::from_str(&Pointsman::new(["check", path, "--json"]).run().stdout).expect("JSON");
    let found = json["findings"].as_array().expect("a list").iter().find(|f| f["model"] == "attention");
    assert_eq!(found.expect("attention")["found"]["batching"]["finding"], "disagrees");
}

#[test]
fn a_load_that_would_leave_too_little_memory_does_not_begin() {
    let registry = TestRegistry::new().made("identity", "identity");
    let config = "[gates]\nmemory_reserve = \"1000000GiB\"\n[shutdown]\ndrain_delay = \"0s\"\n";
    let gateway = Start::over(registry.path()).config(config).start_unready();
    let table = gateway.stdout();
    assert!(table.contains("UNAVAILABLE") && table.contains("gates.memory_reserve"), "{table}");
    assert!(gateway.stderr().contains("gate=\"memory\""), "{}", gateway.stderr());
}
