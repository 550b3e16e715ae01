//! The fixture models, in every protocol and on both engines, compared with the answers that ONNX
//! Runtime gave outside of any gateway.

mod case;
mod protocol;

use std::collections::BTreeMap;

use case::{Case, cases};
use pointsman_core::Datatype;
use pointsman_registry::compare;
use pointsman_tests::{Gateway, Start, TestRegistry, fixtures, post};
use protocol::{ALL, Protocol};
use serde_json::json;

/// What tract says of the fixtures that it cannot run; it runs the others. A fixture that moves from
/// one side to the other, with a new release of tract, fails the test.
const REFUSED_BY_TRACT: [(&str, &str); 18] = [
    ("atspm_setback_q10", "tract cannot run operator TreeEnsemble; install ONNX Runtime"),
    ("basic_pitch", "Reshape ToTypedTranslator: shape input is variable"),
    ("cancer_lgbm", "tract cannot run operator TreeEnsembleClassifier (two classes by one score)"),
    ("digits_mlp", "tract cannot run operator Scaler; install ONNX Runtime"),
    ("flights_bad", "tract cannot run operator OneHotEncoder; install ONNX Runtime"),
    ("flights_challenger", "tract cannot run operator OneHotEncoder; install ONNX Runtime"),
    ("flights_champion", "tract cannot run operator OneHotEncoder; install ONNX Runtime"),
    ("iris_lr_columns", "tract cannot run operator Scaler; install ONNX Runtime"),
    ("iris_lr_str", "tract cannot run operator Scaler; install ONNX Runtime"),
    ("iris_lr_zipmap_str", "tract cannot run operator Scaler; install ONNX Runtime"),
    ("logreg_iris", "tract cannot run operator ZipMap; install ONNX Runtime"),
    ("penguins_multi_in", "tract cannot run operator OneHotEncoder; install ONNX Runtime"),
    ("ppocr_cls", "Reshape ToTypedTranslator: shape input is variable"),
    ("silero_vad_v5", "If: Infering facts: Failed analyse for node"),
    ("silero_vad_v6", "If: Infering facts: Failed analyse for node"),
    ("surfaces_gradient_boosting_regressor", "tract cannot run operator Scaler; install ONNX Runtime"),
    ("surfaces_validity", "tract cannot run operator TreeEnsembleClassifier (two classes by one score)"),
    ("titanic_name_text", "tract cannot run operator StringNormalizer; install ONNX Runtime"),
];

/// Fixtures whose graphs ONNX Runtime refuses to run without a row, with what it says.
const NO_ZERO_ROWS: [(&str, &str); 2] = [
    ("digits_mlp", "Invalid Y argument: num_indices = 0"),
    ("titanic_name_text", "Single dimension value must be greater than 0"),
];

/// How far an FP16 answer of tract may lie from ONNX Runtime's, which adds in FP32.
const TRACT_FP16: (f64, f64) = (2e-2, 1e-3);

/// Every fixture as a model of the same name.
fn registry(names: &[String]) -> TestRegistry {
    names.iter().fold(TestRegistry::new(), |registry, name| registry.version(name, 1, name))
}

/// The names of the fixtures.
fn names() -> Vec<String> {
    let folders = std::fs::read_dir(fixtures()).expect("the fixtures' folder");
    let folders = folders.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
    let name = |path: std::path::PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    let mut names: Vec<String> = folders.map(name).collect();
    names.sort();
    names
}

/// The models that do not serve, with the reason that the index gives.
fn refused(gateway: &Gateway) -> BTreeMap<String, String> {
    let index = post(gateway.http, "/v2/repository/index", "").json();
    let entries = index.as_array().expect("the index is a list").iter();
    let refused = entries.filter(|entry| entry["state"] != "READY");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    refused.map(|entry| (text(&entry["name"]), text(&entry["reason"]))).collect()
}

/// Asks every case of a fixture and gathers what is wrong with the answers.
fn problems(gateway: &Gateway, protocol: Protocol, name: &str, fp16: (f64, f64)) -> Vec<String> {
    let ask = |case: &Case| {
        let Some(answer) = protocol.ask(gateway, name, &case.inputs)? else { return Ok(()) };
        for expected in &case.outputs {
            let found = answer.iter().find(|output| output.name == expected.name);
            let found = found.ok_or_else(|| format!("output {} is missing", expected.name))?;
            let half = expected.tensor.datatype() == Datatype::Fp16;
            let (rtol, atol) = if half { fp16 } else { (0.0, 0.0) };
            compare(&expected.tensor, &found.tensor, case.rtol.max(rtol), case.atol.max(atol))
                .map_err(|difference| format!("output {}: {difference}", expected.name))?;
        }
        Ok::<_, String>(())
    };
    let problem = |case: &Case| Some(format!("{name} ({}), {protocol:?}: {}", case.note, ask(case).err()?));
    cases(name).iter().filter_map(problem).collect()
}

/// Asks every fixture of `names` in one protocol.
fn all_answer(gateway: &Gateway, protocol: Protocol, names: &[String], fp16: (f64, f64)) {
    let of = |name: &String| problems(gateway, protocol, name, fp16);
    let problems: Vec<String> = names.iter().flat_map(of).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_fixture_answers_in_every_protocol_on_onnx_runtime() {
    let names = names();
    assert_eq!(names.len(), 23, "{names:?}");
    let gateway = Start::over(registry(&names).path()).start();
    assert_eq!(refused(&gateway), BTreeMap::new(), "every fixture is served");
    for protocol in ALL {
        all_answer(&gateway, protocol, &names, (0.0, 0.0));
        for (name, reason) in NO_ZERO_ROWS {
            let said = protocol.ask(&gateway, name, &cases(name)[0].rows(0).inputs).expect_err(name);
            assert!(said.contains(reason), "{name}: {said}");
        }
    }
}

#[test]
fn tract_serves_the_fixtures_that_it_can_and_names_what_it_lacks() {
    let names = names();
    let config = "[serving]\nengine = \"tract\"\n[shutdown]\ndrain_delay = \"0s\"\n";
    let registry = registry(&names);
    let gateway = Start::over(registry.path()).config(config).start();
    let refused = refused(&gateway);
    let found: Vec<&str> = refused.keys().map(String::as_str).collect();
    let expected: Vec<&str> = REFUSED_BY_TRACT.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, expected, "{refused:#?}");
    for (name, reason) in REFUSED_BY_TRACT {
        assert!(refused[name].contains(reason), "{name}: {}", refused[name]);
        let answer =
            post(gateway.http, &format!("/v2/models/{name}/infer"), json!({"inputs": []}).to_string());
        assert_eq!((answer.status, answer.error().1.as_str()), (503, "NOT_READY"), "{name}");
    }
    let served: Vec<String> = names.into_iter().filter(|name| !refused.contains_key(name)).collect();
    // The engine lies below the protocols and takes seconds in a build that is not optimised: one
    // protocol of each kind shows it.
    for protocol in [Protocol::Json, Protocol::GrpcRaw] {
        all_answer(&gateway, protocol, &served, TRACT_FP16);
    }
}
