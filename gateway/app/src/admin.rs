//! The admin listener: what serves, in full.

use std::sync::Arc;

use ::http::{Method, Request, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use pointsman_core::PredictError;
use pointsman_predict::ServedModel;
use serde_json::{Value, json};

use crate::findings::as_json;
use crate::gateway::Gateway;
use crate::http::{AnswerBody, document, error};
use crate::listen::Answer;

/// Answers the requests of the admin listener.
#[derive(Clone)]
pub(crate) struct Admin {
    gateway: Arc<Gateway>,
}

impl Admin {
    /// A listener over the gateway.
    #[must_use]
    pub(crate) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }

    /// `GET /models`: every model with its plan and every version with its state.
    fn models(&self) -> Value {
        let models: Vec<Value> = self.gateway.models().iter().map(|model| describe(model)).collect();
        let generation = self.gateway.predictor.snapshots().pin().generation;
        json!({"generation": generation, "ready": self.gateway.is_ready(), "models": models})
    }
}

fn describe(model: &ServedModel) -> Value {
    let mut versions: Vec<(u64, Value)> = Vec::new();
    for (number, version) in &model.versions {
        let spec = version.spec();
        versions.push((
            number.get(),
            json!({
                "version": number.get(), "state": "READY", "reason": "", "engine": spec.engine,
                "digest": spec.digest, "workers": version.workers(), "queue_depth": version.queue_depth(),
                "answered": version.record().statistics().success.read().0, "findings": as_json(&spec.findings),
            }),
        ));
    }
    for (number, unavailable) in &model.unavailable {
        let state = if unavailable.loading { "LOADING" } else { "UNAVAILABLE" };
        let value = json!({"version": number.get(), "state": state, "reason": unavailable.reason});
        versions.push((number.get(), value));
    }
    versions.sort_by_key(|(number, _)| *number);
    let aliases: serde_json::Map<String, Value> =
        model.plan.aliases.iter().map(|(alias, number)| (alias.to_string(), json!(number.get()))).collect();
    json!({
        "name": model.name.as_str(),
        "default": model.plan.default.map(pointsman_core::VersionNumber::get),
        "aliases": aliases,
        "problem": model.problem,
        "versions": versions.into_iter().map(|(_, value)| value).collect::<Vec<_>>(),
    })
}

impl Answer for Admin {
    async fn answer(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/models") => document(Bytes::from(self.models().to_string())),
            (_, "/models") => error(&PredictError::MethodNotAllowed { allowed: "GET" }),
            _ => error(&PredictError::NotFound),
        }
    }
}
