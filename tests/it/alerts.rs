//! Alerts of the real gateway: a model that stops to answer as training did is told of, once, and again after a restart.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use pointsman_tests::{Pointsman, Start, TestRegistry, get, wait_for};
use serde_json::{Value, json};

/// While its file is there, versions answer their golden cases otherwise than training did.
pub(crate) const FAULT: &str = "POINTSMAN_FAULT_SAME_SCORE";
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers every request with 204, and hands its head and body on.
fn receiver() -> (SocketAddr, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut bytes = Vec::new();
            let body = loop {
                let mut chunk = [0; 4096];
                let read = stream.read(&mut chunk).expect("is read");
                assert_ne!(read, 0, "the request ends early");
                bytes.extend_from_slice(&chunk[..read]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                if let Ok(body) = serde_json::from_str(body) {
                    break (head.to_ascii_lowercase(), body);
                }
            };
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("is written");
            if sender.send(body).is_err() {
                return;
            }
        }
    });
    (address, received)
}

#[test]
fn a_version_that_answers_otherwise_than_in_training_is_told_of() {
    let (registry, scratch) = (TestRegistry::new().shipped("digits"), tempfile::tempdir().expect("a folder"));
    let fault = scratch.path().join("fault");
    let (address, received) = receiver();
    let secret = scratch.path().join("secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").expect("a file");
    let state = scratch.path().join("state");
    let start = || {
        let config = format!(
            "state = {state:?}\n[same_score]\nevery = \"100ms\"\n[alerts]\nlook = \"50ms\"\n\
             [alert.score]\non = [\"same_score\"]\nmodels = [\"digits\"]\nwebhook = [\"http://{address}/score\"]\n\
             [webhook]\nallowed = [\"http://{address}\"]\nsecret_file = {secret:?}\n"
        );
        Start::over(registry.path()).config(&config).variable(FAULT, &fault).start()
    };
    let gateway = start();
    std::fs::write(&fault, "").expect("a file");
    let (head, event) = received.recv_timeout(PATIENCE).expect("is told");
    assert!(
        head.contains("content-type: application/cloudevents+json")
            && head.contains("webhook-signature: v1,")
    );
    assert_eq!(
        (&event["type"], &event["subject"]),
        (&json!("pointsman.alert.firing"), &json!("same_score/golden"))
    );
    let says = event["data"]["signal"]["says"].as_str().expect("a line");
    assert!(says.ends_with(": a fault is switched on"), "{says}");
    let listed = get(gateway.admin, "/v1/alerts").json();
    assert_eq!(
        (&listed["alerts"][0]["state"], &listed["rules"][0]["name"]),
        (&json!("firing"), &json!("score"))
    );
    assert_eq!(
        gateway.metric(
            "pointsman_alerts",
            "rule=\"score\",model=\"digits\",kind=\"same_score\",state=\"firing\""
        ),
        1.0
    );
    let admin = format!("http://{}", gateway.admin);
    let said = Pointsman::new(["alerts", "digits", "--fail-if-firing", "--admin-url", &admin]).run();
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    assert!(said.stdout.contains("golden case "), "{}", said.stdout);
    let history = get(gateway.admin, "/v1/alerts/history?limit=1").json();
    assert_eq!(history["transitions"][0]["alert"]["rule"], "score");
    drop(gateway);

    // What fires is told again after a restart, and is known by its id.
    let gateway = start();
    let (_, again) = received.recv_timeout(PATIENCE).expect("is told again");
    assert_eq!(again["id"], event["id"]);
    let bad = get(gateway.admin, "/v1/alerts/history?limit=0");
    assert!(bad.status == 400 && bad.text().contains("give a number from 1 to 10000"), "{}", bad.text());
}

#[test]
fn golden_cases_are_asked_again_and_never_answered_from_a_cache() {
    let registry = TestRegistry::new().shipped("digits");
    let card = std::fs::read_to_string(registry.join("digits/model.toml")).expect("a card");
    let registry = registry.file("digits/model.toml", format!("cache_bytes_max = \"1MiB\"\n{card}"));
    let gateway = Start::over(registry.path()).config("[same_score]\nevery = \"100ms\"\n").start();
    let record = || get(gateway.admin, "/models").json()["models"][0]["versions"][0]["same_score"].clone();
    let cases = record()["cases"].as_u64().expect("a number");
    assert!(cases > 0);
    wait_for("three rounds", || (record()["asked"].as_u64() >= Some(3 * cases.min(20))).then_some(()));
    assert_eq!((record()["failed"].as_u64(), record()["failures"].clone()), (Some(0), json!([])));
    assert_eq!(gateway.metric("pointsman_cache_hits_total", "model=\"digits\",version=\"1\""), 0.0);
}
