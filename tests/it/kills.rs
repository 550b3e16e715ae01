//! `kill -9` at any moment: what was committed last serves again, and nothing is left behind.
//!
//! `POINTSMAN_TEST_KILLS` sets how often; README.md has the command for a thousand.

use std::path::Path;

use pointsman_tests::{Gateway, Start, get, post, wait_for};
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
            let Some(answer) = ask(admin, &body) else { return (confirmed, next) };
            assert!(answer.contains("\"outcome\""), "{answer}");
            confirmed = Some(next);
            next = next % 3 + 1;
        }
    })
}

/// The answer's body; nothing where the gateway went away before it was whole.
fn ask(admin: std::net::SocketAddr, body: &str) -> Option<String> {
    use std::io::{Read, Write};

    let mut stream = std::net::TcpStream::connect(admin).ok()?;
    let head = "POST /models/iris/promote HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n";
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
    let kills: u64 =
        std::env::var("POINTSMAN_TEST_KILLS").ok().map_or(200, |kills| kills.parse().expect("a number"));
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
            ["journal.sqlite", "journal.sqlite-shm", "journal.sqlite-wal", "lock"].contains(&name.as_str()),
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
