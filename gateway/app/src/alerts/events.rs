//! What a receiver reads of an alert: a CloudEvent (specification 1.0.2) in the structured mode of its JSON format.

use std::time::{Duration, UNIX_EPOCH};

use pointsman_observe::alert::Transition;
use serde_json::json;

use crate::webhook::Letter;

/// The media type of such an event.
const CONTENT_TYPE: &str = "application/cloudevents+json";

impl From<&Transition> for Letter {
    /// The id is the same whenever the same transition is told, so that a receiver knows it again. One that is repeated
    /// has another.
    fn from(transition: &Transition) -> Self {
        let alert = &transition.alert;
        let (signal, state) = (&alert.signal, alert.state.name());
        let repeat = if transition.is_repeated() { format!("/{}", alert.told_ms) } else { String::new() };
        let at = UNIX_EPOCH + Duration::from_millis(alert.changed_ms);
        let version = signal.version.map_or_else(String::new, |version| format!("/{version}"));
        let body = json!({
            "specversion": "1.0",
            "id": format!("{}/{state}/{}{repeat}", alert.key(), alert.changed_ms),
            "source": format!("/pointsman/models/{}{version}", signal.model),
            "type": format!("pointsman.alert.{state}"),
            "subject": format!("{}/{}", signal.kind, signal.subject),
            "time": humantime::format_rfc3339_millis(at).to_string(),
            "datacontenttype": "application/json",
            "data": {
                "rule": alert.rule,
                "severity": alert.severity,
                "state": alert.state,
                "since_ms": alert.since_ms,
                "signal": signal,
            },
        });
        let about = alert.key();
        Self { about, content_type: CONTENT_TYPE, body: body.to_string().into() }
    }
}
