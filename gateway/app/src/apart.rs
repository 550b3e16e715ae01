//! Requests of the gateway's own: an example that is run again, a golden case that is checked. They take the way of all
//! requests, are shown to no shadow and no monitor, and are never answered from a cache.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::HeaderMap;
use pointsman_core::{
    InputTensor, ModelName, PredictError, PredictRequest, Prediction, RequestId, VersionNumber,
    VersionSelector,
};
use pointsman_predict::Protocol;

use crate::exchange::Received;
use crate::gateway::Gateway;

/// How long one run may take, with what it has to wait.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs inputs with one version.
///
/// # Errors
/// As those of a caller.
pub(crate) async fn run(
    gateway: &Arc<Gateway>,
    model: &ModelName,
    version: VersionNumber,
    inputs: &[InputTensor],
) -> Result<Prediction, PredictError> {
    let (id, headers) = (RequestId::generate(), HeaderMap::new());
    let bytes = inputs.iter().map(|input| input.tensor.data().len()).sum();
    let received = Received::new(gateway, id, Protocol::V2Rest, &headers).apart();
    let mut exchange = received.admit(Some(bytes), None)?;
    let selector = VersionSelector::Number(version);
    let request = PredictRequest {
        id,
        client_id: None,
        model: model.to_string(),
        version: selector.clone(),
        parameters: Vec::new(),
        inputs: inputs.to_vec(),
        outputs: Vec::new(),
        priority: 0,
        deadline: Some(Instant::now() + TIMEOUT),
    };
    let answer = match exchange.enter(model.as_str(), &selector, &headers) {
        Ok(pinned) => exchange.predict(pinned, &headers, request, Duration::ZERO).await,
        Err(error) => Err(error),
    };
    match &answer {
        Ok(prediction) => exchange.answered(prediction, Duration::ZERO).written(),
        Err(error) => exchange.failed(error),
    }
    answer
}
