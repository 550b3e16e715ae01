//! Traffic that is split: units stay with their arms by every protocol, over ramps and restarts; plans by admin API,
//! command line and configuration.

use std::collections::BTreeMap;
use std::path::Path;

use pointsman_core::InputTensor;
use pointsman_tests::{
    Answer, Gateway, Pointsman, Start, get, grpc, post, repository, request, v2, wait_for,
};
use serde_json::{Value, json};
use tonic::Request;

use crate::swaps::{iris, status, wish};

const INFER: &str = "/v2/models/iris/infer";
const BODY: &str = r#"{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}"#;
const CONFIG: &str = "[shutdown]\ndrain_delay = \"0s\"\n[gates]\nlatency = \"off\"\n\
                      [registry]\nsettle = \"0s\"\npoll = \"1s\"\n";
/// All versions are loaded, and 3 is the default.
const CARD: &str = "serve = 3\nload = \"all\"\n";
const PLAN: &str = "/v1/plans/iris";

/// Version 2 has the arm `next`.
fn plan(weight: &str) -> String {
    format!(
        "[experiment]\nname = \"petals\"\nunits = [\"header:x-user-id\"]\n\
         arms = [{{ name = \"next\", version = 2, weight = \"{weight}\" }}]\n"
    )
}

fn put(gateway: &Gateway, plan: &str, headers: &[(&str, &str)]) -> Answer {
    put_to(gateway, PLAN, plan, headers)
}

fn put_to(gateway: &Gateway, path: &str, plan: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[("content-type", "application/toml")], headers].concat();
    request("PUT", gateway.admin, path, &headers, Some(plan.as_bytes()))
}

fn applied(gateway: &Gateway, plan: &str) {
    let answer = put(gateway, plan, &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn ask(gateway: &Gateway, body: &str, headers: &[(&str, &str)]) -> Answer {
    let answer = request("POST", gateway.http, INFER, headers, Some(body.as_bytes()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

/// The arm of an answer, which agrees with its version.
fn arm(answer: &Answer) -> String {
    let (arm, version) = (answer.header("pointsman-arm"), answer.header("pointsman-version"));
    let arm = arm.expect("an arm").to_owned();
    assert_eq!(version, Some(if arm == "next" { "2" } else { "3" }), "{arm}");
    arm
}

/// The arm of each user.
fn arms(gateway: &Gateway, users: usize) -> Vec<String> {
    let of = |user: usize| {
        let answer = ask(gateway, BODY, &[("x-user-id", &format!("user-{user}"))]);
        assert_eq!(answer.header("pointsman-experiment"), Some("petals"));
        arm(&answer)
    };
    (0..users).map(of).collect()
}

fn share(arms: &[String]) -> f64 {
    arms.iter().filter(|arm| *arm == "next").count() as f64 / arms.len() as f64
}

fn start(models: &Path, state: &Path) -> Gateway {
    Start::over(models).config(CONFIG).argument("--state").argument(state).start()
}

const USERS: usize = 300;

#[test]
fn units_stay_with_their_arms_over_ramps_and_restarts() {
    let (registry, state) = (iris(CARD, &[1, 2, 3]), tempfile::tempdir().expect("a folder"));
    let gateway = start(registry.path(), state.path());
    applied(&gateway, &plan("30%"));
    let few = arms(&gateway, USERS);
    // Four standard errors; the users are the same in every run.
    assert!((share(&few) - 0.3).abs() < 0.106, "{}", share(&few));
    let counted =
        |arm: &str| gateway.metric("pointsman_arm_requests_total", &format!("arm=\"{arm}\",result=\"ok\""));
    wait_for("every answer to be counted", || {
        (counted("next") + counted("default") == USERS as f64).then_some(())
    });
    assert_eq!(counted("next"), few.iter().filter(|arm| *arm == "next").count() as f64);
    applied(&gateway, &plan("60%"));
    let many = arms(&gateway, USERS);
    assert!((share(&many) - 0.6).abs() < 0.114, "{}", share(&many));
    assert!(
        few.iter().zip(&many).all(|(few, many)| few == "default" || many == "next"),
        "a unit left its arm"
    );
    drop(gateway);
    // It was killed: what is committed is all there is.
    let gateway = start(registry.path(), state.path());
    assert_eq!(arms(&gateway, USERS), many);
    applied(&gateway, &plan("30%"));
    assert_eq!(arms(&gateway, USERS), few);
    // An empty plan, and nobody is told of an experiment; the series of the arm go.
    applied(&gateway, "");
    let answer = ask(&gateway, BODY, &[("x-user-id", "user-1")]);
    assert_eq!((arm(&answer).as_str(), answer.header("pointsman-experiment")), ("default", None));
    assert_eq!(gateway.metric("pointsman_arm_requests_total", "arm=\"next\""), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_protocol_gives_a_unit_the_same_arm() {
    let registry = iris(CARD, &[1, 2, 3]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let units = r#"["header:x-user-id", "cookie:uid", "parameter:user", "tensor:X[0]"]"#;
    applied(&gateway, &plan("50%").replace("[\"header:x-user-id\"]", units));
    let mut client = grpc::client(gateway.grpc).await;
    let mut seen = BTreeMap::new();
    for user in 100..140_u16 {
        let user = user.to_string();
        let body = |first: &str, parameters: &str| {
            BODY.replace("5.1", first)
                .replace("{\"inputs\"", &format!("{{\"parameters\":{parameters},\"inputs\""))
        };
        let expected = arm(&ask(&gateway, BODY, &[("x-user-id", &user)]));
        let cookie = format!("theme=dark; uid={user}");
        assert_eq!(arm(&ask(&gateway, BODY, &[("cookie", &cookie)])), expected);
        for parameters in [format!("{{\"user\":{user}}}"), format!("{{\"user\":\"{user}\"}}")] {
            assert_eq!(arm(&ask(&gateway, &body("1.5", &parameters), &[])), expected);
        }
        assert_eq!(arm(&ask(&gateway, &body(&user, "{}"), &[])), expected);
        let v1 = format!("{{\"instances\":[[{user},3.5,1.4,0.2]]}}");
        let answer = post(gateway.http, "/v1/models/iris:predict", v1);
        assert_eq!(answer.header("pointsman-arm"), Some(expected.as_str()));
        for by_header in [true, false] {
            let first = if by_header { 5.5 } else { user.parse().expect("a number") };
            let tensor = v2::tensor(&[1, 4], &[first, 3.5, 1.4, 0.2_f32]);
            let input = InputTensor { name: "X".into(), tensor };
            let mut message = Request::new(grpc::raw_request("iris", &[input]));
            if by_header {
                message.metadata_mut().insert("x-user-id", user.parse().expect("text"));
            }
            let answer = client.model_infer(message).await.expect("an answer");
            let said = |name: &str| answer.metadata().get(name).and_then(|value| value.to_str().ok());
            assert_eq!(
                (said("pointsman-arm"), said("pointsman-experiment")),
                (Some(&*expected), Some("petals"))
            );
        }
        *seen.entry(expected).or_insert(0) += 1;
    }
    assert!(seen.len() == 2 && seen.values().all(|count| *count > 5), "{seen:?}");
}

#[test]
fn rules_and_testers_come_before_the_split() {
    let registry = iris(CARD, &[1, 2, 3]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let rules = "forced_arm_header = \"x-arm\"\n\
                 rules = [\n  { header = \"x-team\", prefix = \"flow\", arm = \"next\" },\n  \
                 { parameter = \"tier\", one_of = [\"gold\", \"silver\"], arm = \"next\" },\n]\n";
    applied(&gateway, &(rules.to_owned() + &plan("0%")));
    let tier = |tier: &str| {
        BODY.replace("{\"inputs\"", &format!("{{\"parameters\":{{\"tier\":\"{tier}\"}},\"inputs\""))
    };
    let of = |body: &str, headers: &[(&str, &str)]| arm(&ask(&gateway, body, headers));
    assert_eq!(of(BODY, &[]), "default");
    assert_eq!(of(BODY, &[("x-team", "flowers")]), "next");
    assert_eq!(of(&tier("gold"), &[]), "next");
    assert_eq!(of(&tier("bronze"), &[]), "default");
    assert_eq!(of(BODY, &[("x-arm", "next")]), "next");
    assert_eq!(of(BODY, &[("x-arm", "default"), ("x-team", "flowers")]), "default");
    assert_eq!(ask(&gateway, BODY, &[("x-team", "flowers")]).header("pointsman-experiment"), None);
    let no = request("POST", gateway.http, INFER, &[("x-arm", "no")], Some(BODY.as_bytes()));
    assert_eq!((no.status, no.error().1.as_str()), (400, "BAD_REQUEST"));
    assert!(no.error().0.contains("header 'x-arm' is 'no'"), "{}", no.text());
    // Who names a version gets it.
    let direct = request(
        "POST",
        gateway.http,
        "/v2/models/iris/versions/1/infer",
        &[("x-arm", "next")],
        Some(BODY.as_bytes()),
    );
    let said = (direct.header("pointsman-arm"), direct.header("pointsman-version"));
    assert_eq!(said, (Some("direct"), Some("1")));
    // Where the plan does not allow it, the header is like any other.
    applied(&gateway, &plan("0%"));
    assert_eq!(of(BODY, &[("x-arm", "next")]), "default");
}

#[test]
fn plans_are_refused_whole_and_with_the_reason() {
    let registry = iris("serve = 3\nload = [2, 3]\n", &[1, 2, 3]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    applied(&gateway, &plan("5%"));
    let before = get(gateway.admin, PLAN);
    let tag = before.header("etag").expect("a tag").to_owned();
    let not_loaded = plan("5%").replace("version = 2", "version = 1");
    let cases = [
        (plan("100.5%"), 400, "BAD_REQUEST", "key experiment.arms[0].weight"),
        (plan("5%").replace("\"5%\"", "nan"), 400, "BAD_REQUEST", "= NaN; give percent"),
        (
            plan("5%").replace("petals", "sepals") + "salt = \"iris/petals/1\"",
            400,
            "BAD_REQUEST",
            "was that of \"petals\"",
        ),
        (plan("5%") + "segmnt = 1", 400, "BAD_REQUEST", "segmnt"),
        (not_loaded, 409, "REFUSED", "= 1 and does not serve: it is not loaded"),
        (plan("5%").replace("version = 2", "version = 9"), 409, "REFUSED", "= 9 and is unknown"),
        (
            plan("5%").replace("version = 2", "version = \"best\""),
            409,
            "REFUSED",
            "\"best\", which is no alias",
        ),
        ("x".repeat((256 << 10) + 1), 413, "TOO_LARGE", "262144"),
    ];
    for (plan, status, code, reason) in cases {
        let answer = put(&gateway, &plan, &[]);
        let (error, said) = answer.error();
        assert_eq!((answer.status, said.as_str()), (status, code), "{error}");
        assert!(error.contains(reason), "{reason} is not in {error}");
    }
    let stale = put(&gateway, &plan("50%"), &[("if-match", "\"00000000000000000000000000000000\"")]);
    assert_eq!((stale.status, stale.error().1.as_str()), (412, "TAG_MISMATCH"));
    assert!(stale.error().0.contains("somebody changed it since"), "{}", stale.text());
    assert_eq!(put_to(&gateway, "/v1/plans/nobody", &plan("5%"), &[]).status, 404);
    assert_eq!(request("DELETE", gateway.admin, PLAN, &[], None).status, 405);
    assert_eq!(get(gateway.admin, PLAN).body, before.body, "nothing was changed");
    // With the right tag it is taken, and the tag is another one.
    let fresh = put(&gateway, &plan("50%"), &[("if-match", &tag)]);
    assert_eq!(fresh.status, 200, "{}", fresh.text());
    assert_ne!(fresh.header("etag"), Some(tag.as_str()));
    assert_eq!(get(gateway.admin, PLAN).header("etag"), fresh.header("etag"));
    assert_eq!(put(&gateway, &plan("60%"), &[("if-match", &tag)]).status, 412);
}

#[test]
fn plans_are_shown_tried_and_rolled_back() {
    let registry = iris(CARD, &[1, 2, 3]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let admin = format!("http://{}", gateway.admin);
    let file = registry.join("plan.toml");
    let command = |arguments: &[&str]| {
        let all = arguments.iter().copied().chain(["--admin-url", &admin]);
        Pointsman::new(all).variable("POINTSMAN_OPERATOR", "ada").run()
    };
    let write = |weight: &str| std::fs::write(&file, plan(weight)).expect("a file");
    let path = file.to_str().expect("UTF-8");
    write("5%");
    let dry = command(&["plan", "apply", "iris", path, "--dry-run"]);
    assert!(dry.code == Some(0) && dry.stdout.contains("+ experiment.arms[next].weight: \"5%\""), "{dry:?}");
    assert!(command(&["plan", "show", "iris"]).stdout.contains("revision 0"));
    assert_eq!(command(&["plan", "apply", "iris", path]).code, Some(0));
    write("7.5%");
    let ramped = command(&["plan", "apply", "iris", path]);
    assert!(ramped.stdout.contains("~ experiment.arms[next].weight: \"5%\" -> \"7.5%\""), "{ramped:?}");
    let shown = command(&["plan", "show", "iris"]).stdout;
    assert!(
        shown.contains("revision 2")
            && shown.contains("weight = \"7.5%\"")
            && shown.contains("anchor = \"0%\""),
        "{shown}"
    );
    let models = Pointsman::new(["models", "--admin-url", &admin]).run().stdout;
    assert!(models.contains("next 7.5% (version 2)"), "{models}");
    // What is shown can be applied again, and changes nothing.
    std::fs::write(&file, &shown).expect("a file");
    assert!(command(&["plan", "apply", "iris", path]).stdout.contains("unchanged"));
    let stale = command(&["plan", "apply", "iris", path, "--if-match", "0"]);
    assert!(stale.code == Some(1) && stale.stderr.contains("412"), "{stale:?}");
    // A condition that cannot be asked is never left out.
    for odd in ["a\nb", "", "W/\"a\"", "a, b"] {
        let refused = command(&["plan", "apply", "iris", path, "--if-match", odd]);
        assert!(refused.code == Some(1) && refused.stderr.contains("--if-match"), "{refused:?}");
    }
    let tag = shown.split_once("tag ").and_then(|(_, tag)| tag.lines().next()).expect("a tag");
    let quoted = command(&["plan", "apply", "iris", path, "--if-match", &format!("\"{tag}\"")]);
    assert_eq!(quoted.code, Some(0), "{quoted:?}");
    assert_eq!(command(&["plan", "rollback", "iris"]).code, Some(0));
    assert!(command(&["plan", "show", "iris"]).stdout.contains("weight = \"5%\""));
    let history = command(&["plan", "history", "iris"]).stdout;
    assert!(history.contains("next 5% (version 2)") && history.contains("ada"), "{history}");
    let all = get(gateway.admin, "/v1/plans").json();
    assert_eq!(
        (&all["plans"][0]["model"], &all["plans"][0]["revision"]),
        (&json!("iris"), &json!(3)),
        "{all:#}"
    );
    let journal = get(gateway.admin, "/journal?model=iris").json();
    let of_plans =
        journal["entries"].as_array().expect("entries").iter().filter(|entry| entry["what"] == "plan");
    let said: Vec<String> = of_plans.map(|entry| entry["why"].to_string()).collect();
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(said[2].contains("plan rollback") && said[2].contains("7.5%"), "{said:#?}");
    assert_eq!(request("POST", gateway.admin, "/v1/plans/iris/rollback", &[], None).status, 200);
    let empty = request("POST", gateway.admin, "/v1/plans/iris/rollback", &[], None);
    assert_eq!((empty.status, empty.error().1.as_str()), (409, "REFUSED"));
}

#[test]
fn a_declared_plan_counts_once_its_versions_serve() {
    // Version 2 is loaded for the plan alone.
    let registry = iris("serve = 3\n", &[2, 3]);
    let file = registry.join("pointsman.toml");
    let declare = |weight: &str| {
        let plan = plan(weight).replace("[experiment]", "[plan.iris.experiment]");
        std::fs::write(&file, format!("{CONFIG}{plan}")).expect("a configuration");
    };
    declare("100%");
    let gateway = Start::over(registry.path()).config_file(&file).start();
    let first = || arm(&ask(&gateway, BODY, &[("x-user-id", "user-1")]));
    wait_for("the plan to count", || (first() == "next").then_some(()));
    assert_eq!(get(gateway.admin, PLAN).json()["by"], "configuration");
    assert!(!gateway.stderr().contains("does not count"), "{}", gateway.stderr());
    // An operator's word holds until another plan is declared.
    applied(&gateway, &plan("0%"));
    assert_eq!(first(), "default");
    assert_eq!(post(gateway.admin, "/config/reload", "").status, 200);
    assert_eq!(first(), "default");
    declare("99.99%");
    assert_eq!(post(gateway.admin, "/config/reload", "").status, 200);
    wait_for("the changed plan to count", || (first() == "next").then_some(()));
    // What is not declared any more takes the declared plan with it, and no operator's word.
    let withdraw = || {
        std::fs::write(&file, CONFIG).expect("a configuration");
        assert_eq!(post(gateway.admin, "/config/reload", "").status, 200);
    };
    withdraw();
    wait_for("the plan to be gone", || (first() == "default").then_some(()));
    declare("1%");
    assert_eq!(post(gateway.admin, "/config/reload", "").status, 200);
    let revision = || get(gateway.admin, PLAN).json()["revision"].as_u64().expect("a number");
    wait_for("the plan that is declared again", || (revision() == 5).then_some(()));
    applied(&gateway, &plan("100%"));
    withdraw();
    let said = || get(gateway.admin, "/journal?model=iris").text();
    wait_for("the journal to say so", || said().contains("no plan is declared any more, and").then_some(()));
    assert_eq!((first().as_str(), revision()), ("next", 6));
}

#[test]
fn units_of_an_arm_whose_version_left_go_to_the_default() {
    let registry = iris(CARD, &[1, 2, 3]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    applied(&gateway, &plan("100%"));
    assert_eq!(arm(&ask(&gateway, BODY, &[("x-user-id", "u")])), "next");
    assert_eq!(gateway.metric("pointsman_plan_lost", "model=\"iris\""), 0.0);
    let (code, answer) = wish(&gateway, "/models/iris/unload", json!({"version": 2}));
    assert_eq!(code, 200, "{answer}");
    let answer = ask(&gateway, BODY, &[("x-user-id", "u")]);
    assert_eq!((arm(&answer).as_str(), answer.header("pointsman-experiment")), ("default", None));
    assert_eq!(gateway.metric("pointsman_plan_lost", "model=\"iris\""), 1.0);
    assert_eq!(status(&gateway)["plan"]["lost"].as_array().map(Vec::len), Some(1));
    let lost = || get(gateway.admin, PLAN).json()["lost"][0].as_str().map(str::to_owned);
    // It may be on its way out still.
    wait_for("the reason", || lost().filter(|line| line.contains("it was unloaded by")));
    // It comes back, and with it the same units.
    assert_eq!(wish(&gateway, "/models/iris/load", json!({"version": 2})).0, 200);
    assert_eq!(arm(&ask(&gateway, BODY, &[("x-user-id", "u")])), "next");
}

#[test]
fn the_log_says_arm_experiment_and_unit() {
    let config = format!("{CONFIG}[log]\nrequests = true\nformat = \"json\"\n");
    let gateway = Start::over(repository().join("models")).config(&config).start();
    applied(&gateway, &plan("100%"));
    for body in [BODY.to_owned(), BODY.replace("[1,4]", "[2,2]")] {
        let answer = request("POST", gateway.http, INFER, &[("x-user-id", "u")], Some(body.as_bytes()));
        let id = answer.header("pointsman-request-id").expect("an id").to_owned();
        let line = wait_for("the line of the request", || {
            gateway.stderr().lines().find(|line| line.contains(&id)).map(str::to_owned)
        });
        let line: Value = serde_json::from_str(&line).expect("JSON");
        let of = |key: &str| {
            line[key].as_str().or_else(|| line["fields"][key].as_str()).unwrap_or_default().to_owned()
        };
        let said = ["arm", "way", "experiment", "unit_kind"].map(of);
        assert_eq!(said, ["next", "experiment", "petals", "header"], "{line:#}");
    }
}
