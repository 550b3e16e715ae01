//! Rollouts that begin with a shadow: what it answers decides whether callers ever meet the version, and whom that is told.

use std::io::{Read, Write};
use std::net::TcpListener;

use pointsman_tests::{Connection, Gateway, Start, fixtures, get, repository, wait_for};
use serde_json::{Value, json};

use crate::swaps::{iris, wish};

const CONFIG: &str = "[shutdown]\ndrain_delay = \"0s\"\n[gates]\nlatency = \"off\"\n[rollout]\nlook = \"100ms\"\n\
                      [registry]\nsettle = \"0s\"\npoll = \"1s\"\n[shadow]\nwindow_off_share = 0\n";
const FLIGHTS: &str = "/v1/rollouts/flights";

/// Flights as they were scheduled over the year, some of which lack a measurement: a body each.
fn flights() -> Vec<String> {
    let text = std::fs::read_to_string(fixtures().join("flights_stream.csv")).expect("flights");
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().expect("names").split(',').collect();
    let body = |line: &str| {
        let values = columns.iter().zip(line.split(','));
        let inputs = values.filter(|(name, _)| !["event_ts", "y"].contains(*name)).map(|(name, value)| {
            let (datatype, value) = match (*name, value.parse::<f64>()) {
                ("origin" | "carrier", _) => ("BYTES", json!(value)),
                (_, Ok(number)) => ("FP32", json!(number)),
                (_, Err(_)) => ("FP32", json!("NaN")),
            };
            json!({"name": name, "shape": [1, 1], "datatype": datatype, "data": [value]})
        });
        json!({"inputs": inputs.collect::<Vec<_>>()}).to_string().replace("\"NaN\"", "NaN")
    };
    lines.map(body).collect()
}

/// Asks until the rollout of a model is over; gives how it ended.
fn ended(gateway: &Gateway, model: &str, bodies: &[String]) -> Value {
    let mut bodies = bodies.iter().cycle();
    let mut connection = Connection::open(gateway.http);
    wait_for("the rollout to end", || {
        for body in bodies.by_ref().take(100) {
            connection.post(&format!("/v2/models/{model}/infer"), body.as_bytes());
            let answer = connection.answer().expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let shown = get(gateway.admin, &format!("/v1/rollouts/{model}")).json();
        (shown["is_over"] == true).then_some(shown)
    })
}

#[test]
fn the_challenger_passes_the_shadow_that_the_bad_model_fails() {
    // One flight in five is late: who is warned of it is not decided at one half.
    let config = format!("{CONFIG}[compare.flights]\nthreshold = 0.25\n");
    let gateway = Start::over(repository().join("models")).config(&config).start();
    let bodies = flights();
    let asked = |version: u64| {
        json!({
            "version": version, "shadow": "1s", "canary": "50", "time_min": "0s", "latency_objective": "1s",
            // The challenger warns of four times as many flights, and is meant to.
            "guard": ["default", "disagreement:floor=40%", "distribution:margin=6"],
        })
    };
    let (code, answer) = wish(&gateway, FLIGHTS, asked(3));
    assert_eq!(code, 200, "{answer}");
    let bad = ended(&gateway, "flights", &bodies);
    assert_eq!(bad["report"]["phase"]["rolled_back"]["guard"], "disagreement", "{bad}");
    let stages = bad["report"]["stages"].as_array().expect("stages");
    assert!(stages[0]["counts"]["pairs"].as_u64().is_some_and(|pairs| pairs > 20), "{bad}");
    assert_eq!(stages[1]["looks"], 0, "no caller ever met it");
    let (code, answer) = wish(&gateway, FLIGHTS, asked(2));
    assert_eq!(code, 200, "{answer}");
    let good = ended(&gateway, "flights", &bodies);
    assert_eq!(good["phase"], "promoted", "{good}");
    let journal = get(gateway.admin, "/journal?model=flights").text();
    assert!(journal.contains("rolled back from shadow of 100%"), "{journal}");
}

#[test]
fn a_shadow_beside_its_floor_is_judged_by_what_is_beyond_it() {
    let registry = iris("serve = 2\nload = \"all\"\non_new = \"hold\"\n", &[2, 3]);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let flower = |n: u32| {
        let x = f64::from(n % 40) / 20.0;
        json!({"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32",
            "data": [4.5 + x, 2.5 + x / 2.0, 1.2 + 2.0 * x, 0.2 + x]}]})
        .to_string()
    };
    let bodies: Vec<String> = (0..200).map(flower).collect();
    let asked = json!({"version": 3, "shadow": "500ms", "floor": true, "guard": ["disagreement:floor=30%"]});
    let (code, answer) = wish(&gateway, "/v1/rollouts/iris", asked);
    assert_eq!(code, 200, "{answer}");
    let shown = ended(&gateway, "iris", &bodies);
    assert_eq!(shown["phase"], "promoted", "{shown}");
    let counts = &shown["report"]["stages"][0]["counts"];
    assert!(counts["floor_pairs"].as_u64().is_some_and(|pairs| pairs > 50), "{counts}");
    assert_eq!(counts["floor_disagreed"], 0, "a copy of the same version answers alike");
}

#[test]
fn every_transition_is_told_a_webhook_that_is_allowed() {
    let receiver = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}/pointsman", receiver.local_addr().expect("an address"));
    let told = std::thread::spawn(move || {
        let mut told = Vec::new();
        for stream in receiver.incoming().flatten() {
            told.push(receive(stream));
            if told.last().is_some_and(|body: &Value| body["data"]["to"]["phase"] == "aborted") {
                return told;
            }
        }
        told
    });
    let scratch = tempfile::tempdir().expect("a folder");
    let secret = scratch.path().join("secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").expect("a file");
    let config = format!("{CONFIG}[webhook]\nallowed = [\"{address}\"]\nsecret_file = {secret:?}\n");
    let registry = iris("serve = 2\nload = \"all\"\non_new = \"hold\"\n", &[2, 3]);
    let gateway = Start::over(registry.path()).config(&config).start();
    let asked = |webhook: &str| json!({"version": 3, "canary": "10,50", "time_min": "1h", "latency_objective": "1s", "webhook": webhook});
    let (code, answer) = wish(&gateway, "/v1/rollouts/iris", asked("http://127.0.0.1:9/elsewhere"));
    assert_eq!(code, 400, "{answer}");
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("webhook.allowed")), "{answer}");
    let (code, answer) = wish(&gateway, "/v1/rollouts/iris", asked(&format!("{address}/rollouts")));
    assert_eq!(code, 200, "{answer}");
    for verb in ["pause", "resume", "advance", "abort"] {
        assert_eq!(wish(&gateway, &format!("/v1/rollouts/iris/{verb}"), json!({})).0, 200, "{verb}");
    }
    let told = told.join().expect("all are told");
    let steps: Vec<(String, String)> = told
        .iter()
        .map(|body| {
            let to = &body["data"]["to"];
            let text = |key: &str| to[key].as_str().unwrap_or_default().to_owned();
            (text("phase"), text("exposure"))
        })
        .collect();
    let expected =
        [("running", "10%"), ("paused", "10%"), ("running", "10%"), ("running", "50%"), ("aborted", "none")];
    assert_eq!(steps, expected.map(|(phase, exposure)| (phase.to_owned(), exposure.to_owned())));
}

/// Reads one notice, whose signature the unit tests of the sender verify, and answers it.
fn receive(mut stream: std::net::TcpStream) -> Value {
    let (mut read, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk).expect("a request");
        assert_ne!(count, 0, "it breaks off: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if length == Some(body.len()) {
            assert!(head.contains("webhook-signature: v1,"), "{head}");
            stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").expect("is heard");
            return serde_json::from_str(body).expect("JSON");
        }
    }
}
