//! Rollouts around which something changes: the registry, the configuration, the journal, the words of operators.

use std::path::Path;

use pointsman_core::Datatype;
use pointsman_tests::{Gateway, OnnxModel, Pointsman, Start, TestRegistry, get, post, request, wait_for};
use serde_json::{Value, json};

use crate::swaps::wish;

const CONFIG: &str = "[shutdown]\ndrain_delay = \"0s\"\n[gates]\nlatency = \"off\"\n[rollout]\nlook = \"100ms\"\n\
                      [registry]\nsettle = \"0s\"\npoll = \"1s\"\n";
const ROLLOUT: &str = "/v1/rollouts/m";

/// A model whose answer to 4 tells which content answered.
fn content(operator: &str) -> Vec<u8> {
    let model = OnnxModel::new().input("x", Datatype::Fp32, &[-1]).node(operator, &["x"], "y");
    model.output("y", Datatype::Fp32, &[-1]).bytes()
}

/// Two versions of `m`, with a card.
fn registry(card: &str, second: &str) -> TestRegistry {
    TestRegistry::new()
        .file("m/model.toml", card)
        .file("m/1/model.onnx", content("Identity"))
        .file("m/2/model.onnx", content(second))
}

fn start(models: &Path, state: &Path) -> Gateway {
    Start::over(models).config(CONFIG).argument("--state").argument(state).start()
}

/// Begins a rollout of version 2 at half of the requests, which does not end by itself.
fn begin(gateway: &Gateway) {
    let asked = json!({"version": 2, "canary": "50", "time_min": "1h", "latency_objective": "1s"});
    let (code, answer) = wish(gateway, ROLLOUT, asked);
    assert_eq!(code, 200, "{answer}");
}

fn shown(gateway: &Gateway) -> Value {
    get(gateway.admin, ROLLOUT).json()
}

/// Who answers where no version is named: the version and the arm.
fn ask(gateway: &Gateway, input: f64) -> (String, String) {
    let body =
        json!({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [input]}]}).to_string();
    let answer = post(gateway.http, "/v2/models/m/infer", body);
    let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
    (header("pointsman-version"), header("pointsman-arm"))
}

/// What version 2 answers to 4.
fn of_candidate(gateway: &Gateway) -> Value {
    let body =
        json!({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [4.0]}]}).to_string();
    post(gateway.http, "/v2/models/m/versions/2/infer", body).json()["outputs"][0]["data"][0].clone()
}

fn write_over(registry: &TestRegistry, version: u64, operator: &str) {
    let path = registry.join(&format!("m/{version}"));
    std::fs::write(path.join("next"), content(operator)).expect("written");
    std::fs::rename(path.join("next"), path.join("model.onnx")).expect("written over");
}

/// Waits until the registry was looked at again, from beginning to end.
fn look_again(gateway: &Gateway) {
    for _ in 0..2 {
        let looked_at = gateway.metric("pointsman_registry_looked_at_seconds", "");
        gateway.wait_for_metric("pointsman_registry_looked_at_seconds", "", |at| at > looked_at);
    }
}

#[test]
fn what_takes_over_is_what_was_seen_whatever_its_folder_holds_by_then() {
    for on_new in ["hold", "serve"] {
        let state = tempfile::tempdir().expect("a folder");
        let registry = registry(&format!("serve = 1\nload = \"all\"\non_new = \"{on_new}\"\n"), "Sqrt");
        let gateway = start(registry.path(), state.path());
        begin(&gateway);
        assert_eq!(of_candidate(&gateway), 2.0);
        write_over(&registry, 2, "Neg");
        look_again(&gateway);
        assert_eq!((of_candidate(&gateway), &shown(&gateway)["phase"]), (json!(2.0), &json!("running")));
        let (code, answer) = wish(&gateway, &format!("{ROLLOUT}/promote"), json!({}));
        assert_eq!(code, 200, "{on_new}: {answer}");
        assert_eq!(shown(&gateway)["phase"], "promoted");
        assert_eq!(ask(&gateway, 4.0).0, "2");
    }
}

#[test]
fn what_was_seen_of_one_content_says_nothing_of_another() {
    let state = tempfile::tempdir().expect("a folder");
    let registry = registry("serve = 1\nload = \"all\"\non_new = \"hold\"\n", "Sqrt");
    for version in [2, 1] {
        let gateway = start(registry.path(), state.path());
        begin(&gateway);
        drop(gateway);
        write_over(&registry, version, "Neg");
        let gateway = start(registry.path(), state.path());
        wait_for("the rollout to end", || (shown(&gateway)["phase"] == "aborted").then_some(()));
        let journal = get(gateway.admin, "/journal?model=m").text();
        assert!(journal.contains(&format!("version {version} was written over")), "{journal}");
        assert_eq!(ask(&gateway, 4.0).0, "1");
    }
}

#[test]
fn what_is_taken_back_does_not_come_by_what_the_card_says_since() {
    let state = tempfile::tempdir().expect("a folder");
    let registry = registry("serve = 1\nload = \"all\"\non_new = \"hold\"\n", "Abs");
    let gateway = start(registry.path(), state.path());
    begin(&gateway);
    let registry = registry.file("m/model.toml", "serve = 2\nload = \"all\"\non_new = \"hold\"\n");
    look_again(&gateway);
    assert_eq!(wish(&gateway, &format!("{ROLLOUT}/abort"), json!({})).0, 200);
    look_again(&gateway);
    assert_eq!(ask(&gateway, 4.0).0, "1", "{:?}", registry.path());
}

#[test]
fn what_comes_after_a_rollback_by_hand_comes_by_a_rollout_too() {
    let state = tempfile::tempdir().expect("a folder");
    let registry = registry("load = \"all\"\n", "Abs");
    let gateway = start(registry.path(), state.path());
    for version in [1, 2] {
        assert_eq!(wish(&gateway, "/models/m/promote", json!({"version": version})).0, 200);
    }
    assert_eq!(wish(&gateway, "/models/m/rollback", json!({})).0, 200);
    begin(&gateway);
    let registry = registry.file("m/.3/model.onnx", content("Identity"));
    std::fs::rename(registry.join("m/.3"), registry.join("m/3")).expect("there is 3");
    let second = wait_for("the second rollout", || {
        let second = shown(&gateway);
        let (version, arm) = ask(&gateway, 4.0);
        assert!(version != "3" || arm == "candidate", "version 3 answers everybody at once");
        (second["id"] == 2 && second["phase"] == "running").then_some(second)
    });
    assert_eq!(second["version"], 3);
}

#[test]
fn one_that_served_before_stands_in_for_the_version_that_is_withdrawn() {
    let state = tempfile::tempdir().expect("a folder");
    let registry = registry("load = \"all\"\n", "Abs").file("m/3/model.onnx", content("Identity"));
    let gateway = start(registry.path(), state.path());
    for version in [1, 3, 1, 3] {
        assert_eq!(wish(&gateway, "/models/m/promote", json!({"version": version})).0, 200);
    }
    begin(&gateway);
    assert_eq!(wish(&gateway, "/models/m/unload", json!({"version": 3})).0, 200);
    wait_for("the rollout to end", || (shown(&gateway)["phase"] == "aborted").then_some(()));
    assert_eq!(ask(&gateway, 4.0).0, "1");
}

#[test]
fn a_candidate_that_is_unloaded_stays_unloaded() {
    let state = tempfile::tempdir().expect("a folder");
    let registry = registry("serve = 1\nload = \"all\"\non_new = \"hold\"\n", "Abs");
    let gateway = start(registry.path(), state.path());
    begin(&gateway);
    assert_eq!(wish(&gateway, "/models/m/unload", json!({"version": 2})).0, 200);
    wait_for("the rollout to end", || (shown(&gateway)["phase"] == "rolled_back").then_some(()));
    look_again(&gateway);
    assert_eq!(get(gateway.http, "/v2/models/m/versions/2/ready").status, 503);
}

#[test]
fn a_declared_experiment_waits_for_the_end_of_a_rollout() {
    let state = tempfile::tempdir().expect("a folder");
    let registry = registry("serve = 1\nload = \"all\"\non_new = \"hold\"\n", "Abs");
    let plan =
        "[plan.m.experiment]\nname = \"e\"\narms = [{ name = \"a\", version = 2, weight = \"20%\" }]\n";
    let gateway = start(registry.path(), state.path());
    begin(&gateway);
    drop(gateway);
    let gateway = Start::over(registry.path())
        .config(&format!("{CONFIG}{plan}"))
        .argument("--state")
        .argument(state.path())
        .start();
    let undeclared = wait_for("the plan to be refused", || {
        let plan = get(gateway.admin, "/v1/plans/m").json();
        plan["undeclared"].as_str().filter(|why| !why.is_empty()).map(str::to_owned)
    });
    assert!(undeclared.contains("rollout 1 of version 2 is under way"), "{undeclared}");
    assert_eq!(wish(&gateway, &format!("{ROLLOUT}/abort"), json!({})).0, 200);
    wait_for("the plan to count", || {
        (get(gateway.admin, "/v1/plans/m").json()["plan"]["experiment"]["name"] == "e").then_some(())
    });
}

#[test]
fn what_does_harm_is_taken_back_after_a_start_of_which_nothing_can_be_written() {
    let state = tempfile::tempdir().expect("a folder");
    let registry = registry("serve = 1\nload = \"all\"\non_new = \"hold\"\n", "Sqrt");
    let registry = registry.file("other/1/model.onnx", content("Abs"));
    let gateway = start(registry.path(), state.path());
    begin(&gateway);
    assert_eq!(gateway.stop().code, Some(0));
    // The model is seen once another writer holds the database, which can be neither written nor waited for.
    std::fs::rename(registry.join("m"), registry.join(".m")).expect("hidden");
    let gateway = start(registry.path(), state.path());
    let other = rusqlite::Connection::open(state.path().join("journal.sqlite")).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("is held");
    std::fs::rename(registry.join(".m"), registry.join("m")).expect("shown");
    gateway.wait_for_metric("pointsman_rollout_share", "model=\"m\"", |share| share == 0.5);
    // It goes on as it was, and its thread waits meanwhile.
    wait_for("the candidate to answer", || (ask(&gateway, 4.0).1 == "candidate").then_some(()));
    let failures = || gateway.metric("pointsman_journal_failures_total", "");
    look_again(&gateway);
    assert!((1.0..20.0).contains(&failures()), "{}", failures());
    wait_for("the candidate to be taken back", || {
        let answers: Vec<String> = (0..20).map(|_| ask(&gateway, -1.0).1).collect();
        answers.iter().all(|arm| arm == "default").then_some(())
    });
    assert_eq!(shown(&gateway)["phase"], "running", "nothing of it is written");
    other.execute_batch("ROLLBACK").expect("is let go");
    let ended = wait_for("it to be written", || Some(shown(&gateway)).filter(|it| it["is_over"] == true));
    assert_eq!(ended["report"]["phase"]["rolled_back"], "not_finite", "{ended}");
    let url = format!("http://{}", gateway.admin);
    let verified = Pointsman::new(["journal", "verify", "--admin-url", &url]).run();
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
}

#[test]
fn what_both_versions_do_is_looked_at_no_oftener_than_anything_else() {
    let state = tempfile::tempdir().expect("a folder");
    let registry = registry("serve = 1\nload = \"all\"\non_new = \"hold\"\n", "Sqrt");
    let registry = registry.file("m/1/model.onnx", content("Sqrt"));
    let config = CONFIG.replace("100ms", "2s");
    let gateway =
        Start::over(registry.path()).config(&config).argument("--state").argument(state.path()).start();
    let asked = json!({"version": 2, "canary": "50", "time_min": "1h", "latency_objective": "1s",
        "unit": ["header:x-user-id"]});
    assert_eq!(wish(&gateway, ROLLOUT, asked).0, 200);
    let arm = |user: usize, input: f64| {
        let body =
            json!({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [input]}]}).to_string();
        let user = user.to_string();
        let headers = [("x-user-id", user.as_str())];
        let answer = request("POST", gateway.http, "/v2/models/m/infer", &headers, Some(body.as_bytes()));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("pointsman-arm").unwrap_or_default().to_owned()
    };
    let (exposed, others): (Vec<usize>, Vec<usize>) =
        (0..40).partition(|user| arm(*user, 4.0) == "candidate");
    // The version that serves gives NaN as well: how often is what counts from then on.
    for user in &others {
        arm(*user, -1.0);
    }
    let looks = || shown(&gateway)["report"]["verdicts"].as_u64().unwrap_or_default();
    wait_for("that to be seen", || (looks() >= 1).then_some(()));
    let (before, since) = (looks(), std::time::Instant::now());
    for user in exposed.iter().cycle().take(60) {
        arm(*user, -1.0);
    }
    let (taken, most) = (looks() - before, 2 + since.elapsed().as_secs() / 2);
    assert!(taken <= most, "{taken} looks were taken, and {most} were due");
    assert_eq!(shown(&gateway)["phase"], "running");
}
