//! Alerts with a real journal: what is written, shown and said to receivers.

use pointsman_control::Journal;
use serde_json::{Value, json};

use super::*;
use crate::config::Webhook;
use crate::webhook::Letter;

/// Says what it is told to say.
struct Said(Mutex<Option<Vec<Signal>>>);

impl Source for Said {
    fn kinds(&self) -> &'static [SignalKind] {
        &[SignalKind::Skew]
    }

    fn signals(&self) -> Option<Vec<Signal>> {
        self.0.lock().clone()
    }
}

fn temp() -> Signal {
    Signal {
        kind: SignalKind::Skew,
        model: "flights".into(),
        version: Some(2),
        subject: "temp".into(),
        value: 0.46,
        threshold: 0.2,
        onset_ms: Some(1_372_636_800_000),
        says: "temp: PSI 0.46 against training".into(),
        evidence: json!({"rows": 4000}),
    }
}

fn alerts(journal: &Journal, registry: &mut Registry) -> Arc<Alerts> {
    let webhooks = Webhooks::start(&Webhook::default(), &mut Registry::default()).expect("no address");
    let store = journal.alerts().expect("opens");
    let rule = Rule { quiet: Duration::ZERO, ..Rule::default() };
    let settings = Settings { rules: vec![rule], ..Settings::default() };
    Alerts::new(&settings, store, Arc::new(webhooks), registry).expect("a journal")
}

fn metrics(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).expect("is written");
    text
}

#[test]
fn an_alert_is_in_the_journal_and_the_metrics_and_outlives_the_process() {
    let dir = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(Some(dir.path())).expect("opens");
    let said = Arc::new(Said(Mutex::new(Some(vec![temp()]))));
    let sources: Vec<Arc<dyn Source>> = vec![said.clone()];
    let mut registry = Registry::default();
    let first = alerts(&journal, &mut registry);
    first.look(&sources, 1000);
    let series = "pointsman_alerts{rule=\"default\",model=\"flights\",kind=\"skew\",state=\"firing\"} 1";
    assert!(metrics(&registry).contains(series), "{}", metrics(&registry));
    drop(first);
    let mut registry = Registry::default();
    let again = alerts(&journal, &mut registry);
    assert!(metrics(&registry).contains(series));
    // Nobody knows yet what holds: it still fires.
    *said.0.lock() = None;
    again.look(&sources, 2000);
    assert_eq!(again.list()[0].state, State::Firing);
    *said.0.lock() = Some(Vec::new());
    again.look(&sources, 3000);
    let listed = again.list();
    assert_eq!((listed[0].state, listed[0].since_ms, listed[0].changed_ms), (State::Resolved, 1000, 3000));
    assert!(!metrics(&registry).contains("pointsman_alerts{"));
    let history = again.history(Some("flights"), 10).expect("reads");
    let steps: Vec<(&str, u64)> = history.iter().map(|one| (one.from.as_str(), one.at_ms)).collect();
    assert_eq!(steps, [("firing", 3000), ("ok", 1000)]);
}

#[test]
fn a_notice_is_a_cloud_event_that_is_known_again() {
    let alert = Alert {
        rule: "retrain".into(),
        severity: pointsman_observe::alert::Severity::Critical,
        state: State::Firing,
        since_ms: 1_372_636_800_000,
        changed_ms: 1_372_636_860_000,
        seen_ms: 1_372_636_870_000,
        told_ms: 1_372_636_860_000,
        signal: temp(),
    };
    let read = |from| -> Value {
        let letter = Letter::from(&Transition { from, alert: alert.clone() });
        assert_eq!(letter.content_type, "application/cloudevents+json");
        serde_json::from_slice(&letter.body).expect("JSON")
    };
    let event = read(State::Pending);
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["id"], "retrain/flights/2/skew/temp/firing/1372636860000");
    assert_eq!(event["source"], "/pointsman/models/flights/2");
    assert_eq!(event["type"], "pointsman.alert.firing");
    assert_eq!(event["subject"], "skew/temp");
    assert_eq!(event["time"], "2013-07-01T00:01:00.000Z");
    assert_eq!(event["data"]["signal"]["evidence"]["rows"], 4000);
    assert_eq!(read(State::Pending)["id"], event["id"]);
    assert_ne!(read(State::Firing)["id"], event["id"]);
}

#[test]
fn a_rule_that_tells_somebody_who_is_not_allowed_is_refused() {
    let journal = Journal::open(None).expect("opens");
    let webhooks = Webhooks::start(&Webhook::default(), &mut Registry::default()).expect("no address");
    let rule = Rule { webhook: vec!["https://hooks.example.com/x".into()], ..Rule::default() };
    let settings = Settings { rules: vec![rule], ..Settings::default() };
    let store = journal.alerts().expect("opens");
    let refused = Alerts::new(&settings, store, Arc::new(webhooks), &mut Registry::default());
    let said = refused.err().expect("is refused");
    assert!(said.starts_with("alert.default: ") && said.contains("webhook.allowed"), "{said}");
}
