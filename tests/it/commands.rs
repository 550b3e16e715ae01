//! Commands that are asked wrongly, or for what cannot be: what they say.

use pointsman_tests::{Pointsman, Start, Stopped, get, post, wait_for};
use serde_json::Value;

use crate::swaps::iris;

const BODY: &str = r#"{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}"#;

fn run(arguments: &[&str]) -> Stopped {
    Pointsman::new(arguments.iter().copied()).run()
}

#[test]
fn a_baseline_is_built_over_no_schema_and_of_no_empty_table() {
    let card = "serve = 3\n[inputs.X]\nfeatures = [\"a\", \"b\", \"c\", \"d\"]\n";
    let registry = iris(card, &[3]);
    let path = |name: &str| registry.join(name).display().to_string();
    std::fs::write(path("train.csv"), "a,b,c,d\n5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5\n").expect("a table");
    std::fs::write(path("empty.csv"), "").expect("a table");
    std::fs::write(path("head.csv"), "a,b,c,d\n").expect("a table");
    std::fs::write(path("schema.toml"), "# edited\n").expect("a schema");
    let (models, out, schema) =
        (registry.path().display().to_string(), path("made.json"), path("schema.toml"));
    let build = |data: &str, more: &[&str]| {
        let data = path(data);
        let all = ["baseline", "build", &data, "--model", "iris", "--models", &models, "--out", &out];
        run(&[&all[..], more].concat())
    };
    let refused = build("train.csv", &["--schema", &schema]);
    assert!(refused.code == Some(1) && refused.stderr.contains("write over it by --force"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&schema).expect("a file"), "# edited\n");
    let forced = build("train.csv", &["--schema", &schema, "--force"]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    assert!(std::fs::read_to_string(&schema).expect("a file").contains("[inputs.a]"));
    for (data, more, code, said) in [
        ("train.csv", &["--rows", "0"][..], 2, "invalid value '0' for '--rows <N>'"),
        ("empty.csv", &[], 1, "it is empty: give CSV whose first line names the columns, or Parquet"),
        ("head.csv", &[], 1, "it has no rows below the names of its columns"),
    ] {
        let refused = build(data, more);
        assert!(refused.code == Some(code) && refused.stderr.contains(said), "{data}: {refused:?}");
    }
}

#[test]
fn what_a_log_command_lacks_is_told_with_an_example() {
    let id = "019ae2f0-6b1c-7d1e-8a55-0242ac120002";
    for (arguments, parts) in [
        (vec!["log", "delete"], vec!["--request <ID>", "--unit <HASH>", "log delete --request 019ae2f0"]),
        (
            vec!["log", "delete", "--request", id, "--unit", "a"],
            vec!["cannot be used with", "log delete --unit 7c69"],
        ),
        (vec!["log", "replay"], vec!["--versions <VERSION,...>", "log replay --model iris --since 1h"]),
        (vec!["log", "replay", "--versions", "2"], vec!["<ID>", "log replay 019ae2f0"]),
    ] {
        let refused = run(&arguments);
        let has_all = parts.iter().all(|part| refused.stderr.contains(part));
        assert!(refused.code == Some(2) && has_all, "{arguments:?}: {}", refused.stderr);
    }
}

#[test]
fn a_number_that_means_nothing_is_refused_before_anything_is_asked() {
    for (arguments, said) in [
        (vec!["labels", "import", "a.csv", "--batch", "0"], "0 is not in 1..=1000000"),
        (vec!["log", "replay", "--model", "m", "--versions", "2", "--limit", "0"], "0 is not in 1..=1000000"),
        (vec!["skew", "join", "--log", "l", "--features", "f", "--rtol", "nan"], "give a number from 0 to 1"),
        (vec!["skew", "join", "--log", "l", "--features", "f", "--rtol", "-1"], "give a number from 0 to 1"),
    ] {
        let refused = run(&arguments);
        assert!(refused.code == Some(2) && refused.stderr.contains(said), "{arguments:?}: {refused:?}");
    }
    let refused = run(&["baseline", "build", "a.csv", "--model", "m", "--since", "2026-01-01"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("a table is read whole"), "{refused:?}");
}

#[test]
fn an_arm_that_has_no_rows_is_told_with_those_that_have() {
    let registry = iris("serve = 3\n", &[3]);
    let gateway = Start::over(registry.path()).start();
    // Bins are made of so many rows where there is no baseline.
    let rows = 1000;
    let data = vec!["5.1,3.5,1.4,0.2"; rows].join(",");
    let body = BODY.replace("[1,4]", &format!("[{rows},4]")).replace("5.1,3.5,1.4,0.2", &data);
    assert_eq!(post(gateway.http, "/v2/models/iris/infer", body).status, 200);
    let of_arm = || get(gateway.admin, "/v1/drift/iris?arm=nope").error().0;
    let said = wait_for("the rows to be profiled", || {
        Some(of_arm()).filter(|said| !said.contains("fewer than") && !said.contains("yet"))
    });
    assert!(said.ends_with("no rows of version 3 are of arm nope; its arms are default"), "{said}");
    let (said, _) =
        get(gateway.admin, "/v1/drift/iris?against=previous&since=1990-01-01&until=1990-01-02").error();
    assert!(said.contains(" there are windows from 2") && said.contains("(UTC)"), "{said}");
    let url = format!("http://{}", gateway.admin);
    let ended = run(&["drift", "iris", "--arm", "nope", "--admin-url", &url]);
    assert!(ended.code == Some(1) && ended.stderr.contains("its arms are default"), "{ended:?}");
}

#[test]
fn labels_that_cannot_be_are_told_by_their_lines_and_where_they_belong() {
    let registry = iris("serve = 3\n", &[3]);
    let gateway = Start::over(registry.path()).start();
    let (id, url) = ("019ae2f0-6b1c-7d1e-8a55-0242ac120002", format!("http://{}", gateway.admin));
    let file = registry.join("labels.csv");
    let bad: String = (0..11).map(|_| "odd,1\n").collect();
    std::fs::write(&file, format!("request_id,label\n{id},1\nx,1\n{id},2\n{bad}")).expect("a file");
    let file = file.display().to_string();
    let import = ["labels", "import", &file, "--batch", "2", "--admin-url", &url];
    let ended = run(&import);
    assert!(ended.code == Some(1) && ended.stdout.contains("12 malformed"), "{ended:?}");
    for said in ["line 3 is malformed: ", "line 5 is malformed: ", "and 2 more"] {
        assert!(ended.stdout.contains(said), "{said}: {ended:?}");
    }
    assert!(!ended.stdout.contains("line 4 is"), "{ended:?}");
    let ended = run(&[&import[..], &["--json"]].concat());
    assert_eq!(ended.code, Some(1));
    let json: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&json["malformed"][0]["line"], &json["counts"]["malformed"]), (&3.into(), &12.into()));

    let elsewhere = post(gateway.http, "/v1/feedback", "{}");
    let (said, code) = elsewhere.error();
    assert_eq!((elsewhere.status, &*code), (404, "NOT_FOUND"));
    assert!(said.contains("admin listener") && said.contains("labels.public"), "{said}");
}
