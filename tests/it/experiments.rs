//! What comes of experiments: arms that differ and arms that do not, a split that is broken, and sums that outlive the
//! process.

use std::path::Path;

use pointsman_tests::{Connection, Gateway, Pointsman, Start, get, repository, request, wait_for};
use serde_json::{Value, json};

use crate::swaps::{iris, wish};

const CONFIG: &str = "[shutdown]\ndrain_delay = \"0s\"\n[gates]\nlatency = \"off\"\n\
                      [registry]\nsettle = \"0s\"\npoll = \"1s\"\n";
const FLOWERS: [[f64; 4]; 4] =
    [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5], [5.9, 3.0, 4.2, 1.5], [4.9, 2.5, 4.5, 1.7]];

fn applied(gateway: &Gateway, model: &str, plan: &str) {
    let path = format!("/v1/plans/{model}");
    let headers = [("content-type", "application/toml")];
    let answer = request("PUT", gateway.admin, &path, &headers, Some(plan.as_bytes()));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn plan(version: u64, more: &str) -> String {
    format!(
        "[experiment]\nname = \"petals\"\nunits = [\"header:x-user-id\"]\n{more}\n\
         arms = [{{ name = \"next\", version = {version}, weight = \"50%\" }}]\n"
    )
}

/// A connection over which users ask.
struct Users {
    connection: Connection,
    path: String,
}

impl Users {
    fn of(gateway: &Gateway, model: &str) -> Self {
        Self { connection: Connection::open(gateway.http), path: format!("/v2/models/{model}/infer") }
    }

    /// Asks, and gives the arm.
    fn ask(&mut self, user: usize, headers: &str, body: &str) -> String {
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: localhost\r\nx-user-id: user-{user}\r\n{headers}content-length: {}\r\n\r\n",
            self.path,
            body.len()
        );
        self.connection.send(format!("{head}{body}").as_bytes());
        let answer = self.connection.answer().expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("pointsman-arm").expect("an arm").to_owned()
    }
}

/// The flower of a request; the same users have all of them.
fn flower(request: usize) -> ([f64; 4], String) {
    let mut flower = FLOWERS[request * 7919 % FLOWERS.len()];
    flower[0] += (request % 11) as f64 / 50.0;
    let data = json!([{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": flower}]);
    (flower, json!({ "inputs": data }).to_string())
}

/// Lets users ask for flowers; `headers` gives the headers of a request.
fn ask_for_flowers(gateway: &Gateway, requests: usize, headers: impl Fn(&[f64; 4]) -> String) {
    let mut users = Users::of(gateway, "iris");
    for request in 0..requests {
        let (flower, body) = flower(request);
        users.ask(request * 31 % 997, &headers(&flower), &body);
    }
}

fn report(gateway: &Gateway, path: &str) -> Value {
    let answer = get(gateway.admin, &format!("/v1/experiments/{path}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The report, once all requests are in it: they are counted after their answers are written.
fn counted(gateway: &Gateway, path: &str, requests: u64) -> Value {
    wait_for("all requests to be counted", || {
        let report = report(gateway, path);
        let arms = report["arms"].as_array().expect("arms");
        let sum: u64 = arms.iter().filter_map(|arm| arm["requests"].as_u64()).sum();
        assert!(sum <= requests, "{sum} of {requests}");
        (sum == requests).then_some(report)
    })
}

fn metric<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut metrics = report["metrics"].as_array().expect("metrics").iter();
    metrics.find(|metric| metric["name"] == name).expect("the metric")
}

#[test]
fn a_version_against_itself_shows_no_difference_and_another_one_does() {
    let registry = iris("serve = 3\nload = \"all\"\n", &[1, 2, 3]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let measured = "metrics = [{ name = \"virginica\", output = \"label\", class = 2 }]";
    applied(&gateway, "iris", &plan(3, measured));
    ask_for_flowers(&gateway, 800, |_| String::new());
    let report = counted(&gateway, "iris/petals?metric=virginica&mde=50%25", 800);
    assert_eq!(report["verdict"], "No difference can be told yet", "{report:#}");
    assert!(report["split"]["is_mismatch"] == false && report["metrics"].as_array().map(Vec::len) == Some(1));
    assert!(metric(&report, "virginica")["effects"][0]["needed"]["requests"].is_f64(), "{report:#}");
    // Another version behind the arm is another experiment.
    applied(&gateway, "iris", &plan(2, measured));
    ask_for_flowers(&gateway, 800, |_| String::new());
    let report = counted(&gateway, "iris/petals?metric=virginica", 800);
    assert_eq!(report["why"], "arm next was version 3, and is version 2");
    let effect = &metric(&report, "virginica")["effects"][0];
    // The two decide for virginica where the others do not: at the fourth flower.
    assert!(
        effect["plain"]["difference"].as_f64().is_some_and(|difference| difference.abs() > 0.05),
        "{effect:#}"
    );
    assert_eq!(
        metric(&report, "virginica")["figures"][0]["count"].as_u64(),
        report["arms"][0]["requests"].as_u64()
    );

    let admin = format!("http://{}", gateway.admin);
    let command = |arguments: &[&str]| {
        Pointsman::new([&["experiment"], arguments, &["--admin-url", &admin]].concat()).run()
    };
    let shown = command(&["show", "iris"]);
    assert!(shown.code == Some(0) && shown.stdout.starts_with("iris: experiment petals\n"), "{shown:?}");
    assert!(
        shown.stdout.contains("latency_p99: the time within which 99 % of answers are given"),
        "{shown:?}"
    );
    let page = registry.join("petals.html");
    let written = command(&["show", "iris", "petals", "--html", page.to_str().expect("UTF-8")]);
    assert_eq!(written.code, Some(0), "{written:?}");
    assert!(std::fs::read_to_string(&page).expect("a page").starts_with("<!DOCTYPE html>"));
    assert!(command(&["list"]).stdout.contains("petals"));
    for (arguments, said) in [
        (&["show", "iris", "stems"][..], "no experiment 'stems' of model 'iris' has been counted"),
        (&["show", "iris", "--metric", "x"], "metric=x is none of experiment 'petals': virginica, errors"),
        (&["show", "iris", "--alpha", "2"], "alpha=2 in the query; give a number between 0 and 1"),
        (&["show", "iris", "--mde", "5 %"], "give a number above 0"),
    ] {
        let refused = command(arguments);
        assert!(refused.code == Some(1) && refused.stderr.contains(said), "{refused:?}");
    }
    assert_eq!(request("POST", gateway.admin, "/v1/experiments", &[], None).status, 405);
    assert_eq!(get(gateway.admin, "/v1/experiments/iris/petals/x").status, 404);
}

/// Flights as the golden cases have them.
fn flights() -> Vec<String> {
    let golden = std::fs::read(repository().join("models/flights/1/golden.json")).expect("golden cases");
    let golden: Value = serde_json::from_slice(&golden).expect("JSON");
    let requests: Vec<String> =
        golden["cases"].as_array().expect("cases").iter().map(|case| case["request"].to_string()).collect();
    // JSON has no NaN; those cases are for the check at a load.
    requests.into_iter().filter(|request| !request.contains("null")).collect()
}

#[test]
fn a_model_of_shuffled_labels_is_told_from_the_champion() {
    let gateway = Start::over(repository().join("models")).config(CONFIG).start();
    assert_eq!(wish(&gateway, "/models/flights/load", json!({"version": 3})).0, 200);
    let plan = plan(3, "metrics = [{ name = \"late\", output = \"probabilities\", index = 1 }]");
    applied(&gateway, "flights", &plan);
    let (bodies, mut users) = (flights(), Users::of(&gateway, "flights"));
    for request in 0..600 {
        users.ask(request * 31 % 599, "", &bodies[request % bodies.len()]);
    }
    let report = counted(&gateway, "flights/petals?metric=late", 600);
    let effect = &metric(&report, "late")["effects"][0];
    assert_eq!(effect["differs"], true, "{report:#}");
    let verdict = report["verdict"].as_str().expect("a sentence");
    assert!(verdict.starts_with("Against the default, arm next is "), "{verdict}");
}

#[test]
fn a_covariate_narrows_what_is_told_of_a_difference() {
    let registry = iris("serve = 3\nload = \"all\"\n", &[1, 2, 3]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let more = "covariate = \"header:x-history\"\n\
                metrics = [{ name = \"sure\", output = \"probabilities\", index = 2 }]";
    applied(&gateway, "iris", &plan(3, more));
    // What was known of a user beforehand goes with what is asked: the length of a petal. A few say nothing that is a
    // number.
    ask_for_flowers(&gateway, 1000, |flower| match flower[0] > 5.25 && flower[0] < 5.3 {
        true => "x-history: much\r\n".into(),
        false => format!("x-history: {}\r\n", flower[2]),
    });
    let report = counted(&gateway, "iris/petals?metric=sure", 1000);
    let effect = &metric(&report, "sure")["effects"][0];
    let kept = effect["adjusted"]["variance_kept"].as_f64().expect("adjusted");
    assert!(kept < 0.8, "{effect:#}");
    let covariate = &report["covariate"];
    let [with, without] = ["requests", "missing"].map(|key| covariate[key].as_u64().expect("a number"));
    assert!(with + without == 1000 && without > 0, "{covariate:#}");
    assert_eq!(covariate["differs"], false);
}

#[test]
fn a_client_that_drops_an_arm_breaks_the_split_and_no_winner_is_shown() {
    let registry = iris("serve = 3\nload = \"all\"\n", &[1, 2, 3]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    applied(&gateway, "iris", &plan(2, ""));
    let mut users = Users::of(&gateway, "iris");
    let (_, body) = flower(0);
    let arms: Vec<String> = (0..700).map(|user| users.ask(user, "", &body)).collect();
    counted(&gateway, "iris/petals", 700);
    assert_eq!(report(&gateway, "iris/petals")["split"]["is_mismatch"], false);
    // Counted anew, with the same users in the same arms, of which most of one never come.
    applied(
        &gateway,
        "iris",
        &plan(2, "metrics = [{ name = \"virginica\", output = \"label\", class = 2 }]"),
    );
    let asked = arms.iter().enumerate().filter(|(user, arm)| *arm == "default" || user % 3 == 0);
    let asked: Vec<usize> = asked.map(|(user, _)| user).collect();
    asked.iter().for_each(|user| drop(users.ask(*user, "", &body)));
    let report = counted(&gateway, "iris/petals", asked.len() as u64);
    assert_eq!(report["split"]["is_mismatch"], true, "{report:#}");
    let verdict = report["verdict"].as_str().expect("a sentence");
    assert!(verdict.starts_with("The arms do not get the units that they should"), "{verdict}");
}

#[test]
fn sums_go_on_after_a_stop_and_after_a_kill_it_is_told_what_is_not_known() {
    let (registry, state) =
        (iris("serve = 3\nload = \"all\"\n", &[1, 2, 3]), tempfile::tempdir().expect("a folder"));
    let start = |state: &Path| {
        Start::over(registry.path()).config(CONFIG).argument("--state").argument(state).start()
    };
    let gateway = start(state.path());
    applied(&gateway, "iris", &plan(2, ""));
    ask_for_flowers(&gateway, 200, |_| String::new());
    let before = counted(&gateway, "iris/petals", 200);
    assert_eq!(gateway.stop().code, Some(0));
    let gateway = start(state.path());
    let after = counted(&gateway, "iris/petals", 200);
    for key in ["arms", "split", "since_ms", "why", "gaps"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    ask_for_flowers(&gateway, 50, |_| String::new());
    counted(&gateway, "iris/petals", 250);
    // It is killed: what came since it was started may be lost, and that is told.
    drop(gateway);
    let gateway = start(state.path());
    let killed = report(&gateway, "iris/petals");
    assert_eq!(killed["gaps"].as_array().map(Vec::len), Some(1), "{killed:#}");
    let requests: u64 = (0..2).filter_map(|arm| killed["arms"][arm]["requests"].as_u64()).sum();
    assert!((200..=250).contains(&requests), "{requests}");
    assert_eq!(killed["since_ms"], before["since_ms"]);
}

#[test]
fn what_labels_say_of_arms_is_a_metric_of_the_experiment() {
    let registry = iris("serve = 3\nload = \"all\"\n", &[1, 2, 3]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    applied(&gateway, "iris", &plan(2, "metrics = [{ name = \"mistakes\", label = \"wrong\" }]\n"));
    let mut connection = Connection::open(gateway.http);
    let mut labels = Vec::new();
    for at in 0..1200 {
        let (_, body) = flower(at);
        let head =
            format!("POST /v2/models/iris/infer HTTP/1.1\r\nhost: localhost\r\nx-user-id: user-{at}\r\n");
        connection.send(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
        let answer = connection.answer().expect("an answer");
        let class = answer.json()["outputs"][0]["data"][0].as_u64().expect("a class");
        // Of the new version every second answer turns out to be wrong, of the other one every tenth.
        let every = if answer.header("pointsman-arm") == Some("next") { 2 } else { 10 };
        let label = if at % every == 0 { (class + 1) % 3 } else { class };
        let id = answer.header("pointsman-request-id").expect("an id").to_owned();
        labels.push(json!({ "request_id": id, "label": label }));
    }
    let before = counted(&gateway, "iris/petals", 1200);
    assert_eq!(metric(&before, "mistakes")["figures"][0]["count"], 0, "{before:#}");
    let counts = |labels: &[Value]| {
        let answer = request(
            "POST",
            gateway.admin,
            "/v1/feedback",
            &[],
            Some(json!({ "labels": labels }).to_string().as_bytes()),
        );
        answer.json()["counts"].clone()
    };
    assert_eq!(counts(&labels), json!({"joined": 1200}));
    // Told again they count no more.
    assert_eq!(counts(&labels[..100]), json!({"duplicate": 100}));
    let after = report(&gateway, "iris/petals");
    let metric = metric(&after, "mistakes");
    let count = |arm: usize| metric["figures"][arm]["count"].as_u64().expect("a count");
    let value = |arm: usize| metric["figures"][arm]["value"].as_f64().expect("a share");
    assert_eq!(count(0) + count(1), 1200, "{metric:#}");
    assert!((0.05..0.16).contains(&value(0)) && (0.4..0.6).contains(&value(1)), "{metric:#}");
    assert_eq!(
        (&metric["effects"][0]["differs"], &metric["less_is_better"]),
        (&json!(true), &json!(true)),
        "{metric:#}"
    );
}
