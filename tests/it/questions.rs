//! What the admin listener and the commands say where they are asked for what is not there.

use pointsman_tests::{Gateway, Pointsman, Start, get, post, wait_for};
use serde_json::json;

use crate::swaps::iris;

/// A gateway with two versions of iris, and a log of all requests.
fn start(log: &std::path::Path) -> Gateway {
    let registry = iris("serve = 3\nload = \"all\"\n", &[2, 3]);
    let config = format!(
        "[gates]\nlatency = \"off\"\n[registry]\nsettle = \"0s\"\n\
         [sample_log]\ndirectory = {log:?}\nuniform_rate = 1.0\nbatch_wait = \"10ms\"\n"
    );
    Start::over(registry.path()).config(&config).start()
}

/// A request that is in the log, by its id.
fn logged(gateway: &Gateway) -> String {
    let body = r#"{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}"#;
    let answer = post(gateway.http, "/v2/models/iris/infer", body);
    let id = answer.header("pointsman-request-id").expect("an id").to_owned();
    wait_for("the request to be logged", || {
        let rows = get(gateway.admin, "/v1/log/rows").json();
        rows["rows"].as_array().is_some_and(|rows| rows.len() == 1).then_some(())
    });
    id
}

#[test]
fn a_key_of_the_query_that_there_is_not_is_refused_on_every_path() {
    let log = tempfile::tempdir().expect("a folder");
    let gateway = start(log.path());
    let none = "there are no keys here";
    for (path, keys) in [
        ("/models", none),
        ("/config", none),
        ("/journal", "model, after, limit"),
        ("/v1/alerts", "model"),
        ("/v1/alerts/history", "model, limit"),
        ("/v1/comparisons", none),
        ("/v1/comparisons/iris", "shadow, primary, alpha"),
        ("/v1/drift", none),
        ("/v1/drift/iris", "version, arm, against, window, since, until"),
        ("/v1/experiments", none),
        ("/v1/experiments/iris", "alpha, metric, mde"),
        ("/v1/experiments/iris/e", "alpha, metric, mde"),
        ("/v1/log", none),
        ("/v1/log/rows", "model, since, until, request, after, limit, last"),
        ("/v1/plans", none),
        ("/v1/plans/iris", none),
        ("/v1/quality/iris", "alpha, window, version, champion, slice, by"),
        ("/v1/rollouts", none),
        ("/v1/rollouts/iris", none),
        ("/v1/schema", none),
        ("/v1/schema/iris", none),
        ("/v1/score/iris", "version"),
    ] {
        let answer = get(gateway.admin, &format!("{path}?nope=1"));
        let (said, code) = answer.error();
        assert_eq!((answer.status, &*code), (400, "BAD_REQUEST"), "{path}: {said}");
        assert!(said.contains("nope=1 in the query; ") && said.ends_with(keys), "{path}: {said}");
    }
    for path in ["/config/reload", "/models/iris/pin", "/v1/feedback", "/v1/log/delete", "/v1/replays/x"] {
        let answer = post(gateway.admin, &format!("{path}?nope=1"), "{}");
        let (said, code) = answer.error();
        assert_eq!((answer.status, &*code), (400, "BAD_REQUEST"), "{path}: {said}");
        assert!(said.ends_with(none), "{path}: {said}");
    }
    let (said, _) = get(gateway.admin, "/v1/quality/iris?window=7d&window=all").error();
    assert!(said.ends_with("window=7d and window=all in the query; give window once"), "{said}");
}

#[test]
fn a_command_that_is_asked_for_what_is_not_there_says_what_there_is() {
    let log = tempfile::tempdir().expect("a folder");
    let gateway = start(log.path());
    let id = logged(&gateway);
    let label = json!({"labels": [{"request_id": id, "label": 0}]});
    assert_eq!(post(gateway.admin, "/v1/feedback", label.to_string()).status, 200);
    let features = log.path().join("offline.csv");
    std::fs::write(&features, format!("request_id,X\n{id},5.1\n")).expect("a file");
    let (log, features) = (log.path().display().to_string(), features.display().to_string());
    let admin = format!("http://{}", gateway.admin);
    let models = "there is no model 'nope'; there is iris";
    for (arguments, said) in [
        (vec!["alerts", "nope"], models),
        (vec!["alerts", "nope", "--history"], models),
        (vec!["log", "tail", "nope"], models),
        (vec!["log", "export", "nope"], models),
        (vec!["log", "replay", "--model", "nope", "--versions", "2,3"], models),
        (vec!["quality", "nope"], models),
        (
            vec!["log", "replay", "--model", "iris", "--versions", "3,9"],
            "no version 9 of model 'iris' is loaded; there are 2, 3",
        ),
        (vec!["replay", &id, "--versions", "9"], "no version 9 of model 'iris' is loaded; there are 2, 3"),
        (
            vec!["log", "replay", "--model", "iris", "--until", "24h", "--versions", "3"],
            "the log has no request of model 'iris' in that time",
        ),
        (
            vec!["quality", "iris", "--version", "9"],
            "version 9 of model 'iris' has predicted nothing; there is 3",
        ),
        (
            vec!["quality", "iris", "--champion", "2"],
            "version 2 of model 'iris' has no labelled predictions to rank others against; there is 3",
        ),
        (
            vec!["quality", "iris", "--slice", "colour"],
            "no schema of model 'iris' declares a slice colour; there is none (`slices` of schema.toml)",
        ),
        (
            vec!["skew", "join", "--log", &log, "--model", "nope", "--features", &features],
            "--model: the log has no model 'nope'; there is iris",
        ),
        (vec!["log", "show", "019ae2f0-6b1c-7d1e-8a55-0242ac120002"], "the log has nothing of request"),
    ] {
        let ended = Pointsman::new(&arguments).variable("POINTSMAN_ADMIN_URL", &admin).run();
        assert!(ended.code == Some(1) && ended.stderr.contains(said), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
    // What there is has no alert, and no row before it was asked.
    for arguments in [vec!["alerts", "iris"], vec!["log", "export", "iris", "--until", "24h"]] {
        let ended = Pointsman::new(&arguments).variable("POINTSMAN_ADMIN_URL", &admin).run();
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn an_export_or_a_join_of_nothing_is_refused_and_spoils_nothing() {
    let log = tempfile::tempdir().expect("a folder");
    let gateway = start(log.path());
    let id = logged(&gateway);
    let admin = format!("http://{}", gateway.admin);
    let run = |arguments: &[&str]| Pointsman::new(arguments).variable("POINTSMAN_ADMIN_URL", &admin).run();
    let files = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let unknown = file("unknown.csv", "request_id,sepal_length_cm\nx,5.1\n");
    let of_no_input = file("no_input.csv", &format!("request_id,colour\n{id},red\n"));
    let log = log.path().display().to_string();
    for (features, said) in [
        (&unknown, "none of its requests, by column 'request_id', is among the 1 logged rows"),
        (
            &of_no_input,
            "none of its columns beside 'request_id' is an input that the log has as it was (colour)",
        ),
    ] {
        let ended = run(&["skew", "join", "--log", &log, "--features", features]);
        assert!(ended.code == Some(1) && ended.stderr.contains(said), "{ended:?}");
    }
    let export = file("before.jsonl", "precious");
    assert_eq!(run(&["log", "export", "nope", "-o", &export]).code, Some(1));
    assert_eq!(std::fs::read_to_string(&export).expect("the file"), "precious");
    // All that there ever was.
    let ended = run(&["log", "export", "iris", "--since", "100y", "-o", &export]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(std::fs::read_to_string(&export).expect("the export").contains(&id));
    assert_eq!(std::fs::read_dir(files.path()).expect("the folder").count(), 3, "nothing unfinished is left");
    // A link stays one, and a device too.
    let link = files.path().join("link.jsonl");
    std::os::unix::fs::symlink(&export, &link).expect("a link");
    std::fs::write(&export, "").expect("emptied");
    assert_eq!(run(&["log", "export", "iris", "-o", &link.display().to_string()]).code, Some(0));
    assert!(link.is_symlink() && std::fs::read_to_string(&export).expect("the export").contains(&id));
    let shown = run(&["log", "show", "019ae2f0-6b1c-7d1e-8a55-0242ac120002", "--json"]);
    assert!(shown.code == Some(1) && shown.stdout.contains("\"rows\":[]"), "{shown:?}");
}
