//! What the admin listener and the commands say where they are asked for what is not there.

use pointsman_tests::{Gateway, Start, get, post};

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

#[test]
fn a_key_of_the_query_that_there_is_not_is_refused_on_every_path() {
    let log = tempfile::tempdir().expect("a folder");
    let gateway = start(log.path());
    let none = "there are no keys here";
    for (path, keys) in [
        ("/models", none),
        ("/config", none),
        ("/journal", "model, after, limit"),
        ("/v1/alerts", none),
        ("/v1/alerts/history", "limit"),
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
