//! `pointsman profile --sweep`: a model measured on its files, without a gateway.

use pointsman_tests::{Pointsman, TestRegistry, repository};
use serde_json::Value;

/// Measures `iris` of the repository.
fn sweep(arguments: &[&str]) -> Pointsman {
    let models = repository().join("models");
    let all = ["profile", "iris", "--sweep", "--seconds", "0.2"];
    Pointsman::new(all.iter().chain(arguments).copied()).variable("POINTSMAN_MODELS", models)
}

#[test]
fn a_model_is_measured_with_threads_and_with_workers() {
    let said = sweep(&["--threads", "2", "--rows", "4,1", "--json"]).run();
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    for progress in ["iris/3: loading it for 1 worker(s) of 2 thread(s)", "iris/3: round 5 of 5"] {
        assert!(said.stderr.contains(progress), "{progress}: {}", said.stderr);
    }
    let json: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!((&json["model"], &json["version"]), (&"iris".into(), &3.into()));
    let ways = json["sweep"].as_array().expect("a list");
    let number = |value: &Value| value.as_u64().expect("a number");
    let of = |way: &Value| (number(&way["workers"]), number(&way["threads"]));
    assert_eq!(ways.iter().map(of).collect::<Vec<_>>(), [(1, 1), (1, 2), (2, 1)]);
    for way in ways {
        let sizes = way["sizes"].as_array().expect("a list");
        assert_eq!(sizes.iter().map(|size| number(&size["rows"])).collect::<Vec<_>>(), [1, 4], "{way}");
        for size in sizes {
            let positive = |key: &str| size[key].as_f64().is_some_and(|figure| figure > 0.0);
            assert!(positive("median_seconds") && positive("cpu_seconds") && positive("runs"), "{size}");
            let (rows, seconds) = (number(&size["rows"]) as f64, size["median_seconds"].as_f64());
            let expected = of(way).0 as f64 * rows / seconds.expect("a number");
            let said = size["rows_per_second"].as_f64().expect("a number");
            assert!((said / expected - 1.0).abs() < 1e-6, "{size}");
        }
    }
    assert!(json["advice"]["why"].as_str().is_some_and(|why| why.contains("rows/s")), "{json}");
}

#[test]
fn people_get_a_table_for_each_number_of_threads() {
    let said = sweep(&["1", "--threads", "2", "--rows", "1"]).run();
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    for part in [
        "model iris, version 1",
        "threads of a run: 1",
        "BY 2 WORKERS",
        "#",
        "advice: serving.intra_op_threads",
    ] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
}

#[test]
fn what_cannot_be_measured_is_said() {
    let registry = TestRegistry::new().file("broken/1/model.onnx", "no model");
    let of = |arguments: &[&str]| {
        let command = Pointsman::new(["profile"].iter().chain(arguments).copied());
        let said = command.variable("POINTSMAN_MODELS", registry.path()).run();
        (said.code, said.stderr)
    };
    for (arguments, code, reason) in [
        (&["nobody", "--sweep"][..], 1, "no model 'nobody'"),
        (&["broken", "7", "--sweep"], 1, "no version 7"),
        (&["broken", "--sweep"], 1, "broken/1: "),
        (&["broken", "--sweep", "--models", "nowhere"], 1, "nowhere"),
        (&["broken", "--sweep", "--threads", "0"], 2, "--threads"),
        (&["broken", "--sweep", "--seconds", "0"], 2, "above 0"),
        (&["broken", "--threads", "2"], 2, "--sweep"),
    ] {
        let (ended, said) = of(arguments);
        assert!(ended == Some(code) && said.contains(reason), "{arguments:?}: {ended:?} {said}");
    }
}
