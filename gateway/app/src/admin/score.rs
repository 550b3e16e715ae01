//! What the gateway attests to of the ML Test Score: `GET /v1/score/{model}`.

use ::http::Uri;
use pointsman_control::Question;
use pointsman_core::{ModelName, PredictError, VersionNumber, VersionSelector, shown};
use serde_json::{Value, json};

use super::Admin;
use crate::http::Query;
use crate::score::score;

/// Entries of the journal that are looked through.
const ENTRIES: u32 = 1000;

impl Admin {
    /// Answers for a model, and with `?version=N` for a version that is loaded beside the one that serves.
    pub(super) async fn score(&self, model: &str, uri: &Uri) -> Result<Value, PredictError> {
        let selector = version(uri)?;
        if let Some(unknown) = self.unknown(model) {
            return Err(unknown);
        }
        let name = ModelName::new(model).map_err(|_| PredictError::UnknownModel { model: shown(model) })?;
        let snapshot = self.gateway.predictor.snapshots().snapshot();
        let version = snapshot.find(model, &selector)?.clone();
        let unknown = || PredictError::UnknownModel { model: shown(model) };
        let served = snapshot.models.get(&name).cloned().ok_or_else(unknown)?;
        let question = Question { model: Some(name.clone()), limit: ENTRIES, ..Question::default() };
        let journal = self.control.journal(question).await?;
        let board = self.control.handle().board().models();
        let status = board.iter().find(|status| status.name == name).cloned();
        // One after the other: it goes over all labels of the model.
        let _turn = self.questions.acquire().await.map_err(|_| PredictError::ShuttingDown)?;
        let gateway = self.gateway.clone();
        let score = tokio::task::spawn_blocking(move || {
            score(&gateway, &served, &version, status.as_deref(), &journal)
        });
        // A task that was thrown away says that the runtime is going down.
        Ok(json!(score.await.map_err(|_| PredictError::ShuttingDown)?))
    }
}

fn version(uri: &Uri) -> Result<VersionSelector, PredictError> {
    let mut query = Query::of(uri)?;
    let version = query.take("version", "give the number of a version", VersionNumber::parse)?;
    query.finish()?;
    Ok(version.map_or(VersionSelector::Default, VersionSelector::Number))
}
