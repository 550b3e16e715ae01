//! Shadows: what they are shown, that nobody is disturbed by them, and what is said of their answers.

use std::collections::BTreeSet;

use pointsman_core::{Datatype, InputTensor};
use pointsman_observe::{ClassReport, NumberReport, Report};
use pointsman_tests::{
    Answer, Gateway, OnnxModel, Pointsman, Start, TestRegistry, fixture, get, grpc, post, repository,
    request, test_model, v2, wait_for,
};
use serde_json::{Value, json};

use crate::calls::FOREVER;
use crate::swaps::{iris, wish};

const INFER: &str = "/v2/models/iris/infer";
const CARD: &str = "serve = 3\nload = \"all\"\n";
/// A shadow gets what other tests leave of the processors, so nothing may be dropped for the time it takes.
const CONFIG: &str = "[shutdown]\ndrain_delay = \"0s\"\n[gates]\nlatency = \"off\"\n\
    [shadow]\nwaiting_max = 4096\nwait_max = \"60m\"\nrun_max = \"20s\"\nbusy_from = 1.0\n\
    window = \"41s\"\nwindow_off_share = 0\n";

fn plan(model: &str, gateway: &Gateway, plan: &str) -> Answer {
    let headers = [("content-type", "application/toml")];
    let path = format!("/v1/plans/{model}");
    request("PUT", gateway.admin, &path, &headers, Some(plan.as_bytes()))
}

fn applied(model: &str, gateway: &Gateway, text: &str) {
    let answer = plan(model, gateway, text);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn shadow(version: u64, more: &str) -> String {
    format!("[[shadows]]\nname = \"s{version}\"\nversion = {version}\nshare = \"100%\"\n{more}\n")
}

fn flower(n: u64) -> String {
    let data = [4.5 + 0.1 * n as f32, 3.5 - 0.05 * n as f32, 1.4 + 0.2 * n as f32, 0.2 + 0.1 * n as f32];
    json!({"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": data}]}).to_string()
}

fn ask(gateway: &Gateway, path: &str, body: &str) -> Answer {
    let answer = post(gateway.http, path, body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

/// Waits until so many exchanges that were offered to a shadow are each accounted for.
fn wait_for_rest(gateway: &Gateway, version: u64, offered: u64) {
    let of = |name: &str| {
        gateway.metric(&format!("pointsman_shadow_{name}"), &format!("version=\"{version}\"")) as u64
    };
    wait_for("what was offered to be accounted for", || {
        let [all, answered, dropped] = ["offered_total", "answered_total", "dropped_total"].map(of);
        (all == offered && of("waiting") == 0 && answered + dropped == all).then_some(())
    });
    assert_eq!(of("waiting_bytes"), 0);
}

/// The only report that is asked for.
fn report(gateway: &Gateway, path: &str) -> Report {
    let answer = get(gateway.admin, &format!("/v1/comparisons/{path}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let reports: Vec<Report> = serde_json::from_value(answer.json()["comparisons"].take()).expect("reports");
    let [report] = <[Report; 1]>::try_from(reports).expect("one report");
    report
}

fn command(gateway: &Gateway, arguments: &[&str]) -> pointsman_tests::Stopped {
    let admin = format!("http://{}", gateway.admin);
    Pointsman::new(arguments.iter().copied().chain(["--admin-url", &admin])).run()
}

const ASKED: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_version_is_judged_equal_to_it() {
    let registry = iris(CARD, &[2, 3]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    applied("iris", &gateway, &shadow(3, "floor = true"));
    let mut client = grpc::client(gateway.grpc).await;
    for n in 0..ASKED {
        let answer = ask(&gateway, INFER, &flower(n));
        assert_eq!(answer.header("pointsman-version"), Some("3"));
        let tensor = v2::tensor(&[1, 4], &[4.5, 3.5, 1.4 + 0.2 * n as f32, 0.2_f32]);
        let input = InputTensor { name: "X".into(), tensor };
        client.model_infer(grpc::raw_request("iris", &[input])).await.expect("an answer");
        // Who names another version is not shown to a shadow of the default.
        ask(&gateway, "/v2/models/iris/versions/2/infer", &flower(n));
    }
    wait_for_rest(&gateway, 3, 2 * ASKED);
    let report = report(&gateway, "iris");
    assert_eq!(report.against.outcomes.ok_ok, 2 * ASKED, "{report:#?}");
    assert_eq!(report.verdict(), "Version 3 is equal to version 3 in all answers");
    let excess = report.excess.expect("a floor");
    assert!(excess.pairs == 2 * ASKED && excess.neither == excess.pairs && !excess.is_worse, "{excess:?}");
    assert!(report.dropped.is_empty() && report.mispaired == 0);
    let run = report.run.expect("it runs");
    assert!(run.is_running && !run.is_broken && run.offered == Some(2 * ASKED), "{run:?}");
    assert!(run.cost.is_some_and(|cost| cost.on.requests == 2 * ASKED && cost.off.requests == 0));
}

/// Flights of a day, some of them in rain and fog: bodies of requests.
fn flights() -> Vec<String> {
    let golden = std::fs::read(repository().join("models/flights/1/golden.json")).expect("golden cases");
    let golden: Value = serde_json::from_slice(&golden).expect("JSON");
    let mut bodies = Vec::new();
    for case in &golden["cases"].as_array().expect("cases")[..3] {
        let mut request = case["request"].clone();
        for hour in 5..23 {
            let inputs = request["inputs"].as_array_mut().expect("inputs");
            let of_hour = inputs.iter_mut().find(|input| input["name"] == "hour").expect("the hour");
            let rows = of_hour["data"].as_array().map_or(0, Vec::len);
            of_hour["data"] = json!(vec![hour; rows]);
            bodies.push(request.to_string());
        }
    }
    bodies
}

#[test]
fn the_bad_model_disagrees_clearly_and_the_challenger_less() {
    // One flight in five is late: who is warned of it is not decided at one half.
    let config = format!("{CONFIG}[compare.flights]\nthreshold = 0.25\n");
    let gateway = Start::over(repository().join("models")).config(&config).start();
    assert_eq!(wish(&gateway, "/models/flights/load", json!({"version": 3})).0, 200);
    applied("flights", &gateway, &(shadow(2, "") + &shadow(3, "")));
    let bodies = flights();
    for body in &bodies {
        let answer = ask(&gateway, "/v2/models/flights/infer", body);
        assert_eq!(answer.header("pointsman-version"), Some("1"));
    }
    let asked = bodies.len() as u64;
    wait_for_rest(&gateway, 2, asked);
    wait_for_rest(&gateway, 3, asked);
    let of = |version: u64| {
        let report = report(&gateway, &format!("flights?shadow={version}"));
        assert_eq!(report.against.outcomes.ok_ok, asked);
        let scores = report.against.outputs.into_iter().find(|output| output.name == "probabilities");
        let scores = scores.expect("scores");
        (scores.classes.expect("classes"), scores.numbers.expect("numbers"))
    };
    let (challenger, bad) = (of(2), of(3));
    let agreed = |classes: &ClassReport| classes.agreement.rate.expect("rows");
    let (bad_agreed, agreed) = (agreed(&bad.0), agreed(&challenger.0));
    assert!(bad_agreed + 0.15 < agreed, "{bad_agreed} and {agreed}");
    let js = |classes: &ClassReport| classes.js.expect("distributions").0;
    let (bad_js, js) = (js(&bad.0), js(&challenger.0));
    assert!(bad_js > 1.5 * js && bad_js > 0.01, "{bad_js} and {js}");
    let rmse = |numbers: &NumberReport| numbers.rmse.expect("numbers");
    let (bad_rmse, rmse) = (rmse(&bad.1), rmse(&challenger.1));
    assert!(bad_rmse > 1.2 * rmse, "{bad_rmse} and {rmse}");
    // It puts flights in another order.
    assert!(bad.1.ranks.spearman < challenger.1.ranks.spearman);
    // What the classes are called comes from the card.
    assert!(bad.0.confusion.classes.iter().all(|name| ["on_time", "late"].contains(&name.as_str())));
}

#[test]
fn two_releases_of_a_model_are_judged_different() {
    let registry = TestRegistry::new()
        .version("silero", 5, "silero_vad_v5")
        .version("silero", 6, "silero_vad_v6")
        .file("silero/model.toml", "serve = 5\nload = \"all\"\n");
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    applied("silero", &gateway, &shadow(6, ""));
    let cases = std::fs::read(fixture("silero_vad_v5").join("cases.json")).expect("cases");
    let cases: Value = serde_json::from_slice(&cases).expect("JSON");
    let cases = cases["cases"].as_array().expect("cases");
    for case in cases {
        ask(&gateway, "/v2/models/silero/infer", &case["request"].to_string());
    }
    wait_for_rest(&gateway, 6, cases.len() as u64);
    let report = report(&gateway, "silero");
    let agreement = report.against.agreement;
    assert_eq!(agreement.tries, cases.len() as u64);
    assert!(agreement.upper < 0.75, "{agreement:?}");
    let speech = report.against.outputs.iter().find(|output| output.name == "output").expect("an output");
    let numbers = speech.numbers.as_ref().expect("numbers");
    assert!(numbers.max_abs > 0.1 && numbers.max_abs < 1.0, "{numbers:?}");
    assert!(report.text().contains("Furthest apart"));
}

#[test]
fn in_windows_without_shadows_nothing_is_offered_and_the_primary_is_timed() {
    let registry = iris(CARD, &[2, 3]);
    let config = CONFIG.replace("window_off_share = 0", "window_off_share = 1");
    let gateway = Start::over(registry.path()).config(&config).start();
    applied("iris", &gateway, &shadow(2, ""));
    for n in 0..ASKED {
        ask(&gateway, INFER, &flower(n));
    }
    let timed = |gateway: &Gateway| {
        gateway.metric("pointsman_shadow_primary_seconds_count", "version=\"3\",shadows=\"off\"")
    };
    wait_for("every request to be timed", || (timed(&gateway) == ASKED as f64).then_some(()));
    let run = report(&gateway, "iris").run.expect("a word on how it runs");
    assert!(run.is_running && run.is_paused && run.offered == Some(0), "{run:?}");
    assert!(run.cost.is_some_and(|cost| (cost.on.requests, cost.off.requests) == (0, ASKED)), "{run:?}");
    let text = command(&gateway, &["compare", "iris"]).stdout;
    assert!(text.contains("paused, to measure") && text.contains("No answer of version 2"), "{text}");
}

#[test]
fn a_shadow_runs_again_after_a_crash() {
    let (registry, state) = (iris(CARD, &[2, 3]), tempfile::tempdir().expect("a folder"));
    let start =
        || Start::over(registry.path()).config(CONFIG).argument("--state").argument(state.path()).start();
    let gateway = start();
    applied("iris", &gateway, &shadow(2, ""));
    drop(gateway);
    let gateway = start();
    ask(&gateway, INFER, &flower(0));
    wait_for_rest(&gateway, 2, 1);
    assert_eq!(report(&gateway, "iris").against.outcomes.ok_ok, 1);
    // Its version leaves, and with it the shadow; it comes back, and so does the shadow.
    assert_eq!(wish(&gateway, "/models/iris/unload", json!({"version": 2})).0, 200);
    ask(&gateway, INFER, &flower(1));
    assert!(!report(&gateway, "iris").run.expect("a word on it").is_running);
    assert_eq!(wish(&gateway, "/models/iris/load", json!({"version": 2})).0, 200);
    ask(&gateway, INFER, &flower(2));
    wait_for_rest(&gateway, 2, 2);
    // The version that answers is another: that is another comparison.
    assert_eq!(wish(&gateway, "/models/iris/promote", json!({"version": 2})).0, 200);
    ask(&gateway, INFER, &flower(3));
    wait_for_rest(&gateway, 2, 3);
    let pairs = |primary: u64| report(&gateway, &format!("iris?primary={primary}")).against.outcomes.ok_ok;
    assert_eq!((pairs(3), pairs(2)), (2, 1));
}

/// Takes `inputs`, and gives their sum or the only one.
fn well_behaved(datatype: Datatype, inputs: &[&str], output: &str) -> Vec<u8> {
    let model = inputs.iter().fold(OnnxModel::new(), |model, name| model.input(name, datatype, &[1]));
    let operator = if inputs.len() > 1 { "Add" } else { "Identity" };
    model.node(operator, inputs, output).output(output, datatype, &[1]).bytes()
}

fn numbers(datatype: &str, inputs: &[(&str, Value)]) -> String {
    let input = |(name, value): &(&str, Value)| json!({"name": name, "datatype": datatype, "shape": [1], "data": [value]});
    json!({"inputs": inputs.iter().map(input).collect::<Vec<Value>>()}).to_string()
}

/// A gateway whose model `m` answers well in version 1, and in version 2 as a test says.
fn pair_of(one: Vec<u8>, two: Vec<u8>, card: &str, config: &str) -> (TestRegistry, Gateway) {
    let registry = TestRegistry::new()
        .file("m/1/model.onnx", one)
        .file("m/2/model.onnx", two)
        .file("m/model.toml", format!("serve = 1\nload = \"all\"\n{card}"));
    let gateway = Start::over(registry.path()).config(config).start();
    applied("m", &gateway, &shadow(2, ""));
    (registry, gateway)
}

const M: &str = "/v2/models/m/infer";

#[test]
fn a_shadow_that_hangs_changes_no_answer_and_is_accounted_for() {
    let one = well_behaved(Datatype::Int64, &["trips"], "counted");
    let config = CONFIG
        .replace(
            "run_max = \"20s\"",
            "run_max = \"200ms\"\nfailures_max = 2\nrest = \"60m\"\nrest_max = \"60m\"",
        )
        .replace("waiting_max = 4096", "waiting_max = 3");
    let (_registry, gateway) = pair_of(one, test_model("loop"), "", &config);
    let trips = |count: i64| numbers("INT64", &[("trips", json!(count))]);
    for count in 0..40 {
        let count = FOREVER + count;
        let answer = ask(&gateway, M, &trips(count)).json();
        assert_eq!(answer["outputs"][0]["data"], json!([count]));
    }
    wait_for_rest(&gateway, 2, 40);
    let report = report(&gateway, "m");
    let dropped: BTreeSet<&str> = report.dropped.iter().map(|dropped| dropped.reason.as_str()).collect();
    assert!(
        dropped.contains("hung") && dropped.is_subset(&["hung", "full", "breaker"].into()),
        "{dropped:?}"
    );
    assert_eq!(report.dropped.iter().map(|dropped| dropped.count).sum::<u64>(), 40);
    // That it is slow on what others leave says nothing of the version: no pair is told.
    assert_eq!(report.against.outcomes, Default::default());
    assert!(report.run.is_some_and(|run| run.is_broken && run.answered == Some(0)));
    assert_eq!(gateway.metric("pointsman_shadow_broken", "version=\"2\""), 1.0);
    let text = command(&gateway, &["compare", "m"]).stdout;
    assert!(text.contains("broken: it kept failing") && text.contains("hung"), "{text}");
}

#[test]
fn a_shadow_that_hangs_holds_up_neither_the_end_of_its_plan_nor_of_the_gateway() {
    let one = well_behaved(Datatype::Int64, &["trips"], "counted");
    let (_registry, gateway) = pair_of(one, test_model("loop"), "", CONFIG);
    let hang = |offered: u64| {
        ask(&gateway, M, &numbers("INT64", &[("trips", json!(FOREVER))]));
        gateway.wait_for_metric("pointsman_shadow_offered_total", "", |found| found == offered as f64);
        gateway.wait_for_metric("pointsman_shadow_waiting", "", |waiting| waiting == 1.0);
    };
    hang(1);
    // Its deadline is far away.
    applied("m", &gateway, "");
    gateway.wait_for_metric("pointsman_shadow_waiting", "", |waiting| waiting == 0.0);
    let report = report(&gateway, "m");
    let run = report.run.as_ref().expect("a word on how it runs");
    assert!(!run.is_running && report.text().contains("it has ended"), "{run:?}");
    applied("m", &gateway, &shadow(2, ""));
    hang(2);
    let stopped = gateway.stop();
    assert!(stopped.code == Some(0) && stopped.stderr.contains("stopped"), "{stopped:?}");
}

#[test]
fn a_shadow_that_panics_or_fails_changes_no_answer_and_is_told() {
    // By zero tract panics, and ONNX Runtime gives an error.
    for engine in ["tract", "onnxruntime"] {
        let one = well_behaved(Datatype::Int64, &["a", "b"], "quotient");
        let card = format!("engine = \"{engine}\"\ninteger_division = \"allow\"\n");
        let config = CONFIG.to_owned() + "failures_max = 1000\n";
        let (_registry, gateway) = pair_of(one, division(), &card, &config);
        for a in 0..40 {
            let body = numbers("INT64", &[("a", json!(a)), ("b", json!(0))]);
            assert_eq!(ask(&gateway, M, &body).json()["outputs"][0]["data"], json!([a]), "{engine}");
        }
        wait_for_rest(&gateway, 2, 40);
        let report = report(&gateway, "m");
        assert_eq!(report.against.outcomes.ok_err, 40, "{engine}: {report:#?}");
        assert_eq!(report.against.shadow_failures[0].code, "SESSION_FAILED");
        assert!(report.against.errors.is_worse && report.verdict() == "Version 2 fails more often");
        assert_eq!(report.dropped[0].reason, "failed");
        assert!(report.against.failed.len() == 10 && report.against.failed[0].is_replayable);
        assert_eq!(gateway.metric("pointsman_worker_panics_total", ""), 0.0, "{engine}");
    }
}

/// Divides `a` by `b`.
fn division() -> Vec<u8> {
    let model = OnnxModel::new().input("a", Datatype::Int64, &[1]).input("b", Datatype::Int64, &[1]);
    model.node("Div", &["a", "b"], "quotient").output("quotient", Datatype::Int64, &[1]).bytes()
}

#[test]
fn a_shadow_that_answers_garbage_changes_no_answer_and_is_judged_worse() {
    let one = well_behaved(Datatype::Fp32, &["x"], "y");
    let log = OnnxModel::new().input("x", Datatype::Fp32, &[1]).node("Log", &["x"], "y");
    let two = log.output("y", Datatype::Fp32, &[1]).bytes();
    let (_registry, gateway) = pair_of(one, two, "", CONFIG);
    for n in 0..40 {
        let x = -1.5 - f64::from(n);
        let body = numbers("FP32", &[("x", json!(x))]);
        assert_eq!(ask(&gateway, M, &body).json()["outputs"][0]["data"], json!([x]));
    }
    wait_for_rest(&gateway, 2, 40);
    let report = report(&gateway, "m");
    assert!(report.against.invalid.is_worse && report.against.invalid.shadow == 40, "{report:#?}");
    assert_eq!(report.against.agreement.hits, 0);
    // Run again, what is not finite is told as such.
    let id = &report.against.worst.first().expect("an example").id;
    let again = command(&gateway, &["replay", id, "--versions", "1,2"]);
    assert!(again.stdout.contains("not finite") && again.stdout.contains("version 2 disagrees"), "{again:?}");
}

#[test]
fn a_comparison_is_shown_replayed_and_survives_its_shadow() {
    let registry = iris(CARD, &[1, 2, 3]);
    let tolerances = format!("{CONFIG}[compare.iris]\nrtol = 0.001\noutputs = {{ label = \"labels\" }}\n");
    let gateway = Start::over(registry.path()).config(&tolerances).start();
    let none = command(&gateway, &["compare", "iris"]);
    assert!(
        none.code == Some(1) && none.stderr.contains("[[shadows]]") && none.stderr.contains("404"),
        "{none:?}"
    );
    assert!(command(&gateway, &["compare"]).stdout.contains("nothing is compared"));
    let unknown = command(&gateway, &["compare", "nobody"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("nobody"), "{unknown:?}");
    applied("iris", &gateway, &shadow(1, ""));
    let mut answers = Vec::new();
    for n in 0..ASKED {
        let answer = ask(&gateway, INFER, &flower(n));
        let id = answer.header("pointsman-request-id").expect("an id").to_owned();
        answers.push((id, answer.json()["outputs"].clone()));
    }
    wait_for_rest(&gateway, 1, ASKED);
    let report = report(&gateway, "iris?alpha=0.01");
    assert_eq!((report.alpha, report.rtol, report.primary, report.shadow), (0.01, 0.001, 3, 1));
    // Published anew for something else, the shadow is the same; the comparison goes on.
    assert_eq!(wish(&gateway, "/models/iris/alias", json!({"alias": "best", "version": 2})).0, 200);
    ask(&gateway, INFER, &flower(0));
    wait_for_rest(&gateway, 1, ASKED + 1);
    let text = command(&gateway, &["compare", "iris", "--shadow", "1"]).stdout;
    for part in
        ["iris: version 1 against version 3", "it runs: 21 of 21", "Output label", "Furthest apart", "p99"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let json = command(&gateway, &["compare", "iris", "--json"]).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["comparisons"][0]["against"]["outcomes"]["ok_ok"], 21);
    let file = registry.join("report.html");
    let path = file.to_str().expect("UTF-8");
    let page = command(&gateway, &["compare", "iris", "--html", path]);
    assert!(page.code == Some(0) && page.stdout.contains("version 1 against version 3"), "{page:?}");
    let page = std::fs::read_to_string(&file).expect("a page");
    assert!(page.contains("<svg") && page.contains("it runs") && !page.contains("<script"));
    let bad = command(&gateway, &["compare", "iris", "--alpha", "2"]);
    assert!(bad.code == Some(1) && bad.stderr.contains("between 0 and 1"), "{bad:?}");
    // The plan takes the shadow away: what was compared stays.
    applied("iris", &gateway, "");
    let text = command(&gateway, &["compare", "iris"]).stdout;
    assert!(text.contains("it has ended") && text.contains("21 ok/ok") && text.contains("cost"), "{text}");
    let other = command(&gateway, &["compare", "iris", "--shadow", "2"]);
    assert!(other.code == Some(1) && other.stderr.contains("version 1 against version 3"), "{other:?}");
    let list = get(gateway.admin, "/v1/comparisons").json();
    assert_eq!(
        (&list["comparisons"][0]["shadow"], &list["comparisons"][0]["totals"]["pairs"]),
        (&json!(1), &json!(21))
    );
    let list = command(&gateway, &["compare"]).stdout;
    let row = list.lines().nth(1).expect("a line").split_whitespace().take(4).collect::<Vec<_>>();
    assert_eq!(row, ["iris", "1", "3", "21"], "{list}");
    replayed(&gateway, &report, &answers);
}

/// What is run again gives what the caller got, and no shadow is shown it.
fn replayed(gateway: &Gateway, report: &Report, answers: &[(String, Value)]) {
    applied("iris", gateway, &shadow(1, ""));
    let offered = gateway.metric("pointsman_shadow_offered_total", "");
    let example = &report.against.worst.first().expect("an example").id;
    let (_, answer) = answers.iter().find(|(id, _)| id == example).expect("it was asked here");
    let json = command(gateway, &["replay", example, "--versions", "3,1,3", "--json"]).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    for (at, output) in answer.as_array().expect("outputs").iter().enumerate() {
        for version in [0, 2] {
            let again = &json["versions"][version]["outputs"][at];
            assert_eq!((&again["name"], &again["data"]), (&output["name"], &output["data"]));
        }
        assert_ne!(json["versions"][1]["outputs"][1]["data"], json!([]));
    }
    let agrees = |at: usize| json["differences"][at]["agrees"].as_bool();
    assert_eq!((agrees(0), agrees(1)), (Some(false), Some(true)), "{json:#}");
    let table = command(gateway, &["replay", example, "--versions", "3,1"]).stdout;
    for part in ["VERSION 3", "VERSION 1", "probabilities[2]", "version 1 disagrees"] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert_eq!(gateway.metric("pointsman_shadow_offered_total", ""), offered);
    let kept = &report.against.worst.last().expect("an example").id;
    let unkept = "01900000-0000-7000-8000-000000000000";
    let refused = command(gateway, &["replay", unkept, "--versions", "3"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("kept are those of"), "{refused:?}");
    assert!(
        refused.stderr.contains(example.as_str()) || refused.stderr.contains(kept.as_str()),
        "{refused:?}"
    );
    for (id, versions, part) in [("x", "3", "no id"), (unkept, "1,1,1,1,1,1,1,1,1", "give 1 to 8")] {
        let refused = command(gateway, &["replay", id, "--versions", versions]);
        assert!(refused.code == Some(1) && refused.stderr.contains(part), "{refused:?}");
    }
    assert_eq!(get(gateway.admin, &format!("/v1/replays/{unkept}")).status, 405);
}
