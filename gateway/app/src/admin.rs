//! The admin listener: what serves and why, and the wishes of operators. It is on loopback alone, and
//! takes nothing from web pages of others.

mod alerts;
mod comparisons;
mod drift;
mod experiments;
mod plans;
mod quality;
mod replays;
mod rollouts;
mod sample_log;
mod schema;
mod score;
mod status;
mod wishes;

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, Method, Request, Response, Uri, header};
use bytes::Bytes;
use hyper::body::Incoming;
use pointsman_control::{Granted, Question};
use pointsman_core::{Code, ModelName, PredictError, shown};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::control::Control;
use crate::gateway::Gateway;
use crate::http::{AnswerBody, Http, Query, document, error, read_small, take_feedback};
use crate::known::known;
use crate::listen::Answer;
use crate::reload::Reload;

/// Who wishes something, where the caller says so.
pub(crate) const OPERATOR: &str = "pointsman-operator";
/// Entries of the journal that are answered where nobody says how many.
const ENTRIES: u32 = 100;

/// Answers the requests of the admin listener.
#[derive(Clone)]
pub(crate) struct Admin {
    gateway: Arc<Gateway>,
    control: Control,
    reload: Arc<Reload>,
    /// Lets one question to the comparisons after the other be read.
    questions: Arc<Semaphore>,
    /// The V2 protocol with control of the repository, for Triton's clients.
    http: Http,
    body_timeout: Duration,
}

impl Admin {
    /// A listener over the gateway and its control path.
    #[must_use]
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        control: Control,
        reload: Arc<Reload>,
        http: Http,
        body_timeout: Duration,
    ) -> Self {
        let questions = Arc::new(Semaphore::new(1));
        Self { gateway, control, reload, questions, http, body_timeout }
    }

    async fn route(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let method = request.method().clone();
        if let ["v1", "plans", rest @ ..] = segments.as_slice() {
            return self.plans(rest, request).await;
        }
        if let ["v1", "rollouts", rest @ ..] = segments.as_slice() {
            return self.rollouts(rest, request).await;
        }
        let answer = match (&method, segments.as_slice()) {
            (_, ["v1", "experiments", rest @ ..]) => self.experiments(rest, request).await,
            (_, ["v1", "log", rest @ ..]) => self.sample_log(rest, request).await,
            (&Method::GET, ["models"]) => {
                Query::none(request.uri()).map(|()| status::models(&self.gateway, &self.control))
            }
            (&Method::GET, ["journal"]) => self.journal(request.uri()).await,
            (&Method::GET, ["v1", "comparisons"]) => self.comparisons(request.uri()).await,
            (&Method::GET, ["v1", "comparisons", model]) => self.comparison(model, request.uri()).await,
            (&Method::GET, ["v1", "score", model]) => self.score(model, request.uri()).await,
            (&Method::GET, ["v1", "alerts"]) => self.alerts(request.uri()),
            (&Method::GET, ["v1", "alerts", "history"]) => self.alert_history(request.uri()).await,
            (_, ["v1", "schema", rest @ ..]) => self.schema(rest, &method, request.uri()),
            (&Method::POST, ["v1", "feedback"]) => {
                take_feedback(&self.gateway, request, self.body_timeout).await
            }
            (&Method::GET, ["v1", "quality", model]) => self.quality(model, request.uri()).await,
            (&Method::GET, ["v1", "drift"]) => self.drifts(request.uri()).await,
            (&Method::GET, ["v1", "drift", model]) => self.drift(model, request.uri()).await,
            (&Method::GET, ["config"]) => Query::none(request.uri()).map(|()| self.reload.effective()),
            (&Method::POST, ["v1", "replays", id]) => self.replay(id, request).await,
            (&Method::POST, ["config", "reload"]) => {
                Query::none(request.uri()).and_then(|()| self.reload.reload(&self.control))
            }
            (&Method::POST, ["models", model, verb]) => self.wish(model, verb, request).await,
            (
                _,
                ["models" | "journal" | "config"]
                | ["v1", "comparisons" | "alerts"]
                | ["v1", "comparisons" | "quality" | "drift" | "score", _]
                | ["v1", "drift"]
                | ["v1", "alerts", "history"],
            ) => Err(PredictError::MethodNotAllowed { allowed: "GET" }),
            (_, ["v1", "replays", _] | ["v1", "feedback"]) => {
                Err(PredictError::MethodNotAllowed { allowed: "POST" })
            }
            (_, ["models", _, verb]) if wishes::VERBS.contains(verb) => {
                Err(PredictError::MethodNotAllowed { allowed: "POST" })
            }
            _ => return self.http.answer(request).await,
        };
        match answer {
            Ok(json) => document(Bytes::from(json.to_string())),
            Err(problem) => error(&problem),
        }
    }

    async fn wish(&self, model: &str, verb: &str, request: Request<Incoming>) -> Result<Value, PredictError> {
        Query::none(request.uri())?;
        let by = operator(request.headers());
        let body = read_small(&self.gateway, request.into_body(), self.body_timeout).await?;
        let (wish, dry_run) = wishes::read(verb, &body)?;
        let granted = self.control.wish(model, wish, by, dry_run).await?;
        Ok(granted_as_json(model, &granted))
    }

    /// That a model is not known, with those that are; nothing of one that the gateway has.
    fn unknown(&self, model: &str) -> Option<PredictError> {
        let board = self.control.handle().board().models();
        let names: Vec<&str> = board.iter().map(|status| status.name.as_str()).collect();
        (!names.contains(&model)).then(|| no_model(model, names))
    }

    /// `GET /journal?model=M&after=ID&limit=N`.
    async fn journal(&self, uri: &Uri) -> Result<Value, PredictError> {
        let mut query = Query::of(uri)?;
        let model = query.take("model", "give the name of a model", |value| ModelName::new(value).ok())?;
        let after = query.take("after", "give the id of an entry", |value| value.parse().ok())?;
        let limit = query.take("limit", "give a number of entries", |value| value.parse().ok())?;
        query.finish()?;
        let question = Question { model, after, limit: limit.unwrap_or(ENTRIES) };
        let entries = self.control.journal(question).await?;
        Ok(json!({"entries": entries.iter().map(status::entry).collect::<Vec<_>>()}))
    }
}

/// That there is no such model, with those that there are.
fn no_model(model: &str, names: Vec<&str>) -> PredictError {
    let reason = format!("there is no model '{}'; {}", shown(model), known(names));
    PredictError::Control { code: Code::UnknownModel, reason }
}

/// What came of a wish.
fn granted_as_json(model: &str, granted: &Granted) -> Value {
    json!({
        "model": model,
        "outcome": granted.outcome.name(),
        "generation": granted.generation,
        "changes": granted.changes,
        "took_ms": granted.took.as_secs_f64() * 1000.0,
    })
}

/// Who says so: the header, or that nobody did.
pub(crate) fn operator(headers: &HeaderMap) -> String {
    let said = headers.get(OPERATOR).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let said = said.filter(|said| !said.is_empty());
    said.map_or_else(|| "somebody on this host".into(), |said| pointsman_core::shown(&said))
}

/// Refuses what a web page could make a browser send: a request under another host's name, or from
/// another origin.
fn check_caller(request: &Request<Incoming>) -> Result<(), PredictError> {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(::http::uri::Authority::as_str);
    let forbidden = |reason: &str| {
        let reason = format!("the admin listener answers nobody who {reason}");
        Err(PredictError::Control { code: Code::Forbidden, reason })
    };
    match authority.or(host) {
        Some(host) if !is_local(host) => return forbidden("calls it by a name other than localhost"),
        _ => {}
    }
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    match origin.map(|origin| origin.trim_start_matches("http://")) {
        Some(origin) if Some(origin) != authority.or(host) => forbidden("comes from another site's page"),
        _ => Ok(()),
    }
}

/// Whether a host, with or without a port, is this one.
fn is_local(host: &str) -> bool {
    let name = host.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name);
    let name = name.unwrap_or_else(|| host.rsplit_once(':').map_or(host, |(name, _)| name));
    let address = name.parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

impl Answer for Admin {
    async fn answer(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        match check_caller(&request) {
            Ok(()) => self.route(request).await,
            Err(problem) => error(&problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_names_of_this_host_are_local() {
        for host in [
            "localhost",
            "LOCALHOST:8003",
            "127.0.0.1",
            "127.0.0.1:8003",
            "127.9.9.9:1",
            "[::1]:8003",
            "[::1]",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:8003",
            "10.0.0.1:8003",
            "127.0.0.1.evil.example",
            "[::2]",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
