//! Alerts: `GET /v1/alerts` and `GET /v1/alerts/history`.

use ::http::Uri;
use pointsman_control::AlertEntry;
use pointsman_core::{Code, ModelName, PredictError};
use pointsman_observe::alert::Rule;
use serde_json::{Value, json, value::RawValue};

use super::Admin;
use crate::http::Query;

/// Transitions that are answered where nobody says how many, and the most.
const TRANSITIONS: u32 = 100;
const TRANSITIONS_MAX: u32 = 10_000;

impl Admin {
    /// Answers `GET /v1/alerts?model=M`.
    pub(super) fn alerts(&self, uri: &Uri) -> Result<Value, PredictError> {
        let mut query = Query::of(uri)?;
        let model = model(&mut query)?;
        query.finish()?;
        let alerts = self.control.alerts();
        let mut list = alerts.list();
        if let Some(model) = &model {
            list.retain(|alert| alert.signal.model == model.as_str());
        }
        self.check_model(model.as_ref(), list.is_empty())?;
        Ok(json!({"alerts": list, "rules": alerts.rules().iter().map(rule).collect::<Vec<_>>()}))
    }

    /// Answers `GET /v1/alerts/history?model=M&limit=N`.
    pub(super) async fn alert_history(&self, uri: &Uri) -> Result<Value, PredictError> {
        let (model, limit) = of_history(uri)?;
        let (alerts, of) = (self.control.alerts().clone(), model.clone());
        let entries =
            tokio::task::spawn_blocking(move || alerts.history(of.as_ref().map(ModelName::as_str), limit))
                .await;
        // A task that was thrown away says that the runtime is going down.
        let entries = entries.map_err(|_| PredictError::ShuttingDown)?;
        let entries =
            entries.map_err(|reason| PredictError::Control { code: Code::NotJournalled, reason })?;
        self.check_model(model.as_ref(), entries.is_empty())?;
        Ok(json!({"transitions": entries.iter().map(entry).collect::<Vec<_>>()}))
    }

    /// Refuses a model of which nothing was found, and that is none of the gateway's.
    fn check_model(&self, model: Option<&ModelName>, has_none: bool) -> Result<(), PredictError> {
        let unknown = model.filter(|_| has_none).and_then(|model| self.unknown(model.as_str()));
        unknown.map_or(Ok(()), Err)
    }
}

fn model(query: &mut Query) -> Result<Option<ModelName>, PredictError> {
    query.take("model", "give the name of a model", |value| ModelName::new(value).ok())
}

/// The model and the number of transitions that are asked for.
fn of_history(uri: &Uri) -> Result<(Option<ModelName>, u32), PredictError> {
    let mut query = Query::of(uri)?;
    let model = model(&mut query)?;
    let remedy = format!("give a number from 1 to {TRANSITIONS_MAX}");
    let read = |value: &str| value.parse().ok().filter(|limit| (1..=TRANSITIONS_MAX).contains(limit));
    let limit = query.take("limit", &remedy, read)?;
    query.finish()?;
    Ok((model, limit.unwrap_or(TRANSITIONS)))
}

fn entry(entry: &AlertEntry) -> Value {
    // It was written as JSON.
    let alert = serde_json::from_str::<&RawValue>(&entry.document).ok();
    json!({"id": entry.id, "at_ms": entry.at_ms, "from": entry.from, "alert": alert})
}

fn rule(rule: &Rule) -> Value {
    json!({
        "name": rule.name,
        "on": rule.on,
        "models": rule.models,
        "subjects": rule.subjects,
        "for_s": rule.hold.as_secs_f64(),
        "keep_firing_for_s": rule.quiet.as_secs_f64(),
        "repeat_s": rule.repeat.as_secs_f64(),
        "severity": rule.severity,
        // Paths of receivers may hold what nobody else should know.
        "webhooks": rule.webhook.len(),
    })
}
