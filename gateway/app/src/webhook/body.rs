//! What a receiver reads of a rollout's notice.

use bytes::Bytes;
use pointsman_control::rollout::{Exposure, Notice, Phase};
use serde_json::{Value, json};

use super::Letter;

/// The type of every notice, as the Standard Webhooks specification names types of events.
const KIND: &str = "rollout.transition";

impl From<&Notice> for Letter {
    fn from(notice: &Notice) -> Self {
        let about = format!("rollout {}", notice.rollout);
        Self { about, content_type: "application/json", body: body(notice) }
    }
}

/// A notice in the form that the specification recommends: `type`, `timestamp` and `data`.
fn body(notice: &Notice) -> Bytes {
    let body = json!({
        "type": KIND,
        "timestamp": notice.at.to_string(),
        "data": {
            "rollout": notice.rollout,
            "model": notice.model,
            "candidate": notice.candidate,
            "event": notice.event,
            "from": standing(notice.from),
            "to": standing(notice.to),
        },
    });
    body.to_string().into()
}

/// A phase by its name, with what it holds beside it, and how much callers are exposed as people write it.
fn standing((phase, exposure): (Phase, Exposure)) -> Value {
    let (phase, detail) = match json!(phase) {
        Value::Object(named) => named
            .into_iter()
            .next()
            .map_or_else(Default::default, |(name, detail)| (Value::from(name), detail)),
        name => (name, Value::Null),
    };
    json!({"phase": phase, "detail": detail, "exposure": exposure.to_string()})
}

#[cfg(test)]
mod tests {
    use pointsman_control::rollout::{Cause, Moment};
    use pointsman_core::VersionNumber;

    use super::*;

    #[test]
    fn a_notice_says_what_happened_to_which_rollout() {
        let three = VersionNumber::new(3).expect("a version");
        let mut notice = Notice {
            rollout: 7,
            model: "iris".into(),
            candidate: three,
            from: (Phase::Created, Exposure::None),
            to: (Phase::RolledBack(Cause::Panic), Exposure::All),
            event: "look".into(),
            at: Moment(1_667_507_170_344),
        };
        let read = |notice: &Notice| serde_json::from_slice::<Value>(&body(notice)).expect("JSON");
        let expected = json!({
            "type": "rollout.transition",
            "timestamp": "2022-11-03T20:26:10Z",
            "data": {
                "rollout": 7,
                "model": "iris",
                "candidate": 3,
                "event": "look",
                "from": {"phase": "created", "detail": null, "exposure": "none"},
                "to": {"phase": "rolled_back", "detail": "panic", "exposure": "100%"},
            },
        });
        assert_eq!(read(&notice), expected);
        notice.to.0 = Phase::Superseded(three);
        assert_eq!(read(&notice)["data"]["to"]["phase"], "superseded");
        assert_eq!(read(&notice)["data"]["to"]["detail"], 3);
    }
}
