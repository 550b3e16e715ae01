//! The sample log of a real gateway: what it writes is there whatever ends the process, and whatever its disk does
//! disturbs nobody.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use pointsman_core::InputTensor;
use pointsman_observe::sample_log::{Reader, rows_as_json};
use pointsman_tests::{
    Connection, Gateway, Pointsman, Start, Stopped, get, grpc, post, request, v2, wait_for,
};
use serde_json::{Map, Value, json};

use crate::swaps::iris;

const INFER: &str = "/v2/models/iris/infer";
const BODY: &str =
    r#"{"inputs":[{"name":"X","shape":[2,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2,6.3,3.3,6.0,2.5]}]}"#;
/// How often gateways are killed where nobody says otherwise.
const KILLS: u64 = 50;

/// A gateway's configuration with a log of all requests in a folder.
fn config(log: &Path, more: &str) -> String {
    format!(
        "[shutdown]\ndrain_delay = \"0s\"\n[gates]\nlatency = \"off\"\n[registry]\nsettle = \"0s\"\npoll = \"1s\"\n\
         [sample_log]\ndirectory = \"{}\"\nuniform_rate = 1.0\nbatch_wait = \"10ms\"\ndisk_reserve = \"1MiB\"\n{more}\n",
        log.display()
    )
}

fn rows(log: &Path) -> Vec<Map<String, Value>> {
    let batches = Reader::open(log).batches().expect("the files of the log");
    batches.flat_map(|batch| rows_as_json(&batch.expect("a batch"))).collect()
}

fn ask(gateway: &Gateway, body: &str) -> String {
    let answer = post(gateway.http, INFER, body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("pointsman-request-id").expect("an id").to_owned()
}

fn command(gateway: &Gateway, arguments: &[&str]) -> Stopped {
    let admin = format!("http://{}", gateway.admin);
    Pointsman::new(["log"].into_iter().chain(arguments.iter().copied()).chain(["--admin-url", &admin])).run()
}

/// What became of the requests of iris.
fn stats(gateway: &Gateway) -> Value {
    get(gateway.admin, "/v1/log").json()["models"][0].clone()
}

/// Waits until so many requests are accounted for, and none waits.
fn settled(gateway: &Gateway, sampled: u64) -> Value {
    wait_for("the log to be at rest", || {
        let stats = stats(gateway);
        let of = |key: &str| stats[key].as_u64().unwrap_or(0);
        let is_even = of("sampled") == of("written") + of("dropped") + of("queued");
        (is_even && of("queued") == 0 && of("sampled") == sampled).then_some(stats)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_every_protocol_are_rows_that_commands_show_replay_and_delete() {
    let (registry, log) =
        (iris("serve = 3\nload = \"all\"\n", &[2, 3]), tempfile::tempdir().expect("a folder"));
    let state = tempfile::tempdir().expect("a folder");
    let start = Start::over(registry.path()).config(&config(log.path(), ""));
    let gateway = start.argument("--state").argument(state.path()).start();
    let traced = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")];
    let answer = request("POST", gateway.http, INFER, &traced, Some(BODY.as_bytes()));
    let id = answer.header("pointsman-request-id").expect("an id").to_owned();
    let mut client = grpc::client(gateway.grpc).await;
    let inputs = [InputTensor { name: "X".into(), tensor: v2::tensor(&[1, 4], &[5.9_f32, 3.0, 4.2, 1.5]) }];
    client.model_infer(grpc::raw_request("iris", &inputs)).await.expect("an answer");
    let refused = post(gateway.http, INFER, BODY.replace("[2,4]", "[4,2]"));
    assert_eq!(refused.status, 400);
    let stats = settled(&gateway, 3);
    assert_eq!((&stats["written"], &stats["rows"]), (&3.into(), &4.into()));
    let logged = rows(log.path());
    assert_eq!(logged.len(), 4);
    let first: Vec<_> = logged.iter().filter(|row| row["request_id"] == id.as_str()).collect();
    assert_eq!((first.len(), &first[1]["row"], &first[1]["rows"]), (2, &1.into(), &2.into()));
    assert_eq!(first[0]["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let untraced = logged.iter().filter(|row| !row.contains_key("trace_id"));
    assert_eq!(untraced.count(), 2);
    let features: Vec<&String> = first[0].keys().filter(|key| key.starts_with("in.")).collect();
    assert_eq!(features.len(), 4, "{features:?}");
    assert_eq!((&first[0]["status"], &first[0]["inclusion_prob"]), (&"OK".into(), &1.0.into()));
    assert_eq!(first[0]["out.probabilities"].as_array().map(Vec::len), Some(3));
    let protocols: BTreeSet<&str> = logged.iter().filter_map(|row| row["protocol"].as_str()).collect();
    assert_eq!(protocols, BTreeSet::from(["v2-rest", "v2-grpc"]));
    let failed = logged.iter().find(|row| row["status"] == "INPUT_MISMATCH").expect("the refused one");
    assert_eq!((&failed["sample_reason"], &failed["rows"]), (&"error".into(), &0.into()));

    let tail = command(&gateway, &["tail", "iris", "-n", "3"]);
    assert!(tail.code == Some(0) && tail.stdout.lines().count() == 4, "{tail:?}");
    let shown = command(&gateway, &["show", &id]);
    assert!(shown.code == Some(0) && shown.stdout.contains("inclusion_prob"), "{shown:?}");
    let shown = command(&gateway, &["stats"]);
    assert!(shown.code == Some(0) && shown.stdout.contains("iris"), "{shown:?}");
    let file = state.path().join("rows.jsonl");
    let exported =
        command(&gateway, &["export", "iris", "--since", "1h", "-o", file.to_str().expect("UTF-8")]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let lines = std::fs::read_to_string(&file).expect("the export");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 4);
    let replayed = command(&gateway, &["replay", &id, "--versions", "3,2"]);
    assert!(replayed.code == Some(0) && replayed.stdout.contains("version 2"), "{replayed:?}");
    let many = command(&gateway, &["replay", "--model", "iris", "--versions", "3,2"]);
    assert!(many.code == Some(0) && many.stdout.contains("AGREES"), "{many:?}");
    let deleted = command(&gateway, &["delete", "--request", &id]);
    assert!(deleted.stdout.starts_with("2 rows are deleted"), "{deleted:?}");
    assert_eq!(rows(log.path()).len(), 2);
    assert_eq!(command(&gateway, &["show", &id]).code, Some(1));
    assert_eq!(request("PUT", gateway.admin, "/v1/log", &[], None).status, 405);
    assert_eq!(get(gateway.admin, "/v1/log/rows?limit=0").status, 400);
    assert_eq!(gateway.stop().code, Some(0));
    // After a stop there are Parquet files alone.
    let spool = std::fs::read_dir(log.path().join(".spool")).expect("the spool").next().expect("a host");
    let left: Vec<_> = std::fs::read_dir(spool.expect("an entry").path()).expect("its files").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let key = std::fs::metadata(state.path().join("sample_log.key")).expect("the key");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&key) & 0o777, 0o600);
}

#[test]
fn a_unit_is_deleted_by_what_callers_call_it() {
    let (registry, log) =
        (iris("serve = 3\nload = \"all\"\n", &[2, 3]), tempfile::tempdir().expect("a folder"));
    let plan = "[plan.iris.experiment]\nname = \"petals\"\nunits = [\"header:x-user-id\"]\n\
                arms = [{ name = \"next\", version = 2, weight = \"50%\" }]\n";
    let gateway = Start::over(registry.path()).config(&config(log.path(), plan)).start();
    let ask = |unit: &str| {
        let answer = request("POST", gateway.http, INFER, &[("x-user-id", unit)], Some(BODY.as_bytes()));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("pointsman-experiment").map(str::to_owned)
    };
    let mut asked = 0;
    wait_for("the plan to count", || {
        asked += 1;
        ask("another")
    });
    for unit in ["user-7", "user-8", "user-7"] {
        ask(unit);
        asked += 1;
    }
    settled(&gateway, asked);
    let before = rows(log.path()).len();
    let deleted = command(&gateway, &["delete", "--unit-id", "user-7"]);
    assert!(deleted.stdout.starts_with("4 rows are deleted"), "{deleted:?}");
    assert_eq!(rows(log.path()).len(), before - 4);
    let deleted = command(&gateway, &["delete", "--unit-id", "user-7"]);
    assert!(deleted.stdout.starts_with("0 rows are deleted"), "{deleted:?}");
    assert_eq!(command(&gateway, &["delete", "--unit-id", "x", "--unit", "y"]).code, Some(2));
}

#[test]
fn without_a_directory_there_is_no_log() {
    let registry = iris("", &[3]);
    let gateway = Start::over(registry.path()).start();
    let answer = get(gateway.admin, "/v1/log");
    assert_eq!((answer.status, answer.error().1.as_str()), (404, "NOT_FOUND"));
}

#[test]
fn a_shadows_answer_is_in_the_row_and_a_disagreement_is_kept() {
    let (registry, log) =
        (iris("serve = 3\nload = \"all\"\n", &[2, 3]), tempfile::tempdir().expect("a folder"));
    let shadows = "uniform_rate = 0.0\nshadow_wait = \"20s\"\n[shadow]\nwaiting_max = 4096\nwait_max = \"60m\"\n\
                   run_max = \"5s\"\nbusy_from = 1.0\nwindow = \"11s\"\nwindow_off_share = 0\n\
                   [plan.iris]\nshadows = [{ name = \"s\", version = 2, share = \"100%\" }]\n";
    let settings = config(log.path(), shadows).replace("uniform_rate = 1.0\n", "");
    let gateway = Start::over(registry.path()).config(&settings).start();
    wait_for("the shadow to run", || {
        ask(&gateway, BODY);
        (gateway.metric("pointsman_shadow_offered_total", "version=\"2\"") > 0.0).then_some(())
    });
    let asked: u64 = 60;
    for n in 0..asked {
        // Between the last two kinds of flowers the versions differ.
        let data = [4.9 + 0.01 * n as f32, 2.5, 4.5 + 0.01 * n as f32, 1.7];
        ask(
            &gateway,
            &json!({"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": data}]})
                .to_string(),
        );
    }
    let of = |name: &str| gateway.metric(&format!("pointsman_shadow_{name}"), "version=\"2\"") as u64;
    wait_for("all to be compared or dropped", || {
        let [offered, answered, dropped] = ["offered_total", "answered_total", "dropped_total"].map(of);
        (offered >= asked && offered == answered + dropped).then_some(())
    });
    let totals = get(gateway.admin, "/v1/comparisons").json()["comparisons"][0]["totals"].clone();
    let disagreed = totals["disagreed"].as_u64().unwrap_or(0);
    assert!(disagreed > 0, "{totals:#}");
    wait_for("the disagreements to be written", || {
        (stats(&gateway)["written"].as_u64() == Some(disagreed)).then_some(())
    });
    let rows = rows(log.path());
    for row in &rows {
        assert_eq!(
            (&row["sample_reason"], &row["shadows"][0]["disagrees"]),
            (&"disagree".into(), &true.into())
        );
        let outputs = row["shadows"][0]["outputs"].as_str().expect("outputs");
        assert!(outputs.contains("\"label\":"), "{outputs}");
    }
    // A request has a row or two, and a comparison counts requests.
    let ids: BTreeSet<&str> = rows.iter().filter_map(|row| row["request_id"].as_str()).collect();
    assert_eq!(ids.len() as u64, disagreed);
}

#[test]
fn what_was_written_is_there_after_every_kill() {
    let variable = std::env::var("POINTSMAN_TEST_LOG_KILLS").ok();
    let kills = variable.map_or(KILLS, |kills| kills.parse().expect("a number"));
    let (registry, log) = (iris("", &[3]), tempfile::tempdir().expect("a folder"));
    let small = "part_bytes = \"64KiB\"\npart_age = \"50ms\"\nbatch_rows = 4\n";
    let start = || Start::over(registry.path()).config(&config(log.path(), small)).start();
    let hour = || std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs() / 3600;
    // All that gateways said they had written.
    let (mut written, mut random) = (BTreeSet::new(), 7_u64);
    for kill in 0..kills {
        let gateway = start();
        let (began, mut asked) = (hour(), Vec::new());
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let end = Instant::now() + Duration::from_micros((random >> 33) % 60_000);
        let mut connection = Connection::open(gateway.http);
        loop {
            connection.post(INFER, BODY.as_bytes());
            let answer = connection.answer().expect("an answer");
            assert_eq!(answer.status, 200);
            asked.push(answer.header("pointsman-request-id").expect("an id").to_owned());
            if Instant::now() >= end {
                break;
            }
        }
        // What it says here it has written, it has: the first ones, as they came one after the other. At the turn of an
        // hour two files are written side by side.
        let stats = stats(&gateway);
        assert_eq!(stats["dropped"], 0, "{stats}");
        let count = stats["written"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        written.extend(asked.drain(..count).filter(|_| hour() == began));
        gateway.signal("KILL");
        let _ = gateway.wait();
        // What one kill lost is still missing after the next ones: of very many, all is read after some.
        if kill % kills.div_ceil(KILLS) != 0 && kill + 1 != kills {
            continue;
        }
        let found = rows(log.path());
        let ids: BTreeSet<&str> = found.iter().filter_map(|row| row["request_id"].as_str()).collect();
        assert_eq!(found.len(), 2 * ids.len(), "after kill {kill} a request is there twice or in half");
        let lost = written.iter().filter(|id| !ids.contains(id.as_str())).count();
        assert_eq!(lost, 0, "after kill {kill}, of {} that were written", written.len());
    }
    assert!(written.len() as u64 > kills, "{} requests were written", written.len());
    let all = rows(log.path()).len();
    // The last start makes parts of all of it.
    let gateway = start();
    assert_eq!(gateway.stop().code, Some(0));
    assert_eq!(rows(log.path()).len(), all);
    let parts: Vec<_> = walk(log.path()).into_iter().filter(|path| path.ends_with(".parquet")).collect();
    let left = walk(log.path()).into_iter().filter(|path| !path.ends_with(".parquet")).collect::<Vec<_>>();
    assert!(!parts.is_empty() && left.iter().all(|path| path.ends_with("/lock")), "{left:?}");
}

/// All files below a folder.
fn walk(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files = entries
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path.to_string_lossy().into_owned()] });
    files.collect()
}

#[test]
fn a_disk_that_is_full_or_read_only_costs_rows_and_no_answer_and_writing_resumes() {
    let (registry, log) = (iris("", &[3]), tempfile::tempdir().expect("a folder"));
    let scratch = tempfile::tempdir().expect("a folder");
    let fault = scratch.path().join("fault");
    let directory = log.path().join("log");
    let gateway = Start::over(registry.path())
        .config(&config(&directory, ""))
        .variable("POINTSMAN_FAULT_SAMPLE_LOG", fault.as_os_str())
        .start();
    ask(&gateway, BODY);
    settled(&gateway, 1);
    let mut asked = 1;
    for (word, reason) in [("full", "disk_full"), ("read-only", "read_only")] {
        std::fs::write(&fault, word).expect("written");
        for _ in 0..5 {
            ask(&gateway, BODY);
            asked += 1;
        }
        let stats = settled(&gateway, asked);
        assert!(stats["dropped_by"][reason].as_u64() >= Some(1), "{reason}: {stats:#}");
        wait_for("the problem to be told", || problem(&gateway));
        let _ = std::fs::remove_file(&fault);
        let (before, mended_at) = (stats["written"].as_u64().unwrap_or(0), Instant::now());
        wait_for("writing to resume", || {
            ask(&gateway, BODY);
            asked += 1;
            (settled(&gateway, asked)["written"].as_u64() > Some(before)).then_some(())
        });
        // A second is what is declared; the machine may be busy.
        assert!(mended_at.elapsed() < Duration::from_secs(3), "{:?}", mended_at.elapsed());
    }
    let stats = settled(&gateway, asked);
    wait_for("the problem to be over", || problem(&gateway).is_none().then_some(()));
    assert_eq!(rows(&directory).len() as u64 / 2, stats["written"].as_u64().unwrap_or(0));
}

fn problem(gateway: &Gateway) -> Option<String> {
    get(gateway.admin, "/v1/log").json()["problem"].as_str().map(str::to_owned)
}

#[test]
fn a_directory_that_is_moved_deleted_or_replaced_is_told_and_made_anew() {
    let (registry, log) = (iris("", &[3]), tempfile::tempdir().expect("a folder"));
    let [directory, away, other] = ["log", "away", "other"].map(|name| log.path().join(name));
    let gateway = Start::over(registry.path()).config(&config(&directory, "")).start();
    let bytes = || get(gateway.admin, "/v1/log").json()["spool_bytes"].as_u64().expect("a number");
    let vanished = || gateway.metric("pointsman_sample_log_vanished_files_total", "") as u64;
    ask(&gateway, BODY);
    settled(&gateway, 1);
    wait_for("bytes in the spool", || (bytes() > 0).then_some(()));
    assert_eq!((vanished(), problem(&gateway)), (0, None));

    // Moved away: found without a request, and the next one is in the new place.
    std::fs::rename(&directory, &away).expect("moved");
    wait_for("a new directory", || (directory.exists() && vanished() == 1).then_some(()));
    wait_for("no bytes of what is gone", || (bytes() == 0).then_some(()));
    ask(&gateway, BODY);
    let stats = settled(&gateway, 2);
    assert_eq!((&stats["written"], &stats["dropped"]), (&2.into(), &0.into()));
    assert_eq!((rows(&directory).len(), rows(&away).len()), (2, 2));

    // Deleted, and a request at once.
    std::fs::remove_dir_all(&directory).expect("gone");
    ask(&gateway, BODY);
    let stats = settled(&gateway, 3);
    assert_eq!((&stats["written"], rows(&directory).len()), (&3.into(), 2), "{stats:#}");
    let shown = command(&gateway, &["stats"]);
    assert!(shown.stdout.contains("2 spool files were moved away or deleted"), "{shown:?}");
    assert!(!shown.stdout.contains("problem:"), "{shown:?}");

    // Replaced by a file: nothing can be written until it is back.
    std::fs::write(&other, "no directory").expect("written");
    exchange(&directory, &other);
    (0..3).for_each(|_| drop(ask(&gateway, BODY)));
    let stats = settled(&gateway, 6);
    assert_eq!((&stats["written"], &stats["dropped_by"]["vanished"]), (&3.into(), &3.into()));
    gateway.wait_for_metric("pointsman_sample_log_problem", "", |problem| problem == 1.0);
    let shown = command(&gateway, &["stats"]);
    assert!(shown.stdout.contains("problem: ") && shown.stdout.contains("Not a directory"), "{shown:?}");
    exchange(&directory, &other);
    gateway.wait_for_metric("pointsman_sample_log_problem", "", |problem| problem == 0.0);
    assert_eq!(problem(&gateway), None);
    ask(&gateway, BODY);
    let stats = settled(&gateway, 7);
    assert_eq!((&stats["written"], &stats["dropped"]), (&4.into(), &3.into()));
    assert_eq!(gateway.stop().code, Some(0));
    // What was written before it was replaced is there again.
    assert_eq!(rows(&directory).len(), 4);
}

/// Lets two paths change places at once.
fn exchange(one: &Path, other: &Path) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).expect("exchanged");
}

#[test]
fn a_disk_that_hangs_fills_the_queue_and_no_more() {
    let (registry, log) = (iris("", &[3]), tempfile::tempdir().expect("a folder"));
    let fault = log.path().join("fault");
    let bounds = "queue_max = 64\nqueue_bytes_max = \"1MiB\"\n";
    let gateway = Start::over(registry.path())
        .config(&config(&log.path().join("log"), bounds))
        .variable("POINTSMAN_FAULT_SAMPLE_LOG", fault.as_os_str())
        .start();
    let mut connection = Connection::open(gateway.http);
    let mut ask = |many: u64| {
        for _ in 0..many {
            connection.post(INFER, BODY.as_bytes());
            assert_eq!(connection.answer().expect("an answer").status, 200);
        }
    };
    ask(500);
    settled(&gateway, 500);
    std::fs::write(&fault, "hang").expect("written");
    ask(1_000);
    let before = gateway.resident_bytes();
    ask(3_000);
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 6 << 20, "{grown} bytes more for a queue of 1 MiB");
    let stats = stats(&gateway);
    assert!(stats["dropped_by"]["queue_full"].as_u64() >= Some(3_000), "{stats:#}");
    assert_eq!(gateway.metric("pointsman_sample_log_waiting", "") as u64, 64);
    std::fs::remove_file(&fault).expect("removed");
    let stats = settled(&gateway, 4_500);
    assert!(stats["written"].as_u64() > Some(500), "{stats:#}");
    assert_eq!(gateway.metric("pointsman_sample_log_waiting_bytes", "") as u64, 0);
    assert_eq!(gateway.stop().code, Some(0));
}

#[test]
fn a_share_of_requests_is_kept_and_each_row_says_how_likely_that_was() {
    let registry = iris("", &[3]);
    let log = tempfile::tempdir().expect("a folder");
    let settings = config(log.path(), "salt = \"s\"\n").replace("uniform_rate = 1.0", "uniform_rate = 0.5");
    let gateway = Start::over(registry.path()).config(&settings).start();
    let ids: Vec<String> = (0..200).map(|_| ask(&gateway, BODY)).collect();
    let sampled = wait_for("the log to be at rest", || {
        let stats = stats(&gateway);
        let of = |key: &str| stats[key].as_u64().unwrap_or(0);
        (of("written") == of("sampled") && of("sampled") > 60).then(|| of("sampled"))
    });
    assert!(sampled < 140, "{sampled} of 200");
    let logged = rows(log.path());
    let ids_logged: BTreeSet<&str> = logged.iter().filter_map(|row| row["request_id"].as_str()).collect();
    assert_eq!(ids_logged.len() as u64, sampled);
    assert!(ids_logged.iter().all(|id| ids.iter().any(|asked| asked == id)));
    assert!(logged.iter().all(|row| row["inclusion_prob"] == 0.5 && row["sample_reason"] == "uniform"));
}
