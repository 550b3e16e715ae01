//! Labels that come late: joined, kept over a crash, and what they say of versions.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use pointsman_tests::{Connection, Gateway, Pointsman, Start, TestRegistry, fixtures, get, post, wait_for};
use serde_json::{Value, json};

use crate::swaps::wish;

pub(crate) const CONFIG: &str = "[shutdown]\ndrain_delay = \"0s\"\n[gates]\nlatency = \"off\"\n[rollout]\nlook = \"100ms\"\n\
                      [registry]\nsettle = \"0s\"\npoll = \"1s\"\n";
pub(crate) const CARD: &str = "serve = 1\nload = \"all\"\non_new = \"hold\"\n[outputs.label]\nlabels = [\"on_time\", \"late\"]\n\
                    [outputs.probabilities]\nlabels = [\"on_time\", \"late\"]\n";
const INFER: &str = "/v2/models/flights/infer";
const FEEDBACK: &str = "/v1/feedback";
/// Requests that are sent before an answer is waited for.
const PIPELINED: usize = 32;

/// Fixtures as versions 1 and so on, of which the first serves.
fn flights(all: &[&str]) -> TestRegistry {
    let registry = TestRegistry::new().file("flights/model.toml", CARD);
    (1..).zip(all).fold(registry, |registry, (number, fixture)| registry.version("flights", number, fixture))
}

fn start(models: &Path, state: Option<&Path>, more: &str) -> Gateway {
    let start = Start::over(models).config(&format!("{CONFIG}{more}"));
    match state {
        Some(state) => start.argument("--state").argument(state).start(),
        None => start.start(),
    }
}

/// A flight of the stream: what is asked, and whether it was late.
pub(crate) struct Flight {
    pub(crate) body: String,
    pub(crate) late: bool,
}

/// The flights of the fixture of which nothing is missing, in their order.
pub(crate) fn stream() -> Vec<Flight> {
    let text = std::fs::read_to_string(fixtures().join("flights_stream.csv")).expect("the stream");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a head").split(',').collect();
    let flight = |line: &str| {
        let values: Vec<&str> = line.split(',').collect();
        let is_whole = values.iter().all(|value| !value.is_empty());
        let input = |(name, value): (&&str, &&str)| match *name {
            "event_ts" | "y" => None,
            "origin" | "carrier" => {
                Some(json!({"name": name, "shape": [1, 1], "datatype": "BYTES", "data": [value]}))
            }
            _ => {
                let number: f64 = value.parse().expect("a number");
                Some(json!({"name": name, "shape": [1, 1], "datatype": "FP32", "data": [number]}))
            }
        };
        is_whole.then(|| {
            let inputs: Vec<Value> = names.iter().zip(&values).filter_map(input).collect();
            Flight { body: json!({ "inputs": inputs }).to_string(), late: values.last() == Some(&"1") }
        })
    };
    lines.filter_map(flight).collect()
}

/// An answer: the id of its request, the version, and the probability of being late.
pub(crate) struct Predicted {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) class: u64,
    pub(crate) late: f64,
}

/// Asks for flights, many before the first is answered.
pub(crate) fn ask(http: SocketAddr, flights: &[&Flight]) -> Vec<Predicted> {
    let mut connection = Connection::open(http);
    let mut all = Vec::with_capacity(flights.len());
    for some in flights.chunks(PIPELINED) {
        some.iter().for_each(|flight| connection.post(INFER, flight.body.as_bytes()));
        for _ in some {
            let answer = connection.answer().expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.text());
            let id = answer.header("pointsman-request-id").expect("an id").to_owned();
            let version = answer.header("pointsman-version").expect("a version").to_owned();
            let json = answer.json();
            let output = |name: &str| {
                let mut outputs = json["outputs"].as_array().expect("outputs").iter();
                outputs.find(|output| output["name"] == name).expect("the output")["data"].clone()
            };
            let late = output("probabilities")[1].as_f64().expect("a number");
            let class = match &output("label")[0] {
                Value::String(name) => u64::from(name == "late"),
                place => place.as_u64().expect("a class"),
            };
            all.push(Predicted { id, version, class, late });
        }
    }
    all
}

pub(crate) fn label(id: &str, late: bool) -> Value {
    json!({"request_id": id, "label": if late { "late" } else { "on_time" }})
}

/// Sends labels; gives how many ended how.
pub(crate) fn send(gateway: &Gateway, labels: &[Value]) -> BTreeMap<String, u64> {
    let answer = post(gateway.admin, FEEDBACK, json!({ "labels": labels }).to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_value(answer.json()["counts"].clone()).expect("counts")
}

pub(crate) fn quality(gateway: &Gateway, query: &str) -> Value {
    let answer = get(gateway.admin, &format!("/v1/quality/flights?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

pub(crate) fn figure(series: &Value, name: &str) -> f64 {
    let mut figures = series["total"]["figures"].as_array().expect("figures").iter();
    let figure =
        figures.find(|figure| figure["name"] == name).unwrap_or_else(|| panic!("no {name} in {series:#}"));
    figure["value"].as_f64().expect("a number")
}

/// The share of pairs of a late flight and one on time whose scores are in order.
fn area(predicted: &[(f64, bool)]) -> f64 {
    let (mut won, mut pairs) = (0.0, 0.0);
    for (high, _) in predicted.iter().filter(|(_, late)| *late) {
        for (low, _) in predicted.iter().filter(|(_, late)| !late) {
            pairs += 1.0;
            won += if high > low { 1.0 } else { f64::from(u8::from(high == low)) / 2.0 };
        }
    }
    won / pairs
}

/// Labels are joined once the request has ended, which is after its answer is written.
fn wait_for_predictions(gateway: &Gateway, rows: u64) {
    wait_for("the predictions to be kept", || {
        let answer = get(gateway.admin, "/v1/quality/flights?window=all");
        let rows_of = |arm: &Value| arm["predicted"].as_u64().unwrap_or(0);
        let coverage = answer.json()["coverage"].as_array().cloned().unwrap_or_default();
        (coverage.iter().map(rows_of).sum::<u64>() >= rows).then_some(())
    });
}

#[test]
fn figures_of_both_versions_are_those_of_the_stream_and_outlive_a_kill() {
    let registry = flights(&["flights_champion", "flights_challenger"]);
    let state = tempfile::tempdir().expect("a folder");
    let shadow = "[plan.flights]\nshadows = [{ name = \"challenger\", version = 2, share = \"100%\" }]\n\
                  [shadow]\nwindow_off_share = 0.0\nbusy_from = 1.0\nwait_max = \"20s\"\nrun_max = \"2s\"\n";
    let gateway = start(registry.path(), Some(state.path()), shadow);
    let stream = stream();
    let flights: Vec<&Flight> = stream.iter().collect();
    assert!(flights.len() > 400);
    let mut predicted = Vec::new();
    // Few at a time, so that the shadow sees all of them.
    for some in flights.chunks(16) {
        predicted.extend(ask(gateway.http, some));
        wait_for_predictions(&gateway, 2 * predicted.len() as u64);
    }
    let labels: Vec<Value> =
        predicted.iter().zip(&flights).map(|(predicted, flight)| label(&predicted.id, flight.late)).collect();
    let counts = send(&gateway, &labels);
    assert_eq!(counts, BTreeMap::from([("joined".to_owned(), labels.len() as u64)]));
    let report = quality(&gateway, "window=all");
    let of_champion = &report["series"][0];
    let n = predicted.len() as f64;
    let pairs: Vec<(f64, bool)> = predicted.iter().zip(&flights).map(|(p, f)| (p.late, f.late)).collect();
    let right = predicted.iter().zip(&flights).filter(|(p, f)| (p.class == 1) == f.late).count() as f64;
    let brier = pairs.iter().map(|(p, late)| (p - f64::from(u8::from(*late))).powi(2)).sum::<f64>() / n;
    let log_loss = pairs.iter().map(|(p, late)| -(if *late { *p } else { 1.0 - p }).ln()).sum::<f64>() / n;
    for (name, known) in
        [("accuracy", right / n), ("auc", area(&pairs)), ("brier", brier), ("log_loss", log_loss)]
    {
        let found = figure(of_champion, name);
        assert!((found - known).abs() < 1e-6, "{name}: {found} is not {known}");
    }
    // The challenger answered beside it, and ranks better on this stream (0.728 against 0.659 over all 500).
    let ranking = &report["ranking"][0];
    assert_eq!((ranking["champion"].as_u64(), ranking["challenger"].as_u64()), (Some(1), Some(2)));
    let total = &ranking["total"];
    assert_eq!(
        (total["paired"].as_bool(), total["rows"][1].as_u64()),
        (Some(true), Some(labels.len() as u64))
    );
    assert!(total["better_by"].as_f64().is_some_and(|better| better > 0.03), "{ranking:#}");
    assert!(
        report["coverage"].as_array().expect("arms").iter().all(|arm| arm["coverage"] == 1.0),
        "{report:#}"
    );
    assert!(report["estimated"].as_array().is_some_and(|all| all.len() == 2), "{report:#}");
    assert!(gateway.metric("pointsman_labels_total", "result=\"joined\"") >= n);

    // Killed and started again, the figures are there, and what was said is known.
    drop(gateway);
    let gateway = start(registry.path(), Some(state.path()), shadow);
    let after = quality(&gateway, "window=all");
    assert_eq!(after["series"], report["series"]);
    assert_eq!(after["ranking"], report["ranking"]);
    assert_eq!(send(&gateway, &labels[..3])["duplicate"], 3);
    let url = format!("http://{}", gateway.admin);
    let page = state.path().join("flights.html");
    let command = ["quality", "flights", "--window", "all", "--admin-url", &url];
    let shown = Pointsman::new(command).run();
    assert!(shown.stdout.contains("version 2 against version 1, by auc"), "{}{}", shown.stdout, shown.stderr);
    let page_argument = page.to_string_lossy().into_owned();
    let drawn = Pointsman::new(command.into_iter().chain(["--html", page_argument.as_str()])).run();
    assert_eq!(drawn.code, Some(0), "{}", drawn.stderr);
    let html = std::fs::read_to_string(&page).expect("a page");
    assert!(html.contains("<svg") && html.contains("Calibration") && !html.contains("http://"), "{html}");
}

#[test]
fn each_label_has_its_verdict() {
    let registry = flights(&["flights_champion"]);
    let gateway = start(registry.path(), None, "");
    let stream = stream();
    let predicted = ask(gateway.http, &[&stream[0], &stream[1]]);
    wait_for_predictions(&gateway, 2);
    let one = |body: Value| {
        let answer = post(gateway.admin, FEEDBACK, body.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["results"][0].clone()
    };
    let id = &predicted[0].id;
    assert_eq!(predicted[0].version, "1");
    assert_eq!(one(label(id, true))["result"], "joined");
    assert_eq!(one(json!({"request_id": id, "label": 1}))["result"], "duplicate");
    assert_eq!(quality(&gateway, "window=all")["series"][0]["total"]["classes"][1]["rows"], 1);
    // What is said last counts, in every figure.
    assert_eq!(one(label(id, false))["result"], "contradicting");
    let classes = &quality(&gateway, "window=all")["series"][0]["total"]["classes"];
    assert_eq!((classes[0]["class"].as_str(), classes[0]["rows"].as_u64()), (Some("on_time"), Some(1)));
    let wrong = one(json!({"request_id": id, "label": "soon"}));
    assert_eq!(
        (&wrong["result"], &wrong["reason"]),
        (&json!("malformed"), &json!("label = \"soon\"; give one of on_time, late, or its place from 0"))
    );
    assert_eq!(one(json!({"request_id": id, "label": 1, "row": 1}))["result"], "malformed");
    let never = "019ae2f0-6b1c-7d1e-8a55-0242ac120002";
    assert_eq!(one(label(never, true))["result"], "expired");
    // Lines are read as well, each by itself.
    let lines = format!("{}\nnothing\n{}\n", label(&predicted[1].id, true), json!({"label": 1}));
    let answer = post(gateway.admin, FEEDBACK, lines).json();
    assert_eq!(answer["counts"], json!({"joined": 1, "malformed": 2}));
    for bad in ["", "late", "{\"labels\": 7}"] {
        let (_, code) = post(gateway.admin, FEEDBACK, bad).error();
        assert_eq!(code, "BAD_REQUEST", "{bad}");
    }
    let many = json!({ "labels": vec![label(never, true); 10_001] });
    assert_eq!(post(gateway.admin, FEEDBACK, many.to_string()).error().1, "TOO_LARGE");
    // Whoever predicts may not label, unless that is let.
    assert_ne!(post(gateway.http, FEEDBACK, label(id, true).to_string()).status, 200);
    let (_, code) = get(gateway.admin, "/v1/quality/nothing").error();
    assert_eq!(code, "UNKNOWN_MODEL");
}

#[test]
fn a_file_of_labels_is_imported_and_callers_may_label_where_they_are_let() {
    let registry = flights(&["flights_champion"]);
    let gateway = start(registry.path(), None, "[labels]\npublic = true\n");
    let stream = stream();
    let predicted = ask(gateway.http, &stream.iter().take(40).collect::<Vec<_>>());
    wait_for_predictions(&gateway, 40);
    let rows: String =
        predicted.iter().zip(&stream).map(|(p, f)| format!("{},{}\n", p.id, u8::from(f.late))).collect();
    let file = registry.path().join("arrivals.csv");
    std::fs::write(&file, format!("request_id,label\n{rows}")).expect("writable");
    let url = format!("http://{}", gateway.admin);
    let path = file.to_string_lossy().into_owned();
    let command = ["labels", "import", &path, "--batch", "16", "--admin-url", &url];
    let imported = Pointsman::new(command).run();
    assert_eq!(imported.stdout, "40 labels: 40 joined\n", "{}", imported.stderr);
    assert!(imported.stderr.contains("32 labels sent"), "{}", imported.stderr);
    let answer = post(gateway.http, FEEDBACK, label(&predicted[0].id, stream[0].late).to_string());
    assert_eq!(answer.json()["counts"], json!({"duplicate": 1}));
}

#[test]
fn a_bad_version_at_one_per_cent_is_led_back_by_late_labels_alone() {
    let registry = flights(&["flights_challenger", "flights_bad"]);
    let state = tempfile::tempdir().expect("a folder");
    let gateway = start(registry.path(), Some(state.path()), "");
    // It says of every flight that it is on time, which is wrong hardly more often than what the other one says: what gives
    // it away is that it ranks late flights below those on time. That takes some 15 000 requests.
    let asked = json!({
        "version": 2, "canary": "1,50", "time_min": "1h", "latency_objective": "1s", "guard": ["labels:margin=1"],
    });
    let (code, answer) = wish(&gateway, "/v1/rollouts/flights", asked);
    assert_eq!(code, 200, "{answer}");
    let stream = stream();
    let mut round = 0;
    let ended = wait_for_long("the version to be led back", || {
        round += 1;
        let (stream, http) = (&stream, gateway.http);
        let caller = |at: usize| {
            let flights: Vec<&Flight> =
                stream.iter().cycle().skip(97 * round + 131 * at).take(1000).collect();
            let asked = ask(http, &flights);
            asked.iter().zip(&flights).map(|(p, f)| label(&p.id, f.late)).collect::<Vec<Value>>()
        };
        let labels: Vec<Value> = thread::scope(|scope| {
            let callers: Vec<_> = (0..4).map(|at| scope.spawn(move || caller(at))).collect();
            callers.into_iter().flat_map(|caller| caller.join().expect("answers")).collect()
        });
        let counts = send(&gateway, &labels);
        assert_eq!(counts.values().sum::<u64>(), labels.len() as u64);
        let shown = get(gateway.admin, "/v1/rollouts/flights").json();
        (shown["is_over"] == true).then_some(shown)
    });
    assert_eq!(ended["report"]["phase"]["rolled_back"]["guard"], "labels", "{ended:#}");
    let asked = ask(gateway.http, &stream.iter().take(300).collect::<Vec<_>>());
    assert!(asked.iter().all(|predicted| predicted.version == "1"));
}

/// As `wait_for`, for what takes tens of thousands of requests.
fn wait_for_long<T>(what: &str, mut state: impl FnMut() -> Option<T>) -> T {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(110);
    loop {
        if let Some(found) = state() {
            return found;
        }
        assert!(std::time::Instant::now() < until, "waited in vain for {what}");
    }
}
