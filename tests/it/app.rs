//! The command line around serving: configuration, exit codes, files, the log and the client commands.

use std::net::TcpListener;

use pointsman_tests::{Connection, Pointsman, Start, TestRegistry, get, post, wait_for};
use serde_json::{Value, json};

use crate::calls::{FOREVER, Grpc, LOOP, trips, trips_message};

fn registry() -> TestRegistry {
    TestRegistry::new().made("loop", "loop")
}

#[test]
fn every_problem_of_a_configuration_is_said_at_once() {
    let registry = registry();
    let config = "modles = \"x\"\n[listen]\nhttp = \"nowhere\"\n[serving]\nworkers = 0\n\
                  [limits]\nbody_bytes_max = \"64 parsecs\"\n[shutdown]\ndrain_delay = 5\n";
    let stopped = Start::over(registry.path()).config(config).run_to_end();
    assert_eq!(stopped.code, Some(2), "{}", stopped.stderr);
    for key in ["modles", "listen.http", "serving.workers", "limits.body_bytes_max", "shutdown.drain_delay"] {
        let says = |line: &str| line.contains("pointsman.toml") && line.contains(&format!("{key}:"));
        assert_eq!(stopped.stderr.lines().filter(|line| says(line)).count(), 1, "{key}: {}", stopped.stderr);
    }
    assert_eq!(stopped.stderr.lines().count(), 5, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("did you mean `models`"), "{}", stopped.stderr);
    let broken = Start::over(registry.path()).config("[listen\n").run_to_end();
    assert_eq!((broken.code, broken.stderr.contains("unclosed table")), (Some(2), true), "{}", broken.stderr);
    let filter = Start::over(registry.path()).config("[log]\nlevel = \"a=b=c\"\n").run_to_end();
    assert_eq!(filter.code, Some(2), "{}", filter.stderr);
    assert!(filter.stderr.contains("log.level"), "{}", filter.stderr);
    assert_eq!(Pointsman::new(["serve", "--nonsense"]).run().code, Some(2));
    assert_eq!(Pointsman::new(["serve", "--config", "/nowhere.toml"]).run().code, Some(2));
    assert_eq!(Pointsman::new(["serve", "--http", "nowhere"]).run().code, Some(2));
}

#[test]
fn what_cannot_be_started_says_why_in_one_line() {
    let registry = registry();
    let held = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = held.local_addr().expect("its address").to_string();
    for listener in ["--http", "--grpc", "--metrics", "--admin"] {
        let stopped = Start::over(registry.path()).argument(listener).argument(&taken).run_to_end();
        assert_eq!(stopped.code, Some(1), "{listener}: {}", stopped.stderr);
        let line = stopped.stderr.lines().find(|line| line.contains("cannot listen")).expect("a line");
        assert!(line.contains(&taken) && line.contains(listener) && line.contains("in use"), "{line}");
    }
    drop(held);
    let stopped = Start::over(registry.join("nowhere")).run_to_end();
    assert_eq!((stopped.code, stopped.stderr.lines().count()), (Some(1), 1), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("nowhere") && stopped.stderr.contains("serve DIR"), "{}", stopped.stderr);
    let stopped = Start::over(registry.join("loop/1/model.onnx")).run_to_end();
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
    let unwritable = Start::over(registry.path()).argument("--state").argument("/proc/state").run_to_end();
    assert_eq!(unwritable.code, Some(1), "{}", unwritable.stderr);
    assert!(unwritable.stderr.contains("/proc/state"), "{}", unwritable.stderr);
}

#[test]
fn one_gateway_has_a_state_directory() {
    let (registry, state) = (registry(), tempfile::tempdir().expect("a folder"));
    let with_state = || Start::over(registry.path()).argument("--state").argument(state.path());
    let first = with_state().start();
    let second = with_state().run_to_end();
    assert_eq!(second.code, Some(1), "{}", second.stderr);
    assert!(second.stderr.contains("in use by another gateway"), "{}", second.stderr);
    assert_eq!(first.stop().code, Some(0));
    // The lock goes with its process, even one that is killed.
    let third = with_state().start();
    third.signal("KILL");
    assert_eq!(third.wait().code, None);
    assert_eq!(with_state().start().stop().code, Some(0));
}

#[test]
fn the_version_names_commit_and_engines() {
    let said = Pointsman::new(["--version"]).run();
    assert_eq!(said.code, Some(0));
    assert!(said.stdout.starts_with("pointsman 0."), "{}", said.stdout);
    for part in ["commit ", "tract 0.23", "onnxruntime"] {
        assert!(said.stdout.contains(part), "{}", said.stdout);
    }
}

#[test]
fn variables_stand_in_for_flags() {
    let registry = registry();
    let scratch = tempfile::tempdir().expect("a folder");
    let config = scratch.path().join("config.toml");
    std::fs::write(&config, "[limits]\nbody_bytes_max = \"1KiB\"\n[shutdown]\ndrain_delay = \"0s\"\n")
        .expect("a file");
    let ready = scratch.path().join("ready");
    let mut gateway = std::process::Command::new(pointsman_tests::binary());
    gateway.env("POINTSMAN_MODELS", registry.path()).env("POINTSMAN_CONFIG", &config);
    gateway.env("POINTSMAN_READY_FILE", &ready).env("POINTSMAN_STATE", scratch.path().join("state"));
    for listener in ["HTTP", "GRPC", "METRICS", "ADMIN"] {
        gateway.env(format!("POINTSMAN_{listener}"), "127.0.0.1:0");
    }
    gateway.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    // Without a command, `serve` is meant.
    let mut child = gateway.spawn().expect("the gateway starts");
    let addresses: Value = wait_for("the ready file", || {
        assert_eq!(child.try_wait().expect("a child can be asked"), None);
        Some(serde_json::from_slice(&std::fs::read(&ready).ok()?).expect("JSON, whole"))
    });
    assert_eq!(addresses["pid"], child.id());
    let http = addresses["http"].as_str().and_then(|a| a.parse().ok()).expect("an address");
    assert_eq!(post(http, LOOP, trips(1)).status, 200);
    assert_eq!(post(http, LOOP, [b' '; 2000]).status, 413);
    assert!(scratch.path().join("state/lock").exists());
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let stopped =
        Start::over(registry.join("nowhere")).variable("POINTSMAN_MODELS", registry.path()).run_to_end();
    assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
}

#[test]
fn readiness_can_ask_for_every_model() {
    let registry = registry().file("broken/1/model.onnx", "");
    let all = "[serving]\nreadiness = \"all\"\n[shutdown]\ndrain_delay = \"0s\"\n";
    let gateway = Start::over(registry.path()).config(all).start_unready();
    assert_eq!(get(gateway.http, "/v2/health/ready").status, 503);
    assert_eq!(gateway.metric("pointsman_ready", ""), 0.0);
    assert_eq!(post(gateway.http, LOOP, trips(2)).status, 200);
    // The control: the same registry is ready where any model is enough.
    let gateway = Start::over(registry.path()).start();
    assert_eq!(get(gateway.http, "/v2/health/ready").status, 200);
    let nothing = TestRegistry::new();
    let empty = Start::over(nothing.path()).start_unready();
    assert!(empty.stdout().contains("no model was found"), "{}", empty.stdout());
    assert_eq!(get(empty.http, "/v2/health/ready").status, 503);
}

#[test]
fn the_request_log_has_a_line_for_each_request() {
    let registry = registry();
    let config = "[log]\nformat = \"json\"\nrequests = true\n[shutdown]\ndrain_delay = \"0s\"\n";
    let gateway = Start::over(registry.path()).config(config).start();
    let request = trips(2).replacen('{', "{\"id\":\"mine\",", 1);
    let id =
        post(gateway.http, LOOP, &request).header("pointsman-request-id").map(str::to_owned).expect("an id");
    Grpc::connect(gateway.grpc).infer(trips_message(2)).expect("an answer");
    let bad = post(gateway.http, LOOP, request.replace("trips", "trlps"));
    let refused = bad.header("pointsman-request-id").expect("an id").to_owned();
    let mut leaving = Connection::open(gateway.http);
    leaving.post(LOOP, trips(FOREVER).as_bytes());
    gateway.wait_for_run();
    drop(leaving);
    gateway.wait_for_metric("pointsman_requests_total", "CANCELLED", |cancelled| cancelled == 1.0);
    let stopped = gateway.stop();
    let lines: Vec<Value> =
        stopped.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let requests: Vec<&Value> = lines.iter().filter(|line| line["target"] == "request").collect();
    assert_eq!(requests.len(), 4, "{}", stopped.stderr);
    let [first, second, third, fourth] = requests[..] else { unreachable!("there are four") };
    for (key, value) in [
        ("id", json!(id)),
        ("client_id", json!("mine")),
        ("model", json!("loop")),
        ("version", json!(1)),
        ("code", json!("OK")),
        ("cached", json!(false)),
        ("protocol", json!("v2-rest")),
    ] {
        assert_eq!(first[key], value, "{key} of {first}");
    }
    for stage in ["decode_us", "queue_us", "batch_us", "run_us", "encode_us", "total_us"] {
        assert!(first[stage].is_u64(), "{stage} of {first}");
    }
    assert_eq!((&second["protocol"], &second["client_id"]), (&json!("v2-grpc"), &json!("")));
    assert_eq!((&third["id"], &third["code"]), (&json!(refused), &json!("INPUT_MISMATCH")));
    for (line, code) in [(third, "INPUT_MISMATCH"), (fourth, "CANCELLED")] {
        assert_eq!((&line["model"], &line["version"]), (&json!("loop"), &json!(1)), "{line}");
        assert_eq!(line["code"], code);
    }
    // The control: none where it is not asked for.
    let gateway = Start::over(registry.path()).start();
    assert_eq!(post(gateway.http, LOOP, trips(2)).status, 200);
    assert!(!gateway.stop().stderr.contains("client_id"));
}

#[test]
fn the_client_commands_talk_to_a_running_gateway() {
    let registry = registry();
    let gateway = Start::over(registry.path()).start();
    let (url, admin) = (format!("http://{}", gateway.http), format!("http://{}", gateway.admin));
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("request.json");
    std::fs::write(&file, trips(7)).expect("a file");
    let file = file.to_str().expect("a path");
    let json_of = |arguments: &[&str]| {
        let said = Pointsman::new(arguments).run();
        assert_eq!(said.code, Some(0), "{arguments:?}: {}", said.stderr);
        serde_json::from_str::<Value>(&said.stdout).expect("JSON")
    };
    let models = json_of(&["models", "--json", "--admin-url", &admin]);
    assert_eq!(models["models"][0]["name"], "loop", "{models}");
    let table = Pointsman::new(["models"]).variable("POINTSMAN_ADMIN_URL", &admin).run();
    assert!(table.stdout.lines().any(|l| l.starts_with("loop") && l.contains("READY")), "{}", table.stdout);
    let predicted = json_of(&["predict", "loop", "--input", file, "--json", "--url", &url]);
    assert_eq!(predicted["outputs"][0]["data"], json!([7]));
    let piped = Pointsman::new(["predict", "loop", "--version", "1", "--input", "-", "--url", &url]);
    let piped = piped.input(std::fs::File::open(file).expect("the request")).run();
    assert_eq!(
        (piped.code, piped.stdout.contains("[7]")),
        (Some(0), true),
        "{}{}",
        piped.stdout,
        piped.stderr
    );
    assert!(json_of(&["engines", "--json"])["engines"].is_array());

    for (arguments, says) in [
        (["predict", "nobody", "--input", file, "--url", &url], "'nobody'"),
        (["predict", "loop", "--input", "/nowhere.json", "--url", &url], "/nowhere.json"),
        (["predict", "loop", "--input", file, "--url", "http://127.0.0.1:1"], "is `pointsman serve` running"),
        (["predict", "loop", "--input", file, "--url", "ftp://x"], "http://"),
    ] {
        let said = Pointsman::new(arguments).run();
        assert_eq!((said.code, said.stderr.lines().count()), (Some(1), 1), "{}", said.stderr);
        assert!(said.stderr.contains(says), "{}", said.stderr);
    }
    assert_eq!(Pointsman::new(["predict", "loop"]).run().code, Some(2));
    assert_eq!(Pointsman::new(["models", "--json", "--admin-url", "http://127.0.0.1:1"]).run().code, Some(1));
}
