//! Rollouts: `GET /v1/rollouts`, `GET` and `POST /v1/rollouts/{model}`, how long one would take, and what is said to it.

use std::time::{Duration, UNIX_EPOCH};

use ::http::{Method, Request, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use pointsman_control::rollout::{
    Counted, Decision, Flags, Moment, Question, Report, Spec, Traffic, needs, plan, thresholds,
};
use pointsman_control::{Listed, RolloutWish, Told, Wish};
use pointsman_core::{ModelName, PredictError, VersionNumber, VersionSelector, shown};
use pointsman_predict::Record;
use pointsman_stats::{ExpectedRates, Rate};
use serde_json::{Map, Value, json};

use super::comparisons::not_found;
use super::{Admin, granted_as_json, operator};
use crate::http::{AnswerBody, Query, document, error, read_small};

/// The most rollouts in one list.
const LISTED_MAX: u32 = 200;
/// Stands for any model where the number of a rollout says it all.
const ANY: &str = "all";

impl Admin {
    /// Answers a request below `/v1/rollouts`.
    pub(super) async fn rollouts(&self, rest: &[&str], request: Request<Incoming>) -> Response<AnswerBody> {
        let method = request.method().clone();
        if let Err(problem) = Query::none(request.uri()) {
            return error(&problem);
        }
        let answer = match (&method, rest) {
            (&Method::GET, []) => self.all_rollouts().await,
            (&Method::GET, [model]) => self.last_rollout(model).await,
            (&Method::GET, [model, id]) => self.rollout(model, id).await.map(|told| described(&told)),
            (&Method::GET, [model, id, "journal"]) => self.rollout(model, id).await.map(|told| json!(told)),
            (&Method::POST, [model]) => self.start_rollout(model, request).await,
            (&Method::POST, [model, "plan"]) => self.plan_rollout(model, request).await,
            (&Method::POST, [model, verb]) => self.tell_rollout(model, verb, request).await,
            (_, [] | [_, _, "journal"]) => Err(PredictError::MethodNotAllowed { allowed: "GET" }),
            (_, [_] | [_, _]) => Err(PredictError::MethodNotAllowed { allowed: "GET, POST" }),
            _ => Err(PredictError::NotFound),
        };
        match answer {
            Ok(json) => document(Bytes::from(json.to_string())),
            Err(problem) => error(&problem),
        }
    }

    async fn all_rollouts(&self) -> Result<Value, PredictError> {
        let all = self.control.read(|handle| handle.rollouts(None, LISTED_MAX)).await?;
        let one = |Listed { id, model, is_over }| json!({"id": id, "model": model, "is_over": is_over});
        Ok(json!({"rollouts": all.into_iter().map(one).collect::<Vec<_>>()}))
    }

    async fn last_rollout(&self, model: &str) -> Result<Value, PredictError> {
        let name = named(model)?;
        let found = move |handle: &pointsman_control::Handle| {
            let last = handle.rollouts(Some(&name), 1)?.pop();
            last.map_or(Ok(None), |last| handle.rollout(last.id))
        };
        let told = self.control.read(found).await?;
        told.map(|told| described(&told)).ok_or_else(|| {
            not_found(format!(
                "model '{}' has had no rollout; `pointsman rollout start` begins one",
                shown(model)
            ))
        })
    }

    async fn rollout(&self, model: &str, id: &str) -> Result<Told, PredictError> {
        let number: u64 = id
            .parse()
            .map_err(|_| PredictError::BadRequest(format!("'{}' is no number of a rollout", shown(id))))?;
        let told = self.control.read(move |handle| handle.rollout(number)).await?;
        let of_model = |told: &Told| model == ANY || told.created.spec.model == model;
        told.filter(of_model).ok_or_else(|| {
            not_found(format!("there is no rollout {number}; `pointsman rollout list` shows all"))
        })
    }

    async fn start_rollout(&self, model: &str, request: Request<Incoming>) -> Result<Value, PredictError> {
        let by = operator(request.headers());
        let body = read_small(&self.gateway, request.into_body(), self.body_timeout).await?;
        let asked = Asked::read(model, &body)?;
        if let Some(address) = &asked.spec.webhook {
            self.control.webhooks().allows(address).map_err(PredictError::BadRequest)?;
        }
        let wish = Wish::Rollout(RolloutWish::Start(Box::new(asked.spec)));
        let granted = self.control.wish(model, wish, by, asked.dry_run).await?;
        Ok(granted_as_json(model, &granted))
    }

    async fn tell_rollout(
        &self,
        model: &str,
        verb: &str,
        request: Request<Incoming>,
    ) -> Result<Value, PredictError> {
        let wish = match verb {
            "pause" => RolloutWish::Pause,
            "resume" => RolloutWish::Resume,
            "advance" => RolloutWish::Advance,
            "approve" => RolloutWish::Approve,
            "promote" => RolloutWish::Promote,
            "abort" => RolloutWish::Abort,
            _ => return Err(PredictError::NotFound),
        };
        let by = operator(request.headers());
        let body = read_small(&self.gateway, request.into_body(), self.body_timeout).await?;
        let mut body = object(&body)?;
        let dry_run = take(&mut body, "dry_run", "true or false", Value::as_bool)?.unwrap_or(false);
        nothing_else(&body)?;
        let granted = self.control.wish(model, Wish::Rollout(wish), by, dry_run).await?;
        Ok(granted_as_json(model, &granted))
    }

    async fn plan_rollout(&self, model: &str, request: Request<Incoming>) -> Result<Value, PredictError> {
        let body = read_small(&self.gateway, request.into_body(), self.body_timeout).await?;
        let asked = Asked::read(model, &body)?;
        let snapshot = self.gateway.predictor.snapshots().snapshot();
        let primary = snapshot.find(model, &VersionSelector::Default)?;
        let expected = Expected::of(primary.record(), &asked)?;
        let traffic = expected.traffic();
        Ok(json!({
            "model": model,
            "version": asked.spec.candidate,
            "traffic": {
                "per_second": traffic.per_second,
                "counted": expected.counted,
                "errors": expected.errors.get(),
                "slow": expected.slow.get(),
                "disagreement": expected.disagreement.get(),
            },
            "plan": plan(&asked.spec, &traffic),
        }))
    }
}

/// What is asked of a rollout.
struct Asked {
    spec: Spec,
    dry_run: bool,
    per_second: Option<f64>,
    disagreement: Option<f64>,
}

impl Asked {
    /// Reads the flags of the command line as keys of an object, with `version`, `dry_run`, and what is expected.
    fn read(model: &str, body: &[u8]) -> Result<Self, PredictError> {
        let mut body = object(body)?;
        let number = |value: &Value| value.as_u64().and_then(VersionNumber::new);
        let version = take(&mut body, "version", "the number of a version", number)?;
        let version = version.ok_or_else(|| {
            PredictError::BadRequest(
                "a rollout needs \"version\", the number of the version that takes over".into(),
            )
        })?;
        let dry_run = take(&mut body, "dry_run", "true or false", Value::as_bool)?.unwrap_or(false);
        let positive = |value: &Value| value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
        let per_second = take(&mut body, "per_second", "a number of at least 0", positive)?;
        let percent = |value: &Value| positive(value).filter(|percent| *percent <= 100.0);
        let disagreement = take(&mut body, "disagreement", "percent from 0 to 100", percent)?;
        // What is not said is not asked for.
        body.retain(|_, value| !value.is_null());
        let flags: Flags = serde_json::from_value(Value::Object(body))
            .map_err(|e| PredictError::BadRequest(format!("the body of a rollout: {e}")))?;
        let spec = flags.spec(&named(model)?, version);
        let spec = spec.map_err(|wrong| PredictError::BadRequest(wrong.to_string()))?;
        Ok(Self { spec, dry_run, per_second, disagreement })
    }
}

/// What is expected of the traffic while a version takes over.
struct Expected {
    per_second: f64,
    /// What is counted, in words.
    counted: &'static str,
    errors: Rate,
    slow: Rate,
    disagreement: Rate,
}

impl Expected {
    /// As it was lately with the version that serves, if the candidate is as good.
    fn of(primary: &Record, asked: &Asked) -> Result<Self, PredictError> {
        let statistics = primary.statistics();
        let lately = statistics.recent.read();
        let counted = asked.spec.units.first().map_or(Counted::Requests, |unit| unit.kind().into());
        let per_second = match (asked.per_second, counted) {
            (Some(per_second), _) => per_second,
            (None, Counted::Requests) => lately.map_or(0.0, |lately| lately.per_second),
            (None, Counted::Units) => {
                let reason = "units stay with their version, and how many new ones come is not known before: give \
                              per_second (--per-second), the new units in a second";
                return Err(PredictError::BadRequest(reason.into()));
            }
        };
        let (ok, failed) = (statistics.success.read().0, statistics.fail.read().0);
        let rate = |part: f64| Rate::new(part.clamp(0.0, 1.0)).or_else(|_| Rate::new(0.0));
        let rate = |part: f64| rate(part).map_err(|e| PredictError::BadRequest(e.to_string()));
        let objective = asked.spec.latency_objective_us();
        let slow = lately.map_or(0.0, |lately| {
            let [.., highest] = thresholds(objective, lately.quantiles_us);
            statistics.recent.share_over(Duration::from_micros(highest))
        });
        Ok(Self {
            per_second,
            counted: if counted == Counted::Units { "new units" } else { "requests" },
            errors: rate(failed as f64 / (ok + failed).max(1) as f64)?,
            slow: rate(slow)?,
            disagreement: rate(asked.disagreement.unwrap_or(0.0) / 100.0)?,
        })
    }

    fn traffic(&self) -> Traffic {
        let both = |rate| ExpectedRates { canary: rate, primary: rate };
        Traffic {
            per_second: self.per_second,
            rates: vec![(Question::Errors, both(self.errors)), (Question::Latency, both(self.slow))],
            disagreement: self.disagreement,
        }
    }
}

/// A rollout for people, and for programs.
fn described(told: &Told) -> Value {
    let Told { stands, records, .. } = told;
    let report = Report::new(stands, records);
    let held = match report.verdict.as_ref().map(|verdict| &verdict.decision) {
        Some(Decision::Hold(why)) if !stands.phase.is_over() => why.clone(),
        _ => Vec::new(),
    };
    let since = UNIX_EPOCH.elapsed().unwrap_or_default();
    let now = Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    let needs = needs(&stands.spec, &stands.frozen, &stands.place, &stands.evidence, &held, now);
    json!({
        "id": stands.id,
        "model": stands.spec.model,
        "version": stands.spec.candidate,
        "phase": stands.phase.word(),
        "exposure": stands.exposure.to_string(),
        "stage": stands.place.stage,
        "is_over": stands.phase.is_over(),
        "queued": stands.queued,
        "held_by": held.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "needs": needs,
        "report": report,
    })
}

fn named(model: &str) -> Result<ModelName, PredictError> {
    ModelName::new(model).map_err(|_| PredictError::UnknownModel { model: shown(model) })
}

/// The object of a body; an empty one where there is no body.
fn object(body: &[u8]) -> Result<Map<String, Value>, PredictError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|e| PredictError::BadRequest(format!("the body is no object: {e}")))
}

/// Takes a key out; nothing where it is not there or null.
fn take<T>(
    body: &mut Map<String, Value>,
    key: &str,
    expected: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, PredictError> {
    match body.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(&value).map(Some).ok_or_else(|| {
            let value = shown(&value.to_string());
            PredictError::BadRequest(format!("{key} = {value}; give {expected}"))
        }),
    }
}

fn nothing_else(body: &Map<String, Value>) -> Result<(), PredictError> {
    match body.keys().next() {
        None => Ok(()),
        Some(key) => {
            Err(PredictError::BadRequest(format!("{} is no key here; it takes dry_run", shown(key))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_keys_and_what_is_wrong_is_named() {
        let read = |body: &str| Asked::read("iris", body.as_bytes()).map_err(|error| error.to_string());
        let asked =
            read(r#"{"version": 3, "shadow": null, "canary": "1,5", "dry_run": true, "per_second": 4}"#)
                .expect("a rollout");
        assert_eq!((asked.spec.stages.len(), asked.dry_run, asked.per_second), (2, true, Some(4.0)));
        for (body, word) in [
            ("", "needs \"version\""),
            (r#"{"version": 0, "canary": "1"}"#, "version = 0; give the number"),
            (r#"{"version": 3}"#, "--canary"),
            (r#"{"version": 3, "canary": "5,1"}"#, "percent that rise"),
            (r#"{"version": 3, "canarry": "5"}"#, "unknown field `canarry`"),
            (r#"{"version": 3, "canary": "5", "per_second": -1}"#, "per_second = -1"),
            (r#"{"version": 3, "canary": "5", "disagreement": 101}"#, "percent from 0 to 100"),
            ("[1]", "no object"),
        ] {
            let error = read(body).err().unwrap_or_default();
            assert!(error.contains(word), "{body}: {error}");
        }
        assert!(Asked::read("a/b", br#"{"version": 3, "canary": "1"}"#).is_err());
    }
}
