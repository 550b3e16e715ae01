//! Drift from end to end: a year of flights in its own time, and what is said of each column.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use pointsman_tests::{
    Connection, Gateway, Pointsman, Start, TestRegistry, fixtures, get, repository, wait_for,
};
use serde_json::{Value, json};

/// Model 1 of the flights, whose callers say when an example is from.
fn flights() -> TestRegistry {
    let of = |file: &str| std::fs::read(repository().join("models/flights").join(file)).expect(file);
    TestRegistry::new()
        .file("flights/model.toml", of("model.toml"))
        .file("flights/1/model.onnx", of("1/model.onnx"))
        .file("flights/1/baseline.json", of("1/baseline.json"))
        .file("flights/schema.toml", "event_time = true\n")
}

const CONFIG: &str = "[shutdown]\ndrain_delay = \"0s\"\n[gates]\nlatency = \"off\"\n[registry]\nsettle = \"0s\"\n\
                      [drift]\nwindow = \"7d\"\nlook = \"100ms\"\n";

/// A request for all flights of each day, in the order of days.
pub(crate) fn days() -> Vec<(String, Vec<String>)> {
    let file = std::fs::File::open(fixtures().join("flights_stream.csv.gz")).expect("flights");
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("CSV");
    let mut days: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        days.entry(line[..10].to_owned()).or_default().push(line.to_owned());
    }
    days.into_iter().collect()
}

const NAMES: [&str; 16] = [
    "event_ts",
    "label_ts",
    "flight",
    "tailnum",
    "hour",
    "distance",
    "temp",
    "dewp",
    "humid",
    "wind_speed",
    "precip",
    "pressure",
    "visib",
    "origin",
    "carrier",
    "y",
];

/// The V2 request of a day, of whose temperatures `temp` makes others.
pub(crate) fn body(day: &str, lines: &[String], temp: impl Fn(f64) -> f64) -> String {
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.split(',').collect()).collect();
    let inputs = NAMES.iter().enumerate().filter(|(at, _)| (4..15).contains(at)).map(|(at, name)| {
        let values: Vec<Value> = rows
            .iter()
            .map(|row| match row[at].parse::<f64>() {
                _ if at >= 13 => json!(row[at]),
                Ok(number) if *name == "temp" => json!(temp(number)),
                Ok(number) => json!(number),
                Err(_) => json!("NaN"),
            })
            .collect();
        let datatype = if at >= 13 { "BYTES" } else { "FP32" };
        json!({"name": name, "shape": [values.len(), 1], "datatype": datatype, "data": values})
    });
    let parameters = json!({"event_time": format!("{day}T12:00:00Z")});
    json!({"parameters": parameters, "inputs": inputs.collect::<Vec<_>>()})
        .to_string()
        .replace("\"NaN\"", "NaN")
}

fn send(gateway: &Gateway, bodies: impl Iterator<Item = String>) {
    let mut connection = Connection::open(gateway.http);
    for body in bodies {
        connection.post("/v2/models/flights/infer", body.as_bytes());
        let answer = connection.answer().expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

fn column<'r>(report: &'r Value, name: &str) -> &'r Value {
    let columns = report["columns"].as_array().expect("columns");
    columns.iter().find(|column| column["name"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

fn verdict(report: &Value, name: &str) -> String {
    column(report, name)["verdict"].as_str().expect("a verdict").to_owned()
}

fn psi(report: &Value, name: &str) -> f64 {
    column(report, name)["distances"]["psi"].as_f64().expect("a number")
}

fn report(gateway: &Gateway, query: &str) -> Value {
    let answer = get(gateway.admin, &format!("/v1/drift/flights?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

const SECOND_HALF: &str = "since=2013-07-01&until=2014-01-02&against=training";

fn command(gateway: &Gateway, arguments: &[&str]) -> String {
    let url = format!("http://{}", gateway.admin);
    let all = [&["drift"][..], arguments, &["--admin-url", &url]].concat();
    let stopped = Pointsman::new(all).run();
    assert!(stopped.code == Some(0), "{}", stopped.stderr);
    stopped.stdout
}

#[test]
fn a_year_of_flights_says_what_differs_from_training() {
    let registry = flights();
    let state = tempfile::tempdir().expect("a directory");
    let start = || Start::over(registry.path()).config(CONFIG).argument("--state").argument(state.path());
    let gateway = start().start();
    let days = days();
    let sent: usize = days.iter().map(|(_, lines)| lines.len()).sum();
    assert_eq!(sent, 40_919);
    send(&gateway, days.iter().map(|(day, lines)| body(day, lines, |temp| temp)));

    let half = report(&gateway, SECOND_HALF);
    assert!(half["rows"].as_u64().is_some_and(|rows| rows > 19_000), "{half}");
    for name in ["temp", "dewp"] {
        assert_eq!(verdict(&half, name), "drifted", "{}", column(&half, name));
        assert!((0.3..0.7).contains(&psi(&half, name)), "{}", column(&half, name));
    }
    for name in ["hour", "distance", "carrier", "origin"] {
        assert_eq!(verdict(&half, name), "ok", "{}", column(&half, name));
    }
    for (name, known) in [("temp", 0.465), ("dewp", 0.422), ("pressure", 0.138), ("wind_speed", 0.089)] {
        // Known from other deciles: those of all of the first half, where training has four rows of five.
        assert!((psi(&half, name) / known - 1.0).abs() < 0.25, "{}", column(&half, name));
    }
    assert!(psi(&half, "hour") < 0.01 && psi(&half, "distance") < 0.02, "{half}");
    let ks = column(&half, "temp")["distances"]["numbers"]["ks"].as_f64().expect("a number");
    assert!((0.25..0.35).contains(&ks), "{ks}");

    // What alerts and metrics are told of: the newest weeks.
    wait_for("verdicts on the last week", || {
        let listed = get(gateway.admin, "/v1/drift").json();
        let columns = listed["drift"][0]["drifted"].as_array().expect("columns").clone();
        let of = |name: &str| columns.iter().any(|of| of["column"] == name && of["against"] == "training");
        assert!(!of("hour") && !of("distance"), "{listed}");
        of("temp").then_some(())
    });
    gateway.wait_for_metric("pointsman_drift_psi", "column=\"temp\",against=\"training\"", |psi| psi > 0.2);
    let signals = wait_for("an alert", || {
        let alerts = get(gateway.admin, "/v1/alerts").text();
        alerts.contains("temp").then_some(alerts)
    });
    assert!(!signals.contains("distance"), "{signals}");

    let text = command(&gateway, &["flights", "--since", "2013-07-01", "--until", "2014-01-02"]);
    assert!(text.contains("temp") && text.contains("DRIFTED"), "{text}");
    let page = state.path().join("page.html");
    let page_argument = page.to_str().expect("a path");
    command(&gateway, &["flights", "--window", "90d", "--html", page_argument]);
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.matches("<svg").count() >= 20 && !page.contains("<script"), "{} bytes", page.len());
    assert!(command(&gateway, &[]).contains("flights"));

    // Windows survive the process.
    assert_eq!(gateway.stop().code, Some(0));
    let gateway = start().start();
    assert_eq!(report(&gateway, SECOND_HALF)["rows"], half["rows"]);
    assert_eq!(psi(&report(&gateway, SECOND_HALF), "temp"), psi(&half, "temp"));
}

#[test]
fn a_temperature_in_celsius_is_found_in_its_first_window() {
    let registry = flights();
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let days = days();
    let week = |from: usize, celsius: bool| {
        let one = move |temp: f64| if celsius { (temp - 32.0) / 1.8 } else { temp };
        days[from..from + 7].iter().map(move |(day, lines)| body(day, lines, one)).collect::<Vec<_>>()
    };
    send(&gateway, week(120, false).into_iter());
    send(&gateway, week(127, true).into_iter());
    let changed = report(&gateway, "against=previous&window=7d");
    assert_eq!(verdict(&changed, "temp"), "drifted", "{}", column(&changed, "temp"));
    assert_eq!(verdict(&changed, "hour"), "ok", "{}", column(&changed, "hour"));
}

#[test]
fn what_cannot_be_answered_is_said() {
    let registry = flights().file("flights/1/baseline.json", "{\"format\": 9}");
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let answer = |path: &str| get(gateway.admin, path);
    let few = answer("/v1/drift/flights");
    assert_eq!(few.status, 404, "{}", few.text());
    assert!(few.text().contains("no baseline.json, and fewer than 1000 rows"), "{}", few.text());
    assert_eq!(answer("/v1/drift/nobody").status, 404);
    assert_eq!(answer("/v1/drift/flights?window=x").status, 400);
    // A baseline that cannot be read keeps no version from serving, and is told.
    assert!(answer("/models").text().contains("format 9"), "{}", answer("/models").text());
    let days = days();
    send(&gateway, days[..20].iter().map(|(day, lines)| body(day, lines, |temp| temp)));
    let found = report(&gateway, "");
    assert_eq!(found["against"], "previous");
    let skew = answer("/v1/drift/flights?against=training");
    assert_eq!(skew.status, 404);
    assert!(skew.text().contains("pointsman baseline build"), "{}", skew.text());
}

#[test]
fn a_baseline_is_built_from_a_table() {
    let registry = flights();
    let out = registry.join("made.json");
    let build = |data: &Path| {
        let arguments = ["baseline".into(), "build".into(), data.into(), "--model".into(), "flights".into()];
        let to: [std::ffi::OsString; 7] = [
            "--models".into(),
            registry.path().into(),
            "--out".into(),
            out.clone().into(),
            "--schema".into(),
            registry.join("learned.toml").into(),
            "--force".into(),
        ];
        Pointsman::new(arguments.into_iter().chain(to)).run()
    };
    let stopped = build(&fixtures().join("flights_stream.csv"));
    assert!(stopped.code == Some(0), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("no input is called event_ts, y: left out"), "{}", stopped.stderr);
    let made: Value = serde_json::from_slice(&std::fs::read(&out).expect("a file")).expect("JSON");
    assert_eq!(made["rows"], 500);
    let names: Vec<&str> = made["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .filter_map(|column| column["name"].as_str())
        .collect();
    assert!(names.contains(&"temp") && names.contains(&"probabilities.late"), "{names:?}");
    let schema = std::fs::read_to_string(registry.join("learned.toml")).expect("a schema");
    assert!(schema.contains("[inputs.temp]") && schema.contains("event_time = true"), "{schema}");
    let odd = registry.join("odd.csv");
    std::fs::write(&odd, "temp,hour\nwarm,3\n").expect("written");
    let refused = build(&odd);
    assert!(
        refused.code != Some(0) && refused.stderr.contains("it has no column distance"),
        "{}",
        refused.stderr
    );
}

#[test]
fn features_that_serving_had_otherwise_are_found_by_request_id() {
    let registry = flights();
    let log = tempfile::tempdir().expect("a directory");
    let sampled = format!("{CONFIG}[sample_log]\ndirectory = {:?}\nuniform_rate = 1.0\n", log.path());
    let gateway = Start::over(registry.path()).config(&sampled).start();
    let days = days();
    let mut table = String::from("request_id,temp,hour,distance\n");
    let mut connection = Connection::open(gateway.http);
    for (at, line) in days[40].1.iter().take(60).enumerate() {
        connection.post(
            "/v2/models/flights/infer",
            body(&days[40].0, std::slice::from_ref(line), |t| t).as_bytes(),
        );
        let answer = connection.answer().expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let id = answer.header("pointsman-request-id").expect("an id").to_owned();
        let values: Vec<&str> = line.split(',').collect();
        // What is recomputed has a third of the hours otherwise.
        let hour = values[4].parse::<u32>().expect("an hour") + u32::from(at % 3 == 0);
        table += &format!("{id},{},{hour},{}\n", values[6], values[5]);
    }
    let features = log.path().join("offline.csv");
    std::fs::write(&features, table).expect("written");
    let join = || {
        let arguments: [std::ffi::OsString; 7] = [
            "skew".into(),
            "join".into(),
            "--log".into(),
            log.path().into(),
            "--features".into(),
            features.clone().into(),
            "--json".into(),
        ];
        let stopped = Pointsman::new(arguments).run();
        // As long as none is there yet, there is nothing to compare.
        assert!(stopped.code == Some(0) || stopped.stderr.contains("among the 0 logged rows"), "{stopped:?}");
        (stopped.code == Some(0)).then(|| serde_json::from_str::<Value>(&stopped.stdout).expect("JSON"))
    };
    let found = wait_for("all rows to be logged", || join().filter(|found| found["joined"] == 60));
    assert_eq!(found["skewed"], 20, "{found}");
    let of = |name: &str| {
        let features = found["features"].as_array().expect("features");
        features.iter().find(|feature| feature["name"] == name).expect(name).clone()
    };
    assert_eq!((&of("hour")["mismatched"], &of("temp")["mismatched"]), (&json!(20), &json!(0)), "{found}");
    assert!(of("hour")["lower"].as_f64().is_some_and(|lower| lower > 0.1), "{found}");
}

/// Runs a command on files, which succeeds.
fn of_files(arguments: &[&str], more: &[&Path]) -> String {
    let all = arguments.iter().map(std::ffi::OsString::from).chain(more.iter().map(|path| (*path).into()));
    let stopped = Pointsman::new(all).run();
    assert!(stopped.code == Some(0), "{}", stopped.stderr);
    stopped.stdout
}

#[test]
fn what_a_sample_log_cannot_say_is_said() {
    let (registry, log) = (flights(), tempfile::tempdir().expect("a directory"));
    let refused = |arguments: &[&str], part: &str| {
        let stopped = Pointsman::new(arguments.iter().map(std::ffi::OsString::from)).run();
        assert!(stopped.code != Some(0) && stopped.stderr.contains(part), "{}", stopped.stderr);
    };
    let [log, models] = [log.path(), registry.path()].map(|path| path.to_str().expect("UTF-8"));
    refused(&["drift", "flights", "--log", "/nowhere", "--models", models], "it is no directory");
    let early = ["--until", "2001-01-01"];
    refused(
        &[&["drift", "flights", "--log", log, "--models", models], &early[..]].concat(),
        "nothing is known",
    );
    let odd = ["--since", "yesterday"];
    let build = ["baseline", "build", "--log", log, "--model", "flights", "--models", models];
    refused(&[&build[..], &odd].concat(), "--since yesterday: give a time");
    refused(&[&build[..], &early].concat(), "no rows of version 1");
    refused(&["baseline", "build", "--model", "flights"], "<DATA>");
}

#[test]
fn a_sample_log_alone_gives_the_report_and_a_baseline() {
    let registry = flights();
    let folder = tempfile::tempdir().expect("a directory");
    let [log, config, page, made] =
        ["log", "config.toml", "page.html", "made.json"].map(|f| folder.path().join(f));
    let sampled = format!("{CONFIG}[sample_log]\ndirectory = {log:?}\nuniform_rate = 1.0\n");
    std::fs::write(&config, &sampled).expect("written");
    let gateway = Start::over(registry.path()).config(&sampled).start();
    let days = days();
    let celsius = |temp: f64| (temp - 32.0) / 1.8;
    send(&gateway, days[120..134].iter().map(|(day, lines)| body(day, lines, |temp| temp)));
    send(&gateway, days[134..141].iter().map(|(day, lines)| body(day, lines, celsius)));
    let rows: usize = days[120..141].iter().map(|(_, lines)| lines.len()).sum();
    wait_for("all rows to be logged", || {
        let logged = get(gateway.admin, "/v1/log").json()["models"][0]["rows"].as_u64();
        (logged == Some(rows as u64)).then_some(())
    });
    let query = "against=previous&window=7d";
    let live = report(&gateway, query);
    assert_eq!(gateway.stop().code, Some(0));

    let files: [&Path; 6] =
        ["--log".as_ref(), &log, "--models".as_ref(), registry.path(), "--config".as_ref(), &config];
    let arguments = ["drift", "flights", "--against", "previous", "--window", "7d"];
    let text = of_files(&[&arguments[..], &["--json"]].concat(), &files);
    let mine: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&mine["rows"], &mine["since"], &mine["until"]),
        (&live["rows"], &live["since"], &live["until"])
    );
    for name in ["temp", "dewp", "hour", "distance", "probabilities.late"] {
        assert_eq!(
            (verdict(&mine, name), psi(&mine, name)),
            (verdict(&live, name), psi(&live, name)),
            "{name}"
        );
    }
    assert_eq!((verdict(&mine, "temp"), verdict(&mine, "hour")), ("drifted".into(), "ok".into()));
    let notes = mine["notes"].to_string();
    assert!(notes.contains("not judged: carrier, origin"), "{notes}");
    let shown = of_files(&arguments, &files);
    assert!(shown.contains("DRIFTED") && shown.contains("inclusion probabilities"), "{shown}");
    let with_page: Vec<&Path> = files.iter().copied().chain(["--html".as_ref(), page.as_path()]).collect();
    of_files(&arguments, &with_page);
    assert!(std::fs::read_to_string(&page).expect("a page").contains("<svg"));

    // A baseline of the weeks before, against which the last one differs.
    let build = ["baseline", "build", "--model", "flights", "--until", &days[134].0];
    let to: Vec<&Path> = files.iter().copied().chain(["--out".as_ref(), made.as_path()]).collect();
    of_files(&build, &to);
    let bytes = std::fs::read(&made).expect("a file");
    let baseline: Value = serde_json::from_slice(&bytes).expect("JSON");
    let before: usize = days[120..134].iter().map(|(_, lines)| lines.len()).sum();
    assert_eq!(baseline["rows"], before);
    std::fs::write(registry.join("flights/1/baseline.json"), bytes).expect("written");
    let text = of_files(&["drift", "flights", "--window", "7d", "--json"], &files);
    let skew: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&skew["against"], &skew["reference_rows"]), (&json!("training"), &json!(before)));
    assert_eq!((verdict(&skew, "temp"), verdict(&skew, "hour")), ("drifted".into(), "ok".into()));
}

#[test]
fn windows_are_closed_by_their_rows_too() {
    let registry = flights();
    let config = CONFIG.replace("window = \"7d\"", "window = \"365d\"\nwindow_rows = 500");
    let gateway = Start::over(registry.path()).config(&config).start();
    let days = days();
    let celsius = |temp: f64| (temp - 32.0) / 1.8;
    send(&gateway, days[120..134].iter().map(|(day, lines)| body(day, lines, |temp| temp)));
    send(&gateway, days[134..141].iter().map(|(day, lines)| body(day, lines, celsius)));
    let rows = |days: &[(String, Vec<String>)]| days.iter().map(|(_, lines)| lines.len() as u64).sum::<u64>();
    // All of a year that is one window by time: the newest by rows against those before it.
    let newest = report(&gateway, "against=previous");
    assert_eq!(newest["window_rows"], 500);
    assert!(newest["rows"].as_u64() < Some(800) && verdict(&newest, "temp") == "drifted", "{newest}");
    assert_eq!(verdict(&newest, "hour"), "ok");
    let all = report(&gateway, "against=training&window=365d");
    assert_eq!(all["rows"], rows(&days[120..141]));
    let points = column(&all, "temp")["points"].as_array().expect("points").clone();
    let (last, closed) = points.split_last().expect("windows");
    assert!(closed.len() >= 3, "{points:?}");
    // A request more than a window, and an eighth of it, at most.
    let most = days.iter().map(|(_, lines)| lines.len() as u64).max().expect("days") + 563;
    for point in closed {
        assert!(point["rows"].as_u64().is_some_and(|rows| (500..=most).contains(&rows)), "{points:?}");
    }
    assert!(last["rows"].as_u64() <= Some(most), "{points:?}");
    assert!(points.windows(2).all(|pair| pair[0]["at"].as_u64() < pair[1]["at"].as_u64()), "{points:?}");
    let windows = gateway.metric("pointsman_profile_windows", "model=\"flights\",version=\"1\"");
    assert_eq!(windows as usize, points.len());
}
