//! Scenarios, and what is said of bad ones.

use super::*;

fn parse(text: &str) -> Result<Scenario, String> {
    let scenario: Scenario = toml::from_str(text).map_err(|e| e.to_string())?;
    scenario.check().map(|()| scenario)
}

const HEAD: &str = "purpose = \"a test\"\nurl = \"http://127.0.0.1:8000\"\n";
const STREAM: &str = "[[stream]]\nmodel = \"iris\"\nrate = 100\n";

#[test]
fn every_shipped_scenario_is_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("scenarios") {
        let path = entry.expect("a file").path();
        let scenario = Scenario::read(&path).expect("it is read");
        scenario.check().unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        assert!(scenario.gateway.is_some(), "{}: it works by itself", path.display());
        names.push(scenario.name);
    }
    names.sort();
    let parts = [
        "alone",
        "batching",
        "clients",
        "neighbour",
        "neighbour-tiny",
        "overload",
        "overload-tiny",
        "saturation",
    ];
    let all: Vec<&str> = parts.into_iter().chain(["soak", "steady", "swap"]).collect();
    assert_eq!(names, all);
}

#[test]
fn a_scenario_needs_no_more_than_a_purpose_a_target_and_a_stream() {
    let scenario = parse(&format!("{HEAD}{STREAM}")).expect("a scenario");
    let stream = &scenario.streams[0];
    assert_eq!((stream.name(), stream.arrivals_name()), ("iris", "constant".into()));
}

#[test]
fn unknown_keys_and_values_out_of_bounds_are_named_where_they_stand() {
    for (text, said) in [
        (format!("{HEAD}duration = 3\n{STREAM}"), &["duration", "line 3", "seconds"][..]),
        (format!("{HEAD}{STREAM}retries = 3\n"), &["retries", "line 6", "timeout"]),
        (format!("{HEAD}seconds = -1\n{STREAM}"), &["seconds = -1", "at least 0"]),
        (format!("{HEAD}threads = 0\n{STREAM}"), &["threads = 0", "from 1 to 64"]),
        (format!("{HEAD}[[stream]]\nmodel = \"iris\"\nrate = 0\n"), &["rate = 0", "above 0"]),
        (format!("{HEAD}{STREAM}arrivals = \"uniform\"\n"), &["uniform", "poisson"]),
        (format!("{HEAD}{STREAM}transport = \"http3\"\n"), &["http3", "http2"]),
        (format!("{HEAD}{STREAM}manner = {{ slow_send = 0 }}\n"), &["slow_send = 0", "from 1"]),
        (format!("{HEAD}{STREAM}[search]\nobjective = \"fast\"\n"), &["fast", "p99 < 20ms"]),
    ] {
        let problem = parse(&text).expect_err("it is none");
        for part in said {
            assert!(problem.contains(part), "{part}: {problem}");
        }
    }
}

#[test]
fn keys_that_do_not_fit_together_are_refused_with_what_to_do() {
    let closed = "[[stream]]\nmodel = \"iris\"\narrivals = \"closed\"\n";
    for (text, said) in [
        (STREAM.to_owned(), "--url"),
        (HEAD.to_owned(), "[[stream]]"),
        (format!("{HEAD}{STREAM}{STREAM}"), "a name of its own"),
        (format!("{HEAD}{STREAM}trace = \"t.txt\"\n"), "rate and trace exclude each other"),
        (format!("{HEAD}{STREAM}rows = 2\ngolden = \"g.json\"\n"), "rows and golden exclude each other"),
        (format!("{HEAD}{STREAM}arrivals = \"closed\"\n"), "take rate out"),
        (format!("{HEAD}[[stream]]\nmodel = \"iris\"\n"), "give it a rate"),
        (format!("{HEAD}{closed}[search]\nobjective = \"p99 < 5ms\"\n"), "[search] changes its rate"),
        (format!("{HEAD}{STREAM}[search]\nobjective = \"p99 < 5ms\"\nstream = \"x\"\n"), "only iris"),
        (format!("{HEAD}{STREAM}[search]\nobjective = \"p99 < 5ms\"\n[overload]\n"), "keep one"),
        (format!("{HEAD}{closed}[overload]\n"), "[overload] changes its rate"),
        (format!("{HEAD}{STREAM}[neighbour]\nmeasured = \"iris\"\n"), "add a [[stream]]"),
        (format!("{HEAD}{STREAM}transport = \"grpc\"\n"), "--grpc"),
        (format!("grpc = \"127.0.0.1:8001\"\n{STREAM}"), "--url"),
        (format!("{HEAD}[swap]\nswaps = 5\n"), "[gateway]"),
        (format!("purpose = \"\"\n{STREAM}[swap]\nswaps = 5\n"), "take [[stream]]"),
        (format!("{HEAD}fail_if = [\"fast\"]\n{STREAM}"), "\"fast\": no comparison"),
    ] {
        let text = if text.starts_with("purpose") { text } else { format!("purpose = \"\"\n{text}") };
        let problem = parse(&text).expect_err("it does not fit");
        assert!(problem.contains(said), "{said}: {problem}");
    }
}

#[test]
fn each_pattern_has_its_name_and_its_moments() {
    for (keys, name, due) in [
        ("rate = 10", "constant", 0.1),
        ("ramp = { from = 10, to = 100, seconds = 5 }\narrivals = \"poisson\"", "ramp, poisson", 0.0),
        ("steps = [{ rate = 10, seconds = 1 }, { rate = 20, seconds = 1 }]", "steps, constant", 0.1),
        ("arrivals = \"closed\"", "closed", 0.0),
    ] {
        let text = format!("{HEAD}warm_up = 2\n[[stream]]\nmodel = \"iris\"\n{keys}\n");
        let stream = parse(&text).expect("a scenario").streams.remove(0);
        assert_eq!(stream.arrivals_name(), name);
        let pattern = stream.pattern(Seconds(std::time::Duration::from_secs(2))).expect("no file is needed");
        if due > 0.0 {
            let second =
                crate::schedule::Schedule::of_thread(&pattern, 0, 1, 0).nth(1).expect("a second request");
            assert!((second.as_secs_f64() - due).abs() < 1e-6, "{name}: {second:?}");
        }
    }
}

#[test]
fn a_trace_warms_up_with_its_own_first_requests() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trace.txt");
    std::fs::write(&file, "0.5\n1.5\n7\n").expect("a trace");
    let mut stream = Stream::of("iris");
    stream.trace = Some(file);
    let pattern = stream.pattern(Seconds(std::time::Duration::from_secs(2))).expect("a trace");
    let due: Vec<f64> =
        crate::schedule::Schedule::of_thread(&pattern, 0, 1, 0).map(|d| d.as_secs_f64()).collect();
    assert_eq!(due, [0.5, 1.5, 2.5, 3.5, 9.0]);
}
