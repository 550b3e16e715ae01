//! Asks each version by its number for the right answers.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use pointsman_core::InputTensor;

use super::caller::Work;
use crate::client::{grpc, http1};
use crate::gateway::Gateway;
use crate::inputs;
use crate::references::{Expected, References};
use crate::requests::Requests;

/// How long all answers may take together.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often a version that loads is asked whether it is ready.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// The requests to the model, and their right answers by the versions 1 to `sources` of a gateway
/// that has them all.
///
/// # Errors
/// Where a version does not answer, or two answer alike.
pub(super) fn work(gateway: &Gateway, models: &Path, model: &str, sources: u64) -> Result<Work, String> {
    let versions: Vec<u64> = (1..=sources).collect();
    let inputs = inputs::of_golden_cases(models, model, &versions)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let recorded = async { tokio::time::timeout(TIMEOUT, record(gateway, model, &versions, &inputs)).await };
    let recorded = runtime.map_err(|e| e.to_string())?.block_on(recorded);
    recorded.map_err(|_| format!("the right answers did not come within {TIMEOUT:?}"))?
}

async fn record(
    gateway: &Gateway,
    model: &str,
    versions: &[u64],
    inputs: &[Vec<InputTensor>],
) -> Result<Work, String> {
    for &version in versions {
        wait_until_ready(gateway.http, model, version).await?;
    }
    let mut client = grpc::connect(gateway.grpc).await?;
    let (mut requests, mut expected) = (Vec::new(), Vec::new());
    for input in inputs {
        requests.push(Requests::new(gateway.http, model, None, input)?);
        let mut of_versions = Vec::new();
        for &version in versions {
            let asked = Requests::new(gateway.http, model, Some(version), input)?;
            let (_, json) = answer(gateway.http, &asked.json).await?;
            let (json_length, binary) = answer(gateway.http, &asked.binary).await?;
            let message = client.model_infer(asked.message).await.map_err(|e| e.to_string())?.into_inner();
            of_versions.push(Expected::new(version, &json, (json_length, &binary), message)?);
        }
        expected.push(of_versions);
    }
    Ok(Work { requests, references: References::new(expected)? })
}

/// A gateway is ready with its default versions; the others may still be loading.
async fn wait_until_ready(http: SocketAddr, model: &str, version: u64) -> Result<(), String> {
    let request = http1::get(http, &format!("/v2/models/{model}/versions/{version}/ready"));
    while http1::once(http, &request).await?.0.status != 200 {
        tokio::time::sleep(ASK_AGAIN).await;
    }
    Ok(())
}

async fn answer(http: SocketAddr, request: &[u8]) -> Result<(Option<usize>, Bytes), String> {
    let (head, body) = http1::once(http, request).await?;
    if head.status == 200 {
        Ok((head.json_length, body))
    } else {
        Err(format!("the gateway answered {} {}", head.status, String::from_utf8_lossy(&body)))
    }
}
