//! `kill -9` at any moment: what was committed last serves again, and nothing is left behind.
//!
//! `POINTSMAN_TEST_KILLS` sets how often; README.md has the command for a thousand.

use std::path::Path;

use pointsman_tests::{Gateway, Start, get, post, request, wait_for};
use serde_json::json;

use crate::swaps::{copy_version, iris};

const INFER: &str = "/v2/models/iris/infer";
const BODY: &str = r#"{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}"#;
const CONFIG: &str = "[shutdown]\ndrain_delay = \"0s\"\n[serving]\nworkers = 1\n[gates]\nlatency = \"off\"\n\
                      [registry]\nsettle = \"0s\"\npoll = \"1s\"\nprevious_kept = \"0s\"\n";

/// A small generator whose sequence is told by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// How often gateways are killed.
fn kills() -> u64 {
    std::env::var("POINTSMAN_TEST_KILLS").ok().map_or(200, |kills| kills.parse().expect("a number"))
}

/// The version that answers.
fn answering(gateway: &Gateway) -> u64 {
    let answer = post(gateway.http, INFER, BODY);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("pointsman-version").and_then(|version| version.parse().ok()).expect("a version")
}

/// Promotes in a thread of its own until the gateway is gone; gives the last that was confirmed, and the
/// one that was under way.
fn promote_until_killed(
    admin: std::net::SocketAddr,
    first: u64,
) -> std::thread::JoinHandle<(Option<u64>, u64)> {
    std::thread::spawn(move || {
        let (mut confirmed, mut next) = (None, first);
        loop {
            let body = json!({"version": next}).to_string();
            let Some(answer) = ask(admin, "POST", "/models/iris/promote", &body) else {
                return (confirmed, next);
            };
            assert!(answer.contains("\"outcome\""), "{answer}");
            confirmed = Some(next);
            next = next % 3 + 1;
        }
    })
}

/// The answer's body; nothing where the gateway went away before it was whole.
fn ask(admin: std::net::SocketAddr, method: &str, path: &str, body: &str) -> Option<String> {
    use std::io::{Read, Write};

    let mut stream = std::net::TcpStream::connect(admin).ok()?;
    let head = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n");
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    (Some(body.len()) == length).then(|| body.to_owned())
}

/// What lies in the state directory.
fn left(state: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(state).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_gateway_that_is_killed_comes_back_as_it_was_committed() {
    let kills = kills();
    let registry = iris("serve = 1", &[1, 2, 3]);
    let state = tempfile::tempdir().expect("a folder");
    let start = || Start::over(registry.path()).config(CONFIG).argument("--state").argument(state.path());
    let mut random = Random(1);
    let mut committed = 1;
    let mut gateway = start().start();
    for kill in 0..kills {
        assert_eq!(answering(&gateway), committed, "after {kill} kills");
        let promoting = promote_until_killed(gateway.admin, committed % 3 + 1);
        // Somewhere in the reading, loading, writing or swapping of one of the next versions.
        let at = std::time::Instant::now() + std::time::Duration::from_micros(random.below(60_000));
        wait_for("the moment of the kill", || (std::time::Instant::now() >= at).then_some(()));
        gateway.signal("KILL");
        let _ = gateway.wait();
        let (confirmed, under_way) = promoting.join().expect("every answer is one");
        gateway = start().start();
        let serves = answering(&gateway);
        // What was confirmed is committed; what was under way may be.
        let expected = [confirmed.unwrap_or(committed), under_way];
        assert!(
            expected.contains(&serves),
            "kill {kill}: {serves} serves, and {expected:?} were committed or under way"
        );
        committed = serves;
    }
    let written = get(gateway.admin, "/journal?limit=10000").json();
    let swaps = written["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .filter(|entry| entry["what"] == "swap")
        .count();
    assert!(swaps as u64 >= kills / 4, "{swaps} swaps are too few to have been interrupted");
    assert_eq!(gateway.stop().code, Some(0));
    for name in left(state.path()) {
        assert!(
            ["journal.sqlite", "journal.sqlite-shm", "journal.sqlite-wal", "labels", "lock", "profiles"]
                .contains(&name.as_str()),
            "{name} was left behind"
        );
    }
}

#[test]
fn a_journal_that_cannot_be_written_lets_nothing_be_raised_and_rollbacks_be_done() {
    let registry = iris("serve = 1\nload = \"all\"", &[1, 2]);
    let state = tempfile::tempdir().expect("a folder");
    let gateway =
        Start::over(registry.path()).config(CONFIG).argument("--state").argument(state.path()).start();
    let promote =
        |version: u64| post(gateway.admin, "/models/iris/promote", json!({"version": version}).to_string());
    assert_eq!(promote(2).status, 200);
    // Another writer holds the database: it can be neither written nor waited for.
    let other = rusqlite::Connection::open(state.path().join("journal.sqlite")).expect("opens");
    other.execute_batch("BEGIN EXCLUSIVE").expect("is held");
    let rollback = post(gateway.admin, "/models/iris/rollback", "{}");
    assert_eq!((rollback.status, answering(&gateway)), (200, 1), "{}", rollback.text());
    let refused = promote(2);
    assert_eq!((refused.status, refused.error().1), (503, "NOT_JOURNALLED".to_owned()));
    assert_eq!(answering(&gateway), 1);
    assert!(gateway.metric("pointsman_journal_owed", "") >= 1.0);
    other.execute_batch("ROLLBACK").expect("is let go");
    gateway.wait_for_metric("pointsman_journal_owed", "", |owed| owed == 0.0);
    wait_for("promotions to be granted again", || (promote(2).status == 200).then_some(()));
    assert_eq!(answering(&gateway), 2);
    copy_version(3, &registry.join("iris/3"));
}

const PLAN: &str = "/v1/plans/iris";

/// Version 2 has so much of the users.
fn plan(weight: u64) -> String {
    json!({"experiment": {
        "name": "petals",
        "units": ["header:x-user-id"],
        "arms": [{"name": "next", "version": 2, "weight": weight}],
    }})
    .to_string()
}

/// How many of a hundred users version 2 has, by what requests see.
fn share(gateway: &Gateway) -> f64 {
    let of = |user: usize| {
        let user = user.to_string();
        let answer = request("POST", gateway.http, INFER, &[("x-user-id", &user)], Some(BODY.as_bytes()));
        answer.header("pointsman-arm") == Some("next")
    };
    (0..100).filter(|user| of(*user)).count() as f64
}

/// The weight that the journal holds, while no gateway runs.
fn journalled(state: &Path) -> Option<u64> {
    let journal = rusqlite::Connection::open(state.join("journal.sqlite")).expect("opens");
    let committed = "SELECT committed FROM model WHERE name = 'iris'";
    let committed: String = journal.query_row(committed, [], |row| row.get(0)).expect("it is there");
    let committed: serde_json::Value = serde_json::from_str(&committed).expect("JSON");
    let weight = &committed["plans"]["current"]["plan"]["experiment"]["arms"][0]["weight"];
    weight.as_str()?.strip_suffix('%')?.parse().ok()
}

#[test]
fn a_plan_is_what_the_journal_says_whichever_step_a_kill_comes_at() {
    let registry = iris("serve = 1\nload = \"all\"", &[1, 2]);
    // What raises is written first and then counts, what lowers counts first and is written then.
    let cases = [
        ("die-before-plan", 20, 60, 20),
        ("die-after-plan", 20, 60, 60),
        ("die-before-plan", 60, 20, 60),
        ("die-after-plan", 60, 20, 20),
    ];
    for (fault, before, wished, after) in cases {
        let state = tempfile::tempdir().expect("a folder");
        let start = || Start::over(registry.path()).config(CONFIG).argument("--state").argument(state.path());
        let gateway = start().start();
        let body = plan(before);
        assert_eq!(request("PUT", gateway.admin, PLAN, &[], Some(body.as_bytes())).status, 200);
        assert_eq!(gateway.stop().code, Some(0));
        let gateway = start().variable("POINTSMAN_FAULT", fault).start();
        assert!((share(&gateway) - before as f64).abs() < 16.0, "{fault}: {}", share(&gateway));
        let answer = ask(gateway.admin, "PUT", PLAN, &plan(wished));
        assert_eq!(answer, None, "{fault}: it ends within");
        let _ = gateway.wait();
        assert_eq!(journalled(state.path()), Some(after), "{fault}: {before} to {wished}");
        let gateway = start().start();
        assert!((share(&gateway) - after as f64).abs() < 16.0, "{fault}: {}", share(&gateway));
        assert_eq!(
            get(gateway.admin, PLAN).json()["plan"]["experiment"]["arms"][0]["weight"],
            format!("{after}%")
        );
    }
}

#[test]
fn a_plan_that_raises_waits_for_the_journal_and_one_that_lowers_does_not() {
    let registry = iris("serve = 1\nload = \"all\"", &[1, 2]);
    let state = tempfile::tempdir().expect("a folder");
    let start = || Start::over(registry.path()).config(CONFIG).argument("--state").argument(state.path());
    let gateway = start().start();
    let put = |gateway: &Gateway, weight| {
        request("PUT", gateway.admin, PLAN, &[], Some(plan(weight).as_bytes())).status
    };
    assert_eq!(put(&gateway, 50), 200);
    let before = share(&gateway);
    let other = rusqlite::Connection::open(state.path().join("journal.sqlite")).expect("opens");
    other.execute_batch("BEGIN EXCLUSIVE").expect("is held");
    assert_eq!((put(&gateway, 90), share(&gateway)), (503, before));
    assert_eq!(put(&gateway, 10), 200);
    assert!(share(&gateway) < before - 15.0, "{} of {before}", share(&gateway));
    assert!(gateway.metric("pointsman_journal_owed", "") >= 1.0);
    // Killed while that is owed: what the journal says is all there is.
    gateway.signal("KILL");
    let _ = gateway.wait();
    other.execute_batch("ROLLBACK").expect("is let go");
    let gateway = start().start();
    assert_eq!(share(&gateway), before);
}

#[test]
fn a_ramp_that_is_killed_at_any_moment_goes_on_at_the_weight_that_is_journalled() {
    let kills = kills() / 20;
    let registry = iris("serve = 1\nload = \"all\"", &[1, 2]);
    let state = tempfile::tempdir().expect("a folder");
    let start = || Start::over(registry.path()).config(CONFIG).argument("--state").argument(state.path());
    let mut random = Random(2);
    let mut gateway = start().start();
    let mut last = None;
    for kill in 0..kills {
        let admin = gateway.admin;
        let weights: Vec<u64> = (0..40).map(|_| random.below(101)).collect();
        let ramp = std::thread::spawn(move || {
            let mut confirmed = None;
            for weight in weights {
                if ask(admin, "PUT", PLAN, &plan(weight)).is_none() {
                    return (confirmed, Some(weight));
                }
                confirmed = Some(weight);
            }
            (confirmed, None)
        });
        let at = std::time::Instant::now() + std::time::Duration::from_micros(random.below(40_000));
        wait_for("the moment of the kill", || (std::time::Instant::now() >= at).then_some(()));
        gateway.signal("KILL");
        let _ = gateway.wait();
        let (confirmed, under_way) = ramp.join().expect("every answer is one");
        let weight = journalled(state.path());
        let expected = [confirmed.or(last), under_way];
        assert!(expected.contains(&weight), "kill {kill}: {weight:?} of {expected:?}");
        last = weight;
        gateway = start().start();
        let said = get(gateway.admin, PLAN).json()["plan"]["experiment"]["arms"][0]["weight"].clone();
        assert_eq!(
            said.as_str().map(str::to_owned),
            weight.map(|weight| format!("{weight}%")),
            "kill {kill}"
        );
        let asked = weight.unwrap_or_default() as f64;
        assert!((share(&gateway) - asked).abs() < 20.0, "kill {kill}: {} of {asked}", share(&gateway));
    }
}
