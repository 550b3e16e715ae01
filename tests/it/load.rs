//! The load tester measures a scenario over every transport, notices wrong answers, and says when it cannot measure.
//!
//! Times are not looked at here: the builds are slow and share their cores.

use std::path::Path;

use pointsman_tests::{Pointsman, Stopped, binary, load_tester, repository};
use serde_json::Value;

/// A scenario over the shipped models, with streams that are asked about golden cases.
fn scenario(golden: &Path, streams: &str) -> String {
    let (binary, models) = (binary(), repository().join("models"));
    let streams = streams.replace("GOLDEN", &format!("golden = {golden:?}"));
    format!(
        "purpose = \"a test\"\nwarm_up = 0.3\nseconds = 1\n\n\
         [gateway]\nbinary = {binary:?}\nregistry = {models:?}\n\n{streams}"
    )
}

fn golden() -> std::path::PathBuf {
    repository().join("models/iris/3/golden.json")
}

/// A run over a scenario, with what it found.
fn run(scenario: &str, flags: &[&str]) -> (Stopped, Option<Value>) {
    let scratch = tempfile::tempdir().expect("a folder");
    let (file, json) = (scratch.path().join("test.toml"), scratch.path().join("findings.json"));
    std::fs::write(&file, scenario).expect("a scenario");
    let paths = [file, json.clone()].map(|path| path.to_string_lossy().into_owned());
    let [file, out] = &paths;
    let line = ["run", file, "--json", out, "--no-own"].into_iter().chain(flags.iter().copied());
    let stopped = Pointsman::of(load_tester(), line).run();
    let findings = std::fs::read(&json).ok().map(|json| serde_json::from_slice(&json).expect("JSON"));
    (stopped, findings)
}

fn figure(findings: &Value, name: &str) -> Value {
    let figures = findings["figures"].as_array().expect("figures");
    figures
        .iter()
        .find(|figure| figure["name"] == name)
        .unwrap_or_else(|| panic!("no {name}: {findings}"))
        .clone()
}

/// One stream for each transport, and one that answers itself as fast as it can.
const STREAMS: &str = "
[[stream]]
name = \"rest\"
model = \"iris\"
GOLDEN
arrivals = \"poisson\"
rate = 60

[[stream]]
name = \"http2\"
model = \"iris\"
transport = \"http2\"
body = \"binary\"
GOLDEN
rate = 60
connections = 2

[[stream]]
name = \"grpc\"
model = \"iris\"
transport = \"grpc\"
GOLDEN
steps = [{ rate = 20, seconds = 0.5 }, { rate = 80, seconds = 0.5 }]
connections = 2

[[stream]]
name = \"closed\"
model = \"digits\"
form = \"tf-serving\"
arrivals = \"closed\"
connections = 1
";

#[test]
fn every_request_of_every_transport_is_answered_right_and_accounted_for() {
    let conditions = ["--fail-if", "errors > 0", "--fail-if", "stream:grpc rate < 10"];
    let (stopped, findings) = run(&scenario(&golden(), STREAMS), &conditions);
    let findings = findings.unwrap_or_else(|| panic!("no findings: {}", stopped.stderr));
    assert_eq!(stopped.code, Some(0), "{}", stopped.stdout);
    let streams = findings["parts"][0]["streams"].as_array().expect("streams");
    assert_eq!(streams.len(), 4);
    for stream in streams {
        let count = |name: &str| stream["counts"][name].as_u64().expect("a count");
        assert!(count("sent") > 0 && count("ok") == count("sent"), "{stream}");
        let seconds = stream["over_time"].as_array().expect("seconds").iter();
        assert_eq!(
            seconds.map(|second| second["sent"].as_u64().expect("a count")).sum::<u64>(),
            count("sent")
        );
    }
    // What is due is what was asked for, whatever was answered: 10 and 40 requests, in steps.
    assert_eq!(streams[2]["counts"]["sent"], 50);
    assert_eq!(streams[1]["counts"]["sent"], 60);
    for name in ["unaccounted requests", "wrong answers"] {
        assert_eq!(figure(&findings, name)["holds"], true, "{name}");
    }
}

#[test]
fn an_answer_with_another_value_than_was_expected_fails_the_run() {
    let mut cases: Value =
        serde_json::from_slice(&std::fs::read(golden()).expect("golden cases")).expect("JSON");
    let data = &mut cases["cases"][0]["expected"]["outputs"][0]["data"][0];
    let label = data.as_i64().expect("a label");
    *data = (label + 1).into();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("golden.json");
    std::fs::write(&file, cases.to_string()).expect("golden cases");
    let stream = "[[stream]]\nmodel = \"iris\"\nGOLDEN\nrate = 50\n";
    let (stopped, findings) = run(&scenario(&file, stream), &[]);
    let findings = findings.unwrap_or_else(|| panic!("no findings: {}", stopped.stderr));
    assert_eq!(stopped.code, Some(1), "{}", stopped.stdout);
    let wrong = figure(&findings, "wrong answers");
    assert!(wrong["holds"] == false && wrong["value"].as_f64() > Some(0.0), "{wrong}");
    let errors = &findings["parts"][0]["streams"][0]["errors"];
    assert_eq!(errors["wrong values"].as_f64(), wrong["value"].as_f64(), "{errors}");
}

#[test]
fn conditions_decide_and_what_cannot_be_measured_is_neither() {
    let stream = "[[stream]]\nmodel = \"iris\"\nrows = 3\nrate = 50\n";
    let (met, _) = run(&scenario(&golden(), stream), &["--fail-if", "max > 1us"]);
    assert_eq!(met.code, Some(1), "{}", met.stdout);
    let absent = stream.replace("iris", "absent");
    for (text, flags, said) in [
        (scenario(&golden(), &absent), &[][..], "absent"),
        (scenario(&golden(), stream), &["--url", "http://127.0.0.1:1"][..], "127.0.0.1:1"),
        (scenario(&golden(), &stream.replace("rows", "row")), &[][..], "row"),
    ] {
        let (stopped, findings) = run(&text, flags);
        assert!(stopped.code == Some(2) && findings.is_none(), "{said}: {}", stopped.stdout);
        assert!(stopped.stderr.contains(said), "{said}: {}", stopped.stderr);
    }
}
