//! Labels whose predictions are no longer in memory: they are joined with the sample log.

use std::collections::BTreeMap;
use std::path::Path;

use pointsman_tests::{Gateway, Pointsman, Start, TestRegistry, get, post, wait_for};
use serde_json::{Value, json};

use crate::labels::{CARD, CONFIG, Predicted, ask, figure, label, quality, send, stream};
use crate::swaps::wish;

fn start(models: &Path, folder: &Path, more: &str) -> Gateway {
    let log = format!(
        "{CONFIG}[sample_log]\ndirectory = \"{}\"\nbatch_wait = \"10ms\"\ndisk_reserve = \"1MiB\"\nuniform_rate = 1.0\n{more}",
        folder.join("log").display()
    );
    Start::over(models).config(&log).argument("--state").argument(folder.join("state")).start()
}

fn counts(all: &[(&str, u64)]) -> BTreeMap<String, u64> {
    all.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// A stop in one way or the other, between predictions and labels.
fn labels_after_a_start(stop: impl Fn(Gateway)) {
    let registry =
        TestRegistry::new().file("flights/model.toml", CARD).version("flights", 1, "flights_champion");
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = start(registry.path(), folder.path(), "");
    let stream = stream();
    let flights: Vec<_> = stream.iter().take(60).collect();
    let predicted: Vec<Predicted> = ask(gateway.http, &flights);
    gateway.wait_for_metric("pointsman_sample_log_written_total", "", |written| written >= 60.0);
    // Of the last one a label has come already.
    let labels: Vec<Value> = predicted.iter().zip(&flights).map(|(p, f)| label(&p.id, f.late)).collect();
    assert_eq!(send(&gateway, &labels[59..]), counts(&[("joined", 1)]));
    stop(gateway);

    let gateway = start(registry.path(), folder.path(), "");
    let never = "01890000-0000-7000-8000-000000000001";
    let soon = format!("{}{}", &predicted[0].id[..24], "0242ac120002");
    let told = send(&gateway, &[label(never, true), label(&soon, true)]);
    assert_eq!(told, counts(&[("expired", 1), ("pending", 1)]));
    assert_eq!(send(&gateway, &labels), counts(&[("pending", 59), ("duplicate", 1)]));
    let all = || {
        let report = quality(&gateway, "window=all");
        (report["pairs_from_log"] == 59).then_some(report)
    };
    let report = wait_for("the labels to be joined with the log", all);
    assert_eq!((&report["pairs"], report["series"].as_array().map(Vec::len)), (&json!(60), Some(1)));
    let right = predicted.iter().zip(&flights).filter(|(p, f)| (p.class == 1) == f.late).count() as f64;
    assert!((figure(&report["series"][0], "accuracy") - right / 60.0).abs() < 1e-9, "{report:#}");
    gateway.wait_for_metric("pointsman_label_looks_total", "result=\"not_found\"", |count| count == 1.0);
    assert_eq!(gateway.metric("pointsman_labels_total", "result=\"unknown\""), 1.0);
    // What is known of them now is as of those that memory joined.
    assert_eq!(send(&gateway, &labels), counts(&[("duplicate", 60)]));
    let turned = label(&predicted[0].id, !flights[0].late);
    assert_eq!(send(&gateway, std::slice::from_ref(&turned)), counts(&[("contradicting", 1)]));
    let odd = json!({"request_id": predicted[1].id, "label": 0, "at": "2999-01-01T00:00:00Z"});
    assert_eq!(send(&gateway, &[odd]), counts(&[("malformed", 1)]));

    // And after another start each counts once still.
    drop(gateway);
    let gateway = start(registry.path(), folder.path(), "");
    assert_eq!(
        send(&gateway, &[turned, labels[1].clone(), label(&soon, true)]),
        counts(&[("duplicate", 2), ("pending", 1)])
    );
    let report = quality(&gateway, "window=all");
    assert_eq!((&report["pairs"], &report["pairs_from_log"]), (&json!(60), &json!(59)));
}

#[test]
fn labels_that_come_after_an_orderly_stop_are_joined_with_the_log() {
    labels_after_a_start(|gateway| {
        assert_eq!(gateway.stop().code, Some(0));
    });
}

#[test]
fn labels_that_come_after_a_kill_are_joined_with_the_log() {
    labels_after_a_start(drop);
}

#[test]
fn labels_of_what_memory_has_let_go_are_joined_with_the_log_and_past_the_limit_told_so() {
    let registry =
        TestRegistry::new().file("flights/model.toml", CARD).version("flights", 1, "flights_champion");
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = start(registry.path(), folder.path(), "[labels]\nkeep = \"1s\"\nlook_max = 40\n");
    let stream = stream();
    let flights: Vec<_> = stream.iter().take(60).collect();
    let predicted = ask(gateway.http, &flights);
    gateway.wait_for_metric("pointsman_label_predictions", "", |waiting| waiting == 60.0);
    gateway.wait_for_metric("pointsman_label_predictions", "", |waiting| waiting == 0.0);
    let labels: Vec<Value> = predicted.iter().zip(&flights).map(|(p, f)| label(&p.id, f.late)).collect();
    let answer = post(gateway.admin, "/v1/feedback", json!({ "labels": labels }).to_string()).json();
    assert_eq!(answer["counts"], json!({"pending": 40, "unknown": 20}), "{answer:#}");
    let reason = answer["results"][59]["reason"].as_str().expect("a reason");
    assert_eq!(reason, "40 labels wait to be looked for (labels.look_max); send it again later");
    assert_eq!(gateway.metric("pointsman_label_looks_total", "result=\"dropped\""), 20.0);
    wait_for("the first to be found", || {
        (quality(&gateway, "window=all")["pairs_from_log"] == 40).then_some(())
    });
    assert_eq!(send(&gateway, &labels), counts(&[("duplicate", 40), ("pending", 20)]));
    wait_for("the others to be found", || {
        (quality(&gateway, "window=all")["pairs_from_log"] == 60).then_some(())
    });
    assert_eq!(get(gateway.admin, "/v1/quality/flights").json()["pairs"], 60);
}

#[test]
fn labels_after_a_promotion_and_a_kill_fire_an_alert_that_names_them() {
    let registry = TestRegistry::new()
        .file("flights/model.toml", CARD)
        .version("flights", 1, "flights_champion")
        .version("flights", 2, "flights_challenger");
    let folder = tempfile::tempdir().expect("a folder");
    let more = "[alerts]\nlook = \"50ms\"\n[alert.late]\non = [\"promotion\"]\nkeep_firing_for = \"0s\"\n";
    let gateway = start(registry.path(), folder.path(), more);
    let asked = json!({
        "version": 2, "canary": "50", "time_min": "1h", "latency_objective": "1s", "guard": ["labels:margin=1"],
    });
    let (code, answer) = wish(&gateway, "/v1/rollouts/flights", asked);
    assert_eq!(code, 200, "{answer}");
    let stream = stream();
    let predicted = ask(gateway.http, &stream.iter().take(120).collect::<Vec<_>>());
    // Labels of a version that is not warm are kept aside.
    let counted = |gateway: &Gateway, what: &str| {
        let shown = get(gateway.admin, "/v1/rollouts/flights").json();
        let stage = &shown["report"]["stages"][0];
        let of = |part: &str| stage[part]["canary"][what]["requests"].as_u64().unwrap_or(0);
        of("counts") + of("warm_up")
    };
    let of_candidate = predicted.iter().filter(|predicted| predicted.version == "2").count() as u64;
    wait_for("the requests to be looked at", || (counted(&gateway, "seen") == of_candidate).then_some(()));
    let (code, answer) = wish(&gateway, "/v1/rollouts/flights/promote", json!({}));
    assert_eq!(code, 200, "{answer}");
    // All that the one before said was right, and nothing of what the promoted one did.
    let (before, promoted): (Vec<_>, Vec<_>) =
        predicted.iter().partition(|predicted| predicted.version == "1");
    assert!(before.len() > 30 && promoted.len() > 30, "{} and {}", before.len(), promoted.len());
    let right: Vec<Value> =
        before.iter().map(|predicted| label(&predicted.id, predicted.class == 1)).collect();
    let wrong: Vec<Value> =
        promoted.iter().map(|predicted| label(&predicted.id, predicted.class == 0)).collect();
    assert_eq!(send(&gateway, &right)["joined"], right.len() as u64);
    assert_eq!(send(&gateway, &wrong[..2])["joined"], 2);
    gateway.wait_for_metric("pointsman_sample_log_written_total", "", |written| written >= 120.0);
    // Two are too few to say anything, and are written with the next look.
    wait_for("them to be written", || (counted(&gateway, "labelled") == 2).then_some(()));
    let alerts = |gateway: &Gateway| get(gateway.admin, "/v1/alerts").json()["alerts"].clone();
    assert!(!alerts(&gateway).to_string().contains("promotion"), "{:#}", alerts(&gateway));
    drop(gateway);

    // The rest is joined with the log, and counts with what came before.
    let gateway = start(registry.path(), folder.path(), more);
    assert_eq!(send(&gateway, &wrong[2..])["pending"], wrong.len() as u64 - 2);
    let fires = |gateway: &Gateway| {
        let alerts = alerts(gateway);
        let mut all = alerts.as_array()?.iter();
        all.find(|alert| alert["signal"]["kind"] == "promotion" && alert["state"] == "firing").cloned()
    };
    let alert = wait_for("the alert to fire", || fires(&gateway));
    let evidence = &alert["signal"]["evidence"];
    assert_eq!((&evidence["rollout"], &evidence["version"]), (&json!(1), &json!(2)), "{alert:#}");
    assert_eq!(
        (&evidence["labelled"][1], &evidence["wrong"][1]),
        (&json!(right.len()), &json!(0)),
        "{alert:#}"
    );
    assert!(evidence["wrong"][0].as_u64().is_some_and(|wrong| wrong > 2), "{alert:#}");
    let journal = Pointsman::new(["journal", "--admin-url", &format!("http://{}", gateway.admin)]).run();
    assert!(journal.stdout.contains("prove version 2 worse"), "{}{}", journal.stdout, journal.stderr);
    // It serves on: what is promoted is a person's. Who takes it back ends the alert.
    assert_eq!(ask(gateway.http, &[&stream[0]])[0].version, "2");
    drop(gateway);
    let gateway = start(registry.path(), folder.path(), more);
    wait_for("the alert to fire still", || fires(&gateway));
    let (code, answer) = wish(&gateway, "/models/flights/promote", json!({"version": 1}));
    assert_eq!(code, 200, "{answer}");
    wait_for("the alert to be resolved", || fires(&gateway).is_none().then_some(()));
}
