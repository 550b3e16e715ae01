//! What the README and ARCHITECTURE.md say is so.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use pointsman_core::Code;
use pointsman_tests::{Start, binary, get, post, repository, wait_for};
use pointsman_wire::status::status;

use crate::alerts::FAULT;

const README: &str = "README.md";
const ARCHITECTURE: &str = "gateway/ARCHITECTURE.md";

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The cells of the table below a heading, row by row, without its head.
fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, section) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let rows =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|c| c.trim().replace('`', "")).collect();
    rows.skip(2).map(cells).collect()
}

/// What stands between backquotes.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn the_error_table_is_the_code_table() {
    let rows = table(&read(README), "### Errors");
    let said: Vec<_> = rows.iter().map(|row| (&*row[0], &*row[1], &*row[2], &*row[4])).collect();
    let statuses = Code::ALL.map(|code| {
        let status = status(code);
        let retry =
            status.retry_after.map_or_else(|| "no".to_owned(), |seconds| format!("after {seconds} s"));
        (code.name(), status.http.as_u16().to_string(), grpc_name(status.grpc), retry)
    });
    let is: Vec<_> =
        statuses.iter().map(|(code, http, grpc, retry)| (*code, &**http, &**grpc, &**retry)).collect();
    assert_eq!(said, is);
}

/// The name of a gRPC code as its specification writes it.
fn grpc_name(code: tonic::Code) -> String {
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(c.to_uppercase());
    }
    name
}

#[test]
fn every_limit_is_in_the_readme_with_its_default() {
    for (heading, section) in [("### Limits", "limits"), ("### Shadows", "shadow")] {
        let rows = table(&read(README), heading);
        let said: BTreeSet<_> = rows.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
        let reference = read("deploy/pointsman.toml");
        let (_, keys) = reference.split_once(&format!("\n[{section}]\n")).expect("a section");
        // Up to the next section, be it that it stands behind a comment.
        let keys = keys.lines().take_while(|line| !line.trim_start_matches("#: ").starts_with('['));
        let is: BTreeSet<_> = keys.filter_map(limit).collect();
        assert!(is.len() > 5, "{is:?}");
        assert_eq!(said, is);
    }
}

/// A key of the reference configuration and its default, which a commented key does not have.
fn limit(line: &str) -> Option<(String, String)> {
    if let Some(optional) = line.strip_prefix("#: ") {
        return Some((optional.split_once(" = ")?.0.to_owned(), "none".into()));
    }
    let (key, value) = line.split_once(" = ").filter(|_| !line.starts_with('#'))?;
    let value = value.split('#').next().unwrap_or(value).trim().trim_matches('"');
    Some((key.to_owned(), value.to_owned()))
}

#[test]
fn every_key_of_a_card_is_in_the_readme() {
    let readme = read(README);
    let problems = pointsman_registry::Card::parse("model.toml", b"zzz = 1").expect_err("an unknown key");
    let text = problems[0].to_string();
    let (_, keys) = text.split_once("the keys here are ").expect("the known keys");
    let rows = table(&readme, "### The card");
    for key in keys.split(", ") {
        let stands =
            |row: &Vec<String>| row[0].split(", ").any(|k| k.trim_start_matches('[').starts_with(key));
        assert!(rows.iter().any(stands), "{key} is not in the README's table of the card");
    }
}

#[test]
fn every_metric_is_in_the_readme() {
    let rows = table(&read(README), "### Metrics");
    let said: BTreeSet<_> = rows.iter().map(|row| row[0].clone()).collect();
    let log = tempfile::tempdir().expect("a folder");
    let config = format!(
        "[model.iris]\ncache_bytes_max = \"1MiB\"\n\
         [plan.iris]\nshadows = [{{ name = \"s\", version = 2, share = 1 }}]\n\
         [same_score]\nevery = \"100ms\"\n[alerts]\nlook = \"50ms\"\n\
         [sample_log]\ndirectory = {:?}\n",
        log.path()
    );
    let fault = log.path().join("fault");
    let start = Start::over(repository().join("models")).config(&config).variable(FAULT, &fault);
    let gateway = start.start();
    std::fs::write(&fault, "").expect("a file");
    // A family is there from its first sample on.
    assert_eq!(post(gateway.admin, "/models/iris/load", "{}").status, 200);
    let rollout = r#"{"version": 1, "canary": "10", "guard": ["errors"]}"#;
    assert_eq!(post(gateway.admin, "/v1/rollouts/iris", rollout).status, 200);
    let body = r#"{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}"#;
    let answer = post(gateway.http, "/v2/models/iris/infer", body);
    let id = answer.header("pointsman-request-id").expect("an id");
    let label = format!("{{\"request_id\": \"{id}\", \"label\": 0}}");
    wait_for("the label to be joined", || {
        let text = post(gateway.admin, "/v1/feedback", &label).text();
        (text.contains("joined") || text.contains("duplicate")).then_some(())
    });
    wait_for("figures of the label", || {
        let report = get(gateway.admin, "/v1/quality/iris").json();
        report["series"][0]["total"]["rows"].as_u64().filter(|rows| *rows > 0)
    });
    let exposed = wait_for("the declared shadow to run, and an alert", || {
        let text = get(gateway.metrics, "/metrics").text();
        let families = ["pointsman_shadow_offered", "pointsman_alerts{"];
        families.iter().all(|name| text.contains(name)).then_some(text)
    });
    let family = |line: &str| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        // A counter's samples have this ending, its type has not.
        Some(format!("{name}{}", if kind == "counter" { "_total" } else { "" }))
    };
    let is: BTreeSet<_> = exposed.lines().filter_map(family).collect();
    assert_eq!(said, is);
}

#[test]
fn every_scenario_is_in_the_readme() {
    let rows = table(&read(README), "### Load testing");
    let said: BTreeSet<_> =
        rows.iter().filter_map(|row| row[0].strip_prefix('[')?.split(']').next()).collect();
    let files = std::fs::read_dir(repository().join("loadtest/scenarios")).expect("scenarios").flatten();
    let files: Vec<_> = files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    assert_eq!(said, files.iter().map(String::as_str).collect());
}

#[test]
fn every_link_and_path_leads_somewhere() {
    for document in [README, ARCHITECTURE] {
        let text = read(document);
        let folder = repository().join(document);
        let folder = folder.parent().expect("a file lies in a folder");
        let mut links = 0;
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or(link);
            if path.is_empty() || link.contains("://") {
                continue;
            }
            assert!(folder.join(path).exists(), "{document}: {link} leads nowhere");
            links += 1;
        }
        assert!(links > 0, "{document} has no link");
        for path in quoted(&text).into_iter().filter(|quoted| is_path(quoted)) {
            let there = [repository(), folder].iter().any(|base| base.join(path).exists());
            assert!(there, "{document}: {path} is not there");
        }
    }
}

/// Whether a quoted text names something in the repository: it begins with one of its folders.
fn is_path(quoted: &str) -> bool {
    let first = quoted.split('/').next().unwrap_or_default();
    let folders = ["gateway", "deploy", "models", "tests", "loadtest", ".ci"];
    quoted.contains('/') && folders.contains(&first) && !quoted.contains([' ', '<', '*'])
}

#[test]
fn the_code_map_names_every_crate() {
    let map = table(&read(ARCHITECTURE), "## Code map");
    let said: BTreeSet<_> = map.iter().map(|row| row[0].clone()).collect();
    let crates = std::fs::read_dir(repository().join("gateway")).expect("crates").flatten();
    let is: BTreeSet<_> = crates
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    assert!(!is.is_empty() && is.is_subset(&said), "of {is:?} the code map has {said:?}");
}

/// `cargo run --release` is the binary without an argument, in the root of the checkout.
#[test]
fn the_first_command_serves_and_takes_variables() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let ready = scratch.path().join("ready.json");
    let mut command = Command::new(binary());
    command.current_dir(repository()).env("POINTSMAN_READY_FILE", &ready);
    for listener in ["HTTP", "GRPC", "METRICS", "ADMIN"] {
        command.env(format!("POINTSMAN_{listener}"), "127.0.0.1:0");
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the gateway starts");
    let served = std::panic::catch_unwind(|| wait_for("the gateway to be ready", || first_answer(&ready)));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(served.expect("a ready gateway").contains("\"iris\""));
}

fn first_answer(ready: &Path) -> Option<String> {
    let addresses: serde_json::Value = serde_json::from_slice(&std::fs::read(ready).ok()?).ok()?;
    let http = addresses["http"].as_str()?.parse().ok()?;
    Some(get(http, "/v2/models").text())
}

#[test]
fn rules_for_prometheus_name_metrics_that_there_are() {
    let rows = table(&read(README), "### Metrics");
    let known: BTreeSet<_> = rows.iter().map(|row| row[0].as_str()).collect();
    let rules = read("deploy/prometheus-rules.yml");
    let named: BTreeSet<&str> = rules
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("pointsman_"))
        .collect();
    assert!(named.len() >= 8, "{named:?}");
    assert!(named.is_subset(&known), "{:?} are no metrics", named.difference(&known));
}
