//! Labels as they are said: one, a list, or lines, each with what comes of it.

use std::time::{Duration, UNIX_EPOCH};

use pointsman_core::{RequestId, shown};
use serde::Serialize;
use serde_json::Value as Json;

/// The bounds of what is said at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaidLimits {
    /// The most labels.
    pub labels_max: usize,
}

/// The longest text of a label or a source, in bytes.
const TEXT_BYTES_MAX: usize = 256;
/// The last row of a request that can have a label.
const ROW_MAX: u64 = u32::MAX as u64;

/// How far a label may be from before its prediction, or ahead of the clock: whoever labels may know the day alone.
const ASKEW_MS: u64 = 24 * 3600 * 1000;

/// What a label says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The name of a class.
    Text(Box<str>),
    /// A number: also the place of a class, or yes and no as 1 and 0.
    Number(f64),
}

/// A label as somebody said it.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The request.
    pub id: RequestId,
    /// The row of the request.
    pub row: u32,
    /// What was so.
    pub value: Value,
    /// Since when that is known, in milliseconds since 1970; nothing where nobody says so.
    pub at_ms: Option<u64>,
    /// Who or what says so.
    pub source: Option<Box<str>>,
}

impl Said {
    /// Checks since when it is known, against when its prediction is from and the time that it is, all in milliseconds since
    /// 1970.
    ///
    /// # Errors
    /// In words, where that is more than a day before the prediction, or in the future.
    pub fn check_time(&self, predicted_ms: u64, now_ms: u64) -> Result<(), String> {
        let Some(at_ms) = self.at_ms else { return Ok(()) };
        let shown = |ms: u64| {
            // The last that has a form.
            let ms = ms.min(253_402_300_799_999);
            humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
        };
        if at_ms > now_ms.saturating_add(ASKEW_MS) {
            let (at, now) = (shown(at_ms), shown(now_ms));
            return Err(format!(
                "at = {at} is more than a day ahead of the gateway, where it is {now}; give when it was known"
            ));
        }
        if at_ms.saturating_add(ASKEW_MS) < predicted_ms {
            let (at, predicted) = (shown(at_ms), shown(predicted_ms));
            return Err(format!(
                "at = {at} is more than a day before the prediction, which is from {predicted}; give when it was known"
            ));
        }
        Ok(())
    }
}

/// What comes of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It found its prediction.
    Joined,
    /// The same was said before: nothing changes.
    Duplicate,
    /// Something else was said before: this one counts from now on.
    Contradicting,
    /// There is no such prediction yet; it waits for a while.
    Pending,
    /// There was no such prediction while it waited, or there is no room to wait.
    Unknown,
    /// The prediction is not among those that are kept, as there were too many.
    Unsampled,
    /// It is later than predictions are kept.
    Expired,
    /// It is no label of this model, or none at all.
    Malformed,
}

impl Verdict {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::Joined,
        Self::Duplicate,
        Self::Contradicting,
        Self::Pending,
        Self::Unknown,
        Self::Unsampled,
        Self::Expired,
        Self::Malformed,
    ];

    /// The word in answers and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Duplicate => "duplicate",
            Self::Contradicting => "contradicting",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::Unsampled => "unsampled",
            Self::Expired => "expired",
            Self::Malformed => "malformed",
        }
    }
}

/// Why nothing can be read of what was said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaidError {
    /// It is no JSON.
    #[error("the body is no JSON: {0}; give a label, {{\"labels\": [...]}}, or a label on each line")]
    Syntax(String),
    /// Too many.
    #[error("{found} labels are more than {max} (labels.batch_max); give them in several requests")]
    TooMany {
        /// How many there are, or at least are.
        found: usize,
        /// The most.
        max: usize,
    },
}

/// Reads labels: one object, `{"labels": [...]}`, or an object on each line. Each is read by itself: of one that is none
/// it is said what is wrong.
///
/// # Errors
/// Where the whole is nothing of that kind, or there are too many.
pub fn read_said(bytes: &[u8], limits: SaidLimits) -> Result<Vec<Result<Said, String>>, SaidError> {
    let max = limits.labels_max;
    let bounded = |found: usize| if found > max { Err(SaidError::TooMany { found, max }) } else { Ok(()) };
    match serde_json::from_slice::<Json>(bytes) {
        Ok(Json::Object(mut object)) if object.contains_key("labels") => {
            let labels = object.remove("labels");
            if let Some(key) = object.keys().next() {
                return Err(SaidError::Syntax(format!("{} is no key beside labels", shown(key))));
            }
            let Some(Json::Array(labels)) = labels else {
                return Err(SaidError::Syntax("labels is no list".into()));
            };
            bounded(labels.len())?;
            Ok(labels.iter().map(read_one).collect())
        }
        Ok(one) => Ok(vec![read_one(&one)]),
        Err(error) => {
            let mut lines =
                bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).peekable();
            // One line that is no JSON is no list of lines.
            let is_json = |line: &&[u8]| serde_json::from_slice::<Json>(line).is_ok();
            if !lines.peek().is_some_and(is_json) {
                return Err(SaidError::Syntax(error.to_string()));
            }
            let mut said = Vec::new();
            for line in lines {
                bounded(said.len() + 1)?;
                let read = serde_json::from_slice::<Json>(line);
                said.push(read.map_err(|e| format!("no JSON: {e}")).and_then(|json| read_one(&json)));
            }
            Ok(said)
        }
    }
}

/// Reads one label.
fn read_one(json: &Json) -> Result<Said, String> {
    let Json::Object(object) = json else {
        return Err("expected an object with request_id and label".into());
    };
    if let Some(key) =
        object.keys().find(|key| !["request_id", "label", "row", "at", "source"].contains(&key.as_str()))
    {
        return Err(format!("{} is no key here: request_id, label, row, at, source", shown(key)));
    }
    let text = |key: &str| match object.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if text.len() <= TEXT_BYTES_MAX => Ok(Some(text.as_str())),
        Some(other) => {
            Err(format!("{key} = {}; give a text of at most {TEXT_BYTES_MAX} bytes", brief(other)))
        }
    };
    let id = text("request_id")?
        .ok_or("request_id is missing; give the header pointsman-request-id of the answer")?;
    let id = RequestId::parse(id).ok_or_else(|| {
        format!("request_id = \"{}\"; give the header pointsman-request-id of the answer", shown(id))
    })?;
    let value = match object.get("label") {
        Some(Json::String(text)) if text.len() <= TEXT_BYTES_MAX => Value::Text(text.as_str().into()),
        Some(Json::Bool(yes)) => Value::Number(f64::from(u8::from(*yes))),
        Some(Json::Number(number)) => {
            Value::Number(number.as_f64().filter(|n| n.is_finite()).ok_or("label is no finite number")?)
        }
        None => return Err("label is missing; give the name or the place of a class, or a number".into()),
        Some(other) => {
            return Err(format!(
                "label = {}; give the name or the place of a class, or a number",
                brief(other)
            ));
        }
    };
    let row = match object.get("row") {
        None => 0,
        Some(row) => row.as_u64().filter(|row| *row <= ROW_MAX).ok_or_else(|| {
            format!("row = {}; give the place of the row in the request, from 0", brief(row))
        })?,
    };
    let at_ms = text("at")?.map(|at| {
        read_time(at).ok_or_else(|| {
            format!("at = \"{}\"; give a time such as 2026-03-01T12:00:00Z (RFC 3339, UTC)", shown(at))
        })
    });
    Ok(Said {
        id,
        row: u32::try_from(row).unwrap_or(u32::MAX),
        value,
        at_ms: at_ms.transpose()?,
        source: text("source")?.map(Into::into),
    })
}

/// A time of RFC 3339 in UTC, in milliseconds since 1970.
fn read_time(text: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(Some(text).filter(|text| text.is_ascii())?).ok()?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

fn brief(json: &Json) -> String {
    let text = json.to_string();
    shown(&text.chars().take(60).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SaidLimits = SaidLimits { labels_max: 3 };
    const ID: &str = "019ae2f0-6b1c-7d1e-8a55-0242ac120002";

    fn read(text: &str) -> Result<Vec<Result<Said, String>>, SaidError> {
        read_said(text.as_bytes(), LIMITS)
    }

    fn one(rest: &str) -> Result<Said, String> {
        read(&format!("{{\"request_id\": \"{ID}\"{rest}}}")).expect("JSON").remove(0)
    }

    #[test]
    fn one_a_list_and_lines_are_read() {
        let said = one(r#", "label": "late", "row": 2, "at": "2013-01-01T10:00:00Z", "source": "tower""#)
            .expect("good");
        assert_eq!(
            (said.row, said.at_ms, said.source.as_deref()),
            (2, Some(1_357_034_400_000), Some("tower"))
        );
        assert_eq!(said.value, Value::Text("late".into()));
        assert_eq!(one(r#", "label": true"#).map(|said| said.value), Ok(Value::Number(1.0)));
        let label = format!("{{\"request_id\": \"{ID}\", \"label\": 1}}");
        assert_eq!(read(&format!("{{\"labels\": [{label}, {label}, 7]}}")).expect("a list").len(), 3);
        let lines = read(&format!("{label}\n\n{label}\nnothing\n")).expect("lines");
        assert_eq!(lines.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(read("{\"labels\": []}"), Ok(Vec::new()));
    }

    #[test]
    fn past_the_limit_nothing_is_taken() {
        let label = format!("{{\"request_id\": \"{ID}\", \"label\": 1}}");
        let list = format!("{{\"labels\": [{}]}}", vec![label.clone(); 4].join(","));
        assert_eq!(read(&list), Err(SaidError::TooMany { found: 4, max: 3 }));
        assert_eq!(read(&vec![label; 4].join("\n")), Err(SaidError::TooMany { found: 4, max: 3 }));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (rest, part) in [
            ("", "label is missing"),
            (", \"label\": null", "label = null"),
            (", \"label\": [1]", "label = [1]"),
            (", \"label\": 1, \"row\": -1", "row = -1"),
            (", \"label\": 1, \"row\": 4294967296", "row = 4294967296"),
            (", \"label\": 1, \"at\": \"yesterday\"", "at = \"yesterday\"; give a time"),
            (", \"label\": 1, \"at\": \"2013-01-01 10:00:00\"", "give a time"),
            (", \"label\": 1, \"colour\": 1", "colour is no key here"),
        ] {
            let said = one(rest).expect_err(rest);
            assert!(said.contains(part), "{rest}: {said}");
        }
        let long = format!(", \"label\": \"{}\"", "x".repeat(TEXT_BYTES_MAX + 1));
        assert!(one(&long).is_err() && one(&long.replacen('x', "", 1)).is_ok());
        assert!(read("{\"request_id\": \"42\", \"label\": 1}").expect("JSON")[0].is_err());
        for text in ["", "late", "{\"labels\": 1}", "{\"labels\": [], \"more\": 1}", "{\"request_id\""] {
            assert!(matches!(read(text), Err(SaidError::Syntax(_))), "{text}");
        }
    }
}
