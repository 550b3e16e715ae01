//! Versions that take over in stages: to the end, and back where they do harm, whatever happens meanwhile.

use std::path::Path;

use pointsman_core::Datatype;
use pointsman_tests::{
    Answer, Gateway, OnnxModel, Pointsman, Start, TestRegistry, Traffic, get, request, wait_for,
};
use serde_json::{Value, json};

use crate::swaps::{copy_version, iris, status, wish};

const INFER: &str = "/v2/models/iris/infer";
const BODY: &str = r#"{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}"#;
const CONFIG: &str = "[shutdown]\ndrain_delay = \"0s\"\n[gates]\nlatency = \"off\"\n[rollout]\nlook = \"100ms\"\n\
                      [registry]\nsettle = \"0s\"\npoll = \"1s\"\n";
/// All versions are loaded, and 2 is the default; none comes by itself.
const CARD: &str = "serve = 2\nload = \"all\"\non_new = \"hold\"\n";
const ROLLOUT: &str = "/v1/rollouts/iris";

fn start(models: &Path, state: &Path) -> Gateway {
    Start::over(models).config(CONFIG).argument("--state").argument(state).start()
}

/// Begins a rollout of version 3 of iris, with what is said beside its defaults.
fn begin(gateway: &Gateway, said: Value) -> (u16, Value) {
    let mut asked = json!({"version": 3, "canary": "10,50", "time_min": "0s", "latency_objective": "1s"});
    for (key, value) in said.as_object().expect("an object") {
        asked[key] = value.clone();
    }
    wish(gateway, ROLLOUT, asked)
}

fn began(gateway: &Gateway, said: Value) {
    let (code, answer) = begin(gateway, said);
    assert_eq!(code, 200, "{answer}");
}

fn tell(gateway: &Gateway, verb: &str) -> (u16, Value) {
    wish(gateway, &format!("{ROLLOUT}/{verb}"), json!({}))
}

fn shown(gateway: &Gateway) -> Value {
    get(gateway.admin, ROLLOUT).json()
}

fn wait_for_phase(gateway: &Gateway, phase: &str) -> Value {
    wait_for(&format!("the rollout to be {phase}"), || {
        let shown = shown(gateway);
        (shown["phase"] == phase).then_some(shown)
    })
}

/// Computes every verdict again, as a statistician would.
fn verified(gateway: &Gateway) -> Value {
    let url = format!("http://{}", gateway.admin);
    let ended = Pointsman::new(["journal", "verify", "--json", "--alpha", "0.5", "--admin-url", &url]).run();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    document["rollouts"][0].clone()
}

fn ask(gateway: &Gateway, user: &str) -> Answer {
    let headers = [("x-user-id", user)];
    request("POST", gateway.http, INFER, &headers, Some(BODY.as_bytes()))
}

#[test]
fn a_good_version_takes_over_and_every_verdict_can_be_computed_again() {
    let (registry, state) = (iris(CARD, &[2, 3]), tempfile::tempdir().expect("a folder"));
    let gateway = start(registry.path(), state.path());
    let traffic = Traffic::start(gateway.http, INFER, BODY, 4);
    traffic.wait_for_more(200);
    let plan = json!({"version": 3, "canary": "10,50", "time_min": "0s"});
    let (code, planned) = wish(&gateway, &format!("{ROLLOUT}/plan"), plan);
    assert_eq!(code, 200, "{planned}");
    assert!(planned["traffic"]["per_second"].as_f64().is_some_and(|rate| rate > 1.0), "{planned}");
    assert_eq!(planned["plan"]["stages"].as_array().map(Vec::len), Some(2), "{planned}");
    began(&gateway, json!({}));
    let shown = wait_for_phase(&gateway, "promoted");
    assert_eq!(status(&gateway)["default"], 3);
    traffic.wait_for_more(100);
    let versions = traffic.stop();
    assert!(versions["2"] > 0 && versions["3"] > 0, "{versions:?}");
    // Each stage needs about 920 requests of the candidate without an error: 0 of 1000 is enough.
    for stage in shown["report"]["stages"].as_array().expect("stages") {
        let seen = stage["counts"]["canary"]["seen"]["requests"].as_u64().expect("a count");
        assert!(seen >= 900, "{stage}");
    }
    let verified = verified(&gateway);
    assert_eq!(verified["discrepancies"], json!([]));
    assert!(verified["verdicts"].as_u64().is_some_and(|verdicts| verdicts >= 2), "{verified}");
    let url = format!("http://{}", gateway.admin);
    let report = Pointsman::new(["rollout", "show", "iris", "--admin-url", &url]).run();
    assert!(report.stdout.contains("iris version 3 answers everybody"), "{}", report.stdout);
    assert_eq!(gateway.metric("pointsman_rollout_share", "model=\"iris\""), 0.0);
    let journal = get(gateway.admin, "/journal?model=iris").text();
    for line in ["goes from none to 10% (start)", "goes from 10% to 50% (look)", "answers everybody (look)"] {
        assert!(journal.contains(line), "{line}: {journal}");
    }
}

/// A registry with two versions of `m` over whole numbers: the second is `candidate`.
fn two(candidate: OnnxModel, datatype: Datatype) -> TestRegistry {
    TestRegistry::new()
        .file("m/model.toml", "serve = 1\nload = \"all\"\non_new = \"hold\"\n")
        .file("m/1/model.onnx", OnnxModel::identity(datatype, &[-1]).bytes())
        .file("m/2/model.onnx", candidate.bytes())
}

/// Lets version 2 of `m` take over at 1 %, under traffic of which a part is of a kind that it cannot take; gives how the
/// rollout ended.
fn taken_back(registry: &TestRegistry, body: &str) -> Value {
    let state = tempfile::tempdir().expect("a folder");
    let gateway = start(registry.path(), state.path());
    let asked =
        json!({"version": 2, "canary": "1,50", "latency_objective": "1s", "unit": ["header:x-user-id"]});
    let (code, answer) = wish(&gateway, "/v1/rollouts/m", asked);
    assert_eq!(code, 200, "{answer}");
    let ask = |user: usize| {
        let user = format!("user-{user}");
        let headers = [("x-user-id", user.as_str())];
        request("POST", gateway.http, "/v2/models/m/infer", &headers, Some(body.as_bytes()))
    };
    let mut user = 0;
    let ended = wait_for("the version to be rolled back", || {
        for _ in 0..50 {
            user += 1;
            let status = ask(user).status;
            assert!(status == 200 || status == 400, "{status}");
        }
        let shown = get(gateway.admin, "/v1/rollouts/m").json();
        (shown["is_over"] == true).then_some(shown)
    });
    // Nobody gets it any more, and it does not come by itself.
    for user in 0..300 {
        let answer = ask(user);
        assert_eq!(answer.header("pointsman-version"), Some("1"));
        assert_eq!(answer.header("pointsman-arm"), Some("default"));
    }
    assert_eq!(verified(&gateway)["discrepancies"], json!([]));
    ended
}

#[test]
fn a_version_that_fails_is_taken_back_at_one_per_cent() {
    // It takes its input for indices into itself, and most are out of range.
    let candidate = OnnxModel::new()
        .input("x", Datatype::Int64, &[-1])
        .node("Gather", &["x", "x"], "y")
        .output("y", Datatype::Int64, &[-1]);
    let registry = two(candidate, Datatype::Int64);
    let body = r#"{"inputs":[{"name":"x","shape":[1],"datatype":"INT64","data":[5]}]}"#;
    let ended = taken_back(&registry, body);
    assert_eq!(ended["phase"], "rolled_back");
    assert_eq!(ended["report"]["phase"]["rolled_back"], "errors_in_a_row", "{ended}");
}

#[test]
fn a_version_that_gives_nan_is_taken_back_at_one_per_cent_and_at_once() {
    let candidate = OnnxModel::new().input("x", Datatype::Fp32, &[-1]).node("Sqrt", &["x"], "y").output(
        "y",
        Datatype::Fp32,
        &[-1],
    );
    let registry = two(candidate, Datatype::Fp32);
    let body = r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[-5.0]}]}"#;
    let ended = taken_back(&registry, body);
    assert_eq!(ended["report"]["phase"]["rolled_back"], "not_finite", "{ended}");
    // One answer was enough.
    let invalid = &ended["report"]["stages"][0]["counts"]["canary"]["invalid"]["requests"];
    let warm_up = &ended["report"]["stages"][0]["warm_up"]["canary"]["invalid"]["requests"];
    assert!(invalid.as_u64().unwrap_or(0) + warm_up.as_u64().unwrap_or(0) <= 2, "{ended}");
}

#[test]
fn a_gateway_that_is_killed_goes_on_at_the_stage_that_was_written() {
    let (registry, state) = (iris(CARD, &[2, 3]), tempfile::tempdir().expect("a folder"));
    let mut gateway = start(registry.path(), state.path());
    // It takes so long that nothing moves by itself.
    began(&gateway, json!({"time_min": "1h", "unit": ["header:x-user-id"]}));
    let arms = |gateway: &Gateway| -> Vec<String> {
        let arm = |user| {
            let answer = ask(gateway, &format!("user-{user}"));
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.header("pointsman-arm").expect("an arm").to_owned()
        };
        (0..200).map(arm).collect()
    };
    let few = arms(&gateway);
    let share = few.iter().filter(|arm| *arm == "candidate").count();
    assert!((5..45).contains(&share), "{share} of 200 at 10 %");
    assert_eq!(tell(&gateway, "advance").0, 200);
    let many = arms(&gateway);
    assert!(few.iter().zip(&many).all(|(few, many)| few == "default" || many == "candidate"));
    let seen = |gateway: &Gateway, stage: usize| {
        let stage = &shown(gateway)["report"]["stages"][stage];
        let count = |part: &str| stage[part]["primary"]["seen"]["units"].as_u64().unwrap_or(0);
        count("counts") + count("warm_up")
    };
    let units = wait_for("what was seen to be written", || {
        let units = seen(&gateway, 0) + seen(&gateway, 1);
        (units + 20 >= 200 - share as u64).then_some(units)
    });
    for kill in 0..3 {
        gateway.signal("KILL");
        let _ = gateway.wait();
        gateway = start(registry.path(), state.path());
        wait_for("the candidate to be there", || {
            (ask(&gateway, "user-0").header("pointsman-experiment") == Some("rollout-1")).then_some(())
        });
        wait_for("every version to be loaded", || (arms(&gateway) == many).then_some(()));
        let shown = shown(&gateway);
        assert_eq!((&shown["exposure"], &shown["stage"]), (&json!("50%"), &json!(1)), "kill {kill}");
        // Users that were seen before are no news after a restart.
        wait_for("another look to be written", || {
            let verdicts = shown["report"]["verdicts"].as_u64();
            (self::shown(&gateway)["report"]["verdicts"].as_u64() > verdicts).then_some(())
        });
        assert_eq!(seen(&gateway, 0) + seen(&gateway, 1), units, "kill {kill}");
    }
    assert_eq!(tell(&gateway, "abort").0, 200);
    assert!(arms(&gateway).iter().all(|arm| arm == "default"));
    assert_eq!(verified(&gateway)["discrepancies"], json!([]));
}

#[test]
fn a_gateway_that_dies_as_it_writes_is_never_above_what_is_written() {
    for (fault, written) in [("die-before-rollout", false), ("die-after-rollout", true)] {
        let (registry, state) = (iris(CARD, &[2, 3]), tempfile::tempdir().expect("a folder"));
        let gateway = Start::over(registry.path())
            .config(CONFIG)
            .argument("--state")
            .argument(state.path())
            .variable("POINTSMAN_FAULT", fault)
            .start();
        let url = format!("http://{}", gateway.admin);
        let asked = Pointsman::new([
            "rollout",
            "start",
            "iris",
            "3",
            "--canary",
            "10",
            "--latency-objective",
            "1s",
            "--admin-url",
            &url,
        ]);
        assert_ne!(asked.run().code, Some(0), "{fault}: the gateway is gone");
        drop(gateway);
        let gateway = start(registry.path(), state.path());
        let under_way = get(gateway.admin, "/v1/rollouts").json()["rollouts"].as_array().map_or(0, Vec::len);
        assert_eq!(under_way, usize::from(written), "{fault}");
        let exposed = |gateway: &Gateway| {
            let arm = |user| ask(gateway, &format!("user-{user}")).header("pointsman-arm").map(str::to_owned);
            (0..100).filter(|user| arm(*user).as_deref() == Some("candidate")).count()
        };
        if written {
            wait_for("the candidate to answer again", || (exposed(&gateway) > 0).then_some(()));
        } else {
            assert_eq!(exposed(&gateway), 0);
        }
    }
}

#[test]
fn operators_hold_and_move_a_rollout_and_what_cannot_be_is_refused() {
    let (registry, state) = (iris(CARD, &[1, 2, 3]), tempfile::tempdir().expect("a folder"));
    let gateway = start(registry.path(), state.path());
    let refused = |(code, answer): (u16, Value), word: &str| {
        assert!((400..500).contains(&code), "{code} {answer}");
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.contains(word), "{word}: {error}");
    };
    refused(tell(&gateway, "pause"), "no rollout is under way");
    refused(begin(&gateway, json!({"version": 2})), "already");
    refused(begin(&gateway, json!({"version": 9})), "no version 9");
    refused(begin(&gateway, json!({"canary": "50,10"})), "percent that rise");
    refused(begin(&gateway, json!({"canary": "NaN"})), "--canary");
    refused(begin(&gateway, json!({"alpha": "2"})), "--alpha");
    refused(begin(&gateway, json!({"latency_objective": null})), "--latency-objective 50ms");
    refused(begin(&gateway, json!({"unit": ["x-user-id"]})), "header:NAME");
    refused(begin(&gateway, json!({"unit": ["tensor:user[0]"]})), "no input 'user'; it has X");
    let planned = begin(&gateway, json!({"dry_run": true}));
    assert_eq!((planned.0, &planned.1["outcome"]), (200, &json!("planned")), "{}", planned.1);
    let none = get(gateway.admin, ROLLOUT);
    assert_eq!(none.status, 404, "{}", none.text());

    began(&gateway, json!({"time_min": "1h", "approve": "10"}));
    let url = format!("http://{}", gateway.admin);
    for (command, line) in [
        (&["models"][..], "rollout 1: version 3 at 10%"),
        (&["plan", "show", "iris"], "# beside it rollout 1 is under way: version 3 at 10%"),
    ] {
        let ended = Pointsman::new(command.iter().copied().chain(["--admin-url", &url])).run();
        assert!(ended.stdout.contains(line), "{}{}", ended.stdout, ended.stderr);
    }
    refused(begin(&gateway, json!({})), "rollout 1 of version 3 is under way");
    refused(wish(&gateway, "/models/iris/promote", json!({"version": 1})), "rollout 1 of version 3");
    refused(wish(&gateway, "/models/iris/pin", json!({})), "rollout 1 of version 3");
    let plan = "[experiment]\nname = \"e\"\narms = [{ name = \"a\", version = 1, weight = \"5%\" }]\n";
    let put = |plan: &str| {
        let headers = [("content-type", "application/toml")];
        let answer = request("PUT", gateway.admin, "/v1/plans/iris", &headers, Some(plan.as_bytes()));
        (answer.status, answer.json())
    };
    refused(put(plan), "splits callers itself");
    // Each request would be counted twice.
    refused(put("[[shadows]]\nname = \"dark\"\nversion = 3\nshare = \"10%\"\n"), "shadow 'dark'");
    // What does not split goes together with it.
    assert_eq!(put("forced_arm_header = \"x-arm\"\n").0, 200);
    let forced = request("POST", gateway.http, INFER, &[("x-arm", "candidate")], Some(BODY.as_bytes()));
    assert_eq!(forced.header("pointsman-version"), Some("3"));

    assert_eq!(tell(&gateway, "pause").0, 200);
    assert_eq!(shown(&gateway)["phase"], "paused");
    refused(tell(&gateway, "pause"), "does not move");
    assert_eq!(tell(&gateway, "resume").0, 200);
    assert_eq!(wish(&gateway, "/models/iris/freeze", json!({})).0, 200);
    assert_eq!(shown(&gateway)["phase"], "paused", "nothing moves while the model is frozen");
    refused(tell(&gateway, "advance"), "frozen");
    assert_eq!(wish(&gateway, "/models/iris/unfreeze", json!({})).0, 200);
    assert_eq!(tell(&gateway, "advance").0, 200);
    assert_eq!(shown(&gateway)["exposure"], "50%");
    refused(tell(&gateway, "advance"), "promote it");
    // Who wants to be led back is, by whatever word.
    assert_eq!(wish(&gateway, "/models/iris/rollback", json!({})).0, 200);
    let ended = shown(&gateway);
    assert_eq!((&ended["phase"], &ended["is_over"]), (&json!("aborted"), &json!(true)));
    assert_eq!(status(&gateway)["default"], 2);
    refused(tell(&gateway, "resume"), "no rollout is under way");

    assert_eq!(put(plan).0, 200);
    refused(begin(&gateway, json!({})), "the model's plan has an experiment");
    assert_eq!(put("").0, 200);
    began(&gateway, json!({"time_min": "1h"}));
    assert_eq!(shown(&gateway)["id"], 2);
    assert_eq!(tell(&gateway, "promote").0, 200);
    assert_eq!(status(&gateway)["default"], 3);
}

#[test]
fn a_deadline_has_its_outcome() {
    let (registry, state) = (iris(CARD, &[2, 3]), tempfile::tempdir().expect("a folder"));
    let gateway = start(registry.path(), state.path());
    began(&gateway, json!({"deadline": "500ms:rollback"}));
    let ended = wait_for_phase(&gateway, "rolled_back");
    assert_eq!(ended["report"]["phase"]["rolled_back"], "deadline", "{ended}");
    began(&gateway, json!({"deadline": "500ms"}));
    wait_for_phase(&gateway, "asking");
    assert_eq!(tell(&gateway, "resume").0, 200);
    wait_for_phase(&gateway, "running");
    assert_eq!(tell(&gateway, "abort").0, 200);
}

#[test]
fn a_newer_version_takes_the_place_of_a_rollout_or_waits_for_its_end() {
    for (policy, first) in [("supersede", "superseded"), ("queue", "running")] {
        let state = tempfile::tempdir().expect("a folder");
        let registry = iris("on_new = \"serve\"\nload = \"all\"\n", &[1, 2]);
        let gateway = start(registry.path(), state.path());
        assert_eq!(wish(&gateway, "/models/iris/promote", json!({"version": 1})).0, 200);
        began(&gateway, json!({"version": 2, "time_min": "1h", "on_new": policy}));
        copy_version(3, &registry.join("iris/.3"));
        std::fs::rename(registry.join("iris/.3"), registry.join("iris/3")).expect("there is 3");
        let rollout = |id: u64| get(gateway.admin, &format!("{ROLLOUT}/{id}")).json();
        if policy == "queue" {
            wait_for("the newer version to wait", || (rollout(1)["queued"] == 3).then_some(()));
        }
        wait_for("the first rollout", || (rollout(1)["phase"] == first).then_some(()));
        if policy == "queue" {
            assert_eq!(tell(&gateway, "abort").0, 200);
        }
        let second = wait_for("the second rollout", || {
            let second = rollout(2);
            (second["phase"] == "running").then_some(second)
        });
        assert_eq!((&second["version"], &status(&gateway)["default"]), (&json!(3), &json!(1)), "{policy}");
    }
}

#[test]
fn a_rollout_that_was_to_follow_begins_after_a_restart() {
    let state = tempfile::tempdir().expect("a folder");
    let registry = iris("on_new = \"serve\"\nload = \"all\"\n", &[1, 2]);
    let gateway = start(registry.path(), state.path());
    assert_eq!(wish(&gateway, "/models/iris/promote", json!({"version": 1})).0, 200);
    began(&gateway, json!({"version": 2, "time_min": "1h", "on_new": "queue"}));
    copy_version(3, &registry.join("iris/.3"));
    std::fs::rename(registry.join("iris/.3"), registry.join("iris/3")).expect("there is 3");
    let rollout = |gateway: &Gateway, id: u64| get(gateway.admin, &format!("{ROLLOUT}/{id}"));
    wait_for("the newer version to wait", || (rollout(&gateway, 1).json()["queued"] == 3).then_some(()));
    // A frozen model lets none begin: it is as if the gateway had been killed between both.
    assert_eq!(wish(&gateway, "/models/iris/freeze", json!({})).0, 200);
    assert_eq!(tell(&gateway, "abort").0, 200);
    wait_for("the next one to be refused", || {
        let journal = get(gateway.admin, "/journal?model=iris").text();
        journal.contains("rollout start 3: REFUSED").then_some(())
    });
    assert_eq!(wish(&gateway, "/models/iris/unfreeze", json!({})).0, 200);
    assert_eq!(rollout(&gateway, 2).status, 404);
    gateway.signal("KILL");
    let _ = gateway.wait();
    let gateway = start(registry.path(), state.path());
    let second = wait_for("the second rollout", || {
        let second = rollout(&gateway, 2).json();
        (second["phase"] == "running").then_some(second)
    });
    assert_eq!((&second["version"], &status(&gateway)["default"]), (&json!(3), &json!(1)));
}

#[test]
fn a_candidate_that_cannot_be_loaded_any_more_is_taken_back() {
    let (registry, state) = (iris(CARD, &[2, 3]), tempfile::tempdir().expect("a folder"));
    let gateway = start(registry.path(), state.path());
    began(&gateway, json!({"time_min": "1h"}));
    drop(gateway);
    std::fs::write(registry.join("iris/3/model.onnx"), b"no model").expect("written over");
    let gateway = start(registry.path(), state.path());
    let ended = wait_for_phase(&gateway, "rolled_back");
    assert_eq!(ended["report"]["phase"]["rolled_back"], "cannot_load", "{ended}");
    assert_eq!(ask(&gateway, "user-1").header("pointsman-version"), Some("2"));
    // One that is unloaded by hand is gone as well.
    copy_version(3, &registry.join("iris/3"));
    wait_for("another rollout to begin", || {
        (begin(&gateway, json!({"time_min": "1h"})).0 == 200).then_some(())
    });
    assert_eq!(wish(&gateway, "/models/iris/unload", json!({"version": 3})).0, 200);
    wait_for("the second rollout to end", || {
        let second = get(gateway.admin, &format!("{ROLLOUT}/2")).json();
        (second["phase"] == "rolled_back").then_some(())
    });
}
