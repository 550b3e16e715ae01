//! Models that cannot be served: each is named with its reason in the start-up table, in the index
//! and by `check`, and the others serve.

use pointsman_tests::{Gateway, Pointsman, Start, TestRegistry, fixture, post, test_model};
use serde_json::{Value, json};

/// A golden case of `gather`: the answer to one index.
fn golden(expected: f32) -> String {
    json!({"cases": [{
        "note": "the third row",
        "request": {"inputs": [{"name": "indices", "datatype": "INT64", "shape": [1], "data": [2]}]},
        "expected": {"outputs": [{"name": "values", "datatype": "FP32", "shape": [1], "data": [expected]}]},
    }]})
    .to_string()
}

/// What is wrong with the models of [`registry`], by name, in words of the reason.
const FAULTS: [(&str, &str); 14] = [
    ("card", "sreve"),
    ("cut", "is cut off"),
    ("digest", "digest"),
    ("empty", "is empty"),
    ("garbage", "no ONNX model"),
    ("golden", "golden case 0 (the third row)"),
    ("html", "HTML"),
    ("lfs", "LFS"),
    ("linked", "symbolic link"),
    ("manifest", "trianed_at"),
    ("opset", "999"),
    ("outside", "external data of tensor 'weights'"),
    ("weightless", "weights.bin"),
    ("weights_linked", "symbolic link"),
];

/// One good model, and one for each fault.
fn registry() -> TestRegistry {
    let good = test_model("gather");
    let large = std::fs::read(fixture("wine_rf").join("model.onnx")).expect("a fixture");
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let wrong = format!("[files]\n\"model.onnx\" = \"sha256:{}\"\n", "0".repeat(64));
    let registry = TestRegistry::new()
        .made("good", "gather")
        .file("good/1/golden.json", golden(30.0))
        .made("card", "gather")
        .file("card/model.toml", "sreve = 1\n")
        .file("cut/1/model.onnx", &large[..large.len() / 2])
        .made("digest", "gather")
        .file("digest/1/manifest.toml", wrong)
        .file("empty/1/model.onnx", "")
        .file("garbage/1/model.onnx", [0xff; 1000])
        .made("golden", "gather")
        .file("golden/1/golden.json", golden(31.0))
        .file("html/1/model.onnx", "<!DOCTYPE html>\n<html><body>Not found</body></html>\n")
        .file("lfs/1/model.onnx", lfs)
        .file("linked/target.onnx", good)
        .made("manifest", "gather")
        .file("manifest/1/manifest.toml", "trianed_at = \"2026\"\n")
        .made("opset", "opset")
        .made("outside", "traversal")
        .made("weightless", "external")
        .made("weights_linked", "external")
        .file("weights_linked/weights.bin", [0; 16])
        .file("weights.bin", [0; 16])
        .file("flat/model.onnx", test_model("gather"));
    std::fs::create_dir_all(registry.join("linked/1")).expect("a folder");
    let link = |from: &str, to: &str| std::os::unix::fs::symlink(from, registry.join(to)).expect("a link");
    link("../target.onnx", "linked/1/model.onnx");
    link("../weights.bin", "weights_linked/1/weights.bin");
    registry
}

fn ask(gateway: &Gateway, model: &str) -> pointsman_tests::Answer {
    let input = json!({"name": "indices", "datatype": "INT64", "shape": [2], "data": [3, 0]});
    post(gateway.http, &format!("/v2/models/{model}/infer"), json!({ "inputs": [input] }).to_string())
}

#[test]
fn each_is_named_with_its_reason_and_the_rest_serve() {
    let registry = registry();
    let gateway = Start::over(registry.path()).start();
    let table = gateway.stdout();
    let index: Vec<Value> = serde_json::from_value(post(gateway.http, "/v2/repository/index", "").json())
        .expect("a list of versions");
    for (model, reason) in FAULTS {
        let names = |line: &&str| line.split_whitespace().next() == Some(model);
        let line = table.lines().find(|line| names(line) && line.contains("UNAVAILABLE"));
        let line = line.unwrap_or_else(|| panic!("{model} is not in\n{table}"));
        let told = table.lines().any(|line| names(&line) && line.contains(reason));
        assert!(told, "{model}: {line:?} does not say {reason:?}");

        let entry = index.iter().find(|entry| entry["name"] == model).unwrap_or_else(|| panic!("{model}"));
        assert_eq!(entry["state"], "UNAVAILABLE", "{entry}");
        let found = entry["reason"].as_str().unwrap_or_default();
        assert!(found.contains(reason), "{model}: {found:?} does not say {reason:?}");
        let answer = ask(&gateway, model);
        assert_eq!((answer.status, answer.error().1.as_str()), (503, "NOT_READY"), "{model}");
        assert!(gateway.stderr().contains(reason), "the log does not say {reason:?}");
    }
    assert_eq!(index.len(), FAULTS.len() + 1);
    // A folder that has no version is no model, and is named all the same.
    assert!(table.contains("no model: flat: holds a model, and no version"), "{table}");
    assert_eq!(ask(&gateway, "good").json()["outputs"][0]["data"], json!([40.0, 10.0]));
    // Only the ready ones, where those are asked for.
    let ready = post(gateway.http, "/v2/repository/index", r#"{"ready":true}"#).json();
    assert_eq!(ready.as_array().map(Vec::len), Some(1), "{ready}");
}

#[test]
fn check_names_each_and_ends_with_1() {
    let registry = registry();
    let check = |arguments: &[&str]| {
        let path = registry.path().to_str().expect("a path in UTF-8");
        Pointsman::new(["check", path].iter().chain(arguments)).run()
    };
    let said = check(&[]);
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    for (model, reason) in FAULTS {
        let line = said.stdout.lines().find(|line| line.starts_with(&format!("{model} ")));
        let line = line.unwrap_or_else(|| panic!("{model} is not in\n{}", said.stdout));
        assert!(line.contains("PROBLEM") && line.contains(reason), "{line:?} does not say {reason:?}");
    }
    assert!(said.stdout.contains("flat: holds a model, and no version"), "{}", said.stdout);
    let all = FAULTS.len() + 1;
    assert!(said.stderr.contains(&format!("{all} problem(s) found")), "{}", said.stderr);
    let json: Value = serde_json::from_str(&check(&["--json"]).stdout).expect("JSON");
    let findings = json["findings"].as_array().expect("a list");
    let of = |verdict: &str| findings.iter().filter(|finding| finding["verdict"] == verdict).count();
    assert_eq!(of("problem"), all, "{json:#}");
}

/// The negative control: without the faults nothing is found.
#[test]
fn check_of_good_models_ends_with_0() {
    let registry = TestRegistry::new().made("good", "gather").file("good/1/golden.json", golden(30.0));
    let said = Pointsman::new([std::ffi::OsStr::new("check"), registry.path().as_os_str()]).run();
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    let registry = registry.made("weighty", "external").file("weighty/1/weights.bin", [0; 16]);
    let said = Pointsman::new([std::ffi::OsStr::new("check"), registry.path().as_os_str()]).run();
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
}

/// A version that fails leaves its model to the ones before it only where the card says so: what the
/// card serves by default is what is asked for, and it is not there.
#[test]
fn a_bad_version_beside_a_good_one() {
    let registry = TestRegistry::new()
        .made("gather", "gather")
        .file("gather/2/model.onnx", test_model("gather"))
        .file("gather/2/golden.json", golden(31.0))
        .file("gather/model.toml", "serve = 1\nload = \"all\"\n");
    let gateway = Start::over(registry.path()).start();
    assert_eq!(ask(&gateway, "gather").status, 200);
    assert_eq!(ask(&gateway, "gather/versions/1").status, 200);
    let second = ask(&gateway, "gather/versions/2");
    assert_eq!((second.status, second.error().1.as_str()), (503, "NOT_READY"));
    assert!(second.error().0.contains("the third row"), "{}", second.text());
}

/// Names in a card for tensors that a version does not have are told, and do not keep it from serving.
#[test]
fn names_for_other_tensors_are_warnings() {
    let card = "[inputs.indexes]\nfeatures = [\"row\"]\n[outputs.values]\nlabels = [\"a\"]\n[outputs.probabilities]\nlabels = [\"a\"]\n";
    let registry = TestRegistry::new()
        .made("names", "gather")
        .file("names/1/golden.json", golden(30.0))
        .file("names/model.toml", card);
    let said = Pointsman::new([std::ffi::OsStr::new("check"), registry.path().as_os_str()]).run();
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    let gateway = Start::over(registry.path()).start();
    assert_eq!(ask(&gateway, "names").status, 200);
    for warning in ["inputs.indexes is no input of this version", "outputs.probabilities is no output"] {
        assert!(said.stdout.contains(warning), "{}", said.stdout);
        assert!(gateway.stderr().contains(warning), "{}", gateway.stderr());
    }
    assert!(!said.stdout.contains("outputs.values"), "{}", said.stdout);
}
