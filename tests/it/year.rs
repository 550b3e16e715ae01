//! A year of flights with labels that come later: what drifted, what did not, and in which month the champion became
//! the better model.

use std::collections::BTreeSet;
use std::time::Duration;

use pointsman_tests::{
    Connection, Gateway, Pointsman, Start, TestRegistry, get, post, repository, wait_within,
};
use serde_json::{Value, json};

use crate::drift::{body, days};

const CONFIG: &str = "[shutdown]\ndrain_delay = \"0s\"\n[gates]\nlatency = \"off\"\n[registry]\nsettle = \"0s\"\n\
    [shadow]\nwindow_off_share = 0\nbusy_from = 1\nwait_max = \"20s\"\n[alerts]\nlook = \"50ms\"\n[drift]\nwindow = \"7d\"\nlook = \"50ms\"\n\
    [plan.flights]\nshadows = [{ name = \"challenger\", version = 2, share = \"100%\" }]\n";

/// The champion and the challenger, with what the shipped model says of training and of columns.
fn flights() -> TestRegistry {
    let of = |file: &str| std::fs::read(repository().join("models/flights").join(file)).expect(file);
    let mut registry = TestRegistry::new();
    for file in ["model.toml", "schema.toml"] {
        registry = registry.file(&format!("flights/{file}"), of(file));
    }
    for (number, fixture) in [(1, "flights_champion"), (2, "flights_challenger")] {
        let baseline = of(&format!("{number}/baseline.json"));
        registry = registry.version("flights", number, fixture);
        registry = registry.file(&format!("flights/{number}/baseline.json"), baseline);
    }
    registry
}

/// How many days are sent before the shadow is waited for.
const AT_ONCE: usize = 4;

/// Sends days, and lets the shadow answer each; gives the ids of the requests.
fn send(gateway: &Gateway, days: &[(String, Vec<String>)]) -> Vec<String> {
    let mut connection = Connection::open(gateway.http);
    let mut ids = Vec::new();
    for some in days.chunks(AT_ONCE) {
        for (day, lines) in some {
            connection.post("/v2/models/flights/infer", body(day, lines, |temp| temp).as_bytes());
            let answer = connection.answer().expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.text());
            ids.push(answer.header("pointsman-request-id").expect("an id").to_owned());
        }
        let labels = "model=\"flights\",version=\"2\"";
        gateway.wait_for_metric("pointsman_shadow_answered_total", labels, |count| count >= ids.len() as f64);
    }
    ids
}

/// Says of each flight of a day whether it was late.
fn label(gateway: &Gateway, id: &str, lines: &[String]) {
    let late = |line: &String| if line.ends_with(",1") { "late" } else { "on_time" };
    let labels: Vec<Value> = lines
        .iter()
        .enumerate()
        .map(|(row, line)| json!({"request_id": id, "row": row, "label": late(line)}))
        .collect();
    let answer = post(gateway.admin, "/v1/feedback", json!({ "labels": labels }).to_string());
    assert_eq!(answer.json()["counts"]["joined"], lines.len(), "{}", answer.text());
}

/// The AUC of a version in a month.
fn auc(report: &Value, version: u64, month: &str) -> f64 {
    let series = report["series"].as_array().expect("series").iter().find(|one| one["version"] == version);
    let windows = series.expect("the version")["windows"].as_array().expect("windows");
    let window = windows.iter().find(|one| one["window"] == month).expect("the month");
    let figures =
        window["figures"].as_array().or_else(|| window["figures"]["figures"].as_array()).expect("figures");
    let figure = figures.iter().find(|figure| figure["name"] == "auc").expect("an AUC");
    figure["value"].as_f64().expect("a number")
}

#[test]
fn the_champion_becomes_the_better_model_in_november_and_somebody_is_told() {
    let registry = flights();
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let days: Vec<_> = days().into_iter().filter(|(day, _)| day.as_str() < "2013-12").collect();
    assert_eq!(days.len(), 334);
    let ids = send(&gateway, &days);
    for (id, (_, lines)) in ids.iter().zip(&days) {
        label(&gateway, id, lines);
    }

    let report = get(gateway.admin, "/v1/quality/flights?window=month").json();
    // Those of ONNX Runtime and the rank statistic on the same flights, without a gateway.
    for (version, month, known) in [
        (1, "2013-07", 0.7183),
        (2, "2013-07", 0.7469),
        (2, "2013-08", 0.7064),
        (2, "2013-09", 0.7110),
        (2, "2013-10", 0.6669),
        (2, "2013-11", 0.6507),
        (1, "2013-11", 0.6676),
    ] {
        let found = auc(&report, version, month);
        assert!((found - known).abs() < 0.0001, "version {version} in {month}: {found}, not {known}");
    }
    let ranking = &report["ranking"][0];
    let flips = ranking["flips"].as_array().expect("flips");
    let told: Vec<_> = flips.iter().map(|flip| (&flip["since"], &flip["to"])).collect();
    assert_eq!(told, [(&json!("2013-11"), &json!("champion"))], "{ranking:#}");

    // Nobody looked: the alerts are there. The gateway rests thirty times as long as its last look took.
    let alerts = wait_within(Duration::from_secs(75), "an alert of the ranking", || {
        let alerts = get(gateway.admin, "/v1/alerts").json();
        let all = alerts["alerts"].as_array().expect("alerts");
        all.iter().any(|alert| alert["signal"]["kind"] == "ranking").then(|| all.clone())
    });
    let ranking = alerts.iter().find(|alert| alert["signal"]["kind"] == "ranking").expect("just seen");
    assert_eq!((&ranking["state"], &ranking["signal"]["model"]), (&json!("firing"), &json!("flights")));
    let history = get(gateway.admin, "/v1/alerts/history?limit=10000").json();
    let skewed: BTreeSet<&str> = history["transitions"]
        .as_array()
        .expect("transitions")
        .iter()
        .map(|one| &one["alert"]["signal"])
        .filter(|signal| signal["kind"] == "skew" && signal["version"] == 1)
        .filter_map(|signal| signal["subject"].as_str())
        .collect();
    assert!(skewed.contains("temp") && skewed.contains("dewp"), "{skewed:?}");
    assert!(!skewed.contains("hour") && !skewed.contains("distance"), "{skewed:?}");

    let admin = format!("http://{}", gateway.admin);
    let said = Pointsman::new(["quality", "flights", "--window", "month", "--admin-url", &admin]).run();
    assert!(said.code == Some(0) && said.stdout.contains("2013-11"), "{}{}", said.stdout, said.stderr);
}
