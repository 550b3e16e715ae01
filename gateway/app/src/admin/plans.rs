//! Traffic plans: `GET /v1/plans`, `GET` and `PUT /v1/plans/{model}`, its history, and the way back.

use std::time::{Duration, UNIX_EPOCH};

use ::http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use bytes::Bytes;
use hyper::body::Incoming;
use pointsman_control::rollout::Standing;
use pointsman_control::{ModelStatus, PlanRecord, PlanTo, PlanWish, Wish};
use pointsman_core::{ModelName, PredictError, shown};
use pointsman_route::Document;
use pointsman_route::limits::DOCUMENT_BYTES_MAX;
use serde_json::{Value, json};

use super::{Admin, granted_as_json, no_model, operator};
use crate::http::{AnswerBody, Query, document, error, read_at_most};

impl Admin {
    /// Answers a request below `/v1/plans`.
    pub(super) async fn plans(&self, rest: &[&str], request: Request<Incoming>) -> Response<AnswerBody> {
        let method = request.method().clone();
        if method == Method::GET
            && let Err(problem) = Query::none(request.uri())
        {
            return error(&problem);
        }
        let answer = match (&method, rest) {
            (&Method::GET, []) => Ok((self.all_plans(), None)),
            (&Method::GET, [model]) => self.status(model).map(|status| described(&status)),
            (&Method::GET, [model, "history"]) => self.status(model).map(|status| (history(&status), None)),
            (&Method::PUT, [model]) => self.put_plan(model, request).await,
            (&Method::POST, [model, "rollback"]) => self.roll_plan_back(model, request).await,
            (_, [] | [_, "history"]) => Err(PredictError::MethodNotAllowed { allowed: "GET" }),
            (_, [_]) => Err(PredictError::MethodNotAllowed { allowed: "GET, PUT" }),
            (_, [_, "rollback"]) => Err(PredictError::MethodNotAllowed { allowed: "POST" }),
            _ => Err(PredictError::NotFound),
        };
        let (json, tag) = match answer {
            Ok(answer) => answer,
            Err(problem) => return error(&problem),
        };
        let mut response = document(Bytes::from(json.to_string()));
        if let Some(tag) = tag.and_then(|tag| HeaderValue::try_from(format!("\"{tag}\"")).ok()) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }

    fn all_plans(&self) -> Value {
        let board = self.control.handle().board().models();
        let plans: Vec<Value> = board.iter().map(|status| described(status).0).collect();
        json!({ "plans": plans })
    }

    pub(super) fn status(&self, model: &str) -> Result<ModelStatus, PredictError> {
        let board = self.control.handle().board().models();
        let status = board.iter().find(|status| status.name.as_str() == model);
        let unknown = || no_model(model, board.iter().map(|status| status.name.as_str()).collect());
        status.map(|status| status.as_ref().clone()).ok_or_else(unknown)
    }

    async fn put_plan(&self, model: &str, request: Request<Incoming>) -> Answer {
        let dry_run = dry_run(request.uri())?;
        let (head, body) = request.into_parts();
        let body = read_at_most(&self.gateway, body, DOCUMENT_BYTES_MAX, self.body_timeout).await?;
        let document = read(&head.headers, &body)?;
        self.wish_plan(model, PlanTo::Document(Box::new(document)), &head.headers, dry_run).await
    }

    async fn roll_plan_back(&self, model: &str, request: Request<Incoming>) -> Answer {
        let dry_run = dry_run(request.uri())?;
        self.wish_plan(model, PlanTo::Previous, request.headers(), dry_run).await
    }

    async fn wish_plan(&self, model: &str, to: PlanTo, headers: &HeaderMap, dry_run: bool) -> Answer {
        let unknown = |_| PredictError::UnknownModel { model: shown(model) };
        let name = ModelName::new(model).map_err(unknown)?;
        let since = UNIX_EPOCH.elapsed().unwrap_or_default();
        let wish = PlanWish {
            model: name,
            to,
            if_match: if_match(headers)?,
            at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        };
        let granted = self.control.wish(model, Wish::Plan(wish), operator(headers), dry_run).await?;
        let plans = self.status(model)?.plan.plans;
        let tag = plans.current.plan.etag();
        let mut json = granted_as_json(model, &granted);
        json["revision"] = json!(plans.current.revision);
        json["etag"] = json!(tag);
        Ok((json, Some(tag)))
    }
}

/// A document for the caller, with its tag where it has one.
type Answer = Result<(Value, Option<String>), PredictError>;

fn described(status: &ModelStatus) -> (Value, Option<String>) {
    let plan = &status.plan;
    let tag = plan.plans.current.plan.etag();
    let mut value = record(&plan.plans.current);
    value["model"] = json!(status.name.as_str());
    value["lost"] = json!(plan.lost);
    value["undeclared"] = json!(plan.undeclared);
    value["rollout"] = json!(status.rollout.as_ref().map(rollout));
    (value, Some(tag))
}

/// A rollout that is under way: it has the split of its model, whatever the plan says.
pub(super) fn rollout(standing: &Standing) -> Value {
    json!({
        "id": standing.id,
        "version": standing.candidate,
        "exposure": standing.exposure.to_string(),
    })
}

/// All plans that are remembered, the latest last.
fn history(status: &ModelStatus) -> Value {
    let plans = &status.plan.plans;
    let records: Vec<Value> = plans.history.iter().chain([&plans.current]).map(record).collect();
    json!({"model": status.name.as_str(), "plans": records})
}

fn record(of: &PlanRecord) -> Value {
    json!({
        "revision": of.revision,
        "etag": of.plan.etag(),
        "by": of.by,
        "at": (of.revision > 0).then(|| rfc3339(of.at_ms)),
        "plan": of.plan,
    })
}

/// A moment in UTC.
fn rfc3339(at_ms: u64) -> String {
    // What is later than the year 9999 comes from a damaged clock.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(at_ms).min(LAST)).to_string()
}

/// The document of a body: TOML where the content type says so, else JSON.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<Document, PredictError> {
    let text = std::str::from_utf8(body)
        .map_err(|_| PredictError::BadRequest("the plan is not UTF-8; save it as UTF-8 text".into()))?;
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes().to_ascii_lowercase());
    let is_toml = content_type.is_some_and(|value| value.starts_with(b"application/toml"));
    let document = if is_toml { Document::from_toml(text) } else { Document::from_json(text) };
    document.map_err(|finding| PredictError::BadRequest(format!("the plan cannot be read: {finding}")))
}

/// The tag that the current plan has to have; nothing for any.
fn if_match(headers: &HeaderMap) -> Result<Option<String>, PredictError> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    // A list of tags would be taken for one that no plan has.
    let tag = tag.filter(|tag| !tag.contains('"'));
    let bad = || {
        let what = format!("If-Match = {}; give the ETag of the plan as it came, or *", shown(text));
        PredictError::BadRequest(what)
    };
    tag.map(|tag| Some(tag.to_owned())).ok_or_else(bad)
}

/// Whether nothing is to be changed: `?dry_run=true`.
fn dry_run(uri: &Uri) -> Result<bool, PredictError> {
    let mut query = Query::of(uri)?;
    let dry_run = query.take("dry_run", "give true or false", |value| value.parse().ok())?;
    query.finish()?;
    Ok(dry_run.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("a value"))])
    }

    #[test]
    fn a_body_is_toml_or_json() {
        let toml = headers(header::CONTENT_TYPE, "application/toml; charset=utf-8");
        let text = b"shadows = [{ name = \"s\", version = 2, share = 5 }]";
        let document = read(&toml, text).expect("TOML");
        assert_eq!(read(&HeaderMap::new(), document.to_json().as_bytes()).ok(), Some(document));
        assert!(read(&HeaderMap::new(), text).is_err());
        assert!(read(&toml, b"\xff").is_err());
    }

    #[test]
    fn tags_and_queries_are_held_to_their_form() {
        let tag = |text: &str| if_match(&headers(header::IF_MATCH, text)).map_err(|error| error.to_string());
        assert_eq!(tag("\"abc\""), Ok(Some("abc".into())));
        assert_eq!((tag("*"), if_match(&HeaderMap::new()).ok()), (Ok(None), Some(None)));
        for bad in ["abc", "W/\"abc\"", "\"abc", "", "\"a\", \"b\"", "\""] {
            assert!(tag(bad).is_err_and(|error| error.contains("give the ETag")), "{bad}");
        }
        let dry = |path: &str| dry_run(&path.parse().expect("a path"));
        assert!(dry("/p?dry_run=true").is_ok_and(|dry| dry) && dry("/p").is_ok_and(|dry| !dry));
        assert!(dry("/p?dryrun=true").is_err() && dry("/p?dry_run=1").is_err());
    }
}
